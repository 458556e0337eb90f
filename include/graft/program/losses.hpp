// SPDX-License-Identifier: Apache-2.0
// Losses: one number from predictions and what they should have been.                    (layer 9: program)
//
//     auto l = cross_entropy(logits, targets);                               // targets of −1 do not count
//     auto l = cross_entropy(logits, targets, class_weights(w), weighted(r));
//     auto l = binary_cross_entropy(logits, labels, positive_weights(p));
#pragma once

#include <graft/kernel/rearrange.hpp>
#include <graft/program/rule_call.hpp>
#include <graft/tensor/reductions.hpp>

namespace graft {

/// A weight for each class, or of the positive label; a weight for each row, or element, of what is averaged.
template <class W> struct class_weights_of { W value; };
template <class W> struct positive_weights_of { W value; };
template <class W> struct weighted_by { W value; };
template <Operand W> constexpr class_weights_of<operand_t<W>> class_weights(W const& w) { return {as_operand(w)}; }
template <Argument W>
constexpr positive_weights_of<operand_t<W>> positive_weights(W const& w) {
    return {as_operand(w)};
}
template <Operand W> constexpr weighted_by<operand_t<W>> weighted(W const& w) { return {as_operand(w)}; }

/// The weight of each target: w[target], or 1 without w; 0 where the target is negative, that is, where there is none.
struct weight_of_target { using kind = weight_of_target; };

template <>
struct rule<weight_of_target> : careful {
    static constexpr reads pull_reads{.operands = 0b01};

    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& targets, auto const&... w) {
        ((w.rank != 1 ? algebra.mistake(w.rank, 1) : void()), ...);
        return targets;
    }
    template <class T, class... W>
    static void forward(auto const&, matrix<T> y, matrix<T> targets, W... w) {
        for (index_t i = 0; i < y.rows * y.columns; ++i) {
            std::int32_t const target = indices(targets)[i];
            y.data[i] = T(target >= 0);
            if (target >= 0)
                ((y.data[i] = w.data[detail::checked_row(target, w.columns, "class_weights: class")]), ...);
        }
    }
    template <class T>
    static void pull(auto const&, matrix<T>, matrix<T>, matrix<T>) {}  // by indices
    template <class T>
    static void pull(auto const&, matrix<T> dy, matrix<T> targets, matrix<T>, matrix<T>, matrix<T> dw) {
        if (!dw) return;
        if (dw.fresh) std::fill_n(dw.data, dw.columns, T(0));
        for (index_t i = 0; i < dy.rows * dy.columns; ++i)
            if (std::int32_t const target = indices(targets)[i]; target >= 0) dw.data[target] += dy.data[i];
    }

private:
    template <class T> static std::int32_t const* indices(matrix<T> const& m) {
        return reinterpret_cast<std::int32_t const*>(m.data);
    }
};

namespace detail {
/// What gives one number.
struct one_number {
    template <class D> static constexpr shape<D> shape_of(auto&, shape<D> const&, auto const&...) { return {}; }
};
}  // namespace detail

/// Which weights a cross-entropy has: of classes, of rows.
template <bool Classes, bool Rows>
struct cross_entropy_op : detail::one_number {
    static constexpr auto expand(auto logits, auto targets) {
        return averaged(logits, targets, apply<weight_of_target>(targets));
    }
    static constexpr auto expand(auto logits, auto targets, auto w) {
        if constexpr (Classes) return averaged(logits, targets, apply<weight_of_target>(targets, w));
        else return averaged(logits, targets, apply<weight_of_target>(targets) * w);
    }
    static constexpr auto expand(auto logits, auto targets, auto w, auto row) {
        return averaged(logits, targets, apply<weight_of_target>(targets, w) * row);
    }

private:
    static constexpr auto averaged(auto logits, auto targets, auto weights) {
        auto const all = sum(weights);
        return -sum(weights * pick(log_softmax(logits), targets)) / where(all == 0, 1, all);
    }
};

