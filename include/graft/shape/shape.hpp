// SPDX-License-Identifier: Apache-2.0
// The extents of a tensor's axes, and what two of them make together.                    (layer 1: shape)
#pragma once

#include <graft/base/error.hpp>
#include <graft/shape/extent.hpp>

#include <cstddef>
#include <utility>

namespace graft {

/// The most axes a tensor has.
inline constexpr index_t most_axes = 8;

/// Sizes of up to eight axes, outermost first. D is a number (a run-time size), an `extent`, or a symbol of one.
template <class D>
struct shape {
    index_t rank = 0;
    D axis[most_axes]{};

    constexpr D& operator[](index_t a) { return axis[a]; }
    constexpr D const& operator[](index_t a) const { return axis[a]; }
    constexpr D* begin() { return axis; }
    constexpr D* end() { return axis + rank; }
    constexpr D const* begin() const { return axis; }
    constexpr D const* end() const { return axis + rank; }
    constexpr void push(D d) { axis[rank++] = d; }

    friend constexpr bool operator==(shape const& a, shape const& b) {
        if (a.rank != b.rank) return false;
        for (index_t k = 0; k < a.rank; ++k)
            if (!(a.axis[k] == b.axis[k])) return false;
        return true;
    }
};

/// Run-time sizes.
using sizes_t = shape<index_t>;
constexpr index_t count(sizes_t const& s) {
    index_t n = 1;
    for (index_t d : s) n *= d;
    return n;
}

/// Axis `a` of `rank`, where −1 is the last.
constexpr index_t axis_of_rank(index_t a, index_t rank) { return a < 0 ? a + rank : a; }

/// The extents of a type: `extents<up_to(128), 64>`.
template <extent... E>
struct extents {
    static_assert(sizeof...(E) <= most_axes, "a tensor has at most eight axes");
    static_assert(((!E.exact || E.bound >= 0) && ...), "an extent is a size from 0 on, up_to(n) or any");
    static constexpr index_t rank = sizeof...(E);
    static constexpr shape<extent> value{rank, {E...}};
    static constexpr bool exact = (E.exact && ...);
    static constexpr bool bounded = ((E.bound >= 0) && ...);
    /// The most numbers such a tensor has; `bounded` only.
    static constexpr index_t most = bounded ? (E.bound * ... * 1) : -1;
};

namespace detail {
template <auto Value, std::size_t... I>
constexpr auto as_extents(std::index_sequence<I...>) { return extents<Value.axis[I]...>{}; }
}  // namespace detail

/// How rules of shape are computed on extents. What does not fit is remembered, so that it can be shown.
struct extent_algebra {
    index_t given = 0, wanted = 0;  // the first clash: two exact extents that differ, or two ranks
    bool clash = false;

    constexpr void mistake(index_t a, index_t b) {
        if (!clash) given = a, wanted = b, clash = true;
    }
    /// The extent of an axis on which both lie: the exact one wins, then the bounded one.
    constexpr extent meet(extent a, extent b) {
        if (a.exact && b.exact && a.bound != b.bound) mistake(a.bound, b.bound);
        if (a.exact) return a;
        if (b.exact) return b;
        return a.bound < 0 || (b.bound >= 0 && b.bound < a.bound) ? b : a;
    }
    constexpr bool is_one(extent a) const { return a.exact && a.bound == 1; }
    constexpr extent number(index_t n) const { return n; }
    constexpr extent add(extent a, extent b) const {
        return a.bound < 0 || b.bound < 0 ? any : extent{a.bound + b.bound, a.exact && b.exact};
    }
    constexpr extent multiply(extent a, extent b) const {
        return a.bound < 0 || b.bound < 0 ? any : extent{a.bound * b.bound, a.exact && b.exact};
    }
    constexpr extent divide(extent a, index_t by) {
        if (a.exact && a.bound % by != 0) mistake(a.bound, by);
        return a.bound < 0 ? any : extent{a.bound / by, a.exact};
    }
    /// An axis must have at least n positions.
    constexpr void at_least(extent a, index_t n) {
        if (a.bound >= 0 && a.bound < n) mistake(a.bound, n);
    }
};

/// The shape of an element-wise result: axes are matched from the last one backwards; an extent that is exactly 1, and
/// a missing one, stretches. A run-time size of 1 does not: whether an axis stretches is known when compiling.
template <class D>
constexpr shape<D> broadcast(auto& algebra, shape<D> const& a, shape<D> const& b) {
    auto const& longer = a.rank >= b.rank ? a : b;
    auto const& other = a.rank >= b.rank ? b : a;
    shape<D> r = longer;
    index_t const ahead = longer.rank - other.rank;
    for (index_t k = 0; k < other.rank; ++k) {
        D &x = r[ahead + k], y = other[k];
        x = algebra.is_one(x) ? y : algebra.is_one(y) ? x : algebra.meet(x, y);
    }
    return r;
}

}  // namespace graft
