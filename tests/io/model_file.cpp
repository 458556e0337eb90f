// SPDX-License-Identifier: Apache-2.0
#include <graft/io/model_file.hpp>
#include <graft/text/tokenizer.hpp>

#include <tests/support/data.hpp>
#include <tests/support/malformed.hpp>
#include <tests/support/tiny_model.hpp>

#include <numbers>

using namespace graft;
using namespace graft_test;

namespace {

model_file opened(std::filesystem::path const& path, open_options const& options = {}) {
    auto m = open_model(path.string(), options);
    if (!m) FAIL(describe(m.error()));
    return std::move(*m);
}

/// The problem of a model whose GGUF the change has spoilt.
template <class Change>
problem gguf_problem(Change&& change, architecture arch = architecture::llama) {
    scratch_folder folder;
    auto m = make_tiny_model(arch);
    auto const path = (folder.path / "m.gguf").string();
    write_gguf(path, m);
    gguf_edit edit(path);
    change(edit);
    edit.write(path);
    auto const r = open_model(path);
    REQUIRE_FALSE(r.ok());
    return r.error();
}

template <class Change>
problem config_problem(Change&& change) {
    scratch_folder folder;
    auto m = make_tiny_model(architecture::llama);
    write_huggingface(folder.path / "m", m);
    auto json = huggingface_config_json(m);
    change(json);
    succeed(write_file((folder.path / "m/config.json").string(), json.dump(), {true, {}, {}}));
    auto const r = open_model((folder.path / "m").string());
    REQUIRE_FALSE(r.ok());
    return r.error();
}

}  // namespace

TEST_CASE("model file: a GGUF and a Hugging Face directory of one model hold the same numbers") {
    for (architecture const arch : {architecture::llama, architecture::qwen2})
        for (bool const tied : {true, false})
            for (file_access const access : {file_access::map, file_access::read}) {
                scratch_folder folder;
                auto const m = make_tiny_model(arch, 3, tied);
                write_gguf(folder.path / "m.gguf", m);
                write_huggingface(folder.path / "one", m);
                write_huggingface(folder.path / "three", m, 3);
                auto const a = opened(folder.path / "m.gguf", {access, true}),
                           b = opened(folder.path / "one", {access, true}),
                           c = opened(folder.path / "three", {access, true});
                CHECK(a.config.pairing ==
                      (arch == architecture::llama ? rope_pairing::interleaved : rope_pairing::half_split));
                CHECK(b.config.pairing == rope_pairing::half_split);
                CHECK(a.tensors.size() == expected_tensors(m.config).size());
                CHECK(a.warnings.empty());
                CHECK(b.warnings.empty());
                CHECK(a.bytes == b.bytes);
                for (auto const* f : {&a, &b, &c}) {
                    CHECK(f->config.arch == arch);
                    CHECK(f->config.tied_head == tied);
                    CHECK(f->config.head == 8);
                    CHECK(f->config.context == 128);
                    CHECK(f->config.vocabulary == static_cast<index_t>(m.tokens.size()));
                    CHECK(f->config.norm_epsilon == doctest::Approx(1e-5));
                    CHECK(f->tokens.tokens == m.tokens);
                    CHECK(f->tokens.eos == static_cast<int>(m.tokens.size()) - 1);
                    auto const t = tokenizer::make(f->tokens);
                    REQUIRE(t.ok());
                    CHECK(t->encode("in the an") == std::vector<int>{258, 259, 32, 260});
                    for (auto const& [name, numbers] : m.values) {
                        auto const* const stored = f->find(name);
                        REQUIRE(stored);
                        auto values = to_floats(*stored);
                        REQUIRE(values.ok());
                        bool const q = name.find("q_proj") != name.npos, k = name.find("k_proj") != name.npos;
                        if (f->config.pairing == rope_pairing::interleaved && (q || k))
                            to_half_split(*values, q ? 4 : 2, 8, stored->shape.size() == 1 ? 1 : stored->columns());
                        CHECK(*values == numbers);
                    }
                }
            }
}

TEST_CASE("model file: a moved model still points at its bytes") {
    scratch_folder folder;
    auto const m = make_tiny_model(architecture::qwen2);
    write_gguf(folder.path / "m.gguf", m);
    model_file first = opened(folder.path / "m.gguf");
    model_file const second = std::move(first);
    CHECK(*to_floats(*second.find("model.layers.1.self_attn.q_proj.bias")) ==
          m.values.at("model.layers.1.self_attn.q_proj.bias"));
    CHECK(as_weight(*second.find("model.layers.1.mlp.down_proj.weight")).columns == 64);
    CHECK(second.find("model.layers.2.mlp.down_proj.weight") == nullptr);
}

