// SPDX-License-Identifier: Apache-2.0
// The multiply-adds of one step of any strategy, as its schedules say.
#pragma once

#include <graft/train/any.hpp>

#include <memory>

namespace bench {

using namespace graft;

/// Step number `step`, counted from 1: its blocks, each in the role that the selection gives it (one that looks at
/// gradients' lengths sees none), and the head: the logits once, and twice where gradients are pulled.
template <class Block>
double work_of_step(model_config const& c, any_training const& s, index_t step) {
    double const logits = static_cast<double>(s.tokens) * static_cast<double>(c.vocabulary * c.width);
    auto const says = answers_of(s.strategy);
    step_layout<Block, any_strategy, any_optimizer, float> const lay{c, s};
    auto const& code = machine<Block, float>::code;
    auto const block = [&](duty d, index_t l) {
        auto const role = role_of(d);
        auto const events = make_schedule(code, s.strategy, lay.n, role, variant_of(s.strategy, l, c.layers));
        auto const w = work_of(code, events, lay.n, role);
        return d == duty::skip ? w.forward : w.total();
    };
    double sum = 0;
    if (!says.pulls()) {
        for (index_t l = 0; l < c.layers; ++l) sum += block(duty::skip, l);
        return 2 * static_cast<double>(says.estimate.samples) * (sum + logits);
    }
    auto const flags = std::make_unique<bool[]>(static_cast<std::size_t>(c.layers));
    auto const unknown = std::make_unique<double[]>(static_cast<std::size_t>(c.layers));
    auto const layers = static_cast<std::size_t>(c.layers);
    std::span<bool> const chosen{flags.get(), layers};
    std::fill_n(unknown.get(), layers, -1.0);
    choose_layers(s.strategy, {step, c.layers, s.seed, {unknown.get(), layers}}, chosen);
    bool below = false;  // is anything chosen below?
    for (index_t l = 0; l < c.layers; ++l) {
        bool const mine = chosen[static_cast<std::size_t>(l)], through = says.gradient == unselected_gradient::exact;
        sum += block(mine ? (below ? duty::train : duty::lowest) : below && through ? duty::pass : duty::skip, l);
        below = below || mine;
    }
    return sum + 2 * logits;
}

}  // namespace bench
