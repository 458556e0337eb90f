// SPDX-License-Identifier: Apache-2.0
// Sums down columns, rows scaled and added, lengths of stored rows: what DoRA needs.      (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/quant/weight.hpp>

namespace graft {

/// to[j] = Σᵢ a[i, j] (b[i, j] − c[j]); c null: zeros. Each sum is one chain of fma, down the rows.
template <class T>
void column_dots(T* to, matrix<T> a, matrix<T> b, float const* c) {
    constexpr index_t strip = 256;  // columns of a task
    each_task(a.on, (a.columns + strip - 1) / strip, [&](index_t task, index_t) {
        index_t const first = task * strip, count = std::min(strip, a.columns - first);
        constexpr index_t packs = 4, width = native_width<T>;
        for (index_t j0 = first; j0 < first + count; j0 += packs * width) {
            pack<T> sum[packs], from[packs];
            for (index_t p = 0; p < packs; ++p) sum[p] = from[p] = pack<T>(T(0));
            auto const each = [&](auto&& body) __attribute__((always_inline)) {
                for (index_t p = 0; p < packs; ++p) {
                    index_t const j = j0 + p * width, left = first + count - j;
                    if (left >= width) body(p, j, detail::whole_pack<T>{});
                    else if (left > 0) body(p, j, detail::part_pack<T>{left});
                }
            };
            if (c) each([&](index_t p, index_t j, auto access) { from[p] = access.load(c + j); });
            for (index_t i = 0; i < a.rows; ++i) {
                T const *const l = a.row(i), *const r = b.row(i);
                each([&](index_t p, index_t j, auto access) __attribute__((always_inline)) {
                    sum[p] = fma(access.load(l + j), access.load(r + j) - from[p], sum[p]);
                });
            }
            each([&](index_t p, index_t j, auto access) { access.store(to + j, sum[p]); });
        }
    });
}

/// d += diag(k) s, or d = diag(k) s where d is fresh; d may be s.
template <class T>
void add_scaled_rows(matrix<T> d, T const* k, matrix<T> s) {
    each_row(d.on, d.rows, d.columns, [=](index_t i) {
        T* const to = d.row(i);
        T const* const from = s.row(i);
        pack<T> const factor = k[i];
        along<T>(d.columns, [=](index_t j, auto access) {
            auto const p = access.load(from + j) * factor;
            detail::put(access, to + j, p, d.fresh);
        });
    });
}

/// to[i] = Σⱼ w[i, j]², each sum in double.
template <class T>
void row_squares(T* to, weight const& w, workers const* on) {
    each_row(on, w.rows, w.columns, [=](index_t i) {
        constexpr index_t run = 256, sums = 4;
        float numbers[run];
        double sum[sums] = {};
        for (index_t first = 0; first < w.columns; first += run) {
            index_t const count = std::min(run, w.columns - first);
            w.how->decode(w.row(i), first, count, numbers);
            for (index_t j = 0; j < count; ++j) {
                double const x = static_cast<double>(numbers[j]);
                sum[j % sums] += x * x;
            }
        }
        to[i] = static_cast<T>((sum[0] + sum[1]) + (sum[2] + sum[3]));
    });
}

}  // namespace graft
