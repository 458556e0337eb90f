// SPDX-License-Identifier: Apache-2.0
// Packing the right factor of a product into panels, decoding a stored weight on the way. (layer 6: kernel)
#pragma once

#include <graft/kernel/scaled_rows.hpp>
#include <graft/kernel/tile.hpp>
#include <graft/quant/turned.hpp>
#include <graft/simd/blocking.hpp>
#include <graft/simd/transpose.hpp>

#include <algorithm>

namespace graft {

/// The longest depth that is packed at a time. Part of the definition of a product's result: see `depth_of`.
inline constexpr index_t longest_depth = blocking::depth;

namespace detail {

/// Width of a panel with `left` columns to come: whole units, as many as they need.
template <class T>
GRAFT_INLINE index_t panel_width(index_t left) {
    return std::min(round_up(left, product_tiling<T>::unit), product_tiling<T>::panel);
}

/// One row of numbers, `count` of them, to step k of the panels of a group. Columns beyond the last are 0. Scaled:
/// times `factor`.
template <bool Scaled, class T>
GRAFT_INLINE void spread_row(T const* row, index_t count, T* panels, index_t k, index_t depth, T factor) {
    using P = pack<T>;
    constexpr index_t W = P::width, panel = product_tiling<T>::panel;
    for (index_t n = 0; n < count; n += panel, panels += panel * depth) {
        index_t const left = count - n, width = panel_width<T>(left);
        T* const to = panels + k * width;
        if constexpr (W == 1 && panel == 4 && !Scaled) {  // in general registers, four numbers at a time
            if (width == panel) {
                T const a = row[n], b = row[n + 1], c = row[n + 2], d = row[n + 3];
                to[0] = a, to[1] = b, to[2] = c, to[3] = d;
                continue;
            }
        }
        for (index_t v = 0; v < width; v += W) {
            P p = left - v >= W ? P::load(row + n + v) : P::load_some(row + n + v, std::max(left - v, index_t(0)));
            if constexpr (Scaled) p = p * P(factor);
            p.store(to + v);
        }
    }
}

/// Rows of numbers at `from`, `stride` apart, become W columns of a panel of `width`:
/// to[k * width + j] = from[j * stride + k]. Columns from `rows` on are 0. Scaled: column j times factors[j].
template <bool Scaled, class T>
GRAFT_INLINE void turn_rows(T const* from, index_t stride, index_t rows, index_t depth, T* to, index_t width,
                            T const* factors) {
    using P = pack<T>;
    constexpr index_t W = P::width;
    if constexpr (W == 1) {
        constexpr index_t panel = product_tiling<T>::panel;
        T const factor = rows <= 0 ? T(0) : Scaled ? factors[0] : T(1);
        index_t k = 0;
        if (!Scaled && rows > 0 && width == panel)
            for (; k + 4 <= depth; k += 4, from += 4, to += 4 * panel) {
                T const a = from[0], b = from[1], c = from[2], d = from[3];
                to[0] = a, to[panel] = b, to[2 * panel] = c, to[3 * panel] = d;
            }
        for (; k < depth; ++k, to += width) *to = rows > 0 ? *from++ * factor : T(0);
        return;
    }
    vector_t<T, W> r[W];
    for (index_t k = 0; k < depth; k += W) {
        index_t const left = depth - k;
        for (index_t j = 0; j < W; ++j) {
            P p = j >= rows   ? P(T(0))
                  : left >= W ? P::load(from + j * stride + k)
                              : P::load_some(from + j * stride + k, left);
            if constexpr (Scaled) p = p * P(j < rows ? factors[j] : T(0));
            r[j] = std::bit_cast<vector_t<T, W>>(p);
        }
        transpose<T>(r);
        for (index_t i = 0; i < std::min(W, left); ++i) std::bit_cast<P>(r[i]).store(to + (k + i) * width);
    }
}

/// Sixteen columns of a panel, each times its factor.
template <class T>
GRAFT_INLINE void scale_columns(T* panel, index_t depth, index_t width, T const* factors) {
    using P = pack<T>;
    for (index_t v = 0; v < 16; v += P::width) {
        P const f = P::load(factors + v);
        for (index_t k = 0; k < depth; ++k) (P::load(panel + k * width + v) * f).store(panel + k * width + v);
    }
}

}  // namespace detail

/// A matrix, or its transpose, as the right factor: number (k, n) is data[k * stride + n], or data[n * stride + k].
/// Scaled: row i of the matrix counts times factors[i].
template <class T, bool Scaled = false>
struct matrix_source {
    T const* data;
    index_t stride;
    bool transposed;
    T const* factors = nullptr;
    static constexpr bool is_packed = false;
    static constexpr index_t scratch_bytes = 0;
    static constexpr index_t column_unit = 32;  // lanes begin at multiples of it

