// SPDX-License-Identifier: Apache-2.0
// B with orthonormal columns: steps along the Stiefel manifold.                          (layer 11: optimizer)
#pragma once

#include <graft/kernel/gaussian.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/retraction.hpp>

#include <algorithm>

namespace graft {

namespace detail {

/// What steps on the manifold work with: two squares and panels.
struct tangent_space {
    small_square s;
    std::byte* panels;

    static constexpr index_t bytes(index_t columns) { return small_square::bytes(columns) + tall_scratch(columns); }
    static tangent_space in(std::byte* scratch, index_t columns) {
        arena place({scratch, static_cast<std::size_t>(small_square::bytes(columns))});
        small_square const s = small_square::taken(place, columns);
        return {s, scratch + small_square::bytes(columns)};
    }
    /// z − B sym(Bᵀ z), in place: the projection onto the tangents at B (Euclidean metric).
    template <class T>
    void project(T* z, T const* b, index_t rows, index_t columns) const {
        gram(s, tall_matrix<T const>{b, rows, columns, columns, 1}, tall_matrix<T const>{z, rows, columns, columns, 1},
             panels);
        symmetrise(s);
        subtract(z, b, rows, columns);
    }
    /// z − B (zᵀ B): the gradient under the canonical metric.
    template <class T>
    void canonical(T* z, T const* b, index_t rows, index_t columns) const {
        gram(s, tall_matrix<T const>{z, rows, columns, columns, 1}, tall_matrix<T const>{b, rows, columns, columns, 1},
             panels);
        subtract(z, b, rows, columns);
    }

private:
    template <class T>
    void subtract(T* z, T const* b, index_t rows, index_t columns) const {
        for (index_t i = 0; i < columns; ++i)
            for (index_t j = 0; j < columns; ++j) s(i, j) = -s(i, j);
        tall_sum(tall_matrix<T>{z, rows, columns, columns, 1}, 1, panels,
                 tall_term<T>{{b, rows, columns, columns, 1}, s});
    }
};

/// to = scale · gradient; zeros where there is none.
template <class T>
void put_gradient(T* to, update<T> const& u) {
    by_packs<T>(u.of.count(), [&](index_t i, index_t n) { put(to + i, n, gradient(u, i, n)); });
}

}  // namespace detail

/// m ← P_B(μ m + g),  B ← R_B(−η m)          μ = 0 needs no memory
///
/// P_B is linear: projecting the sum carries the last point's momentum to this one and makes the gradient a tangent.
///
/// source   Stiefel-LoRA, arXiv 2508.17901, its steps on B; transport by projection: Absil, Mahony, Sepulchre (2008),
///          section 8.1.3
struct riemannian_sgd {
    double momentum = 0.9;

    template <class T>
    constexpr index_t state_bytes(piece const& p) const {
        return momentum == 0 ? 0 : detail::bytes_of<T>(p.count());
    }
    template <class T>
    static constexpr index_t room(piece const& p) { return detail::bytes_of<T>(p.count()); }

    template <class T, class R>
    void step(update<T> const& u, R const& retraction, detail::tangent_space const& at, T* d,
              std::byte* scratch) const {
        index_t const rows = u.of.rows, columns = u.of.columns;
        T *const b = u.parameters, *const m = momentum == 0 ? d : detail::numbers<T>(u.state);
        pack<T> const mu(static_cast<T>(momentum));
        detail::by_packs<T>(u.of.count(), [&](index_t i, index_t n) __attribute__((always_inline)) {
            auto const g = detail::gradient(u, i, n);
            detail::put(m + i, n, momentum == 0 ? g : fma(mu, detail::take(m + i, n), g));
        });
        at.project(m, b, rows, columns);
        retraction.retract(b, b, m, -u.rate, rows, columns, scratch);
    }
};

/// m ← β₁ m + (1 − β₁) P_B(g),  v ← β₂ v + (1 − β₂) ‖P_B(g)‖² (one number),
/// B ← R_B(−η m̂ / (√v̂ + ε)),  m ← P_B₊(m)
///
/// source   Bécigneul and Ganea, arXiv 1810.00760: one second moment for a matrix keeps the direction tangent
struct riemannian_adam {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;

    /// v, on a line of its own, then m.
    template <class T>
    constexpr index_t state_bytes(piece const& p) const { return buffer_alignment + detail::bytes_of<T>(p.count()); }
    template <class T>
    static constexpr index_t room(piece const& p) { return detail::bytes_of<T>(p.count()); }

