// SPDX-License-Identifier: Apache-2.0
// A gradient strategy and an optimizer that are chosen while the program runs.           (layer 13: train)
#pragma once

#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

namespace graft {

/// Any of the strategies. Schedules are data, so a choice is a value like any other and nothing is compiled per choice.
class any_strategy {
public:
    constexpr any_strategy() = default;
    constexpr any_strategy(mesp m) : tile(m.tile), which(kind::mesp), one(m) {}
    constexpr any_strategy(full) : which(kind::full) {}
    constexpr any_strategy(inference) : which(kind::inference) {}

    constexpr void forward(auto& c) const {
        visit([&](auto const& s) { s.forward(c); });
    }
    constexpr void backward(auto& c) const {
        visit([&](auto const& s) { s.backward(c); });
    }

    constexpr bool trains() const { return which != kind::inference; }
    template <GradientStrategy S>
    constexpr bool is() const {
        return visit([](auto const& s) { return std::is_same_v<std::remove_cvref_t<decltype(s)>, S>; });
    }

    index_t tile = 0;  // of the one that was chosen

private:
    enum class kind : unsigned char { mesp, full, inference };
    constexpr auto visit(auto&& f) const {
        if (which == kind::full) return f(full{});
        if (which == kind::inference) return f(inference{});
        return f(one);
    }
    kind which = kind::mesp;
    mesp one;
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
