// SPDX-License-Identifier: Apache-2.0
// Loops over rows in packs: what every row kernel is built on.                            (layer 6: kernel)
#pragma once

#include <graft/simd/pack.hpp>
#include <graft/tensor/matrix.hpp>

#include <algorithm>
#include <span>

namespace graft {

/// body(i, lane) for 0 ≤ i < tasks on the workers of a view; without workers in order, as lane 0.
template <class Body>
void each_task(workers const* on, index_t tasks, Body&& body) {
    if (on)
        on->each(tasks, body);
    else
        for (index_t i = 0; i < tasks; ++i) body(i, index_t{0});
}

/// body(i) for 0 ≤ i < rows. A task takes the rows that make up about 16384 numbers, so that handing it out costs
/// little.
template <class Body>
void each_row(workers const* on, index_t rows, index_t columns, Body&& body) {
    index_t const step = std::max(index_t{1}, 16384 / std::max(columns, index_t{1}));
    each_task(on, (rows + step - 1) / step, [&](index_t task, index_t) {
        for (index_t i = task * step; i < std::min(rows, (task + 1) * step); ++i) body(i);
    });
}

namespace detail {

/// n ≤ width numbers of another type as a pack.
template <class T, class Other>
GRAFT_INLINE pack<T> load_converted(Other const* from, index_t n) {
    T numbers[native_width<T>] = {};
    for (index_t l = 0; l < n; ++l) numbers[l] = static_cast<T>(from[l]);
    return pack<T>::load(numbers);
}

/// How a pack meets memory: all of its numbers, or the first `count`.
template <class T>
struct whole_pack {
    GRAFT_INLINE pack<T> load(T const* from) const { return pack<T>::load(from); }
    template <class Other>
    GRAFT_INLINE pack<T> load(Other const* from) const {
        return load_converted<T>(from, native_width<T>);
    }
    GRAFT_INLINE void store(T* to, pack<T> p) const { p.store(to); }
    GRAFT_INLINE pack<T> kept(pack<T> p) const { return p; }
};
template <class T>
struct part_pack {
    index_t count;
    GRAFT_INLINE pack<T> load(T const* from) const { return pack<T>::load_some(from, count); }
    template <class Other>
    GRAFT_INLINE pack<T> load(Other const* from) const {
        return load_converted<T>(from, count);
    }
    GRAFT_INLINE void store(T* to, pack<T> p) const { p.store_some(to, count); }
    /// p with zeros beyond the tail.
    GRAFT_INLINE pack<T> kept(pack<T> p) const {
        T numbers[native_width<T>];
        p.store(numbers);
        return load(numbers);
    }
};

/// to = p where nothing was added yet, else to += p.
template <class T, class Access>
GRAFT_INLINE void put(Access access, T* to, pack<T> p, bool fresh) {
    access.store(to, fresh ? p : access.load(to) + p);
}

}  // namespace detail

/// body(j, access) for the packs that cover columns 0 … n - 1; access.load and access.store know the tail.
template <class T, class Body>
GRAFT_INLINE void along(index_t n, Body&& body) {
    constexpr index_t width = native_width<T>;
    index_t j = 0;
    for (; j + width <= n; j += width) body(j, detail::whole_pack<T>{});
    if (j < n) body(j, detail::part_pack<T>{n - j});
}

/// Σ over 0 ≤ j < n of what next(s, j, access) adds to the running sum s (zero where the tail has no number). 32
/// interleaved partial sums, whatever the width of a pack: the result is the same on every target that has fma.
template <class T, class Next>
GRAFT_INLINE T row_sum(index_t n, Next&& next) {
    constexpr index_t width = native_width<T>, sums = 32, packs = sums / width;
    pack<T> s[packs];
#pragma GCC unroll 8
    for (index_t p = 0; p < packs; ++p) s[p] = pack<T>(T(0));
    index_t j = 0;
    for (; j + sums <= n; j += sums) {
#pragma GCC unroll 8
        for (index_t p = 0; p < packs; ++p) s[p] = next(s[p], j + p * width, detail::whole_pack<T>{});
    }
    for (index_t p = 0; j < n; ++p, j += width)
        s[p] = j + width <= n ? next(s[p], j, detail::whole_pack<T>{}) : next(s[p], j, detail::part_pack<T>{n - j});
#pragma GCC unroll 8
    for (index_t half = packs / 2; half > 0; half /= 2)
        for (index_t p = 0; p < half; ++p) s[p] = s[p] + s[p + half];
    return reduce_add(s[0]);
}

/// Σ a[j] b[j].
template <class T>
GRAFT_INLINE T row_dot(T const* a, T const* b, index_t n) {
    return row_sum<T>(
        n, [=](pack<T> s, index_t j, auto access) { return fma(access.load(a + j), access.load(b + j), s); });
}

/// The rows of `from` whose numbers are in `list`, one after the other. An ascending list may compact a view in place.
template <class T>
void gather_rows(matrix<T> to, matrix<T> from, std::span<index_t const> list) {
    for (index_t k = 0; k < static_cast<index_t>(list.size()); ++k)
        if (T const* const source = from.row(list[static_cast<std::size_t>(k)]); source != to.row(k))
            std::copy_n(source, from.columns, to.row(k));
}

/// The way back, in place: the first list.size() rows move to the rows in the ascending `list`, all others become zero.
template <class T>
void spread_rows(matrix<T> m, std::span<index_t const> list) {
    index_t k = static_cast<index_t>(list.size()) - 1;
    for (index_t i = m.rows - 1; i >= 0; --i) {
        if (k < 0 || list[static_cast<std::size_t>(k)] != i) {
            std::fill_n(m.row(i), m.columns, T(0));
        } else {
            if (k != i) std::copy_n(m.row(k), m.columns, m.row(i));
            --k;
        }
    }
}

}  // namespace graft
