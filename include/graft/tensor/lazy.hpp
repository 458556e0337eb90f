// SPDX-License-Identifier: Apache-2.0
// Expressions of tensors: built by operators, evaluated by one assignment.               (layer 4: tensor)
#pragma once

#include <graft/shape/shape.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace graft {

/// What an expression is made of: views, symbols, numbers, and expressions.
struct operand {};
template <class X> concept Operand = std::is_base_of_v<operand, std::remove_cvref_t<X>>;
template <class X> concept Number = std::is_arithmetic_v<std::remove_cvref_t<X>>;
template <class X> concept Argument = Operand<X> || Number<X>;

/// A number in an expression: it fits every shape and takes the type of the rest.
struct literal : operand {
    using number = void;
    static constexpr shape<extent> extents_value{};
    double value = 0;
};

/// What stands for an argument inside an expression: a view for a tensor, which must outlive it; a number's literal.
template <Argument X>
constexpr auto as_operand(X const& x) {
    if constexpr (Number<X>) return literal{{}, static_cast<double>(x)};
    else if constexpr (requires { x.all(); }) return x.all();
    else return x;
}
template <class X> using operand_t = decltype(as_operand(std::declval<X const&>()));

namespace detail {

/// False, said of X where a program instantiates what it should not.
template <class X> inline constexpr bool never = false;

template <class A, class B>
struct number_meets {
    static_assert(std::is_same_v<A, B>, "two kinds of numbers in one expression");
    using type = A;
};
template <class A> struct number_meets<A, A> { using type = A; };
template <class A> struct number_meets<A, void> { using type = A; };
template <class A> struct number_meets<void, A> { using type = A; };
template <> struct number_meets<void, void> { using type = void; };
// Indices select, they do not compute.
template <class A> struct number_meets<A, std::int32_t> { using type = A; };
template <class A> struct number_meets<std::int32_t, A> { using type = A; };
template <> struct number_meets<std::int32_t, void> { using type = std::int32_t; };
template <> struct number_meets<void, std::int32_t> { using type = std::int32_t; };
template <> struct number_meets<std::int32_t, std::int32_t> { using type = std::int32_t; };

template <class... N> struct meeting { using type = void; };
template <class A, class... N> struct meeting<A, N...> : number_meets<A, typename meeting<N...>::type> {};

/// The numbers of a result: those of its operands, or indices.
template <class Op, class N> struct result_number { using type = N; };
template <class Op, class N> requires(Op::index) struct result_number<Op, N> { using type = std::int32_t; };

/// A shape of extents, and the clash on the way to it.
struct judged {
    shape<extent> result;
    extent_algebra algebra;
};
template <class Op, class... Args>
constexpr judged judge() {
    judged j;
    j.result = Op::shape_of(j.algebra, Args::extents_value...);
    return j;
}
/// The place where two extents, or two ranks, that should be one are shown.
template <index_t Given, index_t Wanted>
struct expects {
    static_assert(Given == Wanted, "the extents of the operands do not fit, or they have too few axes");
    static constexpr bool holds = true;
};

template <int I, class A> struct part { [[no_unique_address]] A value; };
template <class I, class... A> struct parts_of;
template <int... I, class... A>
struct parts_of<std::integer_sequence<int, I...>, A...> : part<I, A>... {
    constexpr parts_of(A... a) : part<I, A>{a}... {}
};
template <class... A> using parts = parts_of<std::make_integer_sequence<int, sizeof...(A)>, A...>;

}  // namespace detail

/// Op applied to operands; nothing is computed. `extents_value`: the shape as far as it is known when compiling.
template <class Op, class... Args>
struct lazy : operand {
    using operation = Op;
    using operand_number = typename detail::meeting<typename Args::number...>::type;
    using number = typename detail::result_number<Op, operand_number>::type;
    static constexpr detail::judged verdict = detail::judge<Op, Args...>();
    static constexpr shape<extent> extents_value = verdict.result;
    static constexpr int arity = sizeof...(Args);

    [[no_unique_address]] detail::parts<Args...> args;

    template <int I> constexpr auto const& at() const { return part_at<I>(args); }

private:
    template <int I, class A> static constexpr A const& part_at(detail::part<I, A> const& p) { return p.value; }
};

/// Op applied to arguments: an expression, or, where one of them is a `term` of a graph that is being traced
/// (`program/graph.hpp`), the term of the result.
template <class Op, Argument... Args>
constexpr auto make(Op, Args const&... args) {
    if constexpr ((requires { typename Args::traced; } || ...)) {
        return trace(Op{}, args...);
    } else {
        using result = lazy<Op, operand_t<Args>...>;
        if constexpr (result::verdict.algebra.clash)
            static_assert(detail::expects<result::verdict.algebra.given, result::verdict.algebra.wanted>::holds);
        return result{{}, {as_operand(args)...}};
    }
}

}  // namespace graft
