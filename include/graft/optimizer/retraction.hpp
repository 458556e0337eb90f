// SPDX-License-Identifier: Apache-2.0
// From a point with orthonormal columns along a tangent to another such point, in three ways.  (layer 11: optimizer)
#pragma once

#include <graft/kernel/small_solve.hpp>
#include <graft/kernel/symmetric_eigen.hpp>
#include <graft/kernel/tall.hpp>
#include <graft/optimizer/numbers.hpp>

#include <cmath>
#include <limits>

namespace graft {

/// Steps are at most that long: B + t D of a longer one has nothing left of B in float, and leads nowhere else.
inline constexpr double longest_step = 1e4;

/// to = R_B(t D). B: rows × columns, row after row, orthonormal columns; D tangent at B (Bᵀ D + Dᵀ B = 0). `to` may be
/// B or D. A direction that is not finite leaves the point where it is.
///
/// Sums of rows, factors and solutions are computed in double, and each number of `to` is rounded to T once. What the
/// last step's rounding left of Bᵀ B − I is measured and taken out by the next step, so that it never adds up.
template <class R>
concept Retraction = requires(R const r, float* to, float const* from, std::byte* scratch, index_t n) {
    r.retract(to, from, from, 1.0, n, n, scratch);
    { R::scratch_bytes(n) } -> std::convertible_to<index_t>;
};

namespace detail {

/// t and ‖t D‖, the latter at most `longest_step`; both 0 where it is not finite.
struct bounded_step {
    double t = 0, length = 0;
};
template <class T>
bounded_step bounded(T const* d, index_t count, double t) {
    double const length = std::sqrt(squares(d, count)) * std::abs(t);
    if (!(length < std::numeric_limits<double>::infinity())) return {};
    return length > longest_step ? bounded_step{t * (longest_step / length), longest_step} : bounded_step{t, length};
}
/// to = from + t d; without d where t is 0, as it need not be finite then.
template <class T>
void step_to(T* to, T const* from, T const* d, double t, index_t count) {
    by_packs<T>(count, [&](index_t i, index_t n) __attribute__((always_inline)) {
        pack<T> const x = take(from + i, n);
        put(to + i, n, t == 0 ? x : fma(pack<T>(static_cast<T>(t)), take(d + i, n), x));
    });
}
/// to = to c^(-1/2) or to R⁻¹ of c = toᵀ to, as `root` computes it from c to m.
template <class T, class Root>
void make_orthonormal(T* to, index_t rows, index_t columns, int times, std::byte* scratch, Root root) {
    index_t const bytes = 2 * small_square::bytes(columns) + small_square::stride_of(columns) * bytes_of<double>(1);
    arena space({scratch, static_cast<std::size_t>(bytes)});
    small_square const c = small_square::taken(space, columns), m = small_square::taken(space, columns);
    std::byte* const panels = scratch + bytes;
    auto* const values = reinterpret_cast<double*>(scratch + space.taken());
    for (; times > 0; --times) {
        gram(c, tall<T const>(to, rows, columns), panels);
        if (!root(m, c, values)) return;
        tall_sum(tall(to, rows, columns), 0, panels, tall_term<T>{tall<T const>(to, rows, columns), m});
    }
}
constexpr index_t orthonormal_bytes(index_t columns) {
    return 2 * small_square::bytes(columns) + small_square::stride_of(columns) * bytes_of<double>(1) +
           tall_scratch(columns);
}

}  // namespace detail

/// qf(B + t D): the Q of Y = Q R, R with a positive diagonal. Yᵀ Y = I + t² Dᵀ D has no eigenvalue below 1, so
/// R = chol(Yᵀ Y) and Y R⁻¹ lose nothing; a long step is done twice (CholeskyQR2).
///
/// cost     3 rows columns² / 2 multiply-adds, a third columns³
/// source   Fukaya and others, CholeskyQR2 (2014); qf: Absil, Mahony, Sepulchre, Optimization algorithms on matrix
///          manifolds (2008), example 4.1.3
struct cholesky_qr {
    static constexpr index_t scratch_bytes(index_t columns) { return detail::orthonormal_bytes(columns); }

    template <class T>
    void retract(T* to, T const* from, T const* d, double t, index_t rows, index_t columns, std::byte* scratch) const {
        auto const step = detail::bounded(d, rows * columns, t);
        detail::step_to(to, from, d, step.t, rows * columns);
        auto const root = [](small_square m, small_square c, double*) {
            bool const sound = cholesky(c);
            if (sound) upper_inverse(m, c);
            return sound;
        };
        detail::make_orthonormal(to, rows, columns, step.length > 30 ? 2 : 1, scratch, root);
    }
};
static_assert(Retraction<cholesky_qr>);

/// Y (Yᵀ Y)^(-1/2) of Y = B + t D: the nearest point of the manifold, by the eigenvalues of Yᵀ Y.
///
/// cost     3 rows columns² / 2 multiply-adds, about 20 columns³
/// source   Absil, Mahony, Sepulchre (2008), example 4.1.3
struct polar {
    static constexpr index_t scratch_bytes(index_t columns) { return detail::orthonormal_bytes(columns); }

