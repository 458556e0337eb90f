// SPDX-License-Identifier: Apache-2.0
// A small random model as files: a GGUF, and the same numbers as a Hugging Face directory, with a tokenizer that works.
#pragma once

#include <graft/base/random.hpp>
#include <graft/io/adapter_data.hpp>
#include <graft/io/gguf_writer.hpp>
#include <graft/io/safetensors_writer.hpp>
#include <graft/io/tensor_names.hpp>
#include <graft/text/byte_alphabet.hpp>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace graft_test {

/// Numbers by canonical name, rows of q and k in Hugging Face's order; tokens: 256 bytes, some merges, three specials.
struct tiny_model {
    graft::model_config config;
    std::map<std::string, std::vector<float>> values;
    std::vector<std::string> tokens, merges;
    std::vector<std::int32_t> types;
    std::string name = "tiny";
};

inline void succeed(graft::result<void> const& r) {
    if (!r) throw r.error();
}

inline tiny_model make_tiny_model(graft::architecture arch, std::uint64_t seed = 1, bool tied = true) {
    tiny_model m;
    for (int b = 0; b < 256; ++b) m.tokens.push_back(graft::spell_bytes(std::string(1, static_cast<char>(b))));
    for (auto const& [left, right] : {std::pair{"t", "h"}, {"th", "e"}, {"i", "n"}, {"Ġ", "the"}, {"a", "n"}}) {
        m.merges.push_back(std::string(left) + " " + right);
        m.tokens.push_back(std::string(left) + right);
    }
    m.types.assign(m.tokens.size(), 1);
    for (char const* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
        m.tokens.push_back(special), m.types.push_back(3);

    graft::model_config& c = m.config;
    c.arch = arch, c.tied_head = tied, c.qkv_bias = arch == graft::architecture::qwen2;
    c.layers = 2, c.width = 32, c.heads = 4, c.kv_heads = 2, c.head = 8, c.hidden = 64, c.context = 128;
    c.vocabulary = static_cast<graft::index_t>(m.tokens.size());
    c.norm_epsilon = 1e-5, c.rope_base = 10000, c.pairing = graft::rope_pairing::half_split;
    std::uint64_t which = 0;
    for (auto const& e : graft::expected_tensors(c)) {
        std::uint64_t count = 1, index = 0;
        for (graft::index_t const d : e.shape) count *= static_cast<std::uint64_t>(d);
        bool const norm = e.name.find("norm") != std::string::npos;
        double const spread = norm ? 0.2 : e.shape.size() == 1 ? 0.1 : 1.7 / std::sqrt(static_cast<double>(e.shape[1]));
        ++which;
        auto& numbers = m.values[e.name];
        for (; index < count; ++index)
            numbers.push_back(
                static_cast<float>((norm ? 1 : 0) + spread * (2 * graft::uniform(seed, which, 0, index) - 1)));
    }
    return m;
}

/// A GGUF file; f32. For llama, rows of q and k are stored interleaved.
inline void write_gguf(std::filesystem::path const& path, tiny_model const& m) {
    auto const& c = m.config;
    std::string const arch = graft::name_of(c.arch);
    graft::gguf_writer w;
    auto const size = [&](char const* key, graft::index_t n) {
        w.set(arch + "." + key, static_cast<std::uint32_t>(n));
    };
    w.set("general.architecture", arch);
    w.set("general.name", m.name);
    size("block_count", c.layers), size("context_length", c.context), size("embedding_length", c.width);
    size("feed_forward_length", c.hidden), size("attention.head_count", c.heads),
        size("attention.head_count_kv", c.kv_heads);
    if (c.head * c.heads != c.width) size("attention.key_length", c.head), size("attention.value_length", c.head);
    w.set(arch + ".attention.layer_norm_rms_epsilon", static_cast<float>(c.norm_epsilon));
    w.set(arch + ".rope.freq_base", static_cast<float>(c.rope_base));
    w.set("general.file_type", std::uint32_t{0});
    w.set("tokenizer.ggml.model", "gpt2");
    w.set("tokenizer.ggml.pre", c.arch == graft::architecture::llama ? "smollm" : "qwen2");
    w.set("tokenizer.ggml.tokens", m.tokens);
    w.set("tokenizer.ggml.token_type", m.types);
    w.set("tokenizer.ggml.merges", m.merges);
    auto const last = static_cast<std::uint32_t>(m.tokens.size() - 1);
    w.set("tokenizer.ggml.bos_token_id", last - 1), w.set("tokenizer.ggml.eos_token_id", last),
        w.set("tokenizer.ggml.padding_token_id", last);
    auto const expected = graft::expected_tensors(c);
    if (c.rope_factor_count > 0)
        succeed(w.declare("rope_freqs.weight", 0, {static_cast<std::uint64_t>(c.rope_factor_count)}));
    for (auto const& e : expected) succeed(w.declare(e.gguf_name, 0, {e.shape.rbegin(), e.shape.rend()}));
    succeed(w.open(path.string(), {true, {}, {}}));
    auto const factors = std::span(c.rope_factors).first(static_cast<std::size_t>(c.rope_factor_count));
    if (!factors.empty()) succeed(w.write(std::as_bytes(factors)));
    for (auto const& e : expected) {
        std::vector<float> numbers = m.values.at(e.name);
        bool const q = e.name.find("q_proj") != e.name.npos, k = e.name.find("k_proj") != e.name.npos;
        graft::index_t const columns = e.shape.size() == 1 ? 1 : e.shape[1];
        if (c.arch == graft::architecture::llama && (q || k))
            graft::to_interleaved(numbers, q ? c.heads : c.kv_heads, c.head, columns);
        succeed(w.write(std::as_bytes(std::span(numbers))));
    }
    succeed(w.commit());
}

inline nlohmann::json huggingface_config_json(tiny_model const& m) {
    auto const& c = m.config;
    return {{"model_type", graft::name_of(c.arch)},
            {"num_hidden_layers", c.layers},
            {"hidden_size", c.width},
            {"intermediate_size", c.hidden},
            {"num_attention_heads", c.heads},
            {"num_key_value_heads", c.kv_heads},
            {"head_dim", c.head},
            {"vocab_size", c.vocabulary},
            {"max_position_embeddings", c.context},
            {"rms_norm_eps", c.norm_epsilon},
            {"rope_theta", c.rope_base},
            {"rope_scaling", nullptr},
            {"hidden_act", "silu"},
            {"tie_word_embeddings", c.tied_head},
            {"torch_dtype", "float32"}};
}

inline nlohmann::json tokenizer_json(tiny_model const& m) {
    nlohmann::json vocabulary = nlohmann::json::object(), added = nlohmann::json::array();
    for (std::size_t i = 0; i < m.tokens.size(); ++i) {
        if (m.types[i] == 1)
            vocabulary[m.tokens[i]] = i;
        else
            added.push_back({{"id", i},
                             {"content", m.tokens[i]},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false},
                             {"special", true}});
    }
    nlohmann::json const digits = {{"type", "Digits"}, {"individual_digits", true}};
    nlohmann::json const split = {
        {"type", "Split"},
        {"behavior", "Isolated"},
        {"invert", false},
        {"pattern",
         {{"Regex",
           R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
           R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}}};
    bool const llama = m.config.arch == graft::architecture::llama;
    nlohmann::json const level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", llama}};
    nlohmann::json const pieces = nlohmann::json::array({llama ? digits : split, level});
    nlohmann::json const normalizer = llama ? nlohmann::json() : nlohmann::json{{"type", "NFC"}};
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", added},
            {"normalizer", normalizer},
            {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", pieces}}},
            {"post_processor", nullptr},
            {"decoder", level},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", false},
              {"byte_fallback", false},
              {"vocab", vocabulary},
              {"merges", m.merges}}}};
}

