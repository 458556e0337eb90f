// SPDX-License-Identifier: Apache-2.0
// Expressions are empty values whose types say everything: equal types are equal values. (layer 7: expression)
#pragma once

#include <graft/shape/axis.hpp>

#include <concepts>

namespace graft {

struct expression {};
template <class E> concept Expression = std::derived_from<E, expression>;

/// What flows into a stage: tokens × C.
template <Axis C>
struct stream : expression {
    using columns_axis = C;
};

/// An operation on expressions: tokens × C. The axis is given, never computed, so that a mistake stays one error.
template <class Op, Axis C, Expression... Args>
struct node : expression {
    using columns_axis = C;
};

template <Expression E> using axis_of = typename E::columns_axis;

/// What an expression becomes when it is written: itself, unless a pattern says otherwise. A pattern is a partial
/// specialisation in the header that declares the operator it matches, so that every translation unit sees it.
template <Expression E> struct simplified { using type = E; };

template <Axis C, class Op, Expression... Args>
consteval typename simplified<node<Op, C, Args...>>::type apply(Op, Args...) { return {}; }

}  // namespace graft