    template <class T>
    void retract(T* to, T const* from, T const* d, double t, index_t rows, index_t columns, std::byte* scratch) const {
        auto const step = detail::bounded(d, rows * columns, t);
        detail::step_to(to, from, d, step.t, rows * columns);
        auto const root = [](small_square m, small_square c, double* values) {
            inverse_root(m, c, values, 1e-14);
            return true;
        };
        detail::make_orthonormal(to, rows, columns, step.length > 30 ? 2 : 1, scratch, root);
    }
};
static_assert(Retraction<polar>);

/// (I − t/2 W)⁻¹ (I + t/2 W) B with the skew W = P Bᵀ − B Pᵀ, P = (I − B Bᵀ/2) D, so that W B = D.
///
/// W = U Vᵀ with U = [P B], V = [B −P]: B + t U (I − t/2 Vᵀ U)⁻¹ Vᵀ B solves for 2 columns unknowns, not for rows. P
/// is a sum of D and B and never formed: all that is summed over rows is Bᵀ B, Bᵀ D and Dᵀ D, and the result is
/// B M + D N. A factor 3/2 I − Bᵀ B / 2 in M and N takes the last rounding out.
///
/// cost     4 rows columns² multiply-adds, about 10 columns³
/// source   Wen and Yin, A feasible method for optimization with orthogonality constraints (2013), lemma 4
struct cayley {
    static constexpr index_t scratch_bytes(index_t columns) {
        return 6 * small_square::bytes(columns) + small_square::bytes(2 * columns) + wide_bytes(columns) +
               tall_scratch(columns);
    }

    template <class T>
    void retract(T* to, T const* from, T const* d, double t, index_t rows, index_t columns, std::byte* scratch) const {
        index_t const r = columns, bytes = scratch_bytes(r) - tall_scratch(r);
        arena space({scratch, static_cast<std::size_t>(bytes)});
        std::byte* const panels = scratch + bytes;
        small_square const c = small_square::taken(space, r), s = small_square::taken(space, r),
                           dd = small_square::taken(space, r);
        small_square const q = small_square::taken(space, r), m = small_square::taken(space, r),
                           n = small_square::taken(space, r);
        small_square const k = small_square::taken(space, 2 * r);
        auto* const z = space.take_numbers<double>(2 * r * c.stride());
        auto const b = tall<T const>(from, rows, r), along = tall<T const>(d, rows, r);
        t = detail::bounded(d, rows * r, t).t;
        if (t == 0) return detail::step_to(to, from, d, 0, rows * r);
        gram(c, b, panels), gram(s, b, along, panels), gram(dd, along, panels);

        // With c = Bᵀ B, s = Bᵀ D: Bᵀ P = s − c s / 2 = q, and Pᵀ P = dd − sᵀ s + sᵀ c s / 4, written to dd.
        small_square_product(m, c, s);                                                // c s
        small_square_product(n, s, m, true);                                          // sᵀ c s
        small_square_product(q, s, s, true);                                          // sᵀ s
        each(r, [&](index_t i, index_t j) { dd(i, j) += n(i, j) / 4 - q(i, j); });
        each(r, [&](index_t i, index_t j) { q(i, j) = s(i, j) - m(i, j) / 2; });

        // k = I − t/2 Vᵀ U = I − t/2 [q c; −Pᵀ P  −qᵀ], with the unknowns of B's half multiplied by g = 1 / ‖P‖,
        // so that both off-diagonal blocks weigh alike.
        double const size = norm(dd), g = size > 0 ? 1 / size : 1, h = t / 2;
        each(r, [&](index_t i, index_t j) {
            double const one = i == j;
            k(i, j) = one - h * q(i, j), k(i, r + j) = -h * c(i, j) / g;
            k(r + i, j) = h * g * dd(i, j), k(r + i, r + j) = one + h * q(j, i);
        });
        std::fill_n(z, 2 * r * c.stride(), 0.0);
        each(r, [&](index_t i, index_t j) {
            z[i * c.stride() + j] = c(i, j), z[(r + i) * c.stride() + j] = -g * q(j, i);
        });
        if (!solve(k, z, c.stride())) return detail::step_to(to, from, d, 0, rows * r);

        // to = B + t (P z₁ + B z₂) = B (I + t z₂ − t/2 s z₁) + D (t z₁)
        small_square const z1{z, r}, z2{z + r * c.stride(), r};
        small_square_product(dd, s, z1);
        each(r, [&](index_t i, index_t j) {
            q(i, j) = (i == j) + t * z2(i, j) / g - t / 2 * dd(i, j), s(i, j) = t * z1(i, j);
            c(i, j) = 1.5 * (i == j) - 0.5 * c(i, j);
        });
        small_square_product(m, q, c), small_square_product(n, s, c);
        tall_sum(tall(to, rows, r), 0, panels, tall_term<T>{b, m}, tall_term<T>{along, n});
    }

private:
    static constexpr index_t wide_bytes(index_t columns) {
        return round_up(2 * columns * small_square::stride_of(columns) * detail::bytes_of<double>(1), buffer_alignment);
    }
    template <class F>
    static void each(index_t order, F f) {
        for (index_t i = 0; i < order; ++i)
            for (index_t j = 0; j < order; ++j) f(i, j);
    }
    /// √ of the trace of Pᵀ P.
    static double norm(small_square pp) {
        double sum = 0;
        for (index_t i = 0; i < pp.order; ++i) sum += pp(i, i);
        return std::sqrt(std::max(sum, 0.0));
    }
};
static_assert(Retraction<cayley>);

}  // namespace graft
