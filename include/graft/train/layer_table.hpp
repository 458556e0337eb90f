// SPDX-License-Identifier: Apache-2.0
// What each layer does in an update, and what a strategy remembers of it.                (layer 13: train)
#pragma once

#include <graft/memory/arena.hpp>
#include <graft/strategy/strategy.hpp>

#include <algorithm>
#include <span>
#include <utility>

namespace graft {

/// What one block does in one update.
enum class duty : unsigned char {
    train,   // pull everything
    lowest,  // pull everything but what leads to the stream below: nothing is trained there
    pass,    // pull the stream's gradient only
    skip     // only run forward
};
inline constexpr index_t duties = 4;
constexpr block_role role_of(duty d) {
    return {d == duty::train || d == duty::lowest, d == duty::train || d == duty::pass};
}

/// What layer l does where `lowest` is the lowest that is trained and l is `chosen` or not.
constexpr duty duty_of(strategy_answers const& says, index_t l, index_t lowest, bool chosen) {
    if (!says.trains) return duty::train;  // whose backward is empty
    if (!says.pulls() || l < lowest) return duty::skip;
    if (l == lowest) return duty::lowest;
    if (chosen) return duty::train;
    return says.gradient == unselected_gradient::exact ? duty::pass : duty::skip;
}

/// What is known of one layer, update by update.
struct layer_state {
    duty does = duty::train;
    bool chosen = true;
    index_t slot = -1;      // of its input among the kept streams; −1: not kept
    index_t gradient = -1;  // where its gradients begin among those of all chosen layers, in numbers
    index_t kept = 0;       // where its kept values begin, in bytes
    index_t first = 0, numbers = 0;        // its trained numbers among all
    index_t state = 0;                     // where its optimizer's memory begins, in bytes
    index_t norms = 0, offsets = 0;        // where what DoRA keeps begins, and the frozen copies, in numbers
    bool stale = true, measured = false;   // DoRA: its adapters have moved; the lengths of W's rows are known
};

/// A row per layer, and what goes from one update to the next: the updates of each layer and the length of its gradient
/// when it was last trained (−1: never); of estimates the last loss, whether there is one, and this update's
/// differences.
class layer_table {
public:
    static constexpr index_t remembered(index_t layers) { return 2 * layers + 2; }
    static constexpr index_t bytes(index_t layers, index_t samples) {
        auto const padded = [](index_t b) { return round_up(b, buffer_alignment); };
        return padded(layers * static_cast<index_t>(sizeof(layer_state))) +
               padded((remembered(layers) + samples) * static_cast<index_t>(sizeof(double))) + padded(layers);
    }

    layer_table() = default;
    layer_table(arena& memory, index_t layers, index_t samples)
        : states(memory.take_numbers<layer_state>(layers)),
          numbers(memory.take_numbers<double>(remembered(layers) + samples)),
          chosen(reinterpret_cast<bool*>(memory.take(layers))),
          count(layers) {
        std::fill_n(states, layers, layer_state{});
        forget();
    }

    layer_state& operator[](index_t l) { return states[l]; }
    layer_state const& operator[](index_t l) const { return states[l]; }
    double& updates_of(index_t l) { return numbers[l]; }
    double& length_of(index_t l) { return numbers[count + l]; }
    double& last_loss() { return numbers[2 * count]; }
    double& knows_loss() { return numbers[2 * count + 1]; }
    double* differences() { return numbers + remembered(count); }
    std::span<double> memory() { return {numbers, static_cast<std::size_t>(remembered(count))}; }

    void forget() {
        for (index_t l = 0; l < count; ++l) updates_of(l) = 0, length_of(l) = -1;
        last_loss() = 0, knows_loss() = 0;
    }

    /// Decides update `step`, counted from 1. `kept_bytes(l)`: of a layer in the duty it has been given.
    template <GradientStrategy Strategy>
    void choose(Strategy const& strategy, strategy_answers const& says, index_t step, std::uint64_t seed, bool fused,
                auto&& kept_bytes) {
        bool const pulls = says.trains && says.pulls();
        auto const layers = static_cast<std::size_t>(count);
        std::fill_n(chosen, count, true);
        if (says.selects) choose_layers(strategy, {step, count, seed, {&length_of(0), layers}}, {chosen, layers});
        lowest = static_cast<index_t>(std::find(chosen, chosen + count, true) - chosen);
        index_t slot = 0, kept = 0;
        gradients = 0;
        for (index_t l = 0; l < count; ++l) {
            layer_state& s = states[l];
            s.chosen = chosen[l];
            s.does = duty_of(says, l, lowest, s.chosen);
            s.gradient = !pulls || !s.chosen ? -1 : fused ? 0 : std::exchange(gradients, gradients + s.numbers);
            s.kept = kept, kept += kept_bytes(l);
            bool const needed = says.every > 1 ? l >= lowest - lowest % says.every : s.does != duty::skip;
            s.slot = !pulls || !needed ? -1 : says.every > 1 ? l / says.every : slot++;
        }
        if (!pulls || fused) gradients = says.trains ? states[count - 1].numbers : 0;
    }

    index_t lowest = 0;     // layer that is trained
    index_t gradients = 0;  // numbers of the gradients that exist at once

private:
    layer_state* states = nullptr;
    double* numbers = nullptr;
    bool* chosen = nullptr;
    index_t count = 0;
};

}  // namespace graft
