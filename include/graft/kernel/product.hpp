// SPDX-License-Identifier: Apache-2.0
// c = s a b and c += s a b for matrices, transposes and stored weights.                   (layer 6: kernel)
#pragma once

#include <graft/kernel/packed_factor.hpp>
#include <graft/kernel/panel.hpp>
#include <graft/kernel/product_told.hpp>

// The order of sums. The depth (the index that is summed over) is cut into blocks; within a block each element of c is
// one chain of fma from 0, in order; blocks are added to c in order, each scaled. Blocks depend on the depth alone, so
// results do not depend on lanes, tiles, strides, the number of rows or the target's width.
//   a b     a's columns are cut evenly: ⌈K / 256⌉ blocks, rounded up to 32.
//   t(a) b  a sum over rows (tokens, in gradients of weights) is cut every `depth_block` rows: adding up the products
//           of slices whose lengths are multiples of it gives the bits of one product.

namespace graft {

/// Sums over rows, t(a) * b, are cut every so many rows: 64, of targets without SIMD 32.
inline constexpr index_t depth_block = std::min(index_t{64}, longest_depth);

/// Length of the blocks that a sum over `depth` columns is cut into.
constexpr index_t depth_of(index_t depth) {
    index_t const blocks = (depth + longest_depth - 1) / longest_depth;
    return blocks < 2 ? longest_depth : round_up((depth + blocks - 1) / blocks, 32);
}

/// Bytes that one lane packs into. The plan gives each lane so many; without a plan a third of that lies on the stack.
template <class T>
inline constexpr index_t product_panel_bytes = round_up(
    longest_depth* product_tiling<T>::group* static_cast<index_t>(sizeof(T)) + weight_source<T>::scratch_bytes, 64);

namespace detail {

/// The left factor as steps, and everything else a lane needs to know.
template <class T>
struct product_job {
    matrix<T> c;
    T const* a;
    index_t row_step, depth_step, depth, block;
    T scale;
    bool accumulate;
};

/// How c is cut into tasks: `across` parts of its columns by `down` parts of its rows.
struct product_cut {
    index_t across, down;
};
/// What a task of `height` rows and `width` columns costs, in a unit that only compares: for each step of the depth a
/// tile pays its fused multiply-adds and its overhead, and each register of the panel its packing.
template <class T>
constexpr index_t cost_of(index_t height, index_t width) {
    using S = product_tiling<T>;
    index_t const registers = (width + S::width - 1) / S::width, panels = (registers + S::registers - 1) / S::registers;
    return (height + S::rows - 1) / S::rows * (4 * registers + 2 * panels) + 3 * registers;
}

/// The cut whose longest lane is shortest. Up to four tasks a lane, where the left factor may be read that often: lanes
/// that are disturbed then leave work to the others. Columns are cut at multiples of `unit`. Results do not depend on
/// it.
template <class T>
product_cut cut_for(index_t rows, index_t columns, index_t unit, index_t lanes, bool large) {
    index_t const units = (columns + unit - 1) / unit;
    product_cut best{1, 1};
    index_t best_cost = 0;
    for (index_t down = 1; down <= lanes; down *= 2)
        for (index_t turns = large ? 2 : 4; turns > 0; --turns) {
            index_t const across = std::clamp(lanes * turns / down, index_t(1), units);
            index_t const height = round_up((rows + down - 1) / down, product_tiling<T>::rows);
            index_t const longest =
                (across * down + lanes - 1) / lanes * cost_of<T>(height, (units + across - 1) / across * unit);
            if (best_cost == 0 || longest * 64 < best_cost * 63) best = {across, down}, best_cost = longest;
        }
    return best;
}

/// A part of c: rows [i0, i0 + rows), columns [n0, n0 + count), packed in groups of `group` columns.
struct product_part {
    index_t i0, rows, n0, count, group;
};

/// A sweep that meanwhile brings the panel at `next` near: nothing else would before it is multiplied.
template <class T>
void sweep_fetching(panel_job<T> const& job, index_t rows, T const* a, T* c, T const* next) {
    constexpr index_t height = 2 * product_tiling<T>::rows, line = 64 / static_cast<index_t>(sizeof(T));
    index_t const turns = (rows + height - 1) / height;
    index_t const share = round_up((job.depth * product_tiling<T>::panel + turns - 1) / turns, line);
    for (index_t i = 0; i < rows; i += height, next += share) {
        for (index_t l = 0; l < share; l += line) __builtin_prefetch(next + l, 0, 2);
        sweep(job, std::min(height, rows - i), a + i * job.row_step, c + i * job.c_step);
    }
}

/// Computes a part, block by block of the depth, so that a's block stays near for all groups of the part.
template <class T, class Source>
void compute(product_job<T> const& p, Source const& b, product_part const& part, workers const& on, index_t lane) {
    constexpr index_t panel = product_tiling<T>::panel;
    for (index_t k0 = 0; k0 < p.depth; k0 += p.block) {
        index_t const depth = std::min(p.block, p.depth - k0);
        T const* const a = p.a + part.i0 * p.row_step + k0 * p.depth_step;
        for (index_t g = 0; g < part.count; g += part.group) {
            index_t const count = std::min(part.group, part.count - g);
            T const* panels;
            if constexpr (Source::is_packed) {
                panels = b.group(k0, depth, part.n0 + g);
            } else {
                std::byte* const memory = on.panel(lane);
                auto* const packed = reinterpret_cast<T*>(memory + Source::scratch_bytes);
                on.packing(lane, [&] { b.pack_group(k0, depth, part.n0 + g, count, packed, memory); });
                panels = packed;
            }
            for (index_t n = 0; n < count; n += panel) {
                panel_job<T> const job{depth,        p.row_step,
                                       p.depth_step, panels + n * depth,
                                       p.c.stride,   std::min(count - n, panel),
                                       p.scale,      p.accumulate || k0 > 0};
                T* const c = p.c.row(part.i0) + part.n0 + g + n;
                if constexpr (Source::is_packed)
                    sweep_fetching(job, part.rows, a, c, panels + (n + panel) * depth);
                else
                    sweep(job, part.rows, a, c);
            }
        }
    }
}

/// A left factor of more bytes than this is not read again for every group of columns.
inline constexpr index_t near_bytes = 1 << 20;

/// Cuts c into tasks: columns, and rows too where columns are too few.
template <class T, class Source>
void product_on(workers const& on, product_job<T> const& p, Source const& b) {
    using S = product_tiling<T>;
    index_t const size = static_cast<index_t>(sizeof(T));
    constexpr index_t unit = Source::column_unit;
    index_t const fits = (on.panel_bytes - Source::scratch_bytes) / (longest_depth * size) / 32 * 32;
    index_t const group = Source::is_packed ? p.c.columns : std::min(fits, S::group);
    auto const [across, down] =
        cut_for<T>(p.c.rows, p.c.columns, unit, on.count, p.c.rows * p.depth * size > near_bytes);
    index_t const units = (p.c.columns + unit - 1) / unit;
    index_t const height = round_up((p.c.rows + down - 1) / down, S::rows);
    on.each(across * down, [&, parts = across](index_t i, index_t lane) {
        index_t const i0 = i / parts * height, part = i % parts;
        index_t const n0 = units * part / parts * unit;
        index_t const n1 = std::min(units * (part + 1) / parts * unit, p.c.columns);
        if (i0 < p.c.rows) compute(p, b, {i0, std::min(height, p.c.rows - i0), n0, n1 - n0, group}, on, lane);
    });
}

/// Without a plan: one lane, a narrow group on the stack.
template <class T, class Source>
[[gnu::noinline]] void product_on_stack(product_job<T> const& p, Source const& b) {
    alignas(64) std::byte
        memory[static_cast<std::size_t>(longest_depth * 32 * static_cast<index_t>(sizeof(T)) + Source::scratch_bytes)];
    product_on(workers{1, memory, sizeof memory, nullptr, nullptr}, p, b);
}

template <class T, class Source>
void product_of(product_job<T> const& p, Source const& b) {
    if (p.c.rows == 0 || p.c.columns == 0) return;
    if (p.depth == 0) {
        for (index_t i = 0; i < p.c.rows && !p.accumulate; ++i) std::fill_n(p.c.row(i), p.c.columns, T(0));
        return;
    }
    if (!p.c.on || !p.c.on->panels) return product_on_stack(p, b);
    require(p.c.on->panel_bytes >= product_panel_bytes<T>, fault::memory, "product: bytes of a lane's panel",
            p.c.on->panel_bytes, product_panel_bytes<T>);
    product_on(*p.c.on, p, b);
}

template <class M>
inline constexpr bool is_packed = false;
template <class T>
inline constexpr bool is_packed<packed_factor<T>> = true;
template <class M>
inline constexpr bool is_transposed = false;
template <class M>
inline constexpr bool is_transposed<transposed<M>> = true;
template <class M>
constexpr M const& untransposed(M const& m) {
    return m;
}
template <class M>
constexpr M const& untransposed(transposed<M> const& t) {
    return t.m;
}

/// What packs a right factor.
template <class T>
constexpr auto source_of(matrix<T> const& b, bool turned) {
    return matrix_source<T>{b.data, b.stride, turned};
}
template <class T>
constexpr auto source_of(weight const& b, bool turned) {
    return weight_source<T>{b, turned};
}
template <class T>
constexpr auto source_of(scaled_rows<matrix<T>, T> const& b, bool turned) {
    return matrix_source<T, true>{b.m.data, b.m.stride, turned, b.k};
}
template <class T>
constexpr auto source_of(scaled_rows<weight, T> const& b, bool turned) {
    return weight_source<T, true>{b.m, turned, b.k};
}
template <class T>
constexpr auto source_of(packed_factor<T> const& b, bool) {
    return packed_source<T>{b.data, round_up(b.columns, product_tiling<T>::unit)};
}

}  // namespace detail

/// c = scale · a b, or c += scale · a b. a is a matrix or its transpose; b a matrix, a stored weight, one of these with
/// factors of its rows, or the transpose of one.
/// shapes: c M × N, a M × K, b K × N, any sizes and strides; c overlaps neither factor.
/// needs: fitting shapes (fault::shape); panels of `product_panel_bytes<T>` where c.on has panels (fault::memory).
/// cost: 2 M N K flops; each number of b is packed (decoded) once, or once per lane where c has few columns.
template <class T, Factor A, Factor B>
void multiply(matrix<T> c, A a, B b, T scale, bool accumulate) {
    require(rows(a) == c.rows, fault::shape, "product: rows of the left factor", rows(a), c.rows);
    require(columns(b) == c.columns, fault::shape, "product: columns of the right factor", columns(b), c.columns);
    require(rows(b) == columns(a), fault::shape, "product: rows of the right factor", rows(b), columns(a));
    static_assert(!detail::is_transposed<A> || !detail::is_packed<B>,
                  "t(a) * packed: a packed factor is read in the blocks of a * b, not in those of t(a) * b");
    auto const& left = detail::untransposed(a);
    auto const& right = detail::untransposed(b);
    constexpr bool turned = detail::is_transposed<A>;
    detail::product_job<T> const job{c,
                                     left.data,
                                     turned ? 1 : left.stride,
                                     turned ? left.stride : 1,
                                     columns(a),
                                     turned ? depth_block : depth_of(columns(a)),
                                     scale,
                                     accumulate};
    detail::told(c.on, right, c.rows, c.columns, columns(a),
                 [&] { detail::product_of(job, detail::source_of<T>(right, detail::is_transposed<B>)); });
}

}  // namespace graft
