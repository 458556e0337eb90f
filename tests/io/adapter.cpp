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

adapter opened(std::filesystem::path const& path, model_config const& c) {
    auto r = open_adapter(path.string(), c);
    if (!r) FAIL(describe(r.error()));
    return std::move(*r);
}

/// Magnitudes for every pair.
adapter with_magnitudes(adapter a) {
    std::uint64_t which = 0;
    for (auto& p : a.pairs)
        for (index_t o = 0; o < p.out; ++o)
            p.m.push_back(static_cast<float>(0.5 + uniform(9, which, 0, static_cast<std::uint64_t>(o)))), which += 1;
    return a;
}

/// s B A of every pair, by module: what two files must agree on, however they spell it.
std::map<std::string, std::vector<double>> deltas(adapter const& a) {
    std::map<std::string, std::vector<double>> all;
    for (auto const& p : a.pairs) {
        auto& delta = all[p.module];
        delta.assign(static_cast<std::size_t>(p.out * p.in), 0);
        for (index_t o = 0; o < p.out; ++o)
            for (index_t r = 0; r < p.rank; ++r)
                for (index_t i = 0; i < p.in; ++i)
                    delta[static_cast<std::size_t>(o * p.in + i)] +=
                        scale(a, p) * static_cast<double>(p.b[static_cast<std::size_t>(o * p.rank + r)]) *
                        static_cast<double>(p.a[static_cast<std::size_t>(r * p.in + i)]);
    }
    return all;
}
void check_close(adapter const& a, adapter const& b, double tolerance) {
    auto const x = deltas(a), y = deltas(b);
    REQUIRE(x.size() == y.size());
    for (auto const& [module, numbers] : x) {
        double worst = 0, largest = 0;
        for (std::size_t i = 0; i < numbers.size(); ++i)
            worst = std::max(worst, std::abs(numbers[i] - y.at(module)[i])),
            largest = std::max(largest, std::abs(numbers[i]));
        CHECK(largest > 0.1);
        CHECK(worst <= tolerance * largest);
    }
}

}  // namespace

TEST_CASE("adapter: row orders are each other's inverse, and pairs 2i, 2i + 1 are rows i, i + head/2") {
    std::vector<float> rows;
    for (int i = 0; i < 2 * 6 * 2; ++i) rows.push_back(static_cast<float>(i));
    auto turned = rows;
    to_interleaved(turned, 2, 6, 2);
    CHECK(turned ==
          std::vector<float>{0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, 12, 13, 18, 19, 14, 15, 20, 21, 16, 17, 22, 23});
    to_half_split(turned, 2, 6, 2);
    CHECK(turned == rows);
    CHECK_THROWS(to_interleaved(turned, 2, 6, 3));
}

TEST_CASE("adapter: row orders of a pair are those of its B and its m") {
    lora_pair p{"q", 1, 1, 4, {1}, {0, 1, 2, 3}, {10, 11, 12, 13}};
    to_interleaved(p, 1, 4);
    CHECK(p.b == std::vector<float>{0, 2, 1, 3});
    CHECK(p.m == std::vector<float>{10, 12, 11, 13});
    to_half_split(p, 1, 4);
    CHECK(p.m == std::vector<float>{10, 11, 12, 13});
    to_half_split(p, 0, 4);
    CHECK(p.b == std::vector<float>{0, 1, 2, 3});
}

