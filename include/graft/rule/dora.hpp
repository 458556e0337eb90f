// SPDX-License-Identifier: Apache-2.0
// A frozen linear map whose rows' lengths and directions are trained apart.              (layer 8: rule)
#pragma once

#include <graft/kernel/columns.hpp>
#include <graft/rule/lora.hpp>

#include <cmath>

namespace graft {

/// y = k ∘ (x Wᵀ + s (x Aᵀ) Bᵀ) + b,  k = m / n,  n the lengths of the rows of V = W + s B A.
///
/// k scales rows of W and B while products pack them, so nothing of y's size is added. It stands between two updates:
/// `refresh_norms` finds it. In sizes with `adapter_norm::none` this is rule<lora_map>. Dropout and the offset are
/// LoRA's: only what A reads is dropped out, and with an offset W − s B₀ A₀ stands for W, in n too.
///
/// shapes   as LoRA's; m, dm: Out × 1    k, n: Out
/// keeps    y, from which dm comes: Σ dy (y − b) / m. Where m is 0 that says nothing, and dm is 0.
/// source   DoRA, arXiv 2402.09353, eq. 5; its section 4.3 leaves the gradient of n out: `detached`.
template <>
struct rule<dora_map> : rule<lora_map> {
    template <class T>
    struct weights : rule<lora_map>::weights<T> {
        matrix<T> m{}, dm{};
        T* k = nullptr;        // Out: m / n
        T* squares = nullptr;  // Out: the squares of the lengths of W's rows
    };
    static constexpr reads pull_reads(transformer_sizes const& n) { return {.operands = 0b1, .value = norms(n)}; }

    template <class T>
    static constexpr index_t scratch(auto const& n, call c) {
        auto const numbers = [](index_t rows, index_t columns) { return workspace<T>::numbers(rows, columns); };
        index_t const lora = rule<lora_map>::scratch<T>(n, c);
        if (!norms(n) || !c.pull || c.rank == 0) return lora;
        bool const attached = n.norm == adapter_norm::attached;
        return lora + numbers(c.out, 1) + numbers(c.out, c.rank) +
               (attached ? numbers(c.out, 1) + numbers(c.rank, c.out) + 2 * numbers(c.rank, c.rank) : 0);
    }

    /// Finding n belongs to an update, not to a call.
    static constexpr double work(auto const& n, task t) {
        bool const attached = n.norm == adapter_norm::attached && t.pull && t.trained;
        return rule<lora_map>::work(n, t) + (attached ? 2 * static_cast<double>(t.in * t.out * t.rank) : 0);
    }

    static constexpr void set_gradients(auto& w, bool wanted, bool fresh) {
        rule<lora_map>::set_gradients(w, wanted, fresh);
        if (!wanted) w.dm = {};
        w.dm.fresh = fresh;
    }

    static void forward(auto const& here, auto y, auto x) {
        auto const& w = here.w;
        if (!w.A || !norms(here.n)) return rule<lora_map>::forward(here, y, x);
        auto const k = diagonal(as_const(w.k));
        auto space = here.space;
        auto h = space.take(x.rows, w.A.rows);

        put_h(here, space, h, x);
        y = x * t(k * w.W) + w.s * h * t(k * w.B);
        if (w.A0) {
            h = x * t(w.A0);
            y += -w.s * h * t(k * w.B0);
        }
        rule<frozen_map>::put_bias(here, y);
    }