    template <class T, class R>
    void step(update<T> const& u, R const& retraction, detail::tangent_space const& at, T* d,
              std::byte* scratch) const {
        index_t const rows = u.of.rows, columns = u.of.columns, count = u.of.count();
        T *const b = u.parameters, *const v = detail::numbers<T>(u.state);
        T* const m = detail::numbers<T>(u.state + buffer_alignment);
        detail::put_gradient(d, u);
        at.project(d, b, rows, columns);
        *v = static_cast<T>(beta2 * static_cast<double>(*v) + (1 - beta2) * squares(d, count));
        pack<T> const b1(static_cast<T>(beta1)), a1(static_cast<T>(1 - beta1));
        detail::by_packs<T>(count, [&](index_t i, index_t n) {
            detail::put(m + i, n, fma(b1, detail::take(m + i, n), a1 * detail::take(d + i, n)));
        });
        detail::adam_step const step(beta1, beta2, u.rate, u.step);
        double const t = step.rate / (std::sqrt(static_cast<double>(*v)) * step.root + epsilon);
        retraction.retract(b, b, m, -t, rows, columns, scratch);
        at.project(m, b, rows, columns);
    }
};

/// AdamW on the canonical gradient g − B gᵀ B as if there were no manifold, without decay; its displacement projected
/// to the tangents at B, and retracted. Its moments are AdamW's, never transported.
///
/// source   StelLA, arXiv 2510.01938
struct projected_adamw {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;

    template <class T>
    constexpr index_t state_bytes(piece const& p) const { return adamw{}.state_bytes<T>(p); }
    template <class T>
    static constexpr index_t room(piece const& p) { return 2 * detail::bytes_of<T>(p.count()); }

    template <class T, class R>
    void step(update<T> const& u, R const& retraction, detail::tangent_space const& at, T* d,
              std::byte* scratch) const {
        index_t const rows = u.of.rows, columns = u.of.columns, count = u.of.count();
        T *const b = u.parameters, *const g = d + count;
        detail::put_gradient(g, u);
        at.canonical(g, b, rows, columns);
        std::fill_n(d, count, T{});  // AdamW moves it from 0 by the displacement
        adamw const plain{beta1, beta2, epsilon, 0};
        plain.apply(update<T>{u.of, d, g, u.state, nullptr, u.rate, 1, u.step});
        at.project(d, b, rows, columns);
        retraction.retract(b, b, d, 1, rows, columns, scratch);
    }
};

/// B of every adapter keeps orthonormal columns, by `Momentum` along `Retraction`; everything else is `Rest`'s.
///
/// Needs rank ≤ out. Weight decay points along the normal of the manifold and does nothing there. A start that changes
/// nothing has A = 0.
///
/// source   Stiefel-LoRA, arXiv 2508.17901
template <Retraction R = cholesky_qr, class Momentum = riemannian_sgd, Optimizer Rest = adamw>
struct stiefel {
    R retraction{};
    Momentum momentum{};
    Rest rest{};

    static constexpr bool constrains(piece const& p) { return p.is == role::lora_b && p.columns <= p.rows; }

    template <class T>
    constexpr index_t state_bytes(piece const& p) const {
        return constrains(p) ? momentum.template state_bytes<T>(p) : rest.template state_bytes<T>(p);
    }
    template <class T>
    bool sound(std::byte const* state, piece const& p) const {
        if (!constrains(p)) return graft::sound<T>(rest, state, p);
        return detail::all_finite<T>(state, momentum.template state_bytes<T>(p));
    }
    /// A direction and room beside it, the tangents' squares, the retraction's.
    template <class T>
    constexpr index_t scratch_bytes(piece const& p) const {
        if (!constrains(p)) return graft::scratch_bytes<T>(rest, p);
        index_t const room = std::max(momentum.template room<T>(p), detail::bytes_of<T>(p.count()));
        return padded(room) + detail::tangent_space::bytes(p.columns) +
               std::max(retraction.scratch_bytes(p.columns), detail::orthonormal_bytes(p.columns));
    }

    template <class T>
    void apply(update<T> const& u) const {
        if (!constrains(u.of)) return rest.apply(u);
        std::byte* const tangents =
            u.scratch + padded(std::max(momentum.template room<T>(u.of), detail::bytes_of<T>(u.of.count())));
        momentum.step(u, retraction, detail::tangent_space::in(tangents, u.of.columns), detail::numbers<T>(u.scratch),
                      tangents + detail::tangent_space::bytes(u.of.columns));
    }