TEST_CASE("adapter: DoRA's magnitudes, ranks and alphas of single modules go through PEFT's directory unchanged") {
    for (bool const dora : {false, true})
        for (bool const rslora : {false, true}) {
            scratch_folder folder;
            auto const c = make_tiny_model(architecture::llama).config;
            auto a = make_tiny_adapter(c);
            if (dora) a = with_magnitudes(std::move(a));
            auto const other = make_tiny_adapter(c, 2);
            a.rslora = rslora;
            a.pairs[3].rank = 2, a.pairs[3].a = other.pairs[3].a, a.pairs[3].b = other.pairs[3].b;
            a.pairs[3].alpha = 5, a.pairs[8].alpha = 24.1;
            succeed(write_peft((folder.path / "a").string(), a));
            CHECK(opened(folder.path / "a", c) == a);
            auto const json = nlohmann::json::parse(read_file(folder.path / "a/adapter_config.json"));
            CHECK(json["use_dora"] == dora);
            CHECK(json["rank_pattern"] == nlohmann::json{{"model.layers.0.self_attn.o_proj", 2}});
            CHECK(json["alpha_pattern"] ==
                  nlohmann::json{{"model.layers.0.self_attn.o_proj", 5}, {"model.layers.1.self_attn.k_proj", 24.1}});
            CHECK(scale(a, a.pairs[3]) == doctest::Approx(rslora ? 5 / std::sqrt(2.0) : 2.5));
            auto const file = mapped_file::open((folder.path / "a/adapter_model.safetensors").string());
            auto const s = parse_safetensors(file->bytes(), "f");
            CHECK(s->tensors.size() == (dora ? 42 : 28));
            CHECK(std::any_of(s->tensors.begin(), s->tensors.end(), [](auto const& t) {
                      return t.name == "base_model.model.model.layers.1.mlp.up_proj.lora_magnitude_vector" &&
                             t.shape == std::vector<std::uint64_t>{64};
                  }) == dora);
            CHECK((read_file(folder.path / "a/README.md").find("A DoRA adapter") != std::string::npos) == dora);
            auto const gguf = write_adapter_gguf((folder.path / "a.gguf").string(), a, c);
            CHECK(gguf.ok() == !dora);
            if (dora) {
                CHECK(gguf.error().why == cause::mismatch);
                CHECK(gguf.error().what.find("llama.cpp") != std::string::npos);
                CHECK(gguf.error().hint.find("graft merge") != std::string::npos);
                CHECK_FALSE(std::filesystem::exists(folder.path / "a.gguf"));
            } else {
                auto const back = opened(folder.path / "a.gguf", c);  // one alpha: the others' went into B
                check_close(back, a, 1e-6);
                CHECK(std::all_of(back.pairs.begin(), back.pairs.end(), [](auto const& p) { return p.alpha == 0; }));
            }
        }
}

TEST_CASE("adapter: PEFT's directory is written and read without a change") {
    for (architecture const arch : {architecture::llama, architecture::qwen2})
        for (bool const rslora : {false, true}) {
            scratch_folder folder;
            auto const c = make_tiny_model(arch).config;
            auto a = make_tiny_adapter(c);
            a.rslora = rslora, a.alpha = rslora ? 7.25 : 16;
            succeed(write_peft((folder.path / "a").string(), a));
            CHECK(opened(folder.path / "a", c) == a);
            auto const config = nlohmann::json::parse(read_file(folder.path / "a/adapter_config.json"));
            CHECK(config["target_modules"].size() == 7);
            CHECK(config["lora_alpha"] == a.alpha);
            CHECK(config["use_rslora"] == rslora);
            CHECK(config["base_model_name_or_path"] == "somebody/tiny");
            CHECK(read_file(folder.path / "a/README.md").find("base_model: \"somebody/tiny\"") != std::string::npos);
            CHECK(names_in(folder.path.string()).size() == 1);
            CHECK(write_peft((folder.path / "a").string(), a).error().what == "is already there and is not replaced");
            CHECK(write_peft((folder.path / "a").string(), a, {true, {}, {}}).ok());
        }
}

TEST_CASE("adapter: different ranks are written as a rank_pattern") {
    scratch_folder folder;
    auto const c = make_tiny_model(architecture::llama).config;
    auto a = make_tiny_adapter(c);
    auto const b = make_tiny_adapter(c, 2);
    a.pairs[1] = b.pairs[1];
    a.pairs[9] = b.pairs[9];
    succeed(write_peft((folder.path / "a").string(), a));
    CHECK(nlohmann::json::parse(read_file(folder.path / "a/adapter_config.json"))["rank_pattern"].size() == 2);
    CHECK(opened(folder.path / "a", c) == a);
    a.rslora = true;
    succeed(write_adapter_gguf((folder.path / "a.gguf").string(), a, c));
    check_close(opened(folder.path / "a.gguf", c), a, 1e-6);
}