TEST_CASE("model file: Llama 3's scaling of RoPE is the same from config.json and from a tensor") {
    scratch_folder folder;
    auto m = make_tiny_model(architecture::llama);
    write_huggingface(folder.path / "m", m);
    auto json = huggingface_config_json(m);
    for (char const* key : {"rope_scaling", "rope_parameters"}) {
        auto changed = json;
        changed[key] = {{"rope_type", "llama3"},
                        {"factor", 8.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 64}};
        succeed(write_file((folder.path / "m/config.json").string(), changed.dump(), {true, {}, {}}));
        auto const opened_model = opened(folder.path / "m");
        auto const& c = opened_model.config;
        REQUIRE(c.rope_factor_count == 4);
        // Wave lengths 2π·10^i: the first turns 10.2 times in 64 tokens (fast), the second 1.02 times (between), the
        // others slower.
        double const turns = 64 / (2 * std::numbers::pi * 10), kept = (turns - 1) / 3;
        CHECK(c.rope_factors[0] == 1.0f);
        CHECK(c.rope_factors[1] == doctest::Approx(1 / ((1 - kept) / 8 + kept)));
        CHECK(c.rope_factors[2] == 8.0f);
        CHECK(c.rope_factors[3] == 8.0f);
        m.config.rope_factors = c.rope_factors;
        m.config.rope_factor_count = 4;
        write_gguf(folder.path / "m.gguf", m);
        auto const other = opened(folder.path / "m.gguf");
        CHECK(other.config.rope_factor_count == 4);
        CHECK(other.config.rope_factors == c.rope_factors);
        CHECK(other.warnings.empty());
    }
}

TEST_CASE("model file: what a GGUF model must not be is named") {
    using edit = gguf_edit;
    CHECK(gguf_problem([](edit& e) { e.set("general.architecture", std::string("gemma3")); }).expected ==
          "llama or qwen2");
    CHECK(gguf_problem([](edit& e) { e.set("general.type", std::string("adapter")); }).why == cause::mismatch);
    CHECK(gguf_problem([](edit& e) { e.remove("llama.block_count"); }).where == "key 'llama.block_count'");
    CHECK(gguf_problem([](edit& e) { e.set("llama.block_count", 3u); }).where == "tensor 'blk.2.attn_norm.weight'");
    CHECK(gguf_problem([](edit& e) { e.set("llama.block_count", 0u); }).expected == "1 to 1024");
    CHECK(gguf_problem([](edit& e) { e.set("llama.block_count", 4000000000u); }).why == cause::bad_file);
    CHECK(gguf_problem([](edit& e) { e.set("llama.block_count", -1); }).expected == "a whole number of at least 0");
    CHECK(gguf_problem([](edit& e) { e.set("llama.block_count", 2.0f); }).got == "f32");
    CHECK(gguf_problem([](edit& e) { e.set("llama.attention.head_count", 0u); }).got == "0");
    CHECK(gguf_problem([](edit& e) { e.set("llama.attention.head_count", 5u); }).expected ==
          "a divisor of the width 32");
    CHECK(gguf_problem([](edit& e) { e.set("llama.attention.head_count_kv", 3u); }).expected == "a divisor of 4 heads");
    CHECK(gguf_problem([](edit& e) { e.set("llama.embedding_length", 64u); }).what == "a tensor has the wrong shape");
    CHECK(gguf_problem([](edit& e) { e.set("llama.attention.key_length", 7u); }).why == cause::bad_file);
    CHECK(gguf_problem([](edit& e) { e.set("llama.attention.value_length", 4u); }).what ==
          "heads of keys and values differ");
    CHECK(gguf_problem([](edit& e) { e.set("llama.rope.dimension_count", 4u); }).what ==
          "RoPE turns only a part of each head");
    CHECK(gguf_problem([](edit& e) { e.set("llama.rope.freq_base", -1.0f); }).why == cause::bad_file);
    CHECK(gguf_problem([](edit& e) { e.set("llama.attention.layer_norm_rms_epsilon", 0.5f); }).why == cause::bad_file);
    CHECK(gguf_problem([](edit& e) { e.set("llama.context_length", 0u); }).what == "the context length cannot be used");
    CHECK(gguf_problem([](edit& e) { e.set("llama.expert_count", 8u); }).what == "is a mixture of experts");
    CHECK(gguf_problem([](edit& e) { e.set("llama.rope.scaling.type", std::string("yarn")); }).got == "yarn");
    CHECK(gguf_problem([](edit& e) {
              e.set("llama.rope.scaling.type", std::string("linear"));
              e.set("llama.rope.scaling.factor", 2.0f);
          }).got == "linear");
    CHECK(gguf_problem([](edit& e) { e.rename("blk.1.ffn_up.weight", "blk.1.ffn_sideways.weight"); }).where ==
          "tensor 'blk.1.ffn_up.weight'");
    CHECK(
        gguf_problem([](edit& e) { e.rename("blk.1.attn_q.bias", "blk.1.attn_q.scale"); }, architecture::qwen2).where ==
        "tensor 'blk.1.attn_q.bias'");
    CHECK(gguf_problem([](edit& e) { e.set("tokenizer.ggml.model", std::string("bert")); }).expected ==
          "gpt2 or llama");
    CHECK(gguf_problem([](edit& e) { e.set("tokenizer.ggml.eos_token_id", 264u); }).what ==
          "a token id is outside the vocabulary");
    CHECK(gguf_problem([](edit& e) {
              e.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1});
          }).got == "2");
    CHECK(gguf_problem([](edit& e) { e.set("tokenizer.ggml.tokens", std::vector<std::string>(265, "x")); }).why ==
          cause::bad_file);
    CHECK(gguf_problem([](edit& e) {
              e.set("tokenizer.ggml.tokens", std::vector<std::string>(265, "x"));
              e.set("tokenizer.ggml.token_type", std::vector<std::int32_t>(265, 1));
          }).why == cause::mismatch);
}

