// SPDX-License-Identifier: Apache-2.0
// The low-rank map as MeSP's authors compare with: h = x Aᵀ stays from the forward to the pull.
#pragma once

#include <graft/rule/lora.hpp>

namespace bench {

using namespace graft;

struct stored_h_map;

/// `lora` in all but its kind: a block of it is `llama<stored_h>`.
template <label N, Axis Out, Axis In, bias Bias = bias::absent>
struct stored_h : linear<N, Out, In, Bias> {
    using kind = stored_h_map;
    static constexpr index_t adapter_rank(auto const& n) { return n.targets & stored_h::bit ? n.rank : 0; }
    template <Expression X>
    consteval auto operator()(X x) const {
        return map<Out, stored_h, In>(stored_h{}, x);
    }
};

}  // namespace bench

/// y = x Wᵀ + b + s (x Aᵀ) Bᵀ        keeps: h = x Aᵀ, tokens × rank
template <>
struct graft::rule<bench::stored_h_map> : rule<lora_map> {
    static constexpr reads pull_reads{.operands = 0b1, .residue = true};
    static constexpr index_t residue(auto const& n) { return n.rank; }

    template <class T>
    static constexpr index_t scratch(auto const&, call c) {
        return c.pull ? workspace<T>::numbers(c.rows, c.rank) : 0;
    }
    static constexpr double work(auto const& n, task t) {
        double const h = static_cast<double>(t.rows) * static_cast<double>(t.in * t.rank);
        return rule<lora_map>::work(n, t) - (t.pull && t.trained ? h : 0);
    }

    static void forward(auto const& here, auto y, auto x) {
        auto const& w = here.w;
        auto h = here.residue;

        h = x * t(w.A);
        y = x * t(w.W) + w.s * h * t(w.B);
        if (w.b) add_bias(y, w.b);
    }
    static void pull(auto const& here, auto dy, auto x, auto dx) {
        auto const& w = here.w;
        auto space = here.space;
        auto dh = space.take(dy.rows, w.A.rows);

        dh = w.s * dy * w.B;
        if (w.dA) {
            w.dB += w.s * t(dy) * here.residue;
            w.dA += t(dh) * x;
        }
        if (dx) dx += dy * w.W + dh * w.A;
    }
};
