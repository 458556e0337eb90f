// SPDX-License-Identifier: Apache-2.0
// A frozen linear map with a trained low-rank one beside it.                             (layer 8: rule)
#pragma once

#include <graft/kernel/dropout.hpp>
#include <graft/rule/linear.hpp>

#include <cstdint>

namespace graft {

/// y = x Wᵀ + b + s (x Aᵀ) Bᵀ        W, b frozen; A, B trained; h = x Aᵀ has only `rank` columns.
///
/// With an offset, W − s B₀ A₀ stands for W. With dropout, h = (x ∘ mask / (1 − rate)) Aᵀ: what the frozen map reads is
/// whole.
///
/// shapes   x: tokens × In    y: tokens × Out    W: Out × In    A, A₀: rank × In    B, B₀: Out × rank
/// keeps    nothing beyond x: pull computes h again, for rank ÷ Out of the forward's work, and masks from their draw.
/// source   LoRA, arXiv 2106.09685, eq. 3; recomputing h instead of storing it: MeSP, arXiv 2602.13069; the offset:
///          PiSSA, arXiv 2404.02948.
template <>
struct rule<lora_map> : careful {
    template <class T>
    struct weights {
        weight W;
        float const* b = nullptr;
        matrix<T> A, B, dA, dB;  // empty where this map has no adapter
        T s{};
#if GRAFT_EXTRAS
        matrix<T> A0{}, B0{};  // empty: no offset
#else
        static constexpr matrix<T> A0{}, B0{};
#endif
        std::uint32_t place = 0;  // which map of the model this is: each drops out other numbers
    };
    static constexpr work_kind kind = work_kind::adapters;
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{.operands = 0b1};
    static constexpr reads pull_reads_untrained{};  // dx = dy (W + s B A) needs no x
    static constexpr unsigned pull_over = 0b1;      // what is last alone writes dx, and it reads no x

    template <class T>
    static constexpr index_t scratch(auto const& n, call c) {
        return workspace<T>::numbers(c.rows, c.rank) * (c.pull ? 2 : 1) +
               (drops(n) ? workspace<T>::numbers(std::min(c.rows, depth_block), c.in) : 0);
    }

    static constexpr double work(auto const& n, task t) {
        auto const of = [&](index_t a, index_t b) { return static_cast<double>(t.rows) * static_cast<double>(a * b); };
        double const W = of(t.in, t.out), A = of(t.in, t.rank), B = of(t.rank, t.out), offset = offsets(n) ? A + B : 0;
        if (!t.pull) return W + A + B + offset;
        return (t.wanted ? W + A + offset : 0) + (t.trained ? 2 * A + B : 0) + (t.wanted || t.trained ? B : 0);
    }

    static constexpr void set_gradients(auto& w, bool wanted, bool fresh) {
        if (!wanted) w.dA = w.dB = {};
        w.dA.fresh = w.dB.fresh = fresh;
    }

    static void forward(auto const& here, auto y, auto x) {
        auto const& w = here.w;
        if (!w.A) {
            y = x * t(w.W);
        } else {
            auto space = here.space;
            auto h = space.take(x.rows, w.A.rows);

            put_h(here, space, h, x);
            y = x * t(w.W) + w.s * h * t(w.B);
            if (GRAFT_EXTRAS && w.A0) {
                h = x * t(w.A0);
                y += -w.s * h * t(w.B0);
            }
        }
        rule<frozen_map>::put_bias(here, y);
    }

    static void pull(auto const& here, auto dy, auto x, auto dx) {
        auto const& w = here.w;
        if (!w.A) {
            if (dx) dx += dy * w.W;
            return;
        }
        auto space = here.space;
        auto h = space.take(dy.rows, w.A.rows);
        auto dh = space.take(dy.rows, w.A.rows);

        dh = w.s * dy * w.B;
        if (w.dA) {
            put_h(here, space, h, x);
            w.dB.by(&here.on) += w.s * t(dy) * h;
            put_dA(here, space, dh, x);
        }
        if (dx) {
            dx += dy * w.W;
            put_dx(here, space, dh, dx.as_fresh(false));
            if (GRAFT_EXTRAS && w.A0) {
                h = -w.s * dy * w.B0;
                dx.as_fresh(false) += h * w.A0;
            }
        }
    }

protected:
    static constexpr bool drops(auto const& n) {
        if constexpr (!GRAFT_EXTRAS) return false;
        else if constexpr (requires { n.adapter_dropout; }) return n.adapter_dropout;
        else return false;
    }
    static constexpr bool offsets(auto const& n) {
        if constexpr (!GRAFT_EXTRAS) return false;
        else if constexpr (requires { n.adapter_offset; }) return n.adapter_offset;
        else return false;
    }

    /// h = x̂ Aᵀ, where x̂ is what dropout leaves of x.
    static void put_h(auto const& here, auto space, auto h, auto x) {
        if (!GRAFT_EXTRAS || here.around.dropout.rate == 0) h = x * t(here.w.A);
        else
            each_part(here, space, x, [&](auto part, index_t first, dropout_mask const& m) {
                dropout(part, x.slice(first, part.rows), m);
                h.slice(first, part.rows) = part * t(here.w.A);
            });
    }
    /// dA += dhᵀ x̂
    static void put_dA(auto const& here, auto space, auto dh, auto x) {
        auto dA = here.w.dA.by(&here.on);
        if (!GRAFT_EXTRAS || here.around.dropout.rate == 0) dA += t(dh) * x;
        else
            each_part(here, space, x, [&](auto part, index_t first, dropout_mask const& m) {
                dropout(part, x.slice(first, part.rows), m);
                dA += t(dh.slice(first, part.rows)) * part;
                dA.fresh = false;
            });
    }
    /// dx += dh A, where x was left.
    static void put_dx(auto const& here, auto space, auto dh, auto dx) {
        if (!GRAFT_EXTRAS || here.around.dropout.rate == 0) dx += dh * here.w.A;
        else
            each_part(here, space, dx, [&](auto part, index_t first, dropout_mask const& m) {
                part = dh.slice(first, part.rows) * here.w.A;
                dropout_pull(dx.slice(first, part.rows), part, m);
            });
    }

private:
    /// body(memory, first, mask) for runs of rows of x, cut where sums over rows are cut.
    template <class T>
    static void each_part(auto const& here, workspace<T> space, matrix<T> x, auto&& body) {
        dropout_draw const& d = here.around.dropout;
        require(drops(here.n), fault::memory, "lora: dropout in sizes that have no room for it (adapter_dropout)", 0,
                1);
        matrix<T> const memory = space.take(std::min(x.rows, depth_block), x.columns);
        for (index_t first = 0; first < x.rows; first += depth_block) {
            index_t const rows = std::min(depth_block, x.rows - first);
            auto const step = d.draw + (std::uint64_t{here.w.place} << 32);
            body(memory.slice(0, rows), first, dropout_mask{d.rate, d.seed, step, here.first + first});
        }
    }
};

}  // namespace graft