TEST_CASE("model file: an additional bias is refused, other tensors are mentioned once") {
    CHECK(gguf_problem([](gguf_edit& e) { e.add("blk.0.attn_q.bias", 0, {32}); }).what ==
          "has a tensor that no llama block here has");
    scratch_folder folder;
    auto const path = (folder.path / "m.gguf").string();
    write_gguf(path, make_tiny_model(architecture::llama));
    gguf_edit edit(path);
    edit.add("something.else", 0, {32});
    edit.add("more.of.it", 10, {256});  // Q2_K: no weight here has it, and none needs it
    edit.set("llama.attention.sliding_window", 100u);
    edit.write(path);
    auto const m = opened(path);
    REQUIRE(m.warnings.size() == 2);
    CHECK(m.warnings[0].find("100 tokens") != std::string::npos);
    CHECK(m.config.context == 100);
    CHECK(m.warnings[1].substr(0, 24) == "2 tensors are not used, ");
}

TEST_CASE("model file: a weight of an unsupported type, a quantised norm") {
    CHECK(gguf_problem([](gguf_edit& e) { e.retype("token_embd.weight", 24, {32, 264}); }).got == "I8");
    CHECK(gguf_problem([](gguf_edit& e) { e.retype("output_norm.weight", 2, {32}); }).what ==
          "a norm or a bias is quantised");
}

TEST_CASE("model file: a Mistral directory has Llama's equations, inside its sliding window") {
    auto const with_window = [](nlohmann::json const& window) {
        scratch_folder folder;
        auto const model = make_tiny_model(architecture::llama);
        write_huggingface(folder.path / "m", model);
        auto json = huggingface_config_json(model);
        json["model_type"] = "mistral", json["sliding_window"] = window;
        succeed(write_file((folder.path / "m/config.json").string(), json.dump(), {true, {}, {}}));
        auto const m = open_model((folder.path / "m").string());
        REQUIRE_MESSAGE(m.ok(), (m.ok() ? "" : describe(m.error())));
        return std::pair(m->config.context, m->warnings.size());
    };
    CHECK(with_window(nullptr).second == 0);
    CHECK(with_window(16) == std::pair<index_t, std::size_t>(16, 1));
}