    static void pull(auto const& here, auto dy, auto x, auto dx) {
        auto const& w = here.w;
        if (!w.A || !norms(here.n)) return rule<lora_map>::pull(here, dy, x, dx);
        auto const k = diagonal(as_const(w.k));
        auto space = here.space;
        auto h = space.take(dy.rows, w.A.rows);
        auto dh = space.take(dy.rows, w.A.rows);

        dh = w.s * dy * (k * w.B);
        if (w.dA) pull_weights(here, space, dy, x, h, dh);
        if (dx) {
            dx += dy * (k * w.W);
            put_dx(here, space, dh, dx.as_fresh(false));
            if (w.A0) {
                h = -w.s * dy * (k * w.B0);
                dx.as_fresh(false) += h * w.A0;
            }
        }
    }

private:
    static constexpr bool norms(auto const& n) { return n.norm != adapter_norm::none; }
    template <class T>
    static constexpr T const* as_const(T* p) {
        return p;
    }

    /// With S = Σ dy (y − b) for each output:    dm += S / m    dB += s k ∘ (dyᵀ h)    dA += dhᵀ x̂
    /// Over runs of rows that are cut where sums over rows are cut: tiles add up to the same bits.
    template <class T>
    static void pull_weights(auto const& here, workspace<T> space, matrix<T> dy, matrix<T> x, matrix<T> h,
                             matrix<T> dh) {
        auto const& w = here.w;
        index_t const out = w.B.rows, r = w.B.columns;
        T* const S = space.take(out);
        auto P = space.take(out, r);
        bool const attached = here.n.norm == adapter_norm::attached;
        T* const q = attached ? space.take(out) : nullptr;
        auto dB = w.dB.by(&here.on);
        bool fresh = w.dm.fresh;

        if (attached) std::fill_n(q, out, T(0));
        put_h(here, after_norms(space, attached, out, r), h, x);
        for (index_t first = 0; first < dy.rows; first += depth_block) {
            index_t const rows = std::min(depth_block, dy.rows - first);
            auto const part = dy.slice(first, rows);
            column_dots(S, part, here.value.slice(first, rows), w.b);
            for (index_t o = 0; o < out; ++o) {
                T const m = w.m.data[o], d = m == 0 ? T(0) : S[o] / m;
                if (w.dm) w.dm.data[o] = fresh ? d : w.dm.data[o] + d;
                if (attached) q[o] += d;
            }
            P = w.s * t(part) * h.slice(first, rows);
            add_scaled_rows(dB, as_const(w.k), P);
            dB.fresh = fresh = false;
        }
        put_dA(here, after_norms(space, attached, out, r), dh, x);
        if (attached) pull_norms(here, space, q, P);
    }

    /// The workspace behind what `pull_norms` takes.
    template <class T>
    static workspace<T> after_norms(workspace<T> space, bool attached, index_t out, index_t r) {
        if (attached) space.take(r, out), space.take(r, r), space.take(r, r);
        return space;
    }

