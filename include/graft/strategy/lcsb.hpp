// SPDX-License-Identifier: Apache-2.0
// Train some of the blocks at each step.                                                 (layer 10: strategy)
#pragma once

#include <graft/strategy/mesp.hpp>

namespace graft {

/// Layer-cyclic selective back-propagation: `Select` names the blocks of a step, which `Inner` pulls.
/// An unselected block y = x + F(x) counts as y = x + constant: its forward is unchanged, its gradient goes around it,
/// and it needs neither its input nor its weights again. That is the exact gradient of a surrogate loss, in which these
/// blocks add constants; of the loss itself it is only for the blocks above which all are selected. `exact` passes the
/// gradient through unselected blocks instead: true partial gradients, at the price of all dx.
///
/// source   LCSB, arXiv 2602.13073; `exact`, and `none` of the optimizer's two readings, are our own.
template <LayerSelection Select, GradientStrategy Inner = mesp>
struct lcsb {
    static_assert(!requires(Inner s) { s.choose(selection_moment{}, std::span<bool>{}); },
                  "lcsb inside lcsb: one selection of layers is all there can be");
    static_assert(!requires(Inner s) { s.samples; },
                  "lcsb of zeroth_order: an estimate from losses alone has no blocks to leave out");
    Select select{};
    Inner inner{};
    unselected_gradient gradient = unselected_gradient::identity;
    unselected_update update = unselected_update::zero_gradient;
    index_t tile = inner.tile;

    constexpr void forward(auto& c) const { inner.forward(c); }
    constexpr void backward(auto& c) const { inner.backward(c); }

    constexpr strategy_answers answer() const {
        strategy_answers a = answers_of(inner);
        a.selects = true, a.gradient = gradient, a.update = update;
        return a;
    }
    constexpr index_t variant_of(index_t layer, index_t layers) const {
        return graft::variant_of(inner, layer, layers);
    }
    constexpr index_t tile_of(index_t variant) const { return graft::tile_of(inner, variant); }
    constexpr index_t most(index_t layers) const {
        require(select.asks() >= 1 && select.asks() <= layers, fault::bounds, "lcsb: layers or groups to select",
                select.asks(), layers);
        return select.most(layers);
    }
    constexpr void choose(selection_moment const& m, std::span<bool> chosen) const { select.choose(m, chosen); }
};
static_assert(GradientStrategy<lcsb<cyclic_strided>>);

}  // namespace graft
