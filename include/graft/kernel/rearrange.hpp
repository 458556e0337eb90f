// SPDX-License-Identifier: Apache-2.0
// Numbers that change their place: axes in another order, parts, rows by their numbers.   (layer 6: kernel)
#pragma once

#include <graft/kernel/dropout.hpp>
#include <graft/kernel/rows.hpp>
#include <graft/shape/shape.hpp>
#include <graft/simd/stream.hpp>
#include <graft/simd/transpose.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

// All memory is contiguous and row-major; nothing here may overlap.

namespace graft {

namespace detail {

/// `runs` runs of `length` numbers, each a step behind the one before.
template <class T>
void copy_runs(T* y, index_t y_step, T const* x, index_t x_step, index_t runs, index_t length) {
    if (y_step == length && x_step == length) length *= runs, runs = std::min(runs, index_t{1});
    for (index_t i = 0; i < runs; ++i) {
        T* const to = y + i * y_step;
        T const* const from = x + i * x_step;
        if (length < 16)  // a call costs more
            for (index_t j = 0; j < length; ++j) to[j] = from[j];
        else
            std::memcpy(to, from, static_cast<std::size_t>(length) * sizeof(T));
    }
}

/// y[a y_step + b] = x[b x_step + a] for a < height, b < width, number by number.
template <class T>
void turn_numbers(T* y, index_t y_step, T const* x, index_t x_step, index_t height, index_t width) {
    for (index_t a = 0; a < height; ++a)
        for (index_t b = 0; b < width; ++b) y[a * y_step + b] = x[b * x_step + a];
}

/// A register of numbers, in one load and one store: what the compiler makes of memcpy goes through memory in halves.
template <class T>
GRAFT_INLINE vector_t<T, native_width<T>> load_vector(T const* from) {
    return std::bit_cast<vector_t<T, native_width<T>>>(pack<T>::load(from));
}
template <class T>
GRAFT_INLINE void store_vector(T* to, vector_t<T, native_width<T>> const& v) {
    std::bit_cast<pack<T>>(v).store(to);
}

/// The same for a square of one register's width.
template <bool PastCaches, class T>
GRAFT_INLINE void turn_square(T* y, index_t y_step, T const* x, index_t x_step) {
    constexpr index_t W = native_width<T>;
    vector_t<T, W> r[W];
#pragma GCC unroll 16
    for (index_t i = 0; i < W; ++i) r[i] = load_vector(x + i * x_step);
    transpose<T>(r);
#pragma GCC unroll 16
    for (index_t i = 0; i < W; ++i) {
        if constexpr (PastCaches) store_past_caches(y + i * y_step, r[i]);
        else store_vector(y + i * y_step, r[i]);
    }
}

/// The same for a plane whose rows of y begin with a line and which the caches cannot hold: whole lines of y are
/// written past them, while x is read along a few rows at a time.
template <class T>
void turn_large_plane(T* y, index_t y_step, T const* x, index_t x_step, index_t height, index_t width) {
    constexpr index_t W = native_width<T>, line = line_bytes / static_cast<index_t>(sizeof(T));
    index_t const rows = height / W * W, columns = width / line * line;
    for (index_t b = 0; b < columns; b += line)
        for (index_t a = 0; a < rows; a += W)
            for (index_t c = b; c < b + line; c += W)
                turn_square<true>(y + a * y_step + c, y_step, x + c * x_step + a, x_step);
    finish_past_caches();
    turn_numbers(y + columns, y_step, x + columns * x_step, x_step, rows, width - columns);
    turn_numbers(y + rows * y_step, y_step, x + rows, x_step, height - rows, width);
}

/// The same for any plane, in blocks of a few lines in both directions. The last squares begin where they still fit:
/// some numbers are written twice.
template <class T>
void turn_plane(T* y, index_t y_step, T const* x, index_t x_step, index_t height, index_t width) {
    constexpr index_t W = native_width<T>, block = 64;
    if (W == 1 || height < W || width < W) return turn_numbers(y, y_step, x, x_step, height, width);
    for (index_t i = 0; i < height; i += block)
        for (index_t j = 0; j < width; j += block)
            for (index_t b = j; b < std::min(j + block, width); b += W)
                for (index_t a = i; a < std::min(i + block, height); a += W) {
                    index_t const row = std::min(a, height - W), column = std::min(b, width - W);
                    turn_square<false>(y + row * y_step + column, y_step, x + column * x_step + row, x_step);
                }
}

/// The axes of a permuted tensor that matter: axes of size 1 are gone, axes that stay neighbours are one.
struct merged_axes {
    index_t rank = 0, size[most_axes]{}, from[most_axes]{}, to[most_axes]{};  // outermost first; steps in x and in y

    merged_axes(sizes_t const& x, index_t const* order) {
        index_t step[most_axes + 1];
        step[x.rank] = 1;
        for (index_t k = x.rank; k-- > 0;) step[k] = step[k + 1] * x[k];
        for (index_t k = 0; k < x.rank; ++k) {
            index_t const n = x[order[k]], s = step[order[k] + 1];
            if (n == 1) continue;
            if (rank > 0 && from[rank - 1] == n * s) size[rank - 1] *= n, from[rank - 1] = s;
            else size[rank] = n, from[rank] = s, ++rank;
        }
        index_t behind = 1;
        for (index_t k = rank; k-- > 0;) to[k] = behind, behind *= size[k];
    }
    void drop(index_t k) {
        --rank;
        for (; k < rank; ++k) size[k] = size[k + 1], from[k] = from[k + 1], to[k] = to[k + 1];
    }
    /// body(place in y, place in x) for each position of the axes.
    template <class Body>
    void each(Body&& body) const {
        index_t at[most_axes] = {}, y = 0, x = 0;
        for (;;) {
            body(y, x);
            index_t k = rank - 1;
            for (; k >= 0; --k) {
                y += to[k], x += from[k];
                if (++at[k] < size[k]) break;
                y -= size[k] * to[k], x -= size[k] * from[k], at[k] = 0;
            }
            if (k < 0) return;
        }
    }
};

/// The sizes before, of and behind an axis.
struct around_axis {
    index_t before = 1, behind = 1;

