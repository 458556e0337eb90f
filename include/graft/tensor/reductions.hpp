// SPDX-License-Identifier: Apache-2.0
// Reductions, normalisations, products, selections: functions of whole tensors.          (layer 4: tensor)
#pragma once

#include <graft/tensor/structure.hpp>

namespace graft {

/// Said after a reduction's operand: the reduced axes stay, with size 1, and stretch against what was reduced.
struct keep_t {};
inline constexpr keep_t keep{};

/// The number of positions that a reduction over Axes adds up, as a number of an expression.
template <int... Axes>
struct positions_ {
    static constexpr structure what = structure::size;
    static constexpr unsigned attribute(index_t rank) { return detail::axes_mask<Axes...>(rank); }
    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        detail::has_axes<Axes...>(algebra, x);
        return {};
    }
};

/// The sum over the axes, divided by how many positions it adds up; the axes stay.
template <int... Axes>
struct mean_ {
    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        return reduce_<structure::sum, Axes...>::shape_of(algebra, x);
    }
    static constexpr auto expand(auto x) {
        return make(reduce_<structure::sum, Axes...>{}, x) / make(positions_<Axes...>{}, x);
    }
};

/// Sum, mean, largest, smallest over the axes named (negative: from the last), or over all.
template <int... Axes, Operand X>
constexpr auto sum(X const& x, keep_t) {
    return make(reduce_<structure::sum, Axes...>{}, x);
}
template <int... Axes, Operand X>
constexpr auto sum(X const& x) {
    return make(drop_axes_<Axes...>{}, sum<Axes...>(x, keep));
}
template <int... Axes, Operand X>
constexpr auto mean(X const& x, keep_t) {
    return make(mean_<Axes...>{}, x);
}
template <int... Axes, Operand X>
constexpr auto mean(X const& x) {
    return make(drop_axes_<Axes...>{}, mean<Axes...>(x, keep));
}
template <int... Axes, Operand X>
constexpr auto max(X const& x, keep_t) {
    return make(reduce_<structure::largest, Axes...>{}, x);
}
template <int... Axes, Operand X>
constexpr auto max(X const& x) {
    return make(drop_axes_<Axes...>{}, max<Axes...>(x, keep));
}
template <int... Axes, Operand X>
constexpr auto min(X const& x, keep_t) {
    return -max<Axes...>(-x, keep);
}
template <int... Axes, Operand X>
constexpr auto min(X const& x) {
    return -max<Axes...>(-x);
}

/// The mean of the squared distances from the mean (not n − 1).
template <int... Axes>
struct variance_ {
    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        return reduce_<structure::sum, Axes...>::shape_of(algebra, x);
    }
    static constexpr auto expand(auto x) { return mean<Axes...>(square(x - mean<Axes...>(x, keep)), keep); }
};
/// ln Σ exp(x), which does not overflow: the largest is taken out.
template <int... Axes>
struct log_sum_exp_ : variance_<Axes...> {
    static constexpr auto expand(auto x) {
        auto const largest = make(detach_{}, max<Axes...>(x, keep));
        auto const most = where(largest > -3e38, largest, 0.0);  // where all are -infinity, so is the result
        return log(sum<Axes...>(exp(x - most), keep)) + most;
    }
};
/// softmax along an axis that is not the last.
template <int Axis>
struct softmax_along_ {
    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x) {
        detail::has_axes<Axis>(algebra, x);
        return x;
    }
    static constexpr auto expand(auto x) {
        auto const e = exp(x - make(detach_{}, max<Axis>(x, keep)));
        return e / sum<Axis>(e, keep);
    }
};

/// x / √(mean(x²) + ε) w.
struct rms_norm_op : on_weighted_rows_<structure::rms_norm> {
    static constexpr auto expand(auto x, auto w, auto epsilon) { return x / sqrt(mean<-1>(x * x, keep) + epsilon) * w; }
};
/// (x − mean) / √(variance + ε) w + b.
struct layer_norm_op : on_weighted_rows_<structure::layer_norm> {
    static constexpr auto expand(auto x, auto w, auto b, auto epsilon) {
        auto const centred = x - mean<-1>(x, keep);
        return centred / sqrt(mean<-1>(centred * centred, keep) + epsilon) * w + b;
    }
};
template <int... Axes, Operand X>
constexpr auto variance(X const& x, keep_t) {
    return make(variance_<Axes...>{}, x);
}
template <int... Axes, Operand X>
constexpr auto variance(X const& x) {
    return make(drop_axes_<Axes...>{}, variance<Axes...>(x, keep));
}
template <int... Axes, Operand X>
constexpr auto log_sum_exp(X const& x, keep_t) {
    return make(log_sum_exp_<Axes...>{}, x);
}
template <int... Axes, Operand X>
constexpr auto log_sum_exp(X const& x) {
    return make(drop_axes_<Axes...>{}, log_sum_exp<Axes...>(x, keep));
}
/// How many positions the axes have, as a number: mean = sum / positions_over.
template <int... Axes, Operand X>
constexpr auto positions_over(X const& x) {
    return make(positions_<Axes...>{}, x);
}
/// √Σx².
template <int... Axes, Operand X>
constexpr auto norm(X const& x, keep_t) {
    return sqrt(sum<Axes...>(square(x), keep));
}
template <int... Axes, Operand X>
constexpr auto norm(X const& x) {
    return sqrt(sum<Axes...>(square(x)));
}
/// Where the largest number of each row is (the last axis); of equals, the first.
template <Operand X>
constexpr auto argmax(X const& x) {
    return make(argmax_{}, x);
}

