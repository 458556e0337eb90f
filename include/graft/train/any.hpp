// SPDX-License-Identifier: Apache-2.0
// A gradient strategy and an optimizer that are chosen while the program runs.           (layer 13: train)
#pragma once

#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/strategy/checkpoint.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/lcsb.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/strategy/mesp_published.hpp>
#include <graft/strategy/rematerialised.hpp>
#include <graft/strategy/zeroth_order.hpp>
#include <graft/train/trainer.hpp>

#include <variant>

namespace graft {

/// Any of the selections of layers.
using any_selection =
    std::variant<every_layer, cyclic_strided, cyclic_contiguous, random_layers, top_layers, by_importance>;

/// Any of the strategies, of all blocks or of those that a selection names. Schedules are data, so a choice is a value
/// like any other and nothing is compiled per choice.
class any_strategy {
public:
    using kinds = std::variant<mesp, full, checkpoint, mesp_published, rematerialised, zeroth_order, inference>;

    constexpr any_strategy() = default;
    template <class S>
        requires std::is_constructible_v<kinds, S>
    constexpr any_strategy(S s) : tile(s.tile), inner(s) {}
    template <LayerSelection Select, class Inner>
        requires std::is_constructible_v<any_selection, Select>
    constexpr any_strategy(lcsb<Select, Inner> s)
        : any_strategy(s.inner, any_selection(s.select), s.gradient, s.update) {}
    /// `inner` on the layers of a selection.
    constexpr any_strategy(any_strategy const& s, any_selection which, unselected_gradient g, unselected_update u)
        : tile(s.tile), inner(s.inner), select(which), selects(true), gradient(g), update(u) {
        require(answers_of(s).trains && answers_of(s).pulls(), fault::bounds, "lcsb: a strategy that pulls", 0, 1);
    }

    constexpr void forward(auto& c) const {
        std::visit([&](auto const& s) { s.forward(c); }, inner);
    }
    constexpr void backward(auto& c) const {
        std::visit([&](auto const& s) { s.backward(c); }, inner);
    }
    constexpr answers answer() const {
        answers a = std::visit([](auto const& s) { return answers_of(s); }, inner);
        if (selects) a.selects = true, a.gradient = gradient, a.update = update;
        return a;
    }
    constexpr index_t variant_of(index_t layer, index_t layers) const {
        return std::visit([&](auto const& s) { return graft::variant_of(s, layer, layers); }, inner);
    }
    constexpr index_t tile_of(index_t variant) const {
        return std::visit([&](auto const& s) { return graft::tile_of(s, variant); }, inner);
    }
    constexpr index_t most(index_t layers) const {
        if (!selects) return layers;
        return std::visit([&](auto const& s) { return lcsb<std::remove_cvref_t<decltype(s)>>{s}.most(layers); },
                          select);
    }
    void choose(selection_moment const& m, std::span<bool> chosen) const {
        std::visit([&](auto const& s) { s.choose(m, chosen); }, select);
    }

    constexpr bool trains() const { return answer().trains; }
    /// The strategy of each block it trains, where it is one of this type.
    template <class S>
    constexpr S const* as() const { return std::get_if<S>(&inner); }

    index_t tile = 0;  // of the one that was chosen

private:
    kinds inner{};
    any_selection select{};
    bool selects = false;
    unselected_gradient gradient = unselected_gradient::identity;
    unselected_update update = unselected_update::zero_gradient;
};
static_assert(GradientStrategy<any_strategy>);

/// Any of the optimizers, with its own numbers.
class any_optimizer {
public:
    constexpr any_optimizer() : any_optimizer(adamw{}) {}
    constexpr any_optimizer(adamw o) : state_per_parameter(adamw::state_per_parameter), adam(o) {}
    constexpr any_optimizer(sgd o) : state_per_parameter(sgd::state_per_parameter), descent(o), is_adam(false) {}

    template <class T>
    void apply(update<T> const& u, workers const& on) const {
        if (is_adam)
            adam.apply(u, on);
        else
            descent.apply(u, on);
    }

    index_t state_per_parameter;  // of the one that was chosen

private:
    adamw adam;
    sgd descent;
    bool is_adam = true;
};
static_assert(Optimizer<any_optimizer>);

using any_training = training<any_strategy, any_optimizer>;

}  // namespace graft
