// SPDX-License-Identifier: Apache-2.0
// One step of a recurrence, and the two programs that run it: a step and its gradient.   (layer 9: program)
//
//     constexpr symbol<"x", any, any> x;      // batch × inputs
//     constexpr symbol<"h", any, any> h;      // batch × width
//     constexpr symbol<"W", any, any> W;      // inputs × width
//     constexpr symbol<"U", any, any> U;      // width × width
//     constexpr auto elman = cell(x, states(h), parameters(W, U),
//                                 [](auto x, auto h, auto W, auto U) { return tanh(matmul(x, W) + matmul(h, U)); });
#pragma once

#include <graft/program/gradient.hpp>

namespace graft {

/// The states that a cell carries from step to step, and what all its steps share.
template <class... S> struct states_of {};
template <Named... S> constexpr states_of<S...> states(S const&...) { return {}; }
template <class... P> struct parameters_of {};
template <Named... P> constexpr parameters_of<P...> parameters(P const&...) { return {}; }

/// What a step returns: the new states, in the order of `states`, and its output, else the first state.
template <std::size_t N>
struct stepped {
    std::array<term, N> state;
    term output;
    constexpr stepped emits(term y) const { return {state, y}; }
};
template <std::same_as<term>... S>
constexpr stepped<1 + sizeof...(S)> next(term first, S... more) { return {{first, more...}, first}; }

template <class X, class States, class Parameters, class Step> struct cell_of {};

namespace detail {

/// What stands for a cell with a mistake: nothing follows from it.
struct faulty_cell {};

/// How many states a step's result holds; −1: it is no result of a step.
template <class R> inline constexpr int states_in = -1;
template <> inline constexpr int states_in<term> = 1;
template <std::size_t N> inline constexpr int states_in<graft::stepped<N>> = static_cast<int>(N);

template <class Cell> struct cell_code;
template <class X, class... S, class... P, class Step>
struct cell_code<cell_of<X, states_of<S...>, parameters_of<P...>, Step>> {
    static constexpr int state_count = sizeof...(S), operand_count = 1 + state_count + static_cast<int>(sizeof...(P));
    static constexpr std::array<std::string_view, static_cast<std::size_t>(operand_count)> names{X::name, S::name...,
                                                                                                 P::name...};

    /// The step. Outputs: the vertices of the new states, then that of the output.
    static constexpr graph_builder write() {
        graph_builder g;
        tracer t{g};
        term const in[]{t.template of<X>(), t.template of<S>()..., t.template of<P>()...};
        auto const result = [&]<std::size_t... I>(std::index_sequence<I...>) {
            auto const r = Step{}(in[I]...);
            if constexpr (std::is_same_v<decltype(r), term const>) return next(r);
            else return r;
        }(std::make_index_sequence<static_cast<std::size_t>(operand_count)>{});
        for (std::size_t k = 0; k < sizeof...(S); ++k) {
            auto const was = g.resolved(g.dims_of(in[k + 1].id)), is = g.resolved(g.dims_of(result.state[k].id));
            if (was.rank != is.rank) g.slipped(slip::state, is.rank, was.rank);
            for (index_t a = 0; a < was.rank && !g.clash; ++a) {
                if (was[a].exact() && is[a].exact() && !(was[a] == is[a]))
                    g.slipped(slip::state, is[a].value, was[a].value);
                g.meet(was[a], is[a]);
            }
            g.outputs[k] = result.state[k].id;
        }
        g.outputs[sizeof...(S)] = result.output.id, g.output_count = state_count + 1;
        return g;
    }

    /// Outputs: the new states; then the output, if it is not the first of them.
    struct forward_source {
        static constexpr graph_builder build() {
            graph_builder g = written<cell_code>;
            if (g.outputs[0] == g.outputs[sizeof...(S)]) --g.output_count;
            own_outputs(g);
            return g;
        }
    };
    static constexpr bool emits_first_state =
        written<cell_code>.outputs[0] == written<cell_code>.outputs[sizeof...(S)];

