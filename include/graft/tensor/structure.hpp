// SPDX-License-Identifier: Apache-2.0
// Operations that change shape or mix positions: what each is called, its result's shape. (layer 4: tensor)
//
// A shape rule is written once, for any algebra of sizes: extents of types (`extent_algebra`), symbols of a graph.
#pragma once

#include <graft/tensor/functions.hpp>

namespace graft {

/// What a vertex of a graph is. From `sum` on each is an operation with a kernel.
enum class structure : unsigned char {
    input, scalar, constant, size, element, expand, reshape,
    sum, largest, argmax, matmul, permute, rows, add_rows, pick, unpick, concat, part, put_part,
    softmax, log_softmax, rms_norm, layer_norm, dropout, call, pull, residue
};

namespace detail {
constexpr unsigned axis_bit(index_t a) { return a < 0 ? 0 : 1u << a; }
/// Bit a: axis a is one of Axes (negative: counted from the last); no axes: all.
template <int... Axes>
constexpr unsigned axes_mask(index_t rank) {
    if constexpr (sizeof...(Axes) == 0) return (1u << rank) - 1;
    else return (axis_bit(axis_of_rank(Axes, rank)) | ...);
}
template <class D> constexpr shape<D> with_ones(auto& algebra, shape<D> s, unsigned mask) {
    for (index_t a = 0; a < s.rank; ++a)
        if (mask >> a & 1) s[a] = algebra.number(1);
    return s;
}
template <class D> constexpr D const& last(shape<D> const& s, index_t from_end = 1) { return s[s.rank - from_end]; }
constexpr bool has_rank(auto& algebra, auto const& s, index_t least) {
    if (s.rank < least) algebra.mistake(s.rank, least);
    return s.rank >= least;
}
/// Does an operand have all these axes?
template <int... Axes> constexpr bool has_axes(auto& algebra, auto const& s) {
    return (has_rank(algebra, s, Axes < 0 ? -Axes : Axes + 1) && ...);
}
}  // namespace detail

/// Sum, or largest, over some axes, which stay as axes of size 1.
template <structure What, int... Axes>
struct reduce_ {
    static constexpr structure what = What;
    static constexpr unsigned attribute(index_t rank) { return detail::axes_mask<Axes...>(rank); }
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        if (!detail::has_axes<Axes...>(algebra, x)) return x;
        return detail::with_ones(algebra, x, attribute(x.rank));
    }
};
/// The same numbers without some axes, which have size 1.
template <int... Axes>
struct drop_axes_ {
    static constexpr structure what = structure::reshape;
    template <class D> static constexpr shape<D> shape_of(auto&, shape<D> const& x) {
        shape<D> r;
        for (index_t a = 0; a < x.rank; ++a)
            if (!(detail::axes_mask<Axes...>(x.rank) >> a & 1)) r.push(x[a]);
        return r;
    }
};
/// The same numbers with one more axis, of size 1, before axis `Axis` (−1: after the last).
template <int Axis>
struct insert_axis_ {
    static constexpr structure what = structure::reshape;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        if (!detail::has_rank(algebra, x, Axis < 0 ? -Axis - 1 : Axis)) return x;
        shape<D> r;
        index_t const at = axis_of_rank(Axis, x.rank + 1);
        for (index_t a = 0; a < x.rank + 1; ++a) r.push(a == at ? algebra.number(1) : x[a < at ? a : a - 1]);
        return r;
    }
};
/// The same numbers with axes First and First + 1 as one.
template <int First>
struct merge_axes_ {
    static constexpr structure what = structure::reshape;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        if (!detail::has_axes<First, First == -1 ? First : First + 1>(algebra, x)) return x;
        shape<D> r;
        index_t const at = axis_of_rank(First, x.rank);
        if (at + 1 >= x.rank) algebra.mistake(x.rank, at + 2);
        for (index_t a = 0; a < x.rank; ++a) {
            if (a == at + 1) r[r.rank - 1] = algebra.multiply(r[r.rank - 1], x[a]);
            else r.push(x[a]);
        }
        return r;
    }
};
/// The same numbers with axis `Axis` as several, of exact sizes but for the first of them: x's size over their product.
template <int Axis, index_t... Inner>
struct split_axis_ {
    static constexpr structure what = structure::reshape;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        if (!detail::has_axes<Axis>(algebra, x)) return x;
        shape<D> r;
        index_t const at = axis_of_rank(Axis, x.rank);
        for (index_t a = 0; a < x.rank; ++a) {
            r.push(a == at ? algebra.divide(x[a], (Inner * ... * 1)) : x[a]);
            if (a == at) (r.push(algebra.number(Inner)), ...);
        }
        return r;
    }
};
/// Axis k of the result is axis Order[k] of x.
template <int... Order>
struct permute_ {
    static constexpr structure what = structure::permute;
    static constexpr index_t order[sizeof...(Order)]{Order...};
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        if (x.rank != sizeof...(Order)) return algebra.mistake(x.rank, sizeof...(Order)), x;
        if (!detail::has_axes<Order...>(algebra, x)) return x;
        shape<D> r;
        unsigned met = 0;
        for (index_t a : order) r.push(x[axis_of_rank(a, x.rank)]), met |= 1u << axis_of_rank(a, x.rank);
        for (index_t a = 0; a < x.rank; ++a)
            if (!(met >> a & 1)) algebra.mistake(a, x.rank);  // no axis of the result is axis a of x
        return r;
    }
    static constexpr unsigned attribute(index_t rank) {  // three bits an axis
        unsigned code = 0;
        for (unsigned k = 0; k < sizeof...(Order); ++k)
            code |= static_cast<unsigned>(axis_of_rank(order[k], rank)) << 3 * k;
        return code;
    }
};
/// The last two axes change places.
struct transpose_ {
    static constexpr structure what = structure::permute;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> x) {
        if (detail::has_rank(algebra, x, 2)) std::swap(x[x.rank - 1], x[x.rank - 2]);
        return x;
    }
    static constexpr unsigned attribute(index_t rank) {
        unsigned code = 0;
        for (index_t k = 0; k < rank; ++k) code |= static_cast<unsigned>(k < rank - 2 ? k : 2 * rank - 3 - k) << 3 * k;
        return code;
    }
};
/// … × M × K times … × K × N: … × M × N; the axes before the last two are matched as in `broadcast`.
struct matmul_ {
    static constexpr structure what = structure::matmul;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> a, shape<D> b) {
        if (!detail::has_rank(algebra, a, 2) || !detail::has_rank(algebra, b, 2)) return a;
        algebra.meet(detail::last(a), detail::last(b, 2));
        D const m = detail::last(a, 2), n = detail::last(b);
        a.rank -= 2, b.rank -= 2;
        auto r = broadcast(algebra, a, b);
        r.push(m), r.push(n);
        return r;
    }
};
/// Rows of a table (rows × D…) by indices (any shape): indices' shape × D….
struct rows_ {
    static constexpr structure what = structure::rows;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& table, shape<D> ids) {
        if (detail::has_rank(algebra, table, 1))
            for (index_t a = 1; a < table.rank; ++a) ids.push(table[a]);
        return ids;
    }
};
/// One number of each row by indices: x (… × columns), indices (…): … .
struct pick_ {
    static constexpr structure what = structure::pick;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> x, shape<D> const& ids) {
        if (detail::has_rank(algebra, x, 1)) --x.rank;
        if (x.rank != ids.rank) algebra.mistake(ids.rank, x.rank);
        for (index_t a = 0; a < x.rank && a < ids.rank; ++a) x[a] = algebra.meet(x[a], ids[a]);
        return x;
    }
};
/// Two tensors, one after the other along an axis.
template <int Axis>
struct concat_ {
    static constexpr structure what = structure::concat;
    static constexpr unsigned attribute(index_t rank) { return static_cast<unsigned>(axis_of_rank(Axis, rank)); }
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> a, shape<D> const& b) {
        if (a.rank != b.rank) return algebra.mistake(b.rank, a.rank), a;
        if (!detail::has_axes<Axis>(algebra, a)) return a;
        for (index_t k = 0; k < a.rank; ++k)
            a[k] = k == axis_of_rank(Axis, a.rank) ? algebra.add(a[k], b[k]) : algebra.meet(a[k], b[k]);
        return a;
    }
};
/// Positions Begin … Begin + Count − 1 of an axis.
template <int Axis, index_t Begin, index_t Count>
struct part_ {
    static constexpr structure what = structure::part;
    static_assert(Begin >= 0 && Count >= 0, "part: positions count from 0 on");
    static constexpr index_t begin = Begin;
    static constexpr unsigned attribute(index_t rank) { return static_cast<unsigned>(axis_of_rank(Axis, rank)); }
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> x) {
        if (!detail::has_axes<Axis>(algebra, x)) return x;
        D& d = x[axis_of_rank(Axis, x.rank)];
        algebra.at_least(d, Begin + Count);
        d = algebra.number(Count);
        return x;
    }
};

/// Operations on the last axis whose result has the shape of the first operand.
template <structure What>
struct on_rows_ {
    static constexpr structure what = What;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x, auto const&...) {
        detail::has_rank(algebra, x, 1);
        return x;
    }
};
/// The same, of operations whose other operands stretch to the first one.
template <structure What>
struct on_weighted_rows_ : on_rows_<What> {
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x, auto const&... weights) {
        detail::has_rank(algebra, x, 1);
        auto const fits = [&](shape<D> const& w) {
            if (w.rank > x.rank) return algebra.mistake(w.rank, x.rank);
            for (index_t a = 0; a < w.rank; ++a)
                if (!algebra.is_one(w[a])) algebra.meet(x[x.rank - w.rank + a], w[a]);
        };
        (fits(weights), ...);
        return x;
    }
};
using softmax_ = on_rows_<structure::softmax>;
using log_softmax_ = on_rows_<structure::log_softmax>;
using dropout_ = on_rows_<structure::dropout>;
/// Positions of the largest number over the last axis: indices.
struct argmax_ {
    static constexpr structure what = structure::argmax;
    static constexpr bool index = true;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> x) {
        if (detail::has_rank(algebra, x, 1)) --x.rank;
        return x;
    }
};

}  // namespace graft
