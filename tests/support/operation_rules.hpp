// SPDX-License-Identifier: Apache-2.0
// Operations that a user would write: each by one rule.
#pragma once

#include <graft/program/rule_call.hpp>

#include <cmath>

namespace graft_test {

/// y = a² b, position by position; its pull needs scratch.
struct scaled_square { using kind = scaled_square; };
/// y = 2 a − b: its pull reads nothing but dy.
struct slanted { using kind = slanted; };
/// y = Σ a b over everything: one number.
struct dotted { using kind = dotted; };
/// y = a sin(a): its pull reads only the derivative that the forward keeps.
struct remembered { using kind = remembered; };

}  // namespace graft_test

namespace graft {

template <>
struct rule<graft_test::scaled_square> : careful {
    static constexpr reads pull_reads{.operands = 0b11};
    template <class T> static constexpr index_t scratch(auto const& n, call c) {
        if (!c.pull) return 0;
        return workspace<T>::numbers(count(n.of[0]), 1);
    }
    static void forward(auto const&, auto y, auto a, auto b) {
        for (index_t i = 0; i < y.rows; ++i)
            for (index_t j = 0; j < y.columns; ++j) y(i, j) = a(i, j) * a(i, j) * b(i, j);
    }
    static void pull(auto const& here, auto dy, auto a, auto b, auto da, auto db) {
        auto space = here.space;
        auto const s = space.take(a.rows, a.columns);
        for (index_t i = 0; i < dy.rows; ++i)
            for (index_t j = 0; j < dy.columns; ++j) {
                s(i, j) = dy(i, j) * a(i, j);
                if (da) da(i, j) = 2 * s(i, j) * b(i, j);
                if (db) db(i, j) = s(i, j) * a(i, j);
            }
    }
};

template <>
struct rule<graft_test::slanted> : careful {
    static constexpr reads pull_reads{.operands = 0};
    static void forward(auto const&, auto y, auto a, auto b) {
        for (index_t i = 0; i < y.rows; ++i)
            for (index_t j = 0; j < y.columns; ++j) y(i, j) = 2 * a(i, j) - b(i, j);
    }
    static void pull(auto const&, auto dy, auto, auto, auto da, auto db) {
        for (index_t i = 0; i < dy.rows; ++i)
            for (index_t j = 0; j < dy.columns; ++j) {
                if (da) da(i, j) = 2 * dy(i, j);
                if (db) db(i, j) = -dy(i, j);
            }
    }
};

template <>
struct rule<graft_test::dotted> : careful {
    static constexpr reads pull_reads{.operands = 0b11};
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& a, shape<D> const& b) {
        for (index_t k = 0; k < a.rank && k < b.rank; ++k) algebra.meet(a[k], b[k]);
        return {};
    }
    static void forward(auto const&, auto y, auto a, auto b) {
        y(0, 0) = 0;
        for (index_t i = 0; i < a.rows; ++i)
            for (index_t j = 0; j < a.columns; ++j) y(0, 0) += a(i, j) * b(i, j);
    }
    static void pull(auto const&, auto dy, auto a, auto b, auto da, auto db) {
        for (index_t i = 0; i < a.rows; ++i)
            for (index_t j = 0; j < a.columns; ++j) {
                if (da) da(i, j) = dy(0, 0) * b(i, j);
                if (db) db(i, j) = dy(0, 0) * a(i, j);
            }
    }
};

template <>
struct rule<graft_test::remembered> : careful {
    static constexpr reads pull_reads{.residue = true};
    static constexpr index_t residue(auto const& n) { return count(n.of[0]); }
    static void forward(auto const& here, auto y, auto a) {
        for (index_t i = 0; i < y.rows; ++i)
            for (index_t j = 0; j < y.columns; ++j) {
                y(i, j) = a(i, j) * std::sin(a(i, j));
                if (here.residue) here.residue(0, i * y.columns + j) = std::sin(a(i, j)) + a(i, j) * std::cos(a(i, j));
            }
    }
    static void pull(auto const& here, auto dy, auto, auto da) {
        for (index_t i = 0; i < dy.rows; ++i)
            for (index_t j = 0; j < dy.columns; ++j) da(i, j) = dy(i, j) * here.residue(0, i * dy.columns + j);
    }
};

}  // namespace graft
