// SPDX-License-Identifier: Apache-2.0
// Rotary positions: pairs of columns turn by an angle that grows with the position.       (layer 6: kernel)
#pragma once

#include <graft/base/rope_pairing.hpp>
#include <graft/kernel/rows.hpp>
#include <graft/simd/blocking.hpp>
#include <graft/simd/math.hpp>

#include <span>

namespace graft {

namespace detail {

/// A turn by an angle.
struct turn {
    double cosine = 1, sine = 0;
    turn operator*(turn const& b) const {
        return {cosine * b.cosine - sine * b.sine, cosine * b.sine + sine * b.cosine};
    }
    /// Of small angles: the series of both.
    static turn by(double angle) {
        turn t;
        double term = 1;
        for (int k = 1; k < 40; ++k) {
            term *= angle / k;
            (k % 2 != 0 ? t.sine : t.cosine) += k / 2 % 2 != 0 ? -term : term;
        }
        return t;
    }
    /// n turns by this angle, by squaring.
    turn times(index_t n) const {
        turn all, power = *this;
        for (; n > 0; n /= 2, power = power * power)
            if (n % 2 != 0) all = all * power;
        return all;
    }
};

}  // namespace detail

/// cosines and sines (rows × head/2) of position · base^(-2i/head) / divisor_i, computed in double and rounded once.
/// One position per row; no divisors: all are 1.
template <class T>
void rope_table(matrix<T> cosines, matrix<T> sines, std::span<index_t const> positions, double base,
                std::span<float const> divisors = {}) {
    index_t const half = cosines.columns;
    double const slope = log(base) / static_cast<double>(half);
    for (index_t i = 0; i < half; ++i) {
        double const divisor = divisors.empty() ? 1.0 : static_cast<double>(divisors[static_cast<std::size_t>(i)]);
        double const frequency = exp(-static_cast<double>(i) * slope) / divisor;
        if constexpr (blocking::small && sizeof(T) == 4) {  // exact beyond a float, without functions of any angle
            auto const one = detail::turn::by(frequency);
            for (index_t row = 0; row < cosines.rows; ++row) {
                auto const t = one.times(positions[static_cast<std::size_t>(row)]);
                cosines(row, i) = static_cast<T>(t.cosine), sines(row, i) = static_cast<T>(t.sine);
            }
            continue;
        }
        for (index_t row = 0; row < cosines.rows; ++row) {
            double const angle = static_cast<double>(positions[static_cast<std::size_t>(row)]) * frequency;
            cosines(row, i) = static_cast<T>(cos(angle));
            sines(row, i) = static_cast<T>(sin(angle));
        }
    }
}

namespace detail {

/// Both columns of every pair are read before either is written, so `to` may be `from`. Sign -1 turns back.
template <class T, class Table>
void turn_rows(matrix<T> to, matrix<T> from, matrix<Table> cosines, matrix<Table> sines, index_t head,
               rope_pairing pairing, T sign, bool assign) {
    index_t const half = head / 2;
    each_row(to.on, to.rows, to.columns, [=](index_t i) {
        T const *const co = cosines.row(i), *const si = sines.row(i);
        for (index_t first = 0; first + head <= to.columns; first += head) {
            T const* const x = from.row(i) + first;
            T* const y = to.row(i) + first;
            if (pairing == rope_pairing::half_split) {
                along<T>(half, [=](index_t j, auto access) {
                    pack<T> const a = access.load(x + j), b = access.load(x + half + j);
                    pack<T> const c = access.load(co + j), s = access.load(si + j) * pack<T>(sign);
                    put(access, y + j, fma(a, c, -(b * s)), assign);
                    put(access, y + half + j, fma(b, c, a * s), assign);
                });
            } else {
                for (index_t j = 0; j < half; ++j) {
                    T const a = x[2 * j], b = x[2 * j + 1], c = co[j], s = si[j] * sign;
                    T const left = fma(a, c, -(b * s)), right = fma(b, c, a * s);
                    y[2 * j] = assign ? left : y[2 * j] + left;
                    y[2 * j + 1] = assign ? right : y[2 * j + 1] + right;
                }
            }
        }
    });
}

}  // namespace detail

/// y: each pair (a, b) of each head of x becomes (a c - b s, b c + a s). y may be x.
/// The tables have a row for each row of x; their numbers may be const.
template <class T, class Table>
void rope(matrix<T> y, matrix<T> x, matrix<Table> cosines, matrix<Table> sines, index_t head, rope_pairing pairing) {
    detail::turn_rows(y, x, cosines, sines, head, pairing, T(1), true);
}

/// dx += dy turned back: the transpose of a rotation is the rotation by -angle. A fresh dx may be dy's buffer.
template <class T, class Table>
void rope_pull(matrix<T> dx, matrix<T> dy, matrix<Table> cosines, matrix<Table> sines, index_t head,
               rope_pairing pairing) {
    detail::turn_rows(dx, dy, cosines, sines, head, pairing, T(-1), dx.fresh);
}

}  // namespace graft