/// Weighted mean of ln Σ exp(logits) − logits[target], Σ w l / Σ w, over the rows that have a target; 0 if none has.
/// Rows whose target is −1 add exactly 0, to the gradient, too. The weight of a row is w[target] of `class_weights(w)`
/// times its own of `weighted(r)`.
///
/// shapes   logits: … × classes    targets: …, indices    w: classes    r: …
/// needs    target < classes (fault::bounds)
template <Operand X, Operand I>
constexpr auto cross_entropy(X const& logits, I const& targets) {
    return make(cross_entropy_op<false, false>{}, logits, targets);
}
template <Operand X, Operand I, class W>
constexpr auto cross_entropy(X const& logits, I const& targets, class_weights_of<W> const& w) {
    return make(cross_entropy_op<true, false>{}, logits, targets, w.value);
}
template <Operand X, Operand I, class R>
constexpr auto cross_entropy(X const& logits, I const& targets, weighted_by<R> const& r) {
    return make(cross_entropy_op<false, true>{}, logits, targets, r.value);
}
template <Operand X, Operand I, class W, class R>
constexpr auto cross_entropy(X const& logits, I const& targets, class_weights_of<W> const& w, weighted_by<R> const& r) {
    return make(cross_entropy_op<true, true>{}, logits, targets, w.value, r.value);
}

/// ln(1 + eˣ) − x t, that is max(x, 0) − x t + ln(1 + e^−|x|): safe for every x.
struct binary_cross_entropy_ {
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x, auto const&... more) {
        shape<D> r = x;
        ((r = broadcast(algebra, r, more)), ...);
        return r;
    }
    static constexpr auto expand(auto x, auto t) { return softplus(x) - x * t; }
    static constexpr auto expand(auto x, auto t, auto p) {
        return (1 - t) * x + (1 + (p - 1) * t) * softplus(-x);
    }
};

/// Mean of −w (p t ln σ(x) + (1 − t) ln(1 − σ(x))) over all elements, from logits x and labels t in [0, 1]; w and p are
/// 1 unless `weighted(w)` and `positive_weights(p)`, which may stretch, say otherwise.
template <Operand X, Operand Y>
constexpr auto binary_cross_entropy(X const& logits, Y const& labels) {
    return mean(make(binary_cross_entropy_{}, logits, labels));
}
template <Operand X, Operand Y, class P>
constexpr auto binary_cross_entropy(X const& logits, Y const& labels, positive_weights_of<P> const& p) {
    return mean(make(binary_cross_entropy_{}, logits, labels, p.value));
}
template <Operand X, Operand Y, class W>
constexpr auto binary_cross_entropy(X const& logits, Y const& labels, weighted_by<W> const& w) {
    return mean(w.value * make(binary_cross_entropy_{}, logits, labels));
}
template <Operand X, Operand Y, class W, class P>
constexpr auto binary_cross_entropy(X const& logits, Y const& labels, positive_weights_of<P> const& p,
                                    weighted_by<W> const& w) {
    return mean(w.value * make(binary_cross_entropy_{}, logits, labels, p.value));
}

/// Mean of (y − t)².
template <class Y, class Z> requires Arguments<Y, Z>
constexpr auto mean_squared_error(Y const& y, Z const& t) { return mean(square(y - t)); }

/// e²/2 where |e| ≤ δ, δ (|e| − δ/2) beyond.                                          source Huber 1964
struct huber_ {
    template <class D> static constexpr shape<D> shape_of(auto&, shape<D> const& e, auto const&...) { return e; }
    static constexpr auto expand(auto e, auto delta) {
        auto const size = abs(e), near = min(size, delta);
        return near * (size - 0.5 * near);
    }
};
/// Mean of Huber's loss of y − t: quadratic up to a distance of δ, linear beyond.
template <class Y, class Z> requires Arguments<Y, Z>
constexpr auto huber(Y const& y, Z const& t, double delta = 1) { return mean(make(huber_{}, y - t, delta)); }

}  // namespace graft