/// A directory; f32. With several shards the tensors are dealt out in turn and an index is written.
inline void write_huggingface(std::filesystem::path const& directory, tiny_model const& m, std::size_t shards = 1) {
    std::filesystem::create_directories(directory);
    auto const write = [&](char const* name, nlohmann::json const& json) {
        succeed(graft::write_file((directory / name).string(), json.dump(2), {true, {}, {}}));
    };
    write("config.json", huggingface_config_json(m));
    write("tokenizer.json", tokenizer_json(m));
    write("tokenizer_config.json",
          {{"bos_token", "<|im_start|>"}, {"eos_token", "<|im_end|>"}, {"pad_token", "<|im_end|>"}});
    std::vector<std::vector<graft::tensor_to_write>> parts(shards);
    nlohmann::json map = nlohmann::json::object();
    auto const file_of = [&](std::size_t i) {
        return shards == 1 ? std::string("model.safetensors")
                           : "model-" + std::to_string(i + 1) + "-of-" + std::to_string(shards) + ".safetensors";
    };
    std::size_t next = 0;
    for (auto const& e : graft::expected_tensors(m.config)) {
        std::size_t const part = next++ % shards;
        map[e.name] = file_of(part);
        parts[part].push_back(
            {e.name, "F32", {e.shape.begin(), e.shape.end()}, std::as_bytes(std::span(m.values.at(e.name)))});
    }
    for (std::size_t i = 0; i < shards; ++i)
        succeed(
            graft::write_safetensors((directory / file_of(i)).string(), parts[i], {{"format", "pt"}}, {true, {}, {}}));
    if (shards > 1) write("model.safetensors.index.json", {{"metadata", {{"total_size", 0}}}, {"weight_map", map}});
}

/// A random adapter on all seven maps of every layer (or those named), B not zero.
inline graft::adapter make_tiny_adapter(graft::model_config const& c, graft::index_t rank = 4, std::uint64_t seed = 5) {
    graft::adapter a;
    a.base_name = "somebody/tiny", a.arch = c.arch, a.rank = rank, a.alpha = 16;
    std::uint64_t which = 0;
    for (graft::index_t l = 0; l < c.layers; ++l)
        for (auto const& module : graft::layer_modules) {
            auto const shape = graft::shape_of_module(c, module.canonical);
            if (shape.empty()) continue;
            graft::lora_pair p{"model.layers." + std::to_string(l) + "." + std::string(module.canonical),
                               rank,
                               shape[1],
                               shape[0],
                               {},
                               {}};
            ++which;
            for (graft::index_t i = 0; i < rank * p.in; ++i)
                p.a.push_back(static_cast<float>(graft::uniform(seed, which, 1, static_cast<std::uint64_t>(i)) - 0.5));
            for (graft::index_t i = 0; i < rank * p.out; ++i)
                p.b.push_back(static_cast<float>(graft::uniform(seed, which, 2, static_cast<std::uint64_t>(i)) - 0.5));
            a.pairs.push_back(std::move(p));
        }
    a.targets = graft::detail::targets_of(a.pairs);
    return a;
}

}  // namespace graft_test