/// exp(x) / Σ exp(x) along an axis, the last unless another is named.
template <int Axis = -1, Operand X>
constexpr auto softmax(X const& x) {
    if constexpr (Axis == -1)
        return make(softmax_{}, x);
    else
        return make(softmax_along_<Axis>{}, x);
}
/// ln softmax(x), along the last axis.
template <Operand X>
constexpr auto log_softmax(X const& x) {
    return make(log_softmax_{}, x);
}
/// x / √(mean(x²) + ε) w, along the last axis.    source arXiv 1910.07467, eq. 4
template <Operand X, Operand W>
constexpr auto rms_norm(X const& x, W const& w, double epsilon = 1e-5) {
    return make(rms_norm_op{}, x, w, epsilon);
}
/// (x − mean) / √(variance + ε) w + b, along the last axis.    source arXiv 1607.06450
template <Operand X, Operand W, Operand B>
constexpr auto layer_norm(X const& x, W const& w, B const& b, double epsilon = 1e-5) {
    return make(layer_norm_op{}, x, w, b, epsilon);
}
/// x with a share `rate` of its numbers set to 0 and the others divided by 1 − rate. `key`: two indices, seed and step;
/// the same key drops the same numbers, so that nothing is stored.    source arXiv 1207.0580
template <Operand X, Operand K>
constexpr auto dropout(X const& x, double rate, K const& key) {
    return make(dropout_{}, x, rate, key);
}

/// … × M × K times … × K × N, by the packed kernel.
template <Operand A, Operand B>
constexpr auto matmul(A const& a, B const& b) {
    return make(matmul_{}, a, b);
}
/// The last two axes change places; a product reads it in place.
template <Operand X>
constexpr auto transpose(X const& x) {
    return make(transpose_{}, x);
}
/// Axis k of the result is axis Order[k] of x.
template <int... Order, Operand X>
constexpr auto permute(X const& x) {
    return make(permute_<Order...>{}, x);
}
/// table[ids]: rows of a table by indices.
template <Operand X, Operand I>
constexpr auto rows(X const& table, I const& ids) {
    return make(rows_{}, table, ids);
}
/// x[i, ids[i]]: one number of each row; an index of −1 picks 0.
template <Operand X, Operand I>
constexpr auto pick(X const& x, I const& ids) {
    return make(pick_{}, x, ids);
}
/// One after the other along an axis.
template <int Axis, Operand A, Operand B>
constexpr auto concat(A const& a, B const& b) {
    return make(concat_<Axis>{}, a, b);
}
template <int Axis, Operand A, Operand B, Operand... C>
constexpr auto concat(A const& a, B const& b, C const&... c) {
    return concat<Axis>(concat<Axis>(a, b), c...);
}
/// Positions Begin … Begin + Count − 1 of an axis.
template <int Axis, index_t Begin, index_t Count, Operand X>
constexpr auto part(X const& x) {
    return make(part_<Axis, Begin, Count>{}, x);
}
/// The same numbers in another shape: an axis of size 1 more, two neighbours as one, one as several.
template <int Axis, Operand X>
constexpr auto insert_axis(X const& x) {
    return make(insert_axis_<Axis>{}, x);
}
template <int First, Operand X>
constexpr auto merge_axes(X const& x) {
    return make(merge_axes_<First>{}, x);
}
template <int Axis, index_t... Inner, Operand X>
constexpr auto split_axis(X const& x) {
    return make(split_axis_<Axis, Inner...>{}, x);
}
/// x, but no gradient passes.
template <Operand X>
constexpr auto detach(X const& x) {
    return make(detach_{}, x);
}

}  // namespace graft
