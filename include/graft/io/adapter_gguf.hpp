// SPDX-License-Identifier: Apache-2.0
// An adapter as the GGUF file that llama.cpp takes beside a model.                       (layer 16: io)
#pragma once

#include <graft/io/adapter_data.hpp>
#include <graft/io/gguf_reader.hpp>
#include <graft/io/gguf_writer.hpp>

#include <map>

namespace graft {

namespace detail {

/// Heads whose rows of B GGUF stores interleaved: q's and k's of llama, whatever the base model's own file does.
inline index_t interleaved_heads(model_config const& c, std::string_view module) {
    return c.arch == architecture::llama ? heads_of(c, module) : 0;
}

}  // namespace detail

/// Writes f32 pairs under GGUF's names. The file has one alpha and llama.cpp's scale is alpha / rank of each pair: for
/// rsLoRA alpha √rank is written, and what one alpha cannot say (several alphas, rsLoRA with several ranks) goes into
/// B. DoRA has no place in it.
inline result<void> write_adapter_gguf(std::string const& path, adapter const& a, model_config const& c,
                                       save_options const& options = {}) {
    if (auto const r = detail::may_be_written(a, path); !r) return r;
    if (auto const r = check_adapter(a, c, path); !r) return r;
    if (has_magnitudes(a))
        return problem{cause::mismatch,
                       path,
                       "DoRA's magnitudes have no place in a GGUF adapter: llama.cpp adds s B A and rescales no row",
                       {},
                       "an adapter of LoRA or rsLoRA",
                       "DoRA",
                       "merging it into the model (graft merge), or keeping it as PEFT's directory"};
    auto const strength = [&](lora_pair const& p) { return scale(a, p) * static_cast<double>(p.rank); };
    double const alpha = strength(a.pairs.front());
    gguf_writer w;
    w.set("general.architecture", name_of(c.arch));
    w.set("general.type", "adapter");
    w.set("general.name", a.base_name.empty() ? std::string("LoRA") : base_name(a.base_name) + " LoRA");
    if (!a.base_name.empty()) {
        w.set("general.base_model.count", std::uint32_t{1});
        std::string const organisation = a.base_name.starts_with('/') ? "." : folder_of(a.base_name);
        w.set("general.base_model.0.name", base_name(a.base_name));
        if (organisation != ".") w.set("general.base_model.0.organization", organisation);
    }
    w.set("general.file_type", std::uint32_t{0});
    w.set("adapter.type", "lora");
    w.set("adapter.lora.alpha", static_cast<float>(alpha));
    auto const n = [](index_t i) { return static_cast<std::uint64_t>(i); };
    for (lora_pair const& p : a.pairs) {
        std::string const name = *gguf_module(p.module) + ".weight";  // check_adapter found the module in the model
        if (auto const r = w.declare(name + ".lora_a", 0, {n(p.in), n(p.rank)}); !r) return r;
        if (auto const r = w.declare(name + ".lora_b", 0, {n(p.rank), n(p.out)}); !r) return r;
    }
    if (auto const r = w.open(path, options); !r) return r;
    for (lora_pair const& p : a.pairs) {
        std::vector<float> b = p.b;
        if (index_t const heads = detail::interleaved_heads(c, p.module)) to_interleaved(b, heads, c.head, p.rank);
        if (double const factor = strength(p) / alpha; factor != 1)
            for (float& x : b) x = static_cast<float>(x * factor);
        for (std::vector<float> const* numbers : {&p.a, &std::as_const(b)})
            if (auto const r = w.write(std::as_bytes(std::span(*numbers))); !r) return r;
    }
    return w.commit();
}

namespace detail {

inline result<adapter> read_gguf_header(gguf const& g, model_config const& c) {
    auto const type = g.text("general.type", "model"), kind = g.text("adapter.type", ""),
               arch = g.text("general.architecture"), base = g.text("general.base_model.0.name", ""),
               organisation = g.text("general.base_model.0.organization", "");
    for (auto const* r : {&type, &kind, &arch, &base, &organisation})
        if (!*r) return r->error();
    auto const mismatch = [&](std::string what, char const* key, std::string expected, std::string got,
                              std::string hint) {
        return problem{cause::mismatch,     g.file,         std::move(what), "key " + in_quotes(key),
                       std::move(expected), printable(got), std::move(hint)};
    };
    if (*type != "adapter")
        return mismatch("is not an adapter", "general.type", "adapter", *type,
                        "passing models where models are asked for");
    if (*kind != "lora")
        return mismatch("is an adapter of another kind", "adapter.type", "lora", *kind, "a LoRA adapter");
    if (*arch != name_of(c.arch))
        return mismatch("belongs to another architecture", "general.architecture", name_of(c.arch), *arch,
                        "the adapter's own base model");
    auto const alpha = g.number("adapter.lora.alpha", 0.0);
    if (!alpha) return alpha.error();
    if (!(std::isfinite(*alpha) && *alpha >= 0))
        return problem{cause::bad_file,
                       g.file,
                       "a value cannot be used",
                       "key 'adapter.lora.alpha'",
                       "a finite number of at least 0",
                       std::to_string(*alpha),
                       {}};
    for (auto const& e : g.entries)
        if (e.key.starts_with("adapter.alora"))
            return problem{cause::bad_file,
                           g.file,
                           "is an activated LoRA, which is not supported",
                           "key " + in_quotes(e.key),
                           {},
                           {},
                           {}};
    adapter a;
    a.arch = c.arch, a.alpha = *alpha, a.base_name = organisation->empty() ? *base : *organisation + "/" + *base;
    return a;
}

struct gguf_pair {
    gguf_tensor const *a = nullptr, *b = nullptr;
};

inline result<std::map<std::string, gguf_pair>> find_gguf_pairs(gguf const& g) {
    std::map<std::string, gguf_pair> pairs;
    for (gguf_tensor const& t : g.tensors) {
        auto const bad = [&](std::string what, std::string expected = {}, std::string got = {}) {
            return problem{cause::bad_file, g.file, std::move(what), "tensor " + in_quotes(t.name), std::move(expected),
                           std::move(got),  {}};
        };
        constexpr std::string_view a = ".weight.lora_a", b = ".weight.lora_b";
        bool const is_a = t.name.ends_with(a), is_b = t.name.ends_with(b);
        if (!is_a && !is_b) return bad("is not a tensor of a LoRA adapter", "MODULE.weight.lora_a or lora_b");
        auto const module = canonical_module(t.name.substr(0, t.name.size() - a.size()));
        if (!module)
            return problem{cause::mismatch,
                           g.file,
                           "adapts something that models here do not have",
                           "tensor " + in_quotes(t.name),
                           {},
                           {},
                           {}};
        if (!find_format(t.type->code))
            return bad("has a type that is not supported", "F32, F16, BF16 or Q8_0", t.type->name);
        if (t.data.empty() || t.dims[0] > INT32_MAX || t.dims[1] > INT32_MAX || t.dims[2] != 1 || t.dims[3] != 1)
            return bad("is not a matrix", "2 dimensions");
        auto& pair = pairs[*module];
        (is_a ? pair.a : pair.b) = &t;
    }
    return pairs;
}

inline result<lora_pair> read_gguf_pair(gguf const& g, std::string const& module, gguf_pair const& found,
                                        model_config const& c) {
    auto const bad = [&](std::string what, std::string expected = {}, std::string got = {}) {
        return bad_pair(cause::bad_file, g.file, module, std::move(what), std::move(expected), std::move(got));
    };
    if (!found.a || !found.b) return bad(found.a ? "has lora_a and no lora_b" : "has lora_b and no lora_a");
    if (found.b->dims[0] != found.a->dims[1])
        return bad("lora_b does not fit lora_a", std::to_string(found.a->dims[1]) + " columns",
                   std::to_string(found.b->dims[0]));
    lora_pair p;
    p.module = module;
    p.rank = static_cast<index_t>(found.a->dims[1]), p.in = static_cast<index_t>(found.a->dims[0]),
    p.out = static_cast<index_t>(found.b->dims[1]);
    auto a = adapter_numbers(*find_format(found.a->type->code), found.a->data, p.rank, p.in, g.file, found.a->name);
    auto b = adapter_numbers(*find_format(found.b->type->code), found.b->data, p.out, p.rank, g.file, found.b->name);
    if (!a) return a.error();
    if (!b) return b.error();
    p.a = std::move(*a), p.b = std::move(*b);
    index_t const heads = interleaved_heads(c, module);
    if (p.out == heads * c.head) to_half_split(p, heads, c.head);  // else check_adapter refuses it
    return p;
}

}  // namespace detail

/// An adapter from the bytes of a GGUF file, for a model of that configuration. Without an alpha (or with 0) the pairs
/// count as they are, s = 1.
inline result<adapter> parse_adapter_gguf(std::span<std::byte const> bytes, std::string const& file,
                                          model_config const& c) {
    auto const g = parse_gguf(bytes, file);
    if (!g) return g.error();
    auto header = detail::read_gguf_header(*g, c);
    if (!header) return header.error();
    adapter a = std::move(*header);
    auto const found = detail::find_gguf_pairs(*g);
    if (!found) return found.error();
    for (auto const& [module, pair] : *found) {
        auto p = detail::read_gguf_pair(*g, module, pair, c);
        if (!p) return p.error();
        a.rank = std::max(a.rank, p->rank);
        a.pairs.push_back(std::move(*p));
    }
    if (a.alpha == 0) {
        a.alpha = static_cast<double>(a.rank);
        for (lora_pair& p : a.pairs)
            if (p.rank != a.rank) p.alpha = static_cast<double>(p.rank);
    }
    a.targets = detail::targets_of(a.pairs);
    detail::sort_pairs(a);
    if (auto const r = check_adapter(a, c, file); !r) return r.error();
    return a;
}

inline result<adapter> read_adapter_gguf(std::string const& path, model_config const& c) {
    auto const file = mapped_file::open(path, file_access::read);
    if (!file) return file.error();
    return parse_adapter_gguf(file->bytes(), path, c);
}

}  // namespace graft
