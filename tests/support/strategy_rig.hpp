// SPDX-License-Identifier: Apache-2.0
// A small model, a batch for it and a trainer of any strategy, with a choice of everything a step depends on.
#pragma once

#include <graft/block/llama.hpp>
#include <graft/train/any.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace graft_test {

/// Two packed sequences (7 and 5 rows), some rows without a target.
struct sample {
    std::vector<int> ids{3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3};
    std::vector<int> targets{14, -1, 9, 26, 5, -1, 8, 9, 7, -1, 3, 36};
    std::vector<index_t> starts{0, 7};
    double scale = 1.0 / 9;  // one over the targets

    batch view() const { return {ids, targets, starts}; }
    /// `rows` rows in sequences of at most `length`, a target in each.
    static sample of(index_t rows, index_t length, std::uint64_t seed = 1) {
        sample s;
        s.ids.clear(), s.targets.clear(), s.starts.clear();
        for (index_t i = 0; i < rows; ++i) {
            if (i % length == 0) s.starts.push_back(i);
            s.ids.push_back(static_cast<int>(uniform(seed, 1, 0, static_cast<std::uint64_t>(i)) * 37));
            s.targets.push_back(static_cast<int>(uniform(seed, 1, 1, static_cast<std::uint64_t>(i)) * 37));
        }
        s.scale = 1 / static_cast<double>(rows);
        return s;
    }
};

inline model_config deep_config(index_t layers = 5) {
    auto c = tiny_config();
    c.layers = layers;
    return c;
}

inline any_training any_settings(any_strategy s, index_t tokens = 12) {
    any_training how;
    how.tokens = tokens, how.rank = 3, how.alpha = 5, how.strategy = s, how.seed = 7, how.max_grad_norm = 0;
    return how;
}

/// A trainer of random weights on poisoned memory, its B not zero.
template <class T = double, class Block = llama<lora>, class Strategy = any_strategy, class Rule = any_optimizer>
struct rig {
    using trainer_type = trainer<Block, Strategy, Rule, T>;
    random_model<Block, T> m;
    typename trainer_type::settings how;
    poisoned_memory memory;
    trainer_type t;

    explicit rig(typename trainer_type::settings const& s, model_config const& c = deep_config(), workers on = {},
                 format const& f = f32)
        : m(c, f), how(s), memory(trainer_type::memory_plan(c, how).total()), t(m.net, how, memory.span, on) {
        t.start(5);
        for (index_t l = 0; l < c.layers; ++l) {
            std::uint64_t i = static_cast<std::uint64_t>(l) << 32;
            t.open_layer(l).visit([&](auto, auto& w) {
                if constexpr (requires { w.A; })
                    for (auto part : {w.A, w.B})
                        for (T& x : std::span(part.data, static_cast<std::size_t>(part.rows * part.columns)))
                            x = static_cast<T>(0.3 * noise(99, i++));
            });
            t.close_layer(l);
        }
    }

    /// The gradients of all layers that are trained, lowest first; returns the loss.
    double gradients(std::vector<T>& to, sample const& s = {}) {
        double const loss = t.accumulate(s.view(), s.scale);
        to.assign(t.accumulated().begin(), t.accumulated().end());
        t.discard();
        return loss;
    }
    std::vector<T> gradients(sample const& s = {}) {
        std::vector<T> g;
        gradients(g, s);
        return g;
    }
    /// The mean loss of a batch.
    double loss(sample const& s = {}) { return t.evaluate(s.view()) * s.scale; }
    std::vector<T> parameters() { return {t.parameters().begin(), t.parameters().end()}; }
    std::vector<std::byte> stored() { return {t.parameter_bytes().begin(), t.parameter_bytes().end()}; }
    index_t each() const { return adapter_numbers<Block>(how.adapter(), t.dimensions()); }
};

/// ‖a − b‖ / ‖b‖
template <class A, class B>
double distance(A const& a, B const& b) {
    REQUIRE(a.size() == b.size());
    double d = 0, n = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double const x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        d += (x - y) * (x - y), n += y * y;
    }
    return std::sqrt(d / n);
}
template <class A, class B>
double cosine(A const& a, B const& b) {
    REQUIRE(a.size() == b.size());
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double const x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        ab += x * y, aa += x * x, bb += y * y;
    }
    return ab / std::sqrt(aa * bb);
}

/// Central differences of `loss()` in every `stride`-th of `parameters`, beside `gradient`: the largest error in units
/// of what is allowed, 1e-8 + 1e-6 |gradient|.
inline double worst_difference(std::span<double> parameters, std::vector<double> const& gradient, auto&& loss,
                               std::size_t stride = 11) {
    REQUIRE(parameters.size() == gradient.size());
    double worst = 0;
    for (std::size_t i = 0; i < parameters.size(); i += stride) {
        double const w = parameters[i], e = 1e-5;
        parameters[i] = w + e;
        double const above = loss();
        parameters[i] = w - e;
        double const below = loss();
        parameters[i] = w;
        double const error = std::abs((above - below) / (2 * e) - gradient[i]);
        worst = std::max(worst, error / (1e-8 + 1e-6 * std::abs(gradient[i])));
    }
    return worst;
}

}  // namespace graft_test