TEST_CASE("model file: what a Hugging Face model must not be is named") {
    CHECK(config_problem([](auto& j) { j["model_type"] = "gpt2"; }).where == "key 'model_type'");
    CHECK(config_problem([](auto& j) { j.erase("hidden_size"); }).where == "key 'hidden_size'");
    CHECK(config_problem([](auto& j) { j["hidden_size"] = 32.0; }).where == "key 'hidden_size'");
    CHECK(config_problem([](auto& j) { j["hidden_size"] = -32; }).where == "key 'hidden_size'");
    CHECK(config_problem([](auto& j) { j["hidden_size"] = 4294967328; }).where == "key 'hidden_size'");
    CHECK(config_problem([](auto& j) { j["vocab_size"] = 300; }).what == "a tensor has the wrong shape");
    CHECK(config_problem([](auto& j) { j["attention_bias"] = true; }).where == "key 'attention_bias'");
    CHECK(config_problem([](auto& j) { j["hidden_act"] = "gelu"; }).where == "key 'hidden_act'");
    CHECK(config_problem([](auto& j) {
              j["quantization_config"] = {{"quant_method", "awq"}};
          }).hint.find("GGUF") != std::string::npos);
    CHECK(config_problem([](auto& j) { j["rope_scaling"] = {{"type", "linear"}, {"factor", 2}}; }).got == "\"linear\"");
    CHECK(config_problem([](auto& j) {
              j["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 8}};
          }).where == "key 'low_freq_factor'");
    CHECK(config_problem([](auto& j) { j["rope_scaling"] = 7; }).where == "key 'rope_scaling'");
    CHECK(config_problem([](auto& j) { j["head_dim"] = 7; }).why == cause::bad_file);
    CHECK(config_problem([](auto& j) { j["tie_word_embeddings"] = false; }).where == "tensor 'lm_head.weight'");
    CHECK(config_problem([](auto& j) { j["tie_word_embeddings"] = "no"; }).where == "key 'tie_word_embeddings'");
    CHECK(config_problem([](auto& j) { j["rms_norm_eps"] = 0; }).why == cause::bad_file);
    CHECK(config_problem([](auto& j) { j = nlohmann::json::array(); }).what == "is not a JSON object");
}

TEST_CASE("model file: names of shards do not lead out of the directory") {
    scratch_folder folder;
    auto const m = make_tiny_model(architecture::llama);
    write_huggingface(folder.path / "m", m, 2);
    auto const index = folder.path / "m/model.safetensors.index.json";
    auto const original = nlohmann::json::parse(read_file(index));
    auto const with = [&](std::string const& shard) {
        auto changed = original;
        for (auto& [tensor, file] : changed["weight_map"].items())
            if (file == "model-2-of-2.safetensors") file = shard;
        succeed(write_file(index.string(), changed.dump(), {true, {}, {}}));
        return open_model((folder.path / "m").string());
    };
    CHECK(with("model-2-of-2.safetensors").ok());
    std::filesystem::copy_file(folder.path / "m/model-2-of-2.safetensors", folder.path / "outside.safetensors");
    std::filesystem::create_symlink(folder.path / "outside.safetensors", folder.path / "m/link.safetensors");
    std::filesystem::create_symlink("model-2-of-2.safetensors", folder.path / "m/near.safetensors");
    CHECK(with("near.safetensors").ok());
    for (char const* bad :
         {"../outside.safetensors", "/etc/passwd", "link.safetensors", "", ".", "..", "a/b", "a\\b"}) {
        auto const r = with(bad);
        REQUIRE_FALSE(r.ok());
        CHECK(r.error().why == cause::bad_file);
        CHECK(r.error().what == "the name of a shard is refused");
    }
    CHECK(with("absent.safetensors").error().why == cause::io);
    CHECK(with("model-1-of-2.safetensors").error().what == "is missing from its shard");

    // A download cache: snapshots/REVISION links to blobs beside it.
    std::filesystem::create_directories(folder.path / "cache/blobs");
    write_huggingface(folder.path / "cache/snapshots/abc", m);
    std::filesystem::rename(folder.path / "cache/snapshots/abc/model.safetensors", folder.path / "cache/blobs/0123");
    std::filesystem::create_symlink("../../blobs/0123", folder.path / "cache/snapshots/abc/model.safetensors");
    CHECK(open_model((folder.path / "cache/snapshots/abc").string()).ok());
}

TEST_CASE("model file: what is not a model says what it is") {
    scratch_folder folder;
    std::filesystem::create_directory(folder.path / "empty");
    CHECK(open_model((folder.path / "absent.gguf").string()).error().why == cause::io);
    CHECK(open_model((folder.path / "empty").string()).error().why == cause::io);
    write_huggingface(folder.path / "m", make_tiny_model(architecture::llama));
    std::filesystem::rename(folder.path / "m/model.safetensors", folder.path / "m/pytorch_model.bin");
    CHECK(open_model((folder.path / "m").string()).error().got == "PyTorch's .bin files");
    succeed(write_file((folder.path / "empty/adapter_config.json").string(), "{}"));
    CHECK(open_model((folder.path / "empty").string()).error().what == "is an adapter, not a model");
    CHECK(open_model((folder.path / "m/pytorch_model.bin").string()).error().got == "a safetensors file");
}

TEST_CASE("model file: SmolLM2-135M-Instruct opens with all its tensors") {
    auto const path = smollm2();
    if (!path) return;
    auto const m = opened(*path);
    CHECK(m.tensors.size() == 272);
    CHECK(m.config.layers == 30);
    CHECK(m.config.width == 576);
    CHECK(m.config.heads == 9);
    CHECK(m.config.kv_heads == 3);
    CHECK(m.config.hidden == 1536);
    CHECK(m.config.rope_base == 100000);
    CHECK(m.config.tied_head);
    CHECK(m.tokens.tokens.size() == 49152);
    CHECK(m.tokens.pre == "smollm");
    CHECK(m.find("model.embed_tokens.weight")->how->type == weight_type::q8_0);
    CHECK(m.find("model.layers.29.mlp.down_proj.weight")->how->type == weight_type::q4_1);
    CHECK(m.warnings.empty());
    CHECK(m.bytes == 96576768);
}
