// SPDX-License-Identifier: Apache-2.0
// What a fused loop walks: where its values lie, which axes it has.                      (layer 9: program)
#pragma once

#include <graft/program/fusion.hpp>
#include <graft/tensor/elementary.hpp>

#include <utility>

namespace graft {

/// Where the vertices of a running program lie, and what its sizes are.
template <class T>
struct graph_frame {
    T* const* data = nullptr;                  // of each vertex (indices: std::int32_t, cast)
    index_t const* sizes = nullptr;            // of each variable
    double const* scalars = nullptr;           // the run-time numbers of the expression
    index_t const* const* strides = nullptr;   // of each vertex that is not contiguous, per axis; null: all are

    constexpr index_t size(dim d) const { return d.exact() ? d.value : sizes[-1 - d.value]; }
    sizes_t sizes_of(shape<dim> const& s) const {
        sizes_t n;
        for (dim d : s) n.push(size(d));
        return n;
    }
};

namespace detail {

template <int I, class Op> struct indexed_op { using type = Op; };
template <class I, class... Op> struct op_map;
template <int... I, class... Op>
struct op_map<std::integer_sequence<int, I...>, Op...> : indexed_op<I, Op>... {};
template <class... Op>
constexpr auto map_of(op_list<Op...>) {
    return op_map<std::make_integer_sequence<int, sizeof...(Op)>, Op...>{};
}
template <int I, class Op> indexed_op<I, Op> found_op(indexed_op<I, Op>);
/// The element-wise function of a number.
template <int I> using element_at = typename decltype(found_op<I>(map_of(elementary{})))::type;

/// Functions of dozens of steps, each of which waits for the one before.
using long_functions = op_list<exp_, expm1_, log_, log1p_, sin_, cos_, tanh_, sigmoid_, silu_, softplus_, erf_, pow_>;
template <class Op, class... Long>
constexpr bool is_in(op_list<Long...>) {
    return (std::is_same_v<Op, Long> || ...);
}
template <class... Op>
constexpr auto long_among(op_list<Op...>) {
    return std::array{is_in<Op>(long_functions{})...};
}

/// The axes a loop really has: neighbours that every member walks alike are one, axes of size 1 are none.
struct loop_axes {
    int rank = 0;
    std::array<unsigned, most_axes> of{};  // the axes of the space that make axis k
};

template <class Program, int S, bool Strided>
struct loop_shape {
    static constexpr auto const& step = Program::steps.at(S);
    static constexpr int count = step.count;
    static constexpr loop_member const& member(int m) { return Program::steps.member(step.first + m); }

    static constexpr loop_axes axes = [] {
        loop_axes r;
        index_t before = -1;
        for (index_t a = 0; a < step.space.rank; ++a) {
            if (step.space[a].value == 1) continue;
            bool joins = before >= 0 && !Strided;
            for (int m = 0; m < count && joins; ++m)
                joins = member(m).does == loop_member::role::number ||
                        (member(m).stretched >> a & 1) == (member(m).stretched >> before & 1);
            if (!joins) r.of[static_cast<std::size_t>(r.rank++)] = 0;
            r.of[static_cast<std::size_t>(r.rank - 1)] |= 1u << a;
            before = a;
        }
        return r;
    }();
    static constexpr int rank = axes.rank;
    /// Has member m no axis k of the loop?
    static constexpr bool still(int m, int k) {
        if (rank == 0) return member(m).does == loop_member::role::reduce;
        return (member(m).stretched & axes.of[static_cast<std::size_t>(k)]) != 0;
    }
    static constexpr bool still_inside(int m) { return rank > 0 && still(m, rank - 1); }

    static constexpr bool calls_functions() {
        constexpr auto is_long = long_among(elementary{});
        for (int m = 0; m < count; ++m) {
            vertex const& v = Program::code.at(member(m).vertex);
            if (member(m).does == loop_member::role::compute && v.what == structure::element && is_long[v.element])
                return true;
        }
        return false;
    }
};

}  // namespace detail
}  // namespace graft