    around_axis(sizes_t const& sizes, index_t axis) {
        for (index_t k = 0; k < axis; ++k) before *= sizes[k];
        for (index_t k = axis + 1; k < sizes.rank; ++k) behind *= sizes[k];
    }
};

GRAFT_INLINE index_t checked_row(std::int32_t id, index_t rows, char const* what = "rows: index") {
    require(id >= 0 && id < rows, fault::bounds, what, id, rows);
    return id;
}

}  // namespace detail

/// Axis k of y is axis order[k] of x.
template <class T>
void permute(T* y, T const* x, sizes_t const& x_sizes, index_t const* order) {
    if (count(x_sizes) == 0) return;
    detail::merged_axes axes(x_sizes, order);
    if (axes.rank == 0) return void(*y = *x);
    index_t const last = axes.rank - 1, width = axes.size[last], step = axes.from[last];
    axes.drop(last);
    if (step == 1) {  // rows stay together
        if (axes.rank == 0) return detail::copy_runs(y, width, x, width, 1, width);
        index_t const runs = axes.size[last - 1], to = axes.to[last - 1], from = axes.from[last - 1];
        axes.drop(last - 1);
        return axes.each([=](index_t i, index_t j) { detail::copy_runs(y + i, to, x + j, from, runs, width); });
    }
    index_t down = 0;  // the axis along which x is contiguous
    while (axes.from[down] != 1) ++down;
    index_t const height = axes.size[down], to = axes.to[down];
    axes.drop(down);
    constexpr index_t large = (1 << 20) / sizeof(T), line = line_bytes / static_cast<index_t>(sizeof(T));
    bool const lines = native_width<T> > 1 && count(x_sizes) >= large && to % line == 0;
    axes.each([=](index_t i, index_t j) {
        if (lines && reinterpret_cast<std::uintptr_t>(y + i) % line_bytes == 0)
            detail::turn_large_plane(y + i, to, x + j, step, height, width);
        else
            detail::turn_plane(y + i, to, x + j, step, height, width);
    });
}

/// y = x[…, begin : begin + count, …] along `axis`.
template <class T>
void take_part(T* y, T const* x, sizes_t const& x_sizes, index_t axis, index_t begin, index_t count) {
    detail::around_axis const a(x_sizes, axis);
    if (a.before * a.behind == 0) return;
    detail::copy_runs(y, count * a.behind, x + begin * a.behind, x_sizes[axis] * a.behind, a.before, count * a.behind);
}

/// y[…, begin : begin + count, …] = x along `axis`; the rest of y stays.
template <class T>
void put_part(T* y, sizes_t const& y_sizes, T const* x, index_t axis, index_t begin, index_t count) {
    detail::around_axis const a(y_sizes, axis);
    if (a.before * a.behind == 0) return;
    detail::copy_runs(y + begin * a.behind, y_sizes[axis] * a.behind, x, count * a.behind, a.before, count * a.behind);
}

/// y[i] = table[ids[i]], rows of `width` numbers.
///
/// needs    0 ≤ id < rows (fault::bounds)
template <class T>
void gather_rows(T* y, T const* table, index_t rows, index_t width, std::int32_t const* ids, index_t n) {
    for (index_t i = 0; i < n; ++i)
        detail::copy_runs(y + i * width, width, table + detail::checked_row(ids[i], rows) * width, width, 1, width);
}

/// table[ids[i]] += dy[i], in the order of i.
///
/// needs    0 ≤ id < rows (fault::bounds)
template <class T>
void add_rows(T* table, index_t rows, index_t width, T const* dy, std::int32_t const* ids, index_t n) {
    for (index_t i = 0; i < n; ++i) {
        T* const to = table + detail::checked_row(ids[i], rows) * width;
        T const* const from = dy + i * width;
        along<T>(width,
                 [=](index_t j, auto access) { access.store(to + j, access.load(to + j) + access.load(from + j)); });
    }
}

/// y[i] = x[i, ids[i]]; 0 where the id is negative: none.
///
/// needs    id < columns (fault::bounds)
template <class T>
void pick(T* y, T const* x, index_t rows, index_t columns, std::int32_t const* ids) {
    for (index_t i = 0; i < rows; ++i)
        y[i] = ids[i] < 0 ? T(0) : x[i * columns + detail::checked_row(ids[i], columns, "pick: index")];
}

/// The gradient of `pick`: dx = 0 but dx[i, ids[i]] = dy[i] where there is an id.
///
/// needs    id < columns (fault::bounds)
template <class T>
void unpick(T* dx, T const* dy, index_t rows, index_t columns, std::int32_t const* ids) {
    std::fill_n(dx, rows * columns, T(0));
    for (index_t i = 0; i < rows; ++i)
        if (ids[i] >= 0) dx[i * columns + detail::checked_row(ids[i], columns, "pick: index")] = dy[i];
}

}  // namespace graft