TEST_CASE("adapter: a GGUF adapter has the same effect; without rsLoRA it is the same numbers") {
    for (architecture const arch : {architecture::llama, architecture::qwen2})
        for (bool const rslora : {false, true}) {
            scratch_folder folder;
            auto c = make_tiny_model(arch, 1, false).config;
            auto a = make_tiny_adapter(c);
            a.rslora = rslora;
            lora_pair head{"lm_head",
                           4,
                           c.width,
                           c.vocabulary,
                           std::vector<float>(static_cast<std::size_t>(4 * c.width), 0.5f),
                           std::vector<float>(static_cast<std::size_t>(4 * c.vocabulary), 0.25f)};
            a.pairs.push_back(head);
            a.targets = detail::targets_of(a.pairs);
            auto const path = folder.path / "a.gguf";
            succeed(write_adapter_gguf(path.string(), a, c));
            auto const back = opened(path, c);
            check_close(back, a, 1e-6);
            CHECK(back.pairs == a.pairs);
            CHECK(back.base_name == "somebody/tiny");
            CHECK(back.alpha == doctest::Approx(rslora ? 16 * std::sqrt(4.0) : 16));

            auto const file = mapped_file::open(path.string());
            auto const g = parse_gguf(file->bytes(), "f");
            auto const *const la = g->tensor("blk.1.attn_k.weight.lora_a"), *const lb =
                                                                                g->tensor("blk.1.attn_k.weight.lora_b");
            REQUIRE(la);
            REQUIRE(lb);
            CHECK(la->dims == std::array<std::uint64_t, 4>{32, 4, 1, 1});
            CHECK(lb->dims == std::array<std::uint64_t, 4>{4, 16, 1, 1});
            auto const& k = *std::find_if(a.pairs.begin(), a.pairs.end(),
                                          [](auto const& p) { return p.module == "model.layers.1.self_attn.k_proj"; });
            // Row 1 of a llama file is row head/2 = 4 of the module.
            CHECK(load_number<float>(lb->data.data() + 16) == k.b[arch == architecture::llama ? 16 : 4]);
            c.tied_head = true;
            CHECK(write_adapter_gguf((folder.path / "b.gguf").string(), a, c).error().got ==
                  "lm_head, which is tied to the embedding in the model");
        }
}

TEST_CASE("adapter: patterns of PEFT are honoured, the first key that matches first") {
    scratch_folder folder;
    auto const c = make_tiny_model(architecture::llama).config;
    auto const a = make_tiny_adapter(c);
    auto const path = (folder.path / "a").string();
    succeed(write_peft(path, a));
    auto const text = read_file(path + "/adapter_config.json");
    auto const with = [&](std::string const& alphas, std::string const& more = R"("target_modules": ".*proj")") {
        auto json = nlohmann::json::parse(text);
        json.erase("alpha_pattern"), json.erase("rank_pattern"), json.erase("target_modules");
        json["unknown_but_off"] = nlohmann::json::array();
        auto const start = json.dump();
        succeed(write_file(path + "/adapter_config.json",
                           start.substr(0, start.size() - 1) + R"(, "alpha_pattern": )" + alphas + ", " + more + "}",
                           {true, {}, {}}));
        return opened(path, c);
    };
    auto const of = [](adapter const& b, char const* module) {
        return alpha_of(b, *std::find_if(b.pairs.begin(), b.pairs.end(), [&](auto& p) { return p.module == module; }));
    };
    auto const b =
        with(R"({"q_proj": 32, "^model\\.layers\\.1\\.mlp\\.(up|gate)_proj": 8, "layers.[0-3].mlp.up_proj": 4})",
             R"("rank_pattern": {"layers.0.self_attn.v_proj": 4}, "target_modules": ["q_proj", "all-linear"])");
    CHECK(b.alpha == 16);
    CHECK(of(b, "model.layers.1.self_attn.q_proj") == 32);
    CHECK(of(b, "model.layers.0.self_attn.q_proj") == 32);
    CHECK(of(b, "model.layers.1.mlp.up_proj") == 8);
    CHECK(of(b, "model.layers.1.mlp.gate_proj") == 8);
    CHECK(of(b, "model.layers.0.mlp.up_proj") == 4);
    CHECK(of(b, "model.layers.0.self_attn.k_proj") == 16);
    CHECK(b.pairs[0].a == a.pairs[0].a);
    CHECK(b.pairs[0].b == a.pairs[0].b);
    // nlohmann's objects are sorted; the file's order is what counts.
    CHECK(of(with(R"({"self_attn.q_proj": 2, "q_proj": 3})"), "model.layers.0.self_attn.q_proj") == 2);
    CHECK(of(with(R"({"q_proj": 3, "self_attn.q_proj": 2})"), "model.layers.0.self_attn.q_proj") == 3);
    CHECK(of(with(R"({"proj": 3})"), "model.layers.0.self_attn.q_proj") == 16);
    // Other objects, and objects in lists, have keys as well.
    CHECK(of(with(R"({"q_proj": 3})", R"("runtime_config": {"alpha_pattern": {"q_proj": 9}, "x": [{"q_proj": 1}]})"),
             "model.layers.0.self_attn.q_proj") == 3);
    auto const named = [&](std::string const& pattern) {
        auto json = nlohmann::json::parse(text);
        json["target_modules"] = pattern;
        succeed(write_file(path + "/adapter_config.json", json.dump(), {true, {}, {}}));
        return open_adapter(path, c);
    };
    CHECK(named(R"(model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|up|gate|down)_proj)").ok());
    CHECK(named(R"(^(?!.*visual).*_proj$)").ok());
    CHECK(named("all-linear").ok());
    CHECK(named(".*_pro").error().where == "module 'model.layers.0.mlp.down_proj'");
    CHECK(named("(?i).*_PROJ").error().where == "key 'target_modules'");
}

