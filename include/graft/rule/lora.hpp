// SPDX-License-Identifier: Apache-2.0
// A frozen linear map with a trained low-rank one beside it.                             (layer 8: rule)
#pragma once

#include <graft/rule/linear.hpp>

namespace graft {

/// y = x Wᵀ + b + s (x Aᵀ) Bᵀ        W, b frozen; A, B trained; h = x Aᵀ has only `rank` columns.
///
/// shapes   x: tokens × In    y: tokens × Out    W: Out × In    A: rank × In    B: Out × rank
/// keeps    nothing beyond x: pull computes h again, for rank ÷ Out of the forward's work.
/// source   LoRA, arXiv 2106.09685, eq. 3; recomputing h instead of storing it: MeSP, arXiv 2602.13069.
template <>
struct rule<lora_map> : careful {
    template <class T>
    struct weights {
        weight W;
        float const* b = nullptr;
        matrix<T> A, B, dA, dB;  // empty where this map has no adapter
        T s{};
    };
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{.operands = 0b1};
    static constexpr reads pull_reads_untrained{};  // dx = dy (W + s B A) needs no x
    static constexpr unsigned pull_over = 0b1;      // the last statement alone writes dx, and it reads no x

    template <class T>
    static constexpr index_t scratch(auto const&, call c) {
        return workspace<T>::numbers(c.rows, c.rank) * (c.pull ? 2 : 1);
    }

    static constexpr double work(auto const&, task t) {
        auto const of = [&](index_t a, index_t b) { return static_cast<double>(t.rows) * static_cast<double>(a * b); };
        double const W = of(t.in, t.out), A = of(t.in, t.rank), B = of(t.rank, t.out);
        if (!t.pull) return W + A + B;
        return (t.wanted ? W + A : 0) + (t.trained ? 2 * A + B : 0) + (t.wanted || t.trained ? B : 0);
    }

    static constexpr void set_gradients(auto& w, bool wanted, bool fresh) {
        if (!wanted) w.dA = w.dB = {};
        w.dA.fresh = w.dB.fresh = fresh;
    }

    static void forward(auto const& here, auto y, auto x) {
        auto const& [W, b, A, B, dA, dB, s] = here.w;
        if (!A) {
            y = x * t(W);
        } else {
            auto space = here.space;
            auto h = space.take(x.rows, A.rows);

            h = x * t(A);
            y = x * t(W) + s * h * t(B);
        }
        if (b) add_bias(y, b);
    }

    static void pull(auto const& here, auto dy, auto x, auto dx) {
        auto const& [W, b, A, B, dA, dB, s] = here.w;
        if (!A) {
            if (dx) dx += dy * W;
            return;
        }
        auto space = here.space;
        auto h = space.take(dy.rows, A.rows);
        auto dh = space.take(dy.rows, A.rows);

        dh = s * dy * B;
        if (dA) {
            h = x * t(A);
            dB += s * t(dy) * h;
            dA += t(dh) * x;
        }
        if (dx) dx += dy * W + dh * A;
    }
};

}  // namespace graft
