// SPDX-License-Identifier: Apache-2.0
#include <graft/io/adapter.hpp>
#include <graft/io/adapter_gguf.hpp>
#include <graft/io/adapter_peft.hpp>
#include <graft/io/peft_config.hpp>

#include <tests/support/data.hpp>
#include <tests/support/failing_calls.hpp>
#include <tests/support/malformed.hpp>
#include <tests/support/tiny_model.hpp>

#include <cmath>
#include <limits>

using namespace graft;
using namespace graft_test;
namespace {

/// The problem of an adapter whose config has been changed; its tensors are good.
template <class Change>
problem config_problem(Change&& change) {
    scratch_folder folder;
    auto const c = make_tiny_model(architecture::llama).config;
    auto const path = (folder.path / "a").string();
    succeed(write_peft(path, make_tiny_adapter(c)));
    auto json = nlohmann::json::parse(read_file(path + "/adapter_config.json"));
    change(json);
    succeed(write_file(path + "/adapter_config.json", json.dump(), {true, {}, {}}));
    auto const r = open_adapter(path, c);
    REQUIRE_FALSE(r.ok());
    return r.error();
}

}  // namespace

TEST_CASE("adapter: what adapter_config.json must not say is named") {
    auto const key = [](auto&& change) { return config_problem(change).where; };
    CHECK(key([](auto& j) { j["peft_type"] = "IA3"; }) == "key 'peft_type'");
    CHECK(key([](auto& j) { j.erase("peft_type"); }) == "key 'peft_type'");
    CHECK(key([](auto& j) { j["use_dora"] = true; }) ==
          "tensor 'base_model.model.model.layers.0.mlp.down_proj.lora_B.weight'");
    CHECK(key([](auto& j) { j["use_dora"] = 1; }) == "key 'use_dora'");
    CHECK(key([](auto& j) { j["modules_to_save"] = {"lm_head"}; }) == "key 'modules_to_save'");
    CHECK(key([](auto& j) { j["kasa_config"] = {{"x", 1}}; }) == "key 'kasa_config'");
    CHECK(key([](auto& j) { j["use_bdlora"] = true; }) == "key 'use_bdlora'");
    CHECK(key([](auto& j) { j["trainable_token_indices"] = {1}; }) == "key 'trainable_token_indices'");
    CHECK(key([](auto& j) { j["fan_in_fan_out"] = true; }) == "key 'fan_in_fan_out'");
    CHECK(key([](auto& j) { j["lora_bias"] = true; }) == "key 'lora_bias'");
    CHECK(key([](auto& j) { j["bias"] = "all"; }) == "key 'bias'");
    CHECK(key([](auto& j) { j["task_type"] = "SEQ_CLS"; }) == "key 'task_type'");
    CHECK(key([](auto& j) { j["init_lora_weights"] = "pissa"; }) == "key 'init_lora_weights'");
    CHECK(key([](auto& j) { j["init_lora_weights"] = "mica"; }) == "key 'init_lora_weights'");
    CHECK(key([](auto& j) { j["r"] = 0; }) == "key 'r'");
    CHECK(key([](auto& j) { j["r"] = 4.0; }) == "key 'r'");
    CHECK(key([](auto& j) { j["r"] = 8; }).substr(0, 7) == "tensor ");
    CHECK(key([](auto& j) { j["lora_alpha"] = 0; }) == "key 'lora_alpha'");
    CHECK(key([](auto& j) { j["lora_alpha"] = "x"; }) == "key 'lora_alpha'");
    CHECK(key([](auto& j) { j["rank_pattern"] = {{"q_proj", 2}}; }).substr(0, 7) == "tensor ");
    CHECK(key([](auto& j) { j["rank_pattern"] = {{"(up|q)_proj", 2}}; }).substr(0, 7) == "tensor ");
    CHECK(key([](auto& j) { j["rank_pattern"] = {{"q_(proj", 2}}; }) == "key 'rank_pattern'");
    CHECK(key([](auto& j) { j["rank_pattern"] = {{"q_proj", 4.0}}; }) == "key 'rank_pattern'");
    CHECK(key([](auto& j) { j["rank_pattern"] = {{"nothing", 0}}; }) == "key 'rank_pattern'");
    CHECK(key([](auto& j) { j["rank_pattern"] = {{"nothing", 1LL << 40}}; }) == "key 'rank_pattern'");
    CHECK(key([](auto& j) { j["rank_pattern"] = {{"nothing", "4"}}; }) == "key 'rank_pattern'");
    CHECK(key([](auto& j) { j["rank_pattern"] = nlohmann::json::array({4}); }) == "key 'rank_pattern'");
    CHECK(key([](auto& j) { j["alpha_pattern"] = {{"(?<!x)q_proj", 2}}; }) == "key 'alpha_pattern'");
    CHECK(key([](auto& j) { j["alpha_pattern"] = {{"q_proj", 1e300}}; }) == "key 'alpha_pattern'");
    CHECK(key([](auto& j) { j["alpha_pattern"] = {{"q_proj", nullptr}}; }) == "key 'alpha_pattern'");
    CHECK(key([](auto& j) { j["rank_pattern"] = 3; }) == "key 'rank_pattern'");
    CHECK(key([](auto& j) { j["alpha_pattern"] = {{"q_proj", -2}}; }) == "key 'alpha_pattern'");
    CHECK(key([](auto& j) { j["target_modules"] = {"q_proj"}; }) == "module 'model.layers.0.mlp.down_proj'");
    CHECK(key([](auto& j) { j["target_modules"] = {1}; }) == "key 'target_modules'");
}