TEST_CASE("adapter: one for another model is refused with the first three differences") {
    scratch_folder folder;
    auto const c = make_tiny_model(architecture::llama).config;
    auto const a = make_tiny_adapter(c);
    succeed(write_peft((folder.path / "a").string(), a));
    succeed(write_adapter_gguf((folder.path / "a.gguf").string(), a, c));
    auto wider = c, shorter = c;
    wider.width = 64, wider.hidden = 128;
    shorter.layers = 1;
    for (char const* name : {"a", "a.gguf"}) {
        auto const wide = open_adapter((folder.path / name).string(), wider),
                   few = open_adapter((folder.path / name).string(), shorter);
        CHECK(wide.error().why == cause::mismatch);
        CHECK(wide.error().got.find("model.layers.0.self_attn.q_proj is 32 x 32 and not 32 x 64; ") !=
              std::string::npos);
        CHECK(wide.error().got.find("and 11 more") != std::string::npos);
        CHECK(few.error().got.find("model.layers.1.self_attn.q_proj, which is not in the model") != std::string::npos);
        CHECK(few.error().got.find("and 4 more") != std::string::npos);
    }
    auto other = c;
    other.arch = architecture::qwen2;
    CHECK(open_adapter((folder.path / "a.gguf").string(), other).error().got == "llama");
    CHECK(check_adapter(a, other).error().got.substr(0, 12) == "architecture");
}

TEST_CASE("adapter: models and adapters are not taken for each other") {
    scratch_folder folder;
    auto const m = make_tiny_model(architecture::llama);
    write_gguf(folder.path / "m.gguf", m);
    write_huggingface(folder.path / "m", m);
    CHECK(open_adapter((folder.path / "m.gguf").string(), m.config).error().what == "is not an adapter");
    CHECK(open_adapter((folder.path / "m").string(), m.config).error().what == "is a model, not an adapter");
    CHECK(open_adapter((folder.path / "absent").string(), m.config).error().why == cause::io);
}

TEST_CASE("adapter: what a GGUF adapter must not be is named") {
    scratch_folder folder;
    auto const c = make_tiny_model(architecture::llama).config;
    auto const good = (folder.path / "good.gguf").string(), path = (folder.path / "bad.gguf").string();
    succeed(write_adapter_gguf(good, make_tiny_adapter(c), c));
    auto const with = [&](auto&& change) {
        gguf_edit edit(good);
        change(edit);
        edit.write(path);
        return open_adapter(path, c);
    };
    CHECK(with([](auto&) {}).ok());
    CHECK(with([](auto& e) { e.set("adapter.type", std::string("control")); }).error().got == "control");
    CHECK(with([](auto& e) { e.set("adapter.lora.alpha", -1.0f); }).error().where == "key 'adapter.lora.alpha'");
    CHECK(with([](auto& e) { e.set("adapter.lora.alpha", std::numeric_limits<float>::quiet_NaN()); }).error().where ==
          "key 'adapter.lora.alpha'");
    CHECK(with([](auto& e) { e.set("adapter.alora.invocation_tokens", std::vector<std::int32_t>{1}); })
              .error()
              .what.find("activated") != std::string::npos);
    CHECK(with([](auto& e) { e.rename("blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_c"); }).error().what ==
          "is not a tensor of a LoRA adapter");
    CHECK(with([](auto& e) { e.rename("blk.0.attn_q.weight.lora_a", "blk.9.attn_q.weight.lora_a"); }).error().what ==
          "has lora_b and no lora_a");
    CHECK(with([](auto& e) { e.rename("blk.0.attn_q.weight.lora_a", "token_embd.weight.lora_a"); }).error().why ==
          cause::mismatch);
    CHECK(with([](auto& e) {
              e.retype("blk.0.attn_q.weight.lora_b", 0, {3, 32});
          })
              .error()
              .what == "lora_b does not fit lora_a");
    CHECK(with([](auto& e) {
              e.retype("blk.0.attn_q.weight.lora_b", 0, {4, 32, 2});
          })
              .error()
              .what == "is not a matrix");
    CHECK(with([](auto& e) { e.retype("blk.0.attn_q.weight.lora_b", 0, {4, 0}); }).error().what == "is not a matrix");
    CHECK(with([](auto& e) { e.retype("blk.0.attn_q.weight.lora_b", 24, {4, 32}); }).error().got == "I8");
    CHECK(with([](auto& e) { e.retype("blk.0.attn_q.weight.lora_b", 0, {4, 31}); }).error().why == cause::mismatch);
    auto const folded = with([](auto& e) { e.set("adapter.lora.alpha", 0.0f); });
    REQUIRE(folded.ok());
    CHECK(scale(*folded, folded->pairs[0]) == 1);
    auto mixed = make_tiny_adapter(c);
    auto const small = make_tiny_adapter(c, 2);
    mixed.pairs[5] = small.pairs[5];
    succeed(write_adapter_gguf(good, mixed, c, {true, {}, {}}));
    auto const each = with([](auto& e) { e.remove("adapter.lora.alpha"); });
    REQUIRE(each.ok());
    for (auto const& p : each->pairs) CHECK(scale(*each, p) == 1);
    CHECK(each->pairs[5].b == mixed.pairs[5].b);
}

