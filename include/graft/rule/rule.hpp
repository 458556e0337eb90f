// SPDX-License-Identifier: Apache-2.0
// What a rule is: how one kind of operation runs, how its gradient is pulled, what both need.  (layer 8: rule)
#pragma once

#include <graft/rule/surroundings.hpp>
#include <graft/tensor/matrix.hpp>

#include <utility>

namespace graft {

/// What a pull reads besides the gradient of its value: operands (bit k: operand k), its own value, its residue.
struct reads {
    unsigned operands = 0;
    bool value = false, residue = false;
};

/// One call of a rule, as the plan sees it: how many rows, who computes, how wide the adapter is. `in` and `out` are
/// columns, of operations that have an axis of that name.
struct call {
    index_t rows, lanes, rank;
    bool pull;
    index_t in = 0, out = 0;
};

/// One call of a rule, as a count of its arithmetic sees it. `in` and `out` are columns.
struct task {
    index_t rows, in, out, rank;
    bool pull, trained, wanted;  // a pull: whether its weights' gradients are, whether an operand's gradient is
};

/// Scratch memory of one call: taken by name, returned when the rule ends. Pieces start at multiples of 64 bytes.
template <class T>
struct workspace {
    T* next = nullptr;
    workers const* on = nullptr;

    static constexpr index_t grain = 64 / static_cast<index_t>(sizeof(T));
    static constexpr index_t numbers(index_t rows, index_t columns) { return round_up(rows * columns, grain); }

    T* take(index_t count) { return std::exchange(next, next + round_up(count, grain)); }
    matrix<T> take(index_t rows, index_t columns) { return {take(rows * columns), rows, columns, on}; }
};

/// What a rule may touch besides its operands and their gradients.
template <class T, class Sizes, class Weights>
struct here {
    Sizes const& n;
    surroundings<T> const& around;
    Weights const& w;
    workspace<T> space;
    workers const& on;
    matrix<T> value, residue;  // of this operation: empty unless `pull_reads` says so (or, in a forward, being written)
    index_t first;             // row 0 of the operands is this row of the batch: a tile knows its positions
};

/// What a rule inherits: the cautious answers. Specialise `rule<kind>`, derive from this, and say what is different.
struct careful {
    template <class T> struct weights {};                           // what it holds per layer
    static constexpr work_kind kind = work_kind::other;             // what a profile calls it
    static constexpr bool rows_independent = false;                 // may it run on some of the rows at a time?
    static constexpr reads pull_reads{~0u, true, true};
    static constexpr unsigned forward_over = 0;  // whose buffer its value may take (bit k: operand k)
    static constexpr unsigned pull_over = 0;                        // operand k's gradient may take operand k's buffer
    static constexpr int pull_takes = -1;                           // the operand whose gradient may take dy's buffer
    static constexpr index_t residue(auto const&) { return 0; }     // columns kept beside the value
    template <class T> static constexpr index_t scratch(auto const&, call) { return 0; }  // numbers
    /// Multiply-adds of one call. What grows with one side of a matrix only is not counted.
    static constexpr double work(auto const&, task) { return 0; }
    /// Are its weights' gradients wanted, and still to be assigned?
    static constexpr void set_gradients(auto& /* weights */, bool /* wanted */, bool /* fresh */) {}
};

/// forward(here, y, operands…) and pull(here, dy, operands…, gradients…). An empty gradient view: nobody wants it.
/// A rule writes every element of its results; `+=` on a fresh gradient assigns.
template <class Kind> struct rule;

template <class Op> concept Ruled = requires { rule<typename Op::kind>::pull_reads; };

}  // namespace graft