    /// Random orthonormal columns: the Q of a Gaussian matrix.
    template <class T>
    void start(piece const& p, T* b, std::uint64_t seed, std::uint32_t place, std::byte* scratch) const {
        gaussian(b, p.count(), 0, seed, 0x73660000 + place, 0);
        orthonormalise(p, b, scratch);
    }

    /// B A = Q (R A): B becomes Q with orthonormal columns, A (columns of B × a_columns) takes R. Columns of B that
    /// depend on those before them become others that do not, and their rows of R are 0: the product is the same.
    template <class T>
    void settle(piece const& p, T* b, T* a, index_t a_columns, std::byte* scratch) const {
        index_t const rows = p.rows, r = p.columns;
        detail::tangent_space const work = detail::tangent_space::in(scratch, r);
        small_square const& R_ = work.s;
        for (index_t j = 0; j < r; ++j) {
            double const whole = length(b, rows, r, j);
            for (index_t i = 0; i <= j; ++i) R_(i, j) = 0;
            for (int pass = 0; pass < 2; ++pass)
                for (index_t i = 0; i < j; ++i) R_(i, j) += take_out(b, rows, r, i, j);
            double const left = length(b, rows, r, j);
            bool const dependent = !(left > 1e-6 * whole);
            R_(j, j) = dependent ? 0 : left;
            for (index_t k = 0; dependent && k < rows; ++k) {  // one unit vector has something left
                for (index_t o = 0; o < rows; ++o) b[o * r + j] = T(o == (k + j) % rows);
                for (int pass = 0; pass < 2; ++pass)
                    for (index_t i = 0; i < j; ++i) take_out(b, rows, r, i, j);
                if (length(b, rows, r, j) > 0.5 / std::sqrt(static_cast<double>(rows))) break;
            }
            double const now = length(b, rows, r, j);
            for (index_t o = 0; o < rows; ++o) b[o * r + j] = static_cast<T>(static_cast<double>(b[o * r + j]) / now);
        }
        for (index_t k = 0; k < a_columns; ++k)
            for (index_t i = 0; i < r;
                 ++i) {  // R is upper triangular: row i needs rows from i on, which are still whole
                double sum = 0;
                for (index_t j = i; j < r; ++j) sum += R_(i, j) * static_cast<double>(a[j * a_columns + k]);
                a[i * a_columns + k] = static_cast<T>(sum);
            }
    }

    /// `at` = from + z for any z becomes a point of the manifold: the retraction along z's tangent part.
    template <class T>
    void retract_probe(piece const& p, T const* from, T* at, std::byte* scratch) const {
        detail::tangent_space const work = detail::tangent_space::in(scratch, p.columns);
        detail::by_packs<T>(p.count(), [&](index_t i, index_t n) {
            detail::put(at + i, n, detail::take(at + i, n) - detail::take(from + i, n));
        });
        work.project(at, from, p.rows, p.columns);
        retraction.retract(at, from, at, 1.0, p.rows, p.columns, scratch + detail::tangent_space::bytes(p.columns));
    }

private:
    static constexpr index_t padded(index_t bytes) { return round_up(bytes, buffer_alignment); }
    template <class T>
    static void orthonormalise(piece const& p, T* b, std::byte* scratch) {
        auto const root = [](small_square m, small_square c, double*) {
            bool const sound = cholesky(c);
            if (sound) upper_inverse(m, c);
            return sound;
        };
        detail::make_orthonormal(b, p.rows, p.columns, 2, scratch, root);
    }
    template <class T>
    static double length(T const* b, index_t rows, index_t r, index_t j) {
        double sum = 0;
        for (index_t o = 0; o < rows; ++o) sum += static_cast<double>(b[o * r + j]) * static_cast<double>(b[o * r + j]);
        return std::sqrt(sum);
    }
    /// Column j loses its part along column i; returns how much that was.
    template <class T>
    static double take_out(T* b, index_t rows, index_t r, index_t i, index_t j) {
        double along = 0;
        for (index_t o = 0; o < rows; ++o)
            along += static_cast<double>(b[o * r + i]) * static_cast<double>(b[o * r + j]);
        for (index_t o = 0; o < rows; ++o)
            b[o * r + j] =
                static_cast<T>(static_cast<double>(b[o * r + j]) - along * static_cast<double>(b[o * r + i]));
        return along;
    }
};
static_assert(Optimizer<stiefel<>>);

}  // namespace graft