    /// n reads A and B too. With q = −S / n² for each output and V = W + s B A:
    ///
    ///     dB += s diag(q) V Aᵀ = s diag(q) (C + s B (A Aᵀ))       C = W Aᵀ
    ///     dA += s (diag(q) B)ᵀ V = s (diag(q) B)ᵀ W + s² (Bᵀ diag(q) B) A
    ///
    /// q comes as S / m and leaves as −S / n² = −(S / m) k² / m.
    template <class T>
    static void pull_norms(auto const& here, workspace<T> space, T* q, matrix<T> qB) {
        auto const& w = here.w;
        index_t const out = w.B.rows, r = w.B.columns;
        auto C = space.take(r, out), AA = space.take(r, r), BB = space.take(r, r);
        auto dA = w.dA.by(&here.on).as_fresh(false), dB = w.dB.by(&here.on).as_fresh(false);
        for (index_t o = 0; o < out; ++o) {
            T const m = w.m.data[o];
            q[o] = m == 0 ? T(0) : -q[o] * w.k[o] * w.k[o] / m;
        }
        add_scaled_rows(qB.as_fresh(), as_const(q), w.B);

        C = w.A * t(w.W);
        dA += w.s * t(qB) * w.W;
        if (w.A0) {
            AA = w.A * t(w.A0), BB = t(qB) * w.B0;
            C += -w.s * AA * t(w.B0);
            dA += -w.s * w.s * BB * w.A0;
        }
        AA = w.A * t(w.A), BB = t(w.B) * qB;
        dA += w.s * w.s * BB * w.A;
        dB += w.s * w.s * qB * AA;
        for (index_t o = 0; o < out; ++o)
            for (index_t j = 0; j < r; ++j) dB(o, j) += w.s * q[o] * C(j, o);
    }
};

/// Numbers of the workspace that `row_squares`, `start_magnitudes` and `refresh_norms` of one map take.
template <class T>
constexpr index_t norm_scratch(index_t /* in */, index_t out, index_t rank) {
    return workspace<T>::numbers(rank, out) + workspace<T>::numbers(rank, rank);
}

namespace detail {

/// found(o, n²) for the rows of W − s B₀ A₀ + s B A, from `squares`, those of W − s B₀ A₀:
/// n² = squares + 2 s C B + s² B (A Aᵀ) Bᵀ of each row, C = (W − s B₀ A₀) Aᵀ. Rounding gives nothing below 0.
template <class T, class Found>
void each_row_square(weight const& W, matrix<T> A, matrix<T> B, T s, matrix<T> A0, matrix<T> B0, T const* squares,
                     workspace<T> space, workers const& on, Found found) {
    index_t const r = A.rows, out = B.rows;
    auto const C = space.take(r, out).by(&on), AA = space.take(r, r).by(&on);
    C = A * t(W);
    if (A0) {
        AA = A * t(A0);
        C += -s * AA * t(B0);
    }
    AA = A * t(A);
    each_row(&on, out, r * r, [&](index_t o) {
        double sum = static_cast<double>(squares[o]);
        for (index_t i = 0; i < r; ++i) {
            double of_a = 2 * static_cast<double>(C(i, o));
            for (index_t j = 0; j < r; ++j)
                of_a += static_cast<double>(s) * static_cast<double>(AA(i, j)) * static_cast<double>(B(o, j));
            sum += static_cast<double>(s) * static_cast<double>(B(o, i)) * of_a;
        }
        found(o, sum > 0 ? sum : sum <= 0 ? 0 : sum);
    });
}

}  // namespace detail

/// Fills w.squares: once, when W (and an offset) is there.
template <class T>
void row_squares(rule<dora_map>::weights<T> const& w, auto const& n, workspace<T> space, workers const& on) {
    if (!w.m || n.norm == adapter_norm::none) return;
    row_squares(w.squares, w.W, &on);
    if (!w.A0) return;
    detail::each_row_square(w.W, w.A0, w.B0, -w.s, matrix<T>{}, matrix<T>{}, w.squares, space, on,
                            [&](index_t o, double square) { w.squares[o] = static_cast<T>(square); });
}

/// k = m / n: after every change of A, B or m. Rows of zeros get k = 0.
template <class T>
void refresh_norms(rule<dora_map>::weights<T> const& w, auto const& n, workspace<T> space, workers const& on) {
    if (!w.m || n.norm == adapter_norm::none) return;
    detail::each_row_square(w.W, w.A, w.B, w.s, w.A0, w.B0, w.squares, space, on, [&](index_t o, double square) {
        w.k[o] = square == 0 ? T(0) : static_cast<T>(static_cast<double>(w.m.data[o]) / std::sqrt(square));
    });
}

/// m = n, k = 1: the map starts as W + s B A is.
template <class T>
void start_magnitudes(rule<dora_map>::weights<T> const& w, auto const& n, workspace<T> space, workers const& on) {
    if (!w.m || n.norm == adapter_norm::none) return;
    detail::each_row_square(w.W, w.A, w.B, w.s, w.A0, w.B0, w.squares, space, on, [&](index_t o, double square) {
        w.m.data[o] = static_cast<T>(std::sqrt(square)), w.k[o] = T(square == 0 ? 0 : 1);
    });
}

}  // namespace graft
