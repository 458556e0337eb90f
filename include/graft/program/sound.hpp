// SPDX-License-Identifier: Apache-2.0
// What is wrong with an expression, said where a program wrote it: one error, a few lines. (layer 9: program)
#pragma once

#include <graft/program/graph.hpp>

namespace graft::detail {

/// The graph that a source writes, once.
template <class Source> inline constexpr graph_builder written = Source::write();

// The places where two numbers that should be equal are shown.

/// Extents or ranks of the operands of an operation.
template <structure In, index_t Given, index_t Wanted>
struct expects_in {
    static_assert(Given == Wanted, "the extents of the operands do not fit, or they have too few axes");
    static constexpr bool holds = true;
};
/// Extents or ranks of one name; 1: it is of indices.
template <index_t Given, index_t Wanted>
struct expects_same {
    static_assert(Given == Wanted, "two symbols of one name differ in their extents or kind");
    static constexpr bool holds = true;
};
/// Extents or ranks of a cell's state before and after a step.
template <index_t Given, index_t Wanted>
struct expects_state {
    static_assert(Given == Wanted, "a new state of a cell has another shape than the state");
    static constexpr bool holds = true;
};
template <index_t Given, index_t Most>
struct expects_at_most {
    static_assert(Given <= Most, "a function has more operations than a graph holds: prepare its parts one by one");
    static constexpr bool holds = true;
};

/// Does nothing go wrong in what a source writes? Else the compiler says what does. To be named where a program's own
/// function called graft's, so that the way to the message is short; where `holds` is false, nothing follows.
template <class Source>
struct sound {
    static constexpr slip wrong = written<Source>.wrong;
    static constexpr index_t given = written<Source>.given, wanted = written<Source>.wanted;
    template <slip Kind> static constexpr index_t left = wrong == Kind ? given : 0;
    template <slip Kind> static constexpr index_t right = wrong == Kind ? wanted : 0;

    static_assert(expects_in<written<Source>.where, left<slip::extents>, right<slip::extents>>::holds);
    static_assert(expects_state<left<slip::state>, right<slip::state>>::holds);
    static_assert(expects_at_most<left<slip::too_large>, right<slip::too_large>>::holds);
    static_assert(expects_same<left<slip::names>, right<slip::names>>::holds);
    static_assert(wrong != slip::names || given != wanted, "two symbols of one name differ: one of them has a bound");
    static_assert(wrong != slip::indices_compute,
                  "indices (index_symbol, std::int32_t, argmax) select rows or numbers, they do not compute");
    static_assert(wrong != slip::numbers_select,
                  "what selects (ids of rows and pick, a key of dropout) is an index_symbol, or of std::int32_t");
    static_assert(wrong != slip::no_rule,
                  "a rule gives gradients only: neither jvp nor a second derivative goes through it");

    static constexpr bool holds = wrong == slip::none;
};

}  // namespace graft::detail