TEST_CASE("adapter: what its tensors must not be is named") {
    scratch_folder folder;
    auto const c = make_tiny_model(architecture::llama).config;
    auto const path = (folder.path / "a").string();
    succeed(write_peft(path, make_tiny_adapter(c)));
    std::vector<float> numbers(4 * 64, 0.5f);
    auto const with = [&](std::vector<tensor_to_write> const& tensors) {
        succeed(write_safetensors(path + "/adapter_model.safetensors", tensors, {}, {true, {}, {}}));
        return open_adapter(path, c);
    };
    std::string const q = "base_model.model.model.layers.0.self_attn.q_proj";
    auto const tensor = [&](std::string const& name, std::vector<std::uint64_t> shape, std::string_view type = "F32") {
        std::uint64_t bytes = find_safetensors_type(type)->bytes;
        for (auto d : shape) bytes *= d;
        return tensor_to_write{name, type, std::move(shape),
                               std::as_bytes(std::span(numbers)).first(static_cast<std::size_t>(bytes))};
    };
    auto const a = tensor(q + ".lora_A.weight", {4, 32}), b = tensor(q + ".lora_B.weight", {32, 4});
    CHECK(with({a, b}).ok());
    CHECK(with({tensor(q + ".lora_A.weight", {4, 32}, "F16"), tensor(q + ".lora_B.weight", {32, 4}, "BF16")}).ok());
    CHECK(with({}).error().why == cause::mismatch);
    CHECK(with({a}).error().what == "has no lora_B beside it");
    CHECK(with({b}).error().what == "has no lora_A beside it");
    CHECK(with({a, tensor(q + ".lora_B.weight", {4, 32})}).error().what == "does not fit its lora_A");
    CHECK(with({tensor(q + ".lora_A.weight", {32, 4}), b}).error().what ==
          "does not have the rank of adapter_config.json");
    CHECK(with({a, tensor(q + ".lora_B.weight", {32, 4, 1})}).error().what == "is not a matrix");
    CHECK(with({a, b, tensor(q + ".lora_magnitude_vector", {32})}).error().what == "belongs to DoRA");
    CHECK(with({a, b, tensor("base_model.model.model.embed_tokens.lora_embedding_A", {4, 8})})
              .error()
              .what.find("embedding") != std::string::npos);
    CHECK(with({a, b, tensor(q + ".lora_C.weight", {4})}).error().what == "is not a tensor of a LoRA adapter");
    CHECK(with({tensor(q + ".lora_A.weight", {4, 8}, "I64"), b}).error().got == "I64");
    CHECK(with({tensor(q + ".lora_A.weight", {4, 31}), b}).error().why == cause::mismatch);
    CHECK(with({a, b, tensor("lora_A.weight", {4, 8})}).error().what == "is not a tensor of a LoRA adapter");
    CHECK(with({a, b, tensor("base_model.model.lora_A.weight", {4, 8})}).error().what ==
          "is not a tensor of a LoRA adapter");
    CHECK(with({a, b, tensor("base_model.model." + std::string(300, 'x') + ".lora_A.weight", {4, 8})}).error().what ==
          "is not a tensor of a LoRA adapter");
    auto const far = with({tensor("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", {4, 32}),
                           tensor("base_model.model.model.layers.7.self_attn.q_proj.lora_B.weight", {32, 4})});
    CHECK(far.error().got == "model.layers.7.self_attn.q_proj, which is not in the model");
    numbers[5] = std::numeric_limits<float>::quiet_NaN();
    CHECK(with({a, b}).error().what == "a number is not finite");
    numbers[5] = 0.5f;

    auto json = nlohmann::json::parse(read_file(path + "/adapter_config.json"));
    json["use_dora"] = true;
    succeed(write_file(path + "/adapter_config.json", json.dump(), {true, {}, {}}));
    std::string const m = q + ".lora_magnitude_vector";
    for (char const* ending : {"", ".weight"}) {
        auto const read = with({a, b, tensor(m + ending, {32}, "F16")});
        REQUIRE(read.ok());
        CHECK(read->pairs[0].m.size() == 32);
    }
    CHECK(with({a, b}).error().what == "has no lora_magnitude_vector beside it");
    CHECK(with({a, b, tensor(m, {32}), tensor(m + ".weight", {32})}).error().what == "is there twice, under two names");
    CHECK(with({a, b, tensor(m, {31})}).error().what == "does not fit its lora_B");
    CHECK(with({a, b, tensor(m, {32, 1})}).error().what == "is not a vector");
    CHECK(with({a, b, tensor(m, {})}).error().what == "is not a vector");
    CHECK(with({a, b, tensor(m, {32}, "I32")}).error().got == "I32");
    CHECK(with({tensor(m, {32})}).error().what == "has no lora_B beside it");
    CHECK(with({a, tensor(m, {32})}).error().what == "has no lora_B beside it");
    std::vector<float> magnitudes(32, 1.0f);
    magnitudes[9] = -std::numeric_limits<float>::infinity();
    CHECK(with({a, b, {m, "F32", {32}, std::as_bytes(std::span(magnitudes))}}).error().what ==
          "a number is not finite");
    std::filesystem::rename(path + "/adapter_model.safetensors", path + "/adapter_model.bin");
    CHECK(open_adapter(path, c).error().what == "is a Python pickle and is not read");
}