TEST_CASE("adapter: what is not finite is not saved, and a failed save leaves nothing") {
    scratch_folder folder;
    auto const c = make_tiny_model(architecture::llama).config;
    auto a = make_tiny_adapter(c);
    for (int good = 0;; ++good) {
        failing_calls fail{good};
        auto const path = folder.path / ("a" + std::to_string(good));
        auto const r = write_peft(path.string(), a, {false, {}, fail.calls()});
        if (!fail.failed()) break;
        CHECK((!r || names_in(path.string()).size() == 3));
        if (std::filesystem::exists(path)) CHECK(opened(path, c) == a);
    }
    a.pairs[3].b[7] = std::numeric_limits<float>::infinity();
    CHECK(write_peft((folder.path / "x").string(), a).error().why == cause::diverged);
    CHECK(write_adapter_gguf((folder.path / "x").string(), a, c).error().where ==
          "module 'model.layers.0.self_attn.o_proj'");
    a.pairs[3].b[7] = 0;
    auto const refused = [&](adapter const& bad) { return write_peft((folder.path / "x").string(), bad).error(); };
    a = with_magnitudes(std::move(a));
    auto bad = a;
    bad.pairs[2].m[1] = std::numeric_limits<float>::quiet_NaN();
    CHECK(refused(bad).why == cause::diverged);
    bad = a, bad.pairs[2].m.clear();
    CHECK(refused(bad).what.find("magnitudes") != std::string::npos);
    bad = a, bad.pairs[2].m.pop_back();
    CHECK(refused(bad).what.find("magnitudes") != std::string::npos);
    bad = a, bad.pairs[2].alpha = -1;
    CHECK(refused(bad).what == "its alpha cannot be written");
    CHECK_FALSE(std::filesystem::exists(folder.path / "x"));
}

TEST_CASE("adapter: every truncation and every value of every byte of its config and of a GGUF is read or refused") {
    auto const c = make_tiny_model(architecture::llama).config;
    scratch_folder folder;
    auto a = make_tiny_adapter(c, 1);
    a.pairs.resize(1);
    succeed(write_peft((folder.path / "a").string(), a));
    succeed(write_adapter_gguf((folder.path / "a.gguf").string(), a, c));
    auto const tensors = read_file(folder.path / "a/adapter_model.safetensors"),
               whole = read_file(folder.path / "a.gguf");
    std::string const config =
        R"({"peft_type":"LORA","r":1,"lora_alpha":16,"target_modules":["q_proj"],"bias":"none",)"
        R"("rank_pattern":{"(.*)q_pr[n-p]j":1},"alpha_pattern":{"v":2,"q_proj":3},"use_dora":false,)"
        R"("task_type":"CAUSAL_LM","use_rslora":false,"init_lora_weights":true,"base_model_name_or_path":"x"})";
    std::size_t read = 0, refused = 0;
    auto const text = as_bytes(config);
    every_damage({text.begin(), text.end()}, [&](auto damaged) {
        auto const r = parse_peft(as_text(damaged), "c", as_bytes(tensors), "t");
        ++(r ? read : refused);
    });
    CHECK(read > 1000);
    CHECK(refused > 10000);
    std::size_t const head = std::min<std::size_t>(800, whole.size());
    auto const bytes = as_bytes(whole).first(head);
    every_damage({bytes.begin(), bytes.end()}, [&](auto damaged) {
        std::vector<std::byte> all(damaged.begin(), damaged.end());
        if (damaged.size() == head)
            all.insert(all.end(), as_bytes(whole).begin() + static_cast<std::ptrdiff_t>(head), as_bytes(whole).end());
        auto const r = parse_adapter_gguf(all, "g", c);
        ++(r ? read : refused);
    });
    CHECK(parse_adapter_gguf(as_bytes(whole), "g", c).ok());
}
