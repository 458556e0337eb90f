// SPDX-License-Identifier: Apache-2.0
// The sizes of an expression's result, worked out from its operands while running.       (layer 4: tensor)
#pragma once

#include <graft/tensor/lazy.hpp>

#include <utility>

namespace graft {

namespace detail {

/// A size that is known now; whether it stretches was known when compiling. (What is worked out from others takes that
/// from the extents of its expression.)
struct present_size {
    index_t n = 0;
    bool one = false;
};

/// How rules of shape are computed on numbers: `require`s what they need.
struct size_algebra {
    constexpr void mistake(index_t given, index_t wanted) const {
        require(false, fault::shape, "expression: sizes of the operands", given, wanted);
    }
    constexpr bool is_one(present_size a) const { return a.one; }
    constexpr present_size number(index_t n) const { return {n, n == 1}; }
    constexpr present_size meet(present_size a, present_size b) const {
        if (a.n != b.n) mistake(a.n, b.n);
        return {a.n};
    }
    constexpr present_size add(present_size a, present_size b) const { return {a.n + b.n}; }
    constexpr present_size multiply(present_size a, present_size b) const { return {a.n * b.n}; }
    constexpr present_size divide(present_size a, index_t by) const {
        if (a.n % by != 0) mistake(a.n, by);
        return {a.n / by};
    }
    constexpr void at_least(present_size a, index_t n) const {
        if (a.n < n) mistake(a.n, n);
    }
};

template <class X>
constexpr shape<present_size> present_shape(X const& x) {
    shape<present_size> s;
    for (index_t a = 0; a < X::extents_value.rank; ++a)
        if constexpr (requires { x.size(a); })
            s.push({x.size(a), X::extents_value[a] == extent{1}});
    return s;
}
template <class Op, class... Args>
constexpr shape<present_size> present_shape(lazy<Op, Args...> const& x) {
    using expression = lazy<Op, Args...>;
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        size_algebra algebra;
        auto s = Op::shape_of(algebra, present_shape(x.template at<static_cast<int>(I)>())...);
        for (index_t a = 0; a < s.rank; ++a) s[a].one = expression::extents_value[a] == extent{1};
        return s;
    }(std::index_sequence_for<Args...>{});
}

}  // namespace detail

/// The sizes of a tensor, a view, or an expression of them; operands that do not fit are a mistake (fault::shape).
template <Operand X>
    requires requires { X::extents_value; }
constexpr sizes_t sizes_of(X const& x) {
    sizes_t sizes;
    for (auto const& d : detail::present_shape(x)) sizes.push(d.n);
    return sizes;
}

}  // namespace graft
