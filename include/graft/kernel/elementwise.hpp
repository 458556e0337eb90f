// SPDX-License-Identifier: Apache-2.0
// Element-wise maps and their gradients: add, mul, silu.                                  (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/simd/math.hpp>

// All views have one shape. A gradient is added to its view, or assigned where the view is fresh; a view without data
// is not wanted. Each number is read before the number in its place is written: that is what makes the shared buffers
// right.

namespace graft {

/// d += s.
template <class T>
void add_to(matrix<T> d, matrix<T> s) {
    each_row(d.on, d.rows, d.columns, [=](index_t i) {
        T* const to = d.row(i);
        T const* const from = s.row(i);
        along<T>(d.columns,
                 [=](index_t j, auto access) { detail::put(access, to + j, access.load(from + j), d.fresh); });
    });
}

/// y += b, one number per column; null for none.
template <class T>
void add_bias(matrix<T> y, float const* b) {
    if (b == nullptr) return;
    each_row(y.on, y.rows, y.columns, [=](index_t i) {
        T* const to = y.row(i);
        along<T>(y.columns,
                 [=](index_t j, auto access) { access.store(to + j, access.load(to + j) + access.load(b + j)); });
    });
}

/// y = a + b; y may be a or b.
template <class T>
void add(matrix<T> y, matrix<T> a, matrix<T> b) {
    each_row(y.on, y.rows, y.columns, [=](index_t i) {
        T* const to = y.row(i);
        T const *const l = a.row(i), *const r = b.row(i);
        along<T>(y.columns,
                 [=](index_t j, auto access) { access.store(to + j, access.load(l + j) + access.load(r + j)); });
    });
}

/// da += dy, db += dy. One of the two, fresh, may be dy's buffer.
template <class T>
void add_pull(matrix<T> da, matrix<T> db, matrix<T> dy) {
    auto const give = [=](matrix<T> d) {
        if (d && !(d.fresh && d.data == dy.data)) add_to(d, dy);
    };
    give(da), give(db);
}

/// y = a b, element by element; y may be a or b.
template <class T>
void mul(matrix<T> y, matrix<T> a, matrix<T> b) {
    each_row(y.on, y.rows, y.columns, [=](index_t i) {
        T* const to = y.row(i);
        T const *const l = a.row(i), *const r = b.row(i);
        along<T>(y.columns,
                 [=](index_t j, auto access) { access.store(to + j, access.load(l + j) * access.load(r + j)); });
    });
}

/// da += dy b, db += dy a. Fresh, da may be a's buffer and db b's, or one of the two dy's.
template <class T>
void mul_pull(matrix<T> da, matrix<T> db, matrix<T> dy, matrix<T> a, matrix<T> b) {
    each_row(dy.on, dy.rows, dy.columns, [=](index_t i) {
        T const *const g = dy.row(i), *const l = a.row(i), *const r = b.row(i);
        T *const dl = da ? da.row(i) : nullptr, *const dr = db ? db.row(i) : nullptr;
        along<T>(dy.columns, [=](index_t j, auto access) {
            auto const d = access.load(g + j), left = access.load(l + j), right = access.load(r + j);
            if (dl) detail::put(access, dl + j, d * right, da.fresh);
            if (dr) detail::put(access, dr + j, d * left, db.fresh);
        });
    });
}

/// y = x σ(x); y may be x.
template <class T>
void silu(matrix<T> y, matrix<T> x) {
    each_row(y.on, y.rows, y.columns, [=](index_t i) {
        T* const to = y.row(i);
        T const* const from = x.row(i);
        along<T>(y.columns, [=](index_t j, auto access) {
            auto const a = access.load(from + j);
            access.store(to + j, a * sigmoid(a));
        });
    });
}

/// dx += dy σ (1 + x (1 - σ)). A fresh dx may be the buffer of x or dy.
template <class T>
void silu_pull(matrix<T> dx, matrix<T> dy, matrix<T> x) {
    each_row(dx.on, dx.rows, dx.columns, [=](index_t i) {
        T* const to = dx.row(i);
        T const *const g = dy.row(i), *const from = x.row(i);
        along<T>(dx.columns, [=](index_t j, auto access) {
            pack<T> const a = access.load(from + j), s = sigmoid(a), one = T(1);
            detail::put(access, to + j, access.load(g + j) * s * fma(a, one - s, one), dx.fresh);
        });
    });
}

}  // namespace graft
