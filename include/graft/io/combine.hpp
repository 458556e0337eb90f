// SPDX-License-Identifier: Apache-2.0
// Several adapters of one base as one: weighed and added.                                (layer 16: io)
#pragma once

#include <graft/io/adapter.hpp>

#include <cmath>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace graft {

/// An adapter's file or directory, and how strongly it counts.
struct adapter_choice {
    std::string path{};
    double weight = 1;
};

/// An adapter and how strongly it counts.
struct weighed_adapter {
    adapter of;
    double weight = 1;
};

namespace detail {

inline result<void> may_be_combined(std::span<weighed_adapter const> all) {
    auto const bad = [](cause why, std::string what, std::string expected, std::string got, std::string hint = {}) {
        return problem{why, {}, std::move(what), {}, std::move(expected), std::move(got), std::move(hint)};
    };
    if (all.empty()) return bad(cause::usage, "there is no adapter to combine", "at least one", "none");
    adapter const& first = all[0].of;
    for (auto const& [a, weight] : all) {
        if (!std::isfinite(weight))
            return bad(cause::usage, "the weight of an adapter is not finite", "a finite number",
                       std::to_string(weight));
        if (has_magnitudes(a) && (all.size() > 1 || weight != 1))
            return bad(cause::mismatch,
                       "DoRA rescales whole rows of the base, so that its effect is not a sum: it cannot be weighed, "
                       "nor added to other adapters",
                       "adapters of LoRA or rsLoRA",
                       all.size() > 1 ? "DoRA among " + std::to_string(all.size()) + " adapters"
                                      : "DoRA with the weight " + std::to_string(weight),
                       "merging the DoRA adapter into the model (graft merge) and the others after it");
        if (a.arch != first.arch)
            return bad(cause::mismatch, "adapters of different architectures cannot be added", name_of(first.arch),
                       name_of(a.arch));
        std::string const one = base_name(first.base_name), other = base_name(a.base_name);
        if (!one.empty() && !other.empty() && one != other)
            return bad(cause::mismatch, "adapters of different base models cannot be added", in_quotes(one),
                       in_quotes(other), "adapters that were trained on the same base model");
    }
    return {};
}

/// Puts w s B A behind what the sum has: A below the others' rows, w s B beside their columns.
inline void add_pair(lora_pair& sum, lora_pair const& p, double by) {
    index_t const rank = sum.rank + p.rank;
    std::vector<float> b;
    b.reserve(static_cast<std::size_t>(p.out * rank));
    for (index_t o = 0; o < p.out; ++o) {
        b.insert(b.end(), sum.b.begin() + o * sum.rank, sum.b.begin() + (o + 1) * sum.rank);
        for (index_t r = 0; r < p.rank; ++r)
            b.push_back(static_cast<float>(by * static_cast<double>(p.b[static_cast<std::size_t>(o * p.rank + r)])));
    }
    sum.b = std::move(b), sum.rank = rank;
    sum.a.insert(sum.a.end(), p.a.begin(), p.a.end());
}

}  // namespace detail

/// ΔW = Σ w ΔW of (checked) adapters of one base, with the ranks one behind the other: [A₁; A₂], [w₁ s₁ B₁, w₂ s₂ B₂],
/// s = 1. One alone with the weight 1 stays as it is, DoRA or not.
inline result<adapter> combine(std::span<weighed_adapter const> all) {
    if (auto const r = detail::may_be_combined(all); !r) return r.error();
    if (all.size() == 1 && all[0].weight == 1) return all[0].of;
    adapter sum;
    sum.arch = all[0].of.arch;
    std::map<std::string, lora_pair> pairs;
    for (auto const& [a, weight] : all) {
        if (sum.base_name.empty()) sum.base_name = a.base_name;
        for (lora_pair const& p : a.pairs) {
            lora_pair& to = pairs.try_emplace(p.module, lora_pair{p.module, 0, p.in, p.out}).first->second;
            if (to.in != p.in || to.out != p.out)
                return detail::bad_pair(cause::mismatch, {}, p.module, "adapters of different shapes cannot be added",
                                        std::to_string(to.out) + " x " + std::to_string(to.in),
                                        std::to_string(p.out) + " x " + std::to_string(p.in));
            detail::add_pair(to, p, weight * scale(a, p));
        }
    }
    for (auto& [module, p] : pairs) sum.rank = std::max(sum.rank, p.rank), sum.pairs.push_back(std::move(p));
    sum.alpha = static_cast<double>(sum.rank);
    for (lora_pair& p : sum.pairs)
        if (p.rank != sum.rank) p.alpha = static_cast<double>(p.rank);
    sum.targets = detail::targets_of(sum.pairs);
    detail::sort_pairs(sum);
    return sum;
}

/// Does it change nothing but the linear maps of blocks?
inline result<void> check_block_adapter(adapter const& a, std::string const& file = {}) {
    for (auto const& p : a.pairs)
        if (!split_layer(p.module))
            return problem{cause::mismatch,
                           file,
                           "changes a map that cannot carry an adapter here",
                           "module '" + p.module + "'",
                           "the seven linear maps of blocks",
                           {},
                           "an adapter of these maps alone, or merging it into the model (graft merge)"};
    return {};
}

/// Opens adapters that belong to the model, and adds them up.
inline result<adapter> open_adapters(std::span<adapter_choice const> choices, model_config const& c) {
    std::vector<weighed_adapter> all;
    for (adapter_choice const& choice : choices) {
        auto a = open_adapter(choice.path, c);
        if (!a) return a.error();
        all.push_back({std::move(*a), choice.weight});
    }
    return combine(all);
}

/// The same of adapters that change nothing but the linear maps of blocks.
inline result<adapter> open_block_adapters(std::span<adapter_choice const> choices, model_config const& c) {
    auto sum = open_adapters(choices, c);
    if (!sum) return sum;
    if (auto const r = check_block_adapter(*sum, choices.front().path); !r) return r.error();
    return sum;
}
inline result<adapter> open_block_adapter(std::string const& path, model_config const& c) {
    adapter_choice const one{path};
    return open_block_adapters(std::span(&one, 1), c);
}

}  // namespace graft