    void pack_group(index_t k0, index_t depth, index_t n0, index_t count, T* panels, std::byte*) const {
        constexpr index_t W = native_width<T>, panel = product_tiling<T>::panel;
        if (!transposed) {
            for (index_t k = 0; k < depth; ++k) {
                T const* const row = data + (k0 + k) * stride + n0;
                for (index_t n = 0; n < count; n += 64 / index_t(sizeof(T))) __builtin_prefetch(row + 8 * stride + n);
                detail::spread_row<Scaled>(row, count, panels, k, depth, Scaled ? factors[k0 + k] : T(1));
            }
            return;
        }
        for (index_t n = 0; n < count; n += panel, panels += panel * depth) {
            index_t const width = detail::panel_width<T>(count - n);
            for (index_t v = 0; v < width; v += W) {
                index_t const rows = std::clamp(count - n - v, index_t(0), W);
                detail::turn_rows<Scaled>(data + (n0 + n + v) * stride + k0, stride, rows, depth, panels + v, width,
                                          Scaled ? factors + n0 + n + v : nullptr);
            }
        }
    }
};

/// A stored weight, or its transpose, as the right factor. Only runs of rows are ever decoded, into `scratch`.
/// Scaled: row i counts times factors[i].
template <class T, bool Scaled = false>
struct weight_source {
    weight w;
    bool transposed;
    T const* factors = nullptr;
    static constexpr bool is_packed = false;
    static constexpr index_t column_unit = 32;  // whole stored blocks
    static constexpr index_t scratch_bytes =
        static_cast<index_t>(sizeof(float)) * std::max(native_width<T> * longest_depth, product_tiling<T>::group) +
        static_cast<index_t>(sizeof(T)) * (std::is_same_v<T, float> ? 0 : native_width<T> * longest_depth);

    void pack_group(index_t k0, index_t depth, index_t n0, index_t count, T* panels, std::byte* scratch) const {
        constexpr index_t W = native_width<T>, panel = product_tiling<T>::panel;
        auto const decode = w.how->decode;
        auto* const run = reinterpret_cast<float*>(scratch);
        if (!transposed) {
            for (index_t k = 0; k < depth; ++k) {
                decode(w.row(k0 + k), n0, count, run);
                detail::spread_row<Scaled>(as_numbers(run, count), count, panels, k, depth,
                                           Scaled ? factors[k0 + k] : T(1));
            }
            return;
        }
        for (index_t n = 0; n < count; n += panel, panels += panel * depth) {
            index_t const width = detail::panel_width<T>(count - n);
            for (index_t v = 0; v < width;) {
                index_t const rows = std::clamp(count - n - v, index_t(0), W);
                if constexpr (std::is_same_v<T, float> && W > 1 && panel % 16 == 0) {
                    turned_decoder const sixteen = turned(*w.how);
                    if (sixteen && count - n - v >= 16) {
                        sixteen(w.row(n0 + n + v), w.row_bytes, k0, depth, panels + v, width);
                        if constexpr (Scaled) detail::scale_columns(panels + v, depth, width, factors + n0 + n + v);
                        v += 16;
                        continue;
                    }
                }
                for (index_t j = 0; j < rows; ++j) decode(w.row(n0 + n + v + j), k0, depth, run + j * depth);
                detail::turn_rows<Scaled>(as_numbers(run, rows * depth), depth, rows, depth, panels + v, width,
                                          Scaled ? factors + n0 + n + v : nullptr);
                v += W;
            }
        }
    }

private:
    /// Decoded floats as T: themselves, or widened into the second half of the scratch.
    static T const* as_numbers(float const* run, index_t count) {
        if constexpr (std::is_same_v<T, float>) {
            return run;
        } else {
            constexpr index_t floats = std::max(native_width<T> * longest_depth, product_tiling<T>::group);
            auto* const to = reinterpret_cast<T*>(const_cast<float*>(run) + floats);
            for (index_t i = 0; i < count; ++i) to[i] = static_cast<T>(run[i]);
            return to;
        }
    }
};

}  // namespace graft
