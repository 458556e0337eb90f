// SPDX-License-Identifier: Apache-2.0
// An opened model: its numbers, its tokenizer, and its tensors under canonical names.    (layer 16: io)
#pragma once

#include <graft/base/result.hpp>
#include <graft/block/config.hpp>
#include <graft/io/in_quotes.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/tensor_names.hpp>
#include <graft/quant/formats.hpp>
#include <graft/text/tokenizer_data.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

struct open_options {
    file_access access = file_access::map;
    bool tokenizer = true;  // false: the tokenizer's data is not looked at
};

/// A tensor as its file stores it. `name` is the canonical one ("model.layers.0.self_attn.q_proj.weight").
struct stored_tensor {
    std::string name, file_name;
    format const* how = nullptr;
    std::vector<index_t> shape;  // row-major: {out, in}, or {n} of a norm or a bias
    std::span<std::byte const> data;

    index_t count() const {
        index_t n = 1;
        for (index_t const d : shape) n *= d;
        return n;
    }
    index_t columns() const { return shape.back(); }
    index_t rows() const { return count() / columns(); }
};

/// The factor of a matrix product that the tensor is.
inline weight as_weight(stored_tensor const& t) { return {t.data.data(), t.rows(), t.columns(), *t.how}; }

/// All numbers of a tensor, decoded; a problem where one is not finite.
inline result<std::vector<float>> to_floats(stored_tensor const& t) {
    std::vector<float> all(static_cast<std::size_t>(t.count()));
    weight const w = as_weight(t);
    for (index_t i = 0; i < w.rows; ++i) t.how->decode(w.row(i), 0, w.columns, all.data() + i * w.columns);
    for (float const x : all)
        if (!std::isfinite(x))
            return problem{
                cause::bad_file,           {}, "a number is not finite", "tensor " + in_quotes(t.file_name), {}, {},
                "another copy of the file"};
    return all;
}

/// Owns the files' bytes that its tensors point into. Movable; the bytes stay where they are.
struct model_file {
    model_config config;
    tokenizer_data tokens;
    std::string name, path;
    std::vector<stored_tensor> tensors;  // sorted by name
    std::vector<std::string> warnings;
    std::uint64_t bytes = 0;  // of all tensors as stored
    std::vector<mapped_file> files;

    stored_tensor const* find(std::string_view canonical) const {
        auto const at = std::lower_bound(tensors.begin(), tensors.end(), canonical,
                                         [](auto const& t, auto n) { return t.name < n; });
        return at != tensors.end() && at->name == canonical ? &*at : nullptr;
    }
};

/// The name of an architecture in files.
constexpr char const* name_of(architecture a) { return a == architecture::llama ? "llama" : "qwen2"; }

/// Holds a configuration from a file to what the equations can compute.
inline result<void> check_config(model_config const& c, std::string const& file) {
    auto const bad = [&](char const* what, std::string expected, std::string got) {
        return problem{cause::bad_file, file, std::string(what) + " cannot be used", {}, std::move(expected),
                       std::move(got),  {}};
    };
    auto const within = [&](char const* what, index_t value, index_t most) -> result<void> {
        if (value >= 1 && value <= most) return {};
        return bad(what, "1 to " + std::to_string(most), std::to_string(value));
    };
    struct {
        char const* what;
        index_t value, most;
    } const limits[] = {
        {"the number of layers", c.layers, 1024},    {"the width", c.width, 1 << 20},
        {"the number of heads", c.heads, 1 << 16},   {"the number of key/value heads", c.kv_heads, 1 << 16},
        {"the head size", c.head, 1 << 14},          {"the feed-forward width", c.hidden, 1 << 22},
        {"the vocabulary", c.vocabulary, INT32_MAX}, {"the context length", c.context, INT32_MAX}};
    for (auto const& l : limits)
        if (auto const r = within(l.what, l.value, l.most); !r) return r;
    if (c.heads % c.kv_heads != 0)
        return bad("the number of key/value heads", "a divisor of " + std::to_string(c.heads) + " heads",
                   std::to_string(c.kv_heads));
    if (c.head % 2 != 0) return bad("the head size", "an even number, for RoPE turns pairs", std::to_string(c.head));
    if (!(c.norm_epsilon > 0 && c.norm_epsilon <= 1e-2))
        return bad("the norm's epsilon", "above 0, up to 0.01", std::to_string(c.norm_epsilon));
    if (!(c.rope_base > 0 && std::isfinite(c.rope_base)))
        return bad("the RoPE base", "finite and above 0", std::to_string(c.rope_base));
    for (index_t i = 0; i < c.rope_factor_count; ++i)
        if (float const f = c.rope_factors[static_cast<std::size_t>(i)]; !(f > 0 && std::isfinite(f)))
            return bad("a RoPE factor", "finite and above 0", std::to_string(f));
    return {};
}

