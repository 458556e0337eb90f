// SPDX-License-Identifier: Apache-2.0
// Products with lower triangular matrices in general expressions.                        (layer 9: program)
//
//     auto y = lower_matmul(q, x);    // q: … × order × order    x: … × order × columns, or order × columns for all
#pragma once

#include <graft/kernel/triangular.hpp>
#include <graft/program/rule_call.hpp>

namespace graft {

struct lower_matmul_op { using kind = lower_matmul_op; };

/// y = L x, where L is the lower triangle of q: what lies above q's diagonal is not read, and its gradient is 0.
///
/// shapes   q: … × order × order    x: … × order × columns, or order × columns for every q    y: … × order × columns
/// pulls    dL = dy xᵀ on and below the diagonal    dx = Lᵀ dy, summed over the matrices where they share x
/// cost     order (order + 1) columns flops for each matrix, and the same for each of the two gradients
template <>
struct rule<lower_matmul_op> : careful {
    static constexpr reads pull_reads{.operands = 3, .value = false, .residue = false};

    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& q, shape<D> const& x) {
        if (!detail::has_rank(algebra, q, 2) || !detail::has_rank(algebra, x, 2)) return q;
        if (x.rank != 2 && x.rank != q.rank) return algebra.mistake(x.rank, q.rank), q;
        shape<D> y = q;
        for (index_t a = 0; a < q.rank - 2 && x.rank == q.rank; ++a) y[a] = algebra.meet(q[a], x[a]);
        y[q.rank - 2] = algebra.meet(algebra.meet(q[q.rank - 2], q[q.rank - 1]), x[x.rank - 2]);
        y[q.rank - 1] = x[x.rank - 1];
        return y;
    }

    /// The pull's x, turned: one, or one for each worker.
    template <class T>
    static constexpr index_t scratch(auto const& n, call c) {
        sizes const s(n);
        return c.pull ? (s.shared() ? 1 : c.lanes) * turned<T>(s) : 0;
    }

    template <class T>
    static void forward(auto const& here, matrix<T> y, matrix<T> q, matrix<T> x) {
        sizes const s(here.n);
        each_task(&here.on, s.matrices, [&](index_t i, index_t) {
            lower_product<T>(y.data + i * s.block(), q.data + i * s.square(), x.data + s.of_x(i), s.order, s.columns);
        });
    }

    template <class T>
    static void pull(auto const& here, matrix<T> dy, matrix<T> q, matrix<T> x, matrix<T> dq, matrix<T> dx) {
        sizes const s(here.n);
        T* const space = here.space.next;
        if (dq) {
            if (s.shared()) outer_columns<T>(space, x.data, s.order, s.columns);
            each_task(&here.on, s.matrices, [&](index_t i, index_t lane) {
                T* const mine = space + (s.shared() ? 0 : lane * turned<T>(s));
                if (!s.shared()) outer_columns<T>(mine, x.data + s.of_x(i), s.order, s.columns);
                lower_outer<T>(dq.data + i * s.square(), dy.data + i * s.block(), mine, s.order, s.columns);
            });
        }
        if (!dx) return;
        if (s.matrices == 0) std::fill_n(dx.data, dx.rows * dx.columns, T(0));
        auto const one = [&](index_t i, bool add) {
            lower_transposed_product<T>(dx.data + s.of_x(i), q.data + i * s.square(), dy.data + i * s.block(), s.order,
                                        s.columns, add);
        };
        if (s.shared())
            for (index_t i = 0; i < s.matrices; ++i) one(i, i > 0);
        else each_task(&here.on, s.matrices, [&](index_t i, index_t) { one(i, false); });
    }

private:
    struct sizes {
        index_t matrices = 1, order, columns, rank_of_x;
        constexpr explicit sizes(auto const& n)
            : order(n.of[0][n.of[0].rank - 1]), columns(n.of[1][n.of[1].rank - 1]), rank_of_x(n.of[1].rank) {
            for (index_t a = 0; a < n.of[0].rank - 2; ++a) matrices *= n.of[0][a];
        }
        constexpr bool shared() const { return rank_of_x == 2; }
        constexpr index_t square() const { return order * order; }
        constexpr index_t block() const { return order * columns; }
        constexpr index_t of_x(index_t matrix) const { return shared() ? 0 : matrix * block(); }
    };
    template <class T>
    static constexpr index_t turned(sizes const& s) {
        return round_up(outer_step<T>(s.order) * s.columns, workspace<T>::grain);
    }
};

/// The lower triangles of q times x.
template <Operand Q, Operand X>
constexpr auto lower_matmul(Q const& q, X const& x) { return apply<lower_matmul_op>(q, x); }

}  // namespace graft
