// SPDX-License-Identifier: Apache-2.0
// Which tensors a model of some configuration has, and what each format calls them.      (layer 16: io)
#pragma once

#include <graft/block/config.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace graft {

/// A module of a layer, as Hugging Face and as GGUF name it.
struct module_name {
    std::string_view canonical, gguf;
};

inline constexpr std::array<module_name, 9> layer_modules{{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
}};

/// Shape of a map of a layer, out × in; empty for what is not one.
inline std::vector<index_t> shape_of_module(model_config const& c, std::string_view module) {
    index_t const queries = c.heads * c.head, keys = c.kv_heads * c.head;
    if (module == "self_attn.q_proj") return {queries, c.width};
    if (module == "self_attn.k_proj" || module == "self_attn.v_proj") return {keys, c.width};
    if (module == "self_attn.o_proj") return {c.width, queries};
    if (module == "mlp.gate_proj" || module == "mlp.up_proj") return {c.hidden, c.width};
    if (module == "mlp.down_proj") return {c.width, c.hidden};
    return {};
}

/// A tensor that a model must have. `shape` is out × in for a matrix, one number for a norm's weight or a bias.
struct expected_tensor {
    std::string name, gguf_name;
    std::vector<index_t> shape;
};

/// All of them, from the embedding to the head. A tied head is not a tensor of its own.
inline std::vector<expected_tensor> expected_tensors(model_config const& c) {
    std::vector<expected_tensor> all;
    all.push_back({"model.embed_tokens.weight", "token_embd.weight", {c.vocabulary, c.width}});
    for (index_t l = 0; l < c.layers; ++l) {
        std::string const canonical = "model.layers." + std::to_string(l) + ".",
                          gguf = "blk." + std::to_string(l) + ".";
        for (module_name const& m : layer_modules) {
            std::vector<index_t> shape = shape_of_module(c, m.canonical);
            index_t const out = shape.empty() ? c.width : shape[0];
            bool const biased = c.qkv_bias && (m.gguf == "attn_q" || m.gguf == "attn_k" || m.gguf == "attn_v");
            if (shape.empty()) shape = {c.width};
            all.push_back({canonical + std::string(m.canonical) + ".weight", gguf + std::string(m.gguf) + ".weight",
                           std::move(shape)});
            if (biased)
                all.push_back(
                    {canonical + std::string(m.canonical) + ".bias", gguf + std::string(m.gguf) + ".bias", {out}});
        }
    }
    all.push_back({"model.norm.weight", "output_norm.weight", {c.width}});
    if (!c.tied_head) all.push_back({"lm_head.weight", "output.weight", {c.vocabulary, c.width}});
    return all;
}

/// A name that belongs to a layer: "model.layers.3.self_attn.q_proj" is {3, "self_attn.q_proj"}.
struct layer_name {
    index_t layer;
    std::string_view rest;
};

/// Takes such a name apart; nothing where it does not begin with the prefix and a plain number.
constexpr std::optional<layer_name> split_layer(std::string_view name, std::string_view prefix = "model.layers.") {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    std::size_t const dot = name.find('.');
    if (dot == name.npos || dot == 0 || dot > 6 || (dot > 1 && name[0] == '0')) return std::nullopt;
    index_t layer = 0;
    for (char const c : name.substr(0, dot)) {
        if (c < '0' || c > '9') return std::nullopt;
        layer = layer * 10 + (c - '0');
    }
    return layer_name{layer, name.substr(dot + 1)};
}

/// "model.layers.3.self_attn.q_proj" → "blk.3.attn_q"; "lm_head" → "output"; nothing for what GGUF has no name for.
inline std::optional<std::string> gguf_module(std::string_view canonical) {
    if (canonical == "lm_head") return "output";
    auto const split = split_layer(canonical);
    for (module_name const& m : layer_modules)
        if (split && split->rest == m.canonical)
            return "blk." + std::to_string(split->layer) + "." + std::string(m.gguf);
    return std::nullopt;
}

/// The way back: "blk.3.attn_q" → "model.layers.3.self_attn.q_proj".
inline std::optional<std::string> canonical_module(std::string_view gguf) {
    if (gguf == "output") return "lm_head";
    auto const split = split_layer(gguf, "blk.");
    for (module_name const& m : layer_modules)
        if (split && split->rest == m.gguf)
            return "model.layers." + std::to_string(split->layer) + "." + std::string(m.canonical);
    return std::nullopt;
}

}  // namespace graft
