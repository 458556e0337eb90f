// SPDX-License-Identifier: Apache-2.0
// What the adapters of a model are like: ranks, factors, norms, and which modules differ.  (layer 12: block)
#pragma once

#include <graft/block/scaling.hpp>
#include <graft/shape/transformer.hpp>

#include <algorithm>
#include <span>

namespace graft {

/// Modules whose adapters differ from the others': maps of `targets` in one layer, or in all.
struct adapter_exception {
    index_t layer = -1;  // −1: all
    unsigned targets = all_targets;
    index_t rank = -1;  // −1: as the others'; 0: none
    double alpha = 0;   // 0: as the others'
};

/// ΔW = s B A in the maps of `targets`; of several exceptions that name a module, each number is the last one's.
struct adapter_settings {
    index_t rank = 0;
    double alpha = 0;
    bool rank_stabilised = false;
    unsigned targets = all_targets;
    adapter_norm norm = adapter_norm::none;
    std::span<adapter_exception const> exceptions{};

    constexpr index_t rank_of(index_t layer, unsigned target) const {
        index_t r = targets & target ? rank : 0;
        for (adapter_exception const& e : exceptions)
            if (targets & target & e.targets && (e.layer < 0 || e.layer == layer) && e.rank >= 0) r = e.rank;
        return r;
    }
    /// s, of a module that has an adapter.
    double scale_of(index_t layer, unsigned target) const {
        double a = alpha;
        for (adapter_exception const& e : exceptions)
            if (e.targets & target && (e.layer < 0 || e.layer == layer) && e.alpha > 0) a = e.alpha;
        return adapter_scale(a, std::max<index_t>(rank_of(layer, target), 1), rank_stabilised);
    }
    /// The largest rank of any module.
    constexpr index_t most_rank() const {
        index_t r = rank;
        for (adapter_exception const& e : exceptions) r = std::max(r, e.rank);
        return r;
    }
};

}  // namespace graft
