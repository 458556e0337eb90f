// SPDX-License-Identifier: Apache-2.0
// What a gradient strategy is: a value that writes the schedule of a block.              (layer 10: strategy)
#pragma once

#include <graft/program/schedule.hpp>
#include <graft/strategy/selection.hpp>

#include <algorithm>
#include <concepts>

namespace graft {

/// Writes the events of one block's forward and backward into a `composer`; `tile` rows at a time where it says so.
/// What it does not keep from the forward to the backward it computes again: exact gradients either way. What else it
/// may say, by a member of that name, is in `strategy_answers`.
template <class S>
concept GradientStrategy = requires(S const s, composer<int, 4, 2>& c) {
    { s.tile } -> std::convertible_to<index_t>;
    s.forward(c);
    s.backward(c);
};

/// Gradients estimated from losses along random directions (`zeroth_order.hpp`).
struct loss_differences {
    index_t samples = 0;  // directions of a step; 0: gradients are pulled, not estimated
    double epsilon = 0;   // how far the parameters move along a direction
    bool one_point = false;
};

/// What a strategy answers to the questions that are not about one block's schedule, and what it answers where it has
/// no member of that name.
struct strategy_answers {
    bool trains = true;           // false: it only runs forward
    bool in_place = true;         // gradients may take the places of values; false: as a generic reverse has them
    bool stored_weights = false;  // attention keeps its weights from its forward to its pull
    index_t variants = 1;         // schedules of so many kinds in one model: `variant_of(layer, layers)`, `tile_of(v)`
    index_t every = 1;            // blocks from one kept stream to the next; those between are computed once more
    bool selects = false;         // some blocks are trained at a step: `selection(moment, chosen)`, `most(layers)`
    unselected_gradient gradient = unselected_gradient::identity;
    unselected_update update = unselected_update::zero_gradient;
    loss_differences estimate{};

    constexpr bool pulls() const { return estimate.samples == 0; }
};

template <GradientStrategy S>
constexpr strategy_answers answers_of(S const& s) {
    strategy_answers a;
    if constexpr (requires { s.answer(); }) {
        a = s.answer();
    } else {
        if constexpr (requires { s.trains; }) a.trains = s.trains;
        if constexpr (requires { s.in_place; }) a.in_place = s.in_place;
        if constexpr (requires { s.stored_weights; }) a.stored_weights = s.stored_weights;
        if constexpr (requires { s.variants; }) a.variants = s.variants;
        if constexpr (requires { s.every; }) a.every = s.every;
    }
    return a;
}
/// Can a strategy of this type estimate gradients from losses? The others' trainers have no code for it.
template <GradientStrategy S>
inline constexpr bool may_estimate = requires(S const s) { s.answer(); };
/// Which of a strategy's schedules a layer runs.
template <GradientStrategy S>
constexpr index_t variant_of(S const& s, index_t layer, index_t layers) {
    if constexpr (requires { s.variant_of(layer, layers); }) return s.variant_of(layer, layers);
    else return 0;
}
template <GradientStrategy S>
constexpr index_t tile_of(S const& s, index_t variant) {
    if constexpr (requires { s.tile_of(variant); }) return s.tile_of(variant);
    else return s.tile;
}
/// The most layers that are trained at one step.
template <GradientStrategy S>
constexpr index_t most_trained(S const& s, index_t layers) {
    if constexpr (requires { s.most(layers); }) return std::clamp(s.most(layers), index_t{0}, layers);
    else return layers;
}
/// Writes which layers are trained at this step.
template <GradientStrategy S>
void choose_layers(S const& s, selection_moment const& m, std::span<bool> chosen) {
    if constexpr (requires { s.choose(m, chosen); }) s.choose(m, chosen);
    else every_layer{}.choose(m, chosen);
}

/// The events of one block of these sizes in this role under a strategy.
template <class Sizes, std::size_t N, std::size_t S, GradientStrategy Strategy>
constexpr schedule<N, S> make_schedule(program<Sizes, N, S> const& code, Strategy const& strategy, Sizes const& n,
                                       block_role role = {}, index_t variant = 0) {
    composer<Sizes, N, S> c{code, n, role};
    c.variant = variant;
    c.out.tile = tile_of(strategy, variant);
    strategy.forward(c);
    c.out.backward = c.out.size, c.goes_back = true;
    if (c.useful != 0) strategy.backward(c);
    return c.out;
}

/// No backward: what evaluation and generation run.
struct inference {
    static constexpr index_t tile = 0;
    static constexpr bool trains = false;
    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true});
    }
    constexpr void backward(auto&) const {}
};
static_assert(GradientStrategy<inference>);

}  // namespace graft
