// SPDX-License-Identifier: Apache-2.0
// An adapter in memory, its scale, its row orders, and whether it belongs to a model.    (layer 16: io)
#pragma once

#include <graft/base/result.hpp>
#include <graft/block/config.hpp>
#include <graft/block/scaling.hpp>
#include <graft/io/in_quotes.hpp>
#include <graft/io/model_data.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace graft {

/// ΔW = s B A of one linear map; with magnitudes, DoRA's W' = diag(m / n)(W + s B A), n the norms of the rows of the
/// sum. Rows of B and of m are in Hugging Face's order (RoPE's pairs half a head apart).
struct lora_pair {
    std::string module;  // "model.layers.3.self_attn.q_proj"
    index_t rank = 0, in = 0, out = 0;
    std::vector<float> a{}, b{};  // rank × in, out × rank
    std::vector<float> m{};       // out magnitudes, or none
    double alpha = 0;             // its own; 0: the adapter's

    friend bool operator==(lora_pair const&, lora_pair const&) = default;
};

/// All pairs of an adapter, with what its files say beside them.
struct adapter {
    std::string base_name;  // the base model, as its hub names it
    architecture arch = architecture::llama;
    index_t rank = 0;
    double alpha = 0;
    bool rslora = false;
    std::vector<std::string> targets;  // "q_proj", sorted in files
    std::vector<lora_pair> pairs;

    friend bool operator==(adapter const&, adapter const&) = default;
};

/// The alpha of one pair.
inline double alpha_of(adapter const& a, lora_pair const& p) { return p.alpha != 0 ? p.alpha : a.alpha; }
/// The factor s of one pair.
inline double scale(adapter const& a, lora_pair const& p) { return adapter_scale(alpha_of(a, p), p.rank, a.rslora); }
/// Does it have magnitudes, DoRA's?
inline bool has_magnitudes(adapter const& a) {
    return std::any_of(a.pairs.begin(), a.pairs.end(), [](lora_pair const& p) { return !p.m.empty(); });
}

namespace detail {

/// Per head, row i + half·h/2 of the split order is row 2i + half of the interleaved one.
inline void permute_heads(std::span<float> rows, index_t heads, index_t head, index_t columns, bool to_interleaved) {
    require(static_cast<index_t>(rows.size()) == heads * head * columns && head % 2 == 0, fault::shape,
            "permuting heads: numbers", static_cast<index_t>(rows.size()), heads * head * columns);
    std::vector<float> copy(static_cast<std::size_t>(head * columns));
    for (index_t h = 0; h < heads; ++h) {
        float* const at = rows.data() + h * head * columns;
        std::copy(at, at + head * columns, copy.begin());
        for (index_t i = 0; i < head; ++i) {
            index_t const split =
                i / 2 + i % 2 * (head / 2);  // where row i of the interleaved order stands in the other
            index_t const from = to_interleaved ? split : i, to = to_interleaved ? i : split;
            std::copy_n(copy.begin() + from * columns, columns, at + to * columns);
        }
    }
}

}  // namespace detail

/// Rows of heads × head × columns from Hugging Face's order (pairs i, i + head/2) to GGUF's llama (pairs 2i, 2i + 1),
/// in place.
inline void to_interleaved(std::span<float> rows, index_t heads, index_t head, index_t columns) {
    detail::permute_heads(rows, heads, head, columns, true);
}

/// The way back.
inline void to_half_split(std::span<float> rows, index_t heads, index_t head, index_t columns) {
    detail::permute_heads(rows, heads, head, columns, false);
}
/// B and m of a pair, in place; heads = 0: rows stay where they are.
inline void to_interleaved(lora_pair& p, index_t heads, index_t head) {
    if (heads == 0) return;
    to_interleaved(p.b, heads, head, p.rank);
    if (!p.m.empty()) to_interleaved(p.m, heads, head, 1);
}
inline void to_half_split(lora_pair& p, index_t heads, index_t head) {
    if (heads == 0) return;
    to_half_split(p.b, heads, head, p.rank);
    if (!p.m.empty()) to_half_split(p.m, heads, head, 1);
}

/// Heads of q's or k's rows; 0 for other modules.
inline index_t heads_of(model_config const& c, std::string_view module) {
    return module.ends_with(".q_proj") ? c.heads : module.ends_with(".k_proj") ? c.kv_heads : 0;
}

/// out × in of a module an adapter may change, {} where the model has no such module.
inline std::vector<index_t> module_shape(model_config const& c, std::string_view module) {
    if (module == "lm_head" && !c.tied_head) return {c.vocabulary, c.width};
    auto const split = split_layer(module);
    return split && split->layer < c.layers ? shape_of_module(c, split->rest) : std::vector<index_t>{};
}

