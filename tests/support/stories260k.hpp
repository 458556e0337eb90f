// SPDX-License-Identifier: Apache-2.0
// The model stories260K and its tokenizer, as llama2.c stores them, written as a GGUF that open_model reads.
#pragma once

#include <graft/io/gguf_writer.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/tensor_names.hpp>

#include <map>

namespace graft_test {

using namespace graft;


inline problem ends_early(std::string const& file) { return {cause::bad_file, file, "ends too early", {}, {}, {}, {}}; }

/// Keys of the tokenizer: scores and pieces, with ids 3 to 258 standing for the 256 bytes.
inline result<void> set_tokens(gguf_writer& out, std::string const& path, std::size_t count) {
    auto const file = mapped_file::open(path);
    if (!file) return file.error();
    byte_reader from(file->bytes());
    std::int32_t longest = 0, length = 0;
    float score = 0;
    if (!from.take(longest)) return ends_early(path);
    std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
    std::vector<float> scores;
    std::vector<std::int32_t> types{2, 3, 3};
    for (std::size_t i = 0; i < count; ++i) {
        std::span<std::byte const> piece;
        if (!from.take(score) || !from.take(length) || length < 0 ||
            !from.take(static_cast<std::uint64_t>(length), piece))
            return ends_early(path);
        scores.push_back(score);
        if (i < 3) continue;
        std::string spelt;
        for (char const c : as_text(piece)) c == ' ' ? spelt += "\u2581" : spelt += c;
        tokens.push_back(spelt);
        types.push_back(i < 259 ? 6 : 1);
    }
    out.set("tokenizer.ggml.model", "llama");
    out.set("tokenizer.ggml.tokens", tokens);
    out.set("tokenizer.ggml.scores", scores);
    out.set("tokenizer.ggml.token_type", types);
    out.set("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
    out.set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
    out.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
    out.set("tokenizer.ggml.add_bos_token", true);
    out.set("tokenizer.ggml.add_space_prefix", true);
    return {};
}

/// source: the layout in the data folder's README.
inline result<void> stories260k_to_gguf(std::string const& model_path, std::string const& token_path,
                                        std::string const& out_path) {
    auto const file = mapped_file::open(model_path);
    if (!file) return file.error();
    byte_reader from(file->bytes());
    std::int32_t n[7];  // width, hidden, layers, heads, kv heads, vocabulary, context
    for (std::int32_t& x : n)
        if (!from.take(x) || x < 1 || x > 65536) return ends_early(model_path);
    model_config c;
    c.width = n[0], c.hidden = n[1], c.layers = n[2], c.heads = n[3], c.kv_heads = n[4], c.vocabulary = n[5],
    c.context = n[6];
    c.head = c.width / c.heads;

    gguf_writer out;
    out.set("general.architecture", "llama");
    out.set("general.name", "stories260K");
    out.set("general.file_type", std::uint32_t{0});
    auto const size = [&](char const* key, std::int32_t value) {
        out.set(std::string("llama.") + key, static_cast<std::uint32_t>(value));
    };
    size("embedding_length", n[0]), size("feed_forward_length", n[1]), size("block_count", n[2]),
        size("attention.head_count", n[3]);
    size("attention.head_count_kv", n[4]), size("vocab_size", n[5]), size("context_length", n[6]),
        size("rope.dimension_count", n[0] / n[3]);
    out.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    out.set("llama.rope.freq_base", 10000.0f);
    if (auto const r = set_tokens(out, token_path, static_cast<std::size_t>(n[5])); !r) return r;

    // The file holds one kind of tensor after the other, each for all layers; its RoPE turns adjacent pairs, as GGUF's.
    std::map<std::string, std::span<std::byte const>> data;
    auto const take = [&](std::string const& name, index_t numbers) {
        return from.take(static_cast<std::uint64_t>(numbers) * 4, data[name]);
    };
    bool whole = take("token_embd.weight", c.vocabulary * c.width);
    for (char const* kind :
         {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_down", "ffn_up"})
        for (index_t l = 0; l < c.layers; ++l) {
            std::string const name = "blk." + std::to_string(l) + "." + kind;
            std::string const module = *canonical_module(name);
            auto const shape = shape_of_module(c, split_layer(module)->rest);
            whole = whole && take(name + ".weight", shape.empty() ? c.width : shape[0] * shape[1]);
        }
    if (!whole || !take("output_norm.weight", c.width)) return ends_early(model_path);

    auto const expected = expected_tensors(c);
    for (expected_tensor const& e : expected) {
        std::vector<std::uint64_t> const dims(e.shape.rbegin(), e.shape.rend());
        if (auto const r = out.declare(e.gguf_name, 0, dims); !r) return r;
    }
    if (auto const r = out.open(out_path, {true, {model_path, token_path}, {}}); !r) return r;
    for (expected_tensor const& e : expected)
        if (auto const r = out.write(data[e.gguf_name]); !r) return r;
    return out.commit();
}

}  // namespace graft_test