    /// Arguments: those of the step, the gradients by its new states, and that by its output if it is not the first of
    /// them. Outputs: the gradients by input, states and parameters.
    struct pull_source {
        static constexpr graph_builder build() {
            constexpr std::string_view cotangents[]{"d state 0", "d state 1", "d state 2", "d state 3", "d output"};
            static_assert(sizeof...(S) <= 4, "a cell has at most four states");
            graph_builder g = written<cell_code>;
            auto const r = g.outputs;
            term total{g, g.constant(0)};
            for (std::size_t k = 0; k < sizeof...(S) + 1; ++k) {
                if (k == sizeof...(S) && emits_first_state) continue;
                term const dy{g, input_like(g, cotangents[k == sizeof...(S) ? 4 : k], r[k])};
                total = total + sum(dy * term{g, r[k]});
            }
            g.outputs[0] = total.id, g.output_count = 1;
            by all[operand_count];
            for (int k = 0; k < operand_count; ++k) all[k].name = names[static_cast<std::size_t>(k)];
            graph_builder d = reversed(g, all, operand_count, false);
            own_outputs(d);
            return d;
        }
    };

    using forward_program = compiled<forward_source>;
    using pull_program = compiled<pull_source>;

    /// The output's shape, in any algebra of sizes, from the shapes of the step's operands.
    template <class D>
    static constexpr shape<D> output_shape(auto& algebra, shape<D> const* operands) {
        constexpr auto const& g = forward_program::built;
        auto const size = [&](auto const& self, dim d) -> D {
            d = g.resolved(d);
            if (d.exact()) return algebra.number(d.value);
            auto const& v = g.of(d);
            switch (v.from) {
                case variable::how::sum: return algebra.add(self(self, v.a), self(self, v.b));
                case variable::how::product: return algebra.multiply(self(self, v.a), self(self, v.b));
                case variable::how::quotient: return algebra.divide(self(self, v.a), g.resolved(v.b).value);
                default: return operands[v.input][v.axis];
            }
        };
        for (int k = 0; k < operand_count; ++k) {
            auto const& x = g.inputs[static_cast<std::size_t>(k)];
            if (operands[k].rank != x.extents.rank)
                return algebra.mistake(operands[k].rank, x.extents.rank), operands[0];
            for (index_t a = 0; a < x.extents.rank; ++a) {
                if (x.extents[a].exact) algebra.meet(operands[k][a], algebra.number(x.extents[a].bound));
                else algebra.meet(operands[k][a], size(size, g.at(x.vertex).dims[a]));
            }
        }
        shape<D> y;
        for (dim d : g.at(g.outputs[static_cast<std::size_t>(g.output_count - 1)]).dims) y.push(size(size, d));
        return y;
    }
    static constexpr index_t output_rank = forward_program::built.at(
        forward_program::built.outputs[emits_first_state ? 0 : sizeof...(S)]).dims.rank;
};

}  // namespace detail

/// A cell: step(x, states…, parameters…) gives the new state, or `next(states…)`, or `next(states…).emits(output)`.
/// The arguments stand for one step's input, the states and the parameters; a state keeps its shape. The step captures
/// nothing; it is called once, when the graph is made.
template <Named X, Named... S, Named... P, class Step>
constexpr auto cell(X const&, states_of<S...>, parameters_of<P...>, Step const&) {
    static_assert(sizeof...(S) > 0, "a cell without a state is a function: it needs no loop");
    constexpr bool captures = !std::is_empty_v<Step>;
    static_assert(!captures, "the step of a cell captures nothing: what it needs is an input, a state or a parameter");
    constexpr bool called = requires(Step const& f, detail::term_for<X> const& x, detail::term_for<S> const&... s,
                                     detail::term_for<P> const&... p) { f(x, s..., p...); };
    static_assert(called, "a step takes the input, then each state and each parameter of its cell");
    if constexpr (called && !captures) {
        using result = decltype(Step{}(term{}, detail::term_for<S>{}..., detail::term_for<P>{}...));
        constexpr int given = detail::states_in<result>, wanted = sizeof...(S);
        static_assert(given >= 0, "a step gives the new state, or next(states...), or next(states...).emits(output)");
        static_assert(given < 0 || given == wanted, "a step gives as many new states as its cell has");
        if constexpr (given == wanted) {
            using result_cell = cell_of<X, states_of<S...>, parameters_of<P...>, Step>;
            if constexpr (detail::sound<detail::cell_code<result_cell>>::holds) return result_cell{};
            else return detail::faulty_cell{};
        } else return detail::faulty_cell{};
    } else return detail::faulty_cell{};
}

}  // namespace graft