/// Whether the adapter belongs to the model: every pair fits a map of it. Names the first three differences.
inline result<void> check_adapter(adapter const& a, model_config const& c, std::string const& file = {}) {
    std::vector<std::string> differences;
    auto const sizes = [](index_t out, index_t in) { return std::to_string(out) + " x " + std::to_string(in); };
    if (a.arch != c.arch)
        differences.push_back(std::string("architecture ") + name_of(a.arch) + " for a " + name_of(c.arch) + " model");
    for (lora_pair const& p : a.pairs) {
        std::vector<index_t> const shape = module_shape(c, p.module);
        if (shape.empty() && p.module == "lm_head")
            differences.push_back("lm_head, which is tied to the embedding in the model");
        else if (shape.empty())
            differences.push_back(printable(p.module) + ", which is not in the model");
        else if (p.out != shape[0] || p.in != shape[1])
            differences.push_back(printable(p.module) + " is " + sizes(p.out, p.in) + " and not " +
                                  sizes(shape[0], shape[1]));
    }
    std::string const model = std::string("a ") + name_of(c.arch) + " model of " + std::to_string(c.layers) +
                              " layers, width " + std::to_string(c.width);
    if (a.pairs.empty())
        return problem{cause::mismatch, file, "has no pair for any map of the model", {}, model, "no pair at all", {}};
    if (differences.empty()) return {};
    std::string got;
    for (std::size_t i = 0; i < std::min<std::size_t>(differences.size(), 3); ++i)
        got += (i ? "; " : "") + differences[i];
    if (differences.size() > 3) got += "; and " + std::to_string(differences.size() - 3) + " more";
    return problem{cause::mismatch, file, "does not belong to this model",           {},
                   model,           got,  "the base model " + in_quotes(a.base_name)};
}

namespace detail {

inline problem bad_pair(cause why, std::string const& file, std::string_view module, std::string what,
                        std::string expected = {}, std::string got = {}) {
    return {why, file, std::move(what), "module " + in_quotes(module), std::move(expected), std::move(got), {}};
}

/// What every writer holds an adapter to: sizes that agree, numbers that are finite.
inline result<void> may_be_written(adapter const& a, std::string const& file) {
    if (a.pairs.empty() || a.rank < 1 || !std::isfinite(a.alpha))
        return problem{cause::usage, file, "an adapter needs pairs, a rank and an alpha", {}, {}, {}, {}};
    bool const magnitudes = has_magnitudes(a);
    for (lora_pair const& p : a.pairs) {
        if (p.rank < 1 || static_cast<index_t>(p.a.size()) != p.rank * p.in ||
            static_cast<index_t>(p.b.size()) != p.out * p.rank)
            return bad_pair(cause::usage, file, p.module, "the numbers of a pair are not rank x in and out x rank");
        if (!std::isfinite(p.alpha) || p.alpha < 0)
            return bad_pair(cause::usage, file, p.module, "its alpha cannot be written", "a finite number above 0",
                            std::to_string(p.alpha));
        if (p.m.empty() == magnitudes || (magnitudes && static_cast<index_t>(p.m.size()) != p.out))
            return bad_pair(cause::usage, file, p.module, "DoRA's magnitudes are not one for each row of every pair",
                            std::to_string(magnitudes ? p.out : 0), std::to_string(p.m.size()));
        for (auto const* numbers : {&p.a, &p.b, &p.m})
            for (float const x : *numbers)
                if (!std::isfinite(x))
                    return bad_pair(cause::diverged, file, p.module, "a number is not finite and is not saved");
    }
    return {};
}

/// Decodes a tensor of an adapter; a problem where a number is not finite.
inline result<std::vector<float>> adapter_numbers(format const& how, std::span<std::byte const> data, index_t rows,
                                                  index_t columns, std::string const& file, std::string_view name) {
    std::vector<float> all(static_cast<std::size_t>(rows * columns));
    for (index_t i = 0; i < rows; ++i)
        how.decode(data.data() + i * how.row_bytes(columns), 0, columns, all.data() + i * columns);
    for (float const x : all)
        if (!std::isfinite(x))
            return problem{cause::bad_file,        file, "a number is not finite", "tensor " + in_quotes(name), {}, {},
                           "an earlier checkpoint"};
    return all;
}

/// Layer by layer, in a layer's own order; the rest behind, by name.
inline void sort_pairs(adapter& a) {
    auto const place = [](lora_pair const& p) {
        auto const split = split_layer(p.module);
        std::size_t which = 0;
        while (split && which < layer_modules.size() && layer_modules[which].canonical != split->rest) ++which;
        return std::tuple(split ? split->layer : PTRDIFF_MAX, which, std::string_view(p.module));
    };
    std::sort(a.pairs.begin(), a.pairs.end(), [&](auto const& x, auto const& y) { return place(x) < place(y); });
}

/// "q_proj" of "model.layers.3.self_attn.q_proj".
inline std::string last_part(std::string const& module) { return module.substr(module.rfind('.') + 1); }

inline std::vector<std::string> targets_of(std::vector<lora_pair> const& pairs) {
    std::vector<std::string> all;
    for (lora_pair const& p : pairs) all.push_back(last_part(p.module));
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

}  // namespace detail

}  // namespace graft
