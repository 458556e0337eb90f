// SPDX-License-Identifier: Apache-2.0
// A model's configuration from Hugging Face's config.json.                               (layer 16: io)
#pragma once

#include <graft/io/json_file.hpp>
#include <graft/io/model_data.hpp>

#include <numbers>
#include <optional>

namespace graft {

/// What config.json says; whether the head is tied only where it says so.
struct huggingface_config {
    model_config config;
    std::optional<bool> tied;
};

namespace detail {

/// Llama 3's scaling: frequencies slower than the old context are divided by `factor`, fast ones stay, those between
/// are blended. source: the reference implementation's `rope_type: llama3`.
inline result<void> scale_rope_like_llama3(model_config& c, nlohmann::json const& scaling, std::string const& file) {
    auto const factor = json_get<double>(scaling, "factor", file),
               low = json_get<double>(scaling, "low_freq_factor", file),
               high = json_get<double>(scaling, "high_freq_factor", file),
               old = json_get<double>(scaling, "original_max_position_embeddings", file);
    for (auto const* r : {&factor, &low, &high, &old}) {
        if (!*r) return r->error();
        if (!(**r > 0 && std::isfinite(**r))) return bad_field(file, "rope_scaling", "numbers above 0", scaling);
    }
    if (!(*high > *low)) return bad_field(file, "rope_scaling", "high_freq_factor above low_freq_factor", scaling);
    auto const half = static_cast<std::size_t>(c.head / 2);
    if (half > c.rope_factors.size()) return bad_field(file, "head_dim", "at most 256 with a scaled RoPE", c.head);
    for (std::size_t i = 0; i < half; ++i) {
        double const frequency = std::pow(c.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(c.head));
        double const turns = *old * frequency / (2 * std::numbers::pi);  // within the old context
        double const kept = (turns - *low) / (*high - *low);
        double const scale = turns > *high ? 1.0 : turns < *low ? 1.0 / *factor : (1 - kept) / *factor + kept;
        c.rope_factors[i] = static_cast<float>(1 / scale);
    }
    c.rope_factor_count = c.head / 2;
    return {};
}

/// RoPE's base and scaling, under the names of either generation of config.json.
inline result<void> read_rope(model_config& c, nlohmann::json const& json, std::string const& file) {
    auto const* const newer = find_field(json, "rope_parameters");
    char const* const key = newer ? "rope_parameters" : "rope_scaling";
    auto const* const scaling = newer ? newer : find_field(json, key);
    if (scaling && !scaling->is_object()) return bad_field(file, key, "an object", *scaling);
    auto const outer = json_get_or<double>(json, "rope_theta", 10000, file);
    if (!outer) return outer.error();
    c.rope_base = *outer;
    if (!scaling) return {};
    auto const base = json_get_or<double>(*scaling, "rope_theta", *outer, file);
    auto const older_type = json_get_or<std::string>(*scaling, "type", "default", file);
    if (!base) return base.error();
    if (!older_type) return older_type.error();
    auto const type = json_get_or<std::string>(*scaling, "rope_type", *older_type, file);
    if (!type) return type.error();
    c.rope_base = *base;
    if (*type == "default") return {};
    if (*type != "llama3")
        return bad_field(file, key, "rope_type default or llama3", *type, "a model without this scaling of RoPE");
    if (!(c.rope_base > 0 && std::isfinite(c.rope_base)))
        return bad_field(file, "rope_theta", "a number above 0", c.rope_base);
    return scale_rope_like_llama3(c, *scaling, file);
}

/// Fields that change the equations: each must be absent or have the value of the plain model.
inline result<void> refuse_variants(nlohmann::json const& json, std::string const& file) {
    struct {
        char const* key;
        nlohmann::json plain;
        char const* hint;
    } const fields[] = {{"attention_bias", false, "a model without biases"},
                        {"mlp_bias", false, "a model without biases"},
                        {"hidden_act", "silu", "a model of the Llama or Qwen2 family"},
                        {"use_sliding_window", false, "a model that attends to the whole context"},
                        {"partial_rotary_factor", 1.0, "a model whose RoPE turns whole heads"},
                        {"quantization_config", nullptr, "the model in its original precision, or as GGUF"},
                        {"num_local_experts", 0, "a dense model"}};
    for (auto const& f : fields)
        if (auto const* const v = find_field(json, f.key); v && *v != f.plain)
            return bad_field(file, f.key, json_text(f.plain), *v, f.hint);
    return {};
}

}  // namespace detail

/// Reads and checks the sizes; the vocabulary is the embedding's rows, which the shape of its tensor must confirm.
inline result<huggingface_config> read_huggingface_config(nlohmann::json const& json, std::string const& file,
                                                          std::vector<std::string>& warnings) {
    huggingface_config out;
    model_config& c = out.config;
    auto const type = json_get<std::string>(json, "model_type", file);
    if (!type) return type.error();
    if (*type == "llama" || *type == "mistral")  // the same equations: GGUF calls both llama
        c.arch = architecture::llama;
    else if (*type == "qwen2")
        c.arch = architecture::qwen2, c.qkv_bias = true;
    else
        return bad_field(file, "model_type", "llama, mistral or qwen2", *type,
                         "SmolLM2, Llama, TinyLlama, Mistral or Qwen2.5 models");
    if (auto const r = detail::refuse_variants(json, file); !r) return r.error();

    std::optional<problem> first;
    auto const size = [&](char const* key, std::optional<index_t> otherwise = {}) -> index_t {
        auto const n = otherwise ? json_get_or<std::int32_t>(json, key, static_cast<std::int32_t>(*otherwise), file)
                                 : json_get<std::int32_t>(json, key, file);
        if (!n && !first) first = n.error();
        if (n && *n < 1 && !first) first = bad_field(file, key, "at least 1", *n);
        return n ? *n : 1;
    };
    c.layers = size("num_hidden_layers");
    c.width = size("hidden_size");
    c.hidden = size("intermediate_size");
    c.vocabulary = size("vocab_size");
    c.context = size("max_position_embeddings", 2048);
    c.heads = size("num_attention_heads");
    c.kv_heads = size("num_key_value_heads", c.heads);
    if (first) return *first;
    if (!find_field(json, "head_dim") && c.width % c.heads != 0)
        return bad_field(file, "num_attention_heads", "a divisor of the width " + std::to_string(c.width), c.heads);
    c.head = size("head_dim", std::max<index_t>(c.width / c.heads, 1));
    auto const epsilon = json_get_or<double>(json, "rms_norm_eps", 1e-6, file);
    if (first) return *first;
    if (!epsilon) return epsilon.error();
    c.norm_epsilon = *epsilon;
    c.pairing = rope_pairing::half_split;
    if (auto const r = detail::read_rope(c, json, file); !r) return r.error();
    if (auto const* const tied = find_field(json, "tie_word_embeddings")) {
        if (!tied->is_boolean()) return bad_field(file, "tie_word_embeddings", "true or false", *tied);
        out.tied = tied->get<bool>();
    }
    if (auto const* const window = find_field(json, "sliding_window"); window && *type == "llama")
        warnings.push_back("the field sliding_window is ignored, as the reference implementation of llama does");
    if (*type == "mistral") {  // within the window every row sees all rows before it: the plain equations
        auto const window =
            json_get_or<std::int32_t>(json, "sliding_window", static_cast<std::int32_t>(c.context), file);
        if (!window) return window.error();
        if (*window < 1) return bad_field(file, "sliding_window", "at least 1", *window);
        if (*window < c.context) {
            c.context = *window;
            warnings.push_back("the context is cut to the sliding window of " + std::to_string(*window) + " tokens");
        }
    }
    return out;
}

}  // namespace graft