/// A whole number from a file as an index, where it is small enough for any size of a model.
inline result<index_t> as_index(result<std::uint64_t> const& n, std::string const& file, std::string const& key) {
    if (!n) return n.error();
    if (*n > INT32_MAX)
        return problem{
            cause::bad_file,    file, "a value cannot be used", "key " + in_quotes(key), "a number below 2147483648",
            std::to_string(*n), {}};
    return static_cast<index_t>(*n);
}

namespace detail {

/// Rows, columns and format of a tensor against what the model needs; appends it to the model where they fit.
inline result<void> bind_tensor(model_file& model, std::string const& file, expected_tensor const& wanted,
                                stored_tensor found) {
    auto const listed = [](std::vector<index_t> const& shape) {
        std::string s = "[";
        for (std::size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
        return s + "]";
    };
    std::string const where = "tensor " + in_quotes(found.file_name);
    if (found.shape != wanted.shape)
        return problem{cause::bad_file,     file, "a tensor has the wrong shape", where, listed(wanted.shape),
                       listed(found.shape), {}};
    bool const is_float = found.how->block == 1;
    if (wanted.shape.size() == 1 && !is_float)
        return problem{cause::bad_file, file, "a norm or a bias is quantised", where, "f32, f16 or bf16",
                       found.how->name, {}};
    model.bytes += found.data.size();
    found.name = wanted.name;
    model.tensors.push_back(std::move(found));
    return {};
}

/// What is done with a tensor that the equations do not use. Positions of RoPE are recomputed; an additional bias or
/// norm would change every result; anything else is mentioned.
inline result<void> judge_extras(model_file& model, std::string const& file, std::vector<std::string> const& extras) {
    std::size_t unused = 0;
    for (std::string const& name : extras) {
        bool const rope = name.find("rotary_emb.inv_freq") != name.npos || name.find("attn_rot_embd") != name.npos;
        bool const in_layer = name.substr(0, 4) == "blk." || name.substr(0, 13) == "model.layers.";
        bool const matters =
            in_layer && (name.ends_with(".bias") || name.find("norm") != name.npos || name.find("exps") != name.npos ||
                         name.find("experts") != name.npos || name.ends_with("_scale_inv"));
        if (matters)
            return problem{cause::bad_file,
                           file,
                           "has a tensor that no " + std::string(name_of(model.config.arch)) + " block here has",
                           "tensor " + in_quotes(name),
                           {},
                           {},
                           "a model of a supported kind: llama without biases, qwen2"};
        if (!rope) ++unused;
    }
    if (unused > 0) {
        auto const named =
            std::find_if(extras.begin(), extras.end(), [](auto const& n) { return n.find("rot") == n.npos; });
        model.warnings.push_back(std::to_string(unused) + " tensors are not used, such as " +
                                 in_quotes(named == extras.end() ? extras[0] : *named));
    }
    return {};
}

inline void sort_tensors(model_file& model) {
    std::sort(model.tensors.begin(), model.tensors.end(), [](auto const& a, auto const& b) { return a.name < b.name; });
}

/// The token list against the embedding's rows.
inline result<void> check_vocabulary(model_file& model, std::string const& file) {
    auto const rows = static_cast<std::size_t>(model.config.vocabulary), listed = model.tokens.tokens.size();
    if (listed > rows)
        return problem{cause::mismatch,
                       file,
                       "the tokenizer has more tokens than the embedding has rows",
                       {},
                       "at most " + std::to_string(rows),
                       std::to_string(listed),
                       "the tokenizer that belongs to the model"};
    if (listed < rows)
        model.warnings.push_back(std::to_string(rows - listed) + " rows of the embedding belong to no token");
    return {};
}

}  // namespace detail

}  // namespace graft
