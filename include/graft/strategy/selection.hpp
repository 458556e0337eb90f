// SPDX-License-Identifier: Apache-2.0
// Which blocks are trained at a step.                                                    (layer 10: strategy)
#pragma once

#include <graft/base/random.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <span>

namespace graft {

/// What a choice may depend on. `scores`: per layer, the length of its gradient when it was last trained; negative
/// where it never was.
struct selection_moment {
    index_t step = 1, layers = 0;  // steps count from 1
    std::uint64_t seed = 0;
    std::span<double const> scores{};
};

/// Chooses at most `most(layers)` of the layers: writes true for those. A pure function of the moment.
template <class S>
concept LayerSelection = requires(S const s, selection_moment const& m, std::span<bool> chosen) {
    { s.most(m.layers) } -> std::convertible_to<index_t>;
    { s.asks() } -> std::convertible_to<index_t>;  // groups or layers asked for: 1 … layers
    s.choose(m, chosen);
};

/// Every layer at every step.
struct every_layer {
    constexpr index_t most(index_t layers) const { return layers; }
    constexpr index_t asks() const { return 1; }
    constexpr void choose(selection_moment const& m, std::span<bool> chosen) const {
        std::fill_n(chosen.data(), m.layers, true);
    }
};

/// One layer in `groups`, the next ones at the next step: l ≡ step − 1.
struct cyclic_strided {
    index_t groups = 2;
    constexpr index_t most(index_t layers) const { return (layers + groups - 1) / groups; }
    constexpr index_t asks() const { return groups; }
    constexpr void choose(selection_moment const& m, std::span<bool> chosen) const {
        for (index_t l = 0; l < m.layers; ++l)
            chosen[static_cast<std::size_t>(l)] = l % groups == (m.step - 1) % groups;
    }
};

/// One of `groups` runs of neighbouring layers, the run above it at the next step.
struct cyclic_contiguous {
    index_t groups = 2;
    constexpr index_t most(index_t layers) const { return (layers + groups - 1) / groups; }
    constexpr index_t asks() const { return groups; }
    constexpr void choose(selection_moment const& m, std::span<bool> chosen) const {
        index_t const g = (m.step - 1) % groups, first = g * m.layers / groups, end = (g + 1) * m.layers / groups;
        for (index_t l = 0; l < m.layers; ++l) chosen[static_cast<std::size_t>(l)] = l >= first && l < end;
    }
};

/// `count` layers, all sets of so many equally likely.
///
/// source   Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S.
struct random_layers {
    index_t count = 1;
    constexpr index_t most(index_t) const { return count; }
    constexpr index_t asks() const { return count; }
    constexpr void choose(selection_moment const& m, std::span<bool> chosen) const {
        index_t left = count;
        for (index_t l = 0; l < m.layers; ++l) {
            double const u = uniform(m.seed, stream, static_cast<std::uint64_t>(m.step), static_cast<std::uint64_t>(l));
            bool const take = static_cast<double>(m.layers - l) * u < static_cast<double>(left);
            chosen[static_cast<std::size_t>(l)] = take;
            left -= take ? 1 : 0;
        }
    }
    static constexpr std::uint64_t stream = 0x6c637362;
};

/// The `count` layers next to the head: for these the surrogate's gradient is the true one.
struct top_layers {
    index_t count = 1;
    constexpr index_t most(index_t) const { return count; }
    constexpr index_t asks() const { return count; }
    constexpr void choose(selection_moment const& m, std::span<bool> chosen) const {
        for (index_t l = 0; l < m.layers; ++l) chosen[static_cast<std::size_t>(l)] = l >= m.layers - count;
    }
};

/// `count` layers without replacement, with chances that go with their gradients' lengths; those that were never
/// trained come first.
///
/// source   Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006): the largest of u^(1/weight).
struct by_importance {
    index_t count = 1;
    constexpr index_t most(index_t) const { return count; }
    constexpr index_t asks() const { return count; }
    void choose(selection_moment const& m, std::span<bool> chosen) const {
        for (bool& c : chosen) c = false;
        auto const key = [&](index_t l) {
            double const u = uniform(m.seed, random_layers::stream, static_cast<std::uint64_t>(m.step),
                                     static_cast<std::uint64_t>(l)),
                         weight = m.scores[static_cast<std::size_t>(l)];
            if (weight < 0) return 1 + u;
            return weight > 0 ? std::log(u + 0x1p-60) / weight : -std::numeric_limits<double>::max() * (1 - u);
        };
        for (index_t k = 0; k < count; ++k) {
            index_t best = -1;
            double most_key = 0;
            for (index_t l = 0; l < m.layers; ++l) {
                if (chosen[static_cast<std::size_t>(l)]) continue;
                double const x = key(l);
                if (best < 0 || x > most_key) best = l, most_key = x;
            }
            if (best < 0) return;
            chosen[static_cast<std::size_t>(best)] = true;
        }
    }
};

/// What the gradient does at a block that is not trained at this step.
enum class unselected_gradient : unsigned char {
    identity,  // goes around it: the block's own Jacobian is left out, nothing of it is computed
    exact      // goes through it: the true gradient of the blocks below, for all of the block's dx
};
/// What the optimizer does with parameters that have no gradient at this step.
enum class unselected_update : unsigned char {
    zero_gradient,  // their gradient is zero: momentum and decay go on
    none            // they wait: nothing moves, and their step count stands still
};

}  // namespace graft
