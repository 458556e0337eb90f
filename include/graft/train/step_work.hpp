// SPDX-License-Identifier: Apache-2.0
// The multiply-adds of a training step, as its schedules say.                            (layer 13: train)
#pragma once

#include <graft/train/memory_plan.hpp>

#include <algorithm>
#include <array>
#include <span>

namespace graft {

/// Multiply-adds of a step of `tokens` rows, a target in each. Blocks: forward, what is computed again, pulls. Head:
/// the logits, and the gradient of the last stream where one is pulled.
struct step_arithmetic {
    double blocks = 0, head = 0;
    constexpr double total() const { return blocks + head; }
};

inline constexpr index_t most_layers = 1024;  // of models that readers accept

/// The arithmetic of steps that train these layers and those; each schedule is made once.
template <class Block, GradientStrategy Strategy, Optimizer Rule>
class step_counter {
public:
    constexpr step_counter(model_config const& c, training<Strategy, Rule> const& s) : lay{c, s} {}

    constexpr step_arithmetic of(std::span<bool const> chosen) {
        auto const& c = lay.c;
        auto const& s = lay.s;
        auto const& says = lay.says;
        index_t const lowest = static_cast<index_t>(std::find(chosen.begin(), chosen.end(), true) - chosen.begin());
        double const logits = static_cast<double>(s.tokens) * static_cast<double>(c.vocabulary * c.width);
        double const passes = static_cast<double>(std::max<index_t>(says.estimate.samples, 1)) *
                              (says.estimate.samples > 0 && !says.estimate.one_point ? 2 : 1);
        bool const pulls = says.trains && says.pulls();
        double blocks = 0;
        for (index_t l = 0; l < c.layers; ++l) {
            duty const does = duty_of(says, l, lowest, chosen[static_cast<std::size_t>(l)]);
            block_work const& w = block(variant_of(s.strategy, l, c.layers), does);
            bool const again = pulls && l % says.every != says.every - 1 && l + 1 < c.layers &&
                               l >= lowest - lowest % says.every;  // to the stream above, which was not kept
            blocks += w.total() + (again ? w.forward : 0);
        }
        return {blocks * passes, logits * (pulls ? 2 : passes)};
    }

private:
    constexpr block_work const& block(index_t variant, duty does) {
        auto const& code = machine<Block, float>::code;
        block_work& w = known[static_cast<std::size_t>(variant * duties + static_cast<index_t>(does))];
        block_role const role = role_of(does);
        if (w.forward == 0) w = work_of(code, make_schedule(code, lay.s.strategy, lay.n, role, variant), lay.n, role);
        return w;
    }

    step_layout<Block, Strategy, Rule, float> lay;
    std::array<block_work, 8> known{};  // per variant and duty
};

/// The arithmetic of a step. Where some blocks are trained at a step, the mean over 840 of them: whole cycles of up to
/// eight groups; by importance, of layers that matter alike.
template <class Block, GradientStrategy Strategy, Optimizer Rule>
constexpr step_arithmetic step_work(model_config const& c, training<Strategy, Rule> const& s) {
    require(c.layers <= most_layers, fault::bounds, "step_work: layers", c.layers, most_layers);
    std::array<bool, most_layers> flags{};
    std::array<double, most_layers> alike{};
    auto const layers = static_cast<std::size_t>(c.layers);
    std::span<bool> const chosen(flags.data(), layers);
    std::fill_n(alike.begin(), layers, 1.0);
    std::fill(chosen.begin(), chosen.end(), true);
    step_counter<Block, Strategy, Rule> counter(c, s);
    bool const selects = answers_of(s.strategy).selects;
    index_t const steps = selects ? 840 : 1;
    step_arithmetic sum;
    for (index_t step = 1; step <= steps; ++step) {
        if (selects) choose_layers(s.strategy, {step, c.layers, s.seed, {alike.data(), layers}}, chosen);
        auto const one = counter.of(chosen);
        sum.blocks += one.blocks, sum.head += one.head;
    }
    return {sum.blocks / static_cast<double>(steps), sum.head / static_cast<double>(steps)};
}

}  // namespace graft
