// SPDX-License-Identifier: Apache-2.0
// A block's equations as a value: its distinct sub-expressions, operands first.          (layer 9: program)
#pragma once

#include <graft/expression/chain.hpp>
#include <graft/expression/node.hpp>
#include <graft/rule/rule.hpp>

#include <array>
#include <type_traits>

namespace graft {

inline constexpr std::size_t most_operands = 3;

/// One operation of a program. Functions of the sizes stay functions: the program is the same for every model.
template <class Sizes>
struct program_step {
    index_t (*columns)(Sizes const&) = nullptr;  // of its value; rows are tokens
    index_t (*rank)(Sizes const&) = nullptr;     // of the adapter it carries in these sizes, 0: none
    index_t (*residue)(Sizes const&) = nullptr;
    index_t (*scratch_float)(Sizes const&, call) = nullptr;  // numbers, when T is float
    index_t (*scratch_double)(Sizes const&, call) = nullptr;
    double (*work)(Sizes const&, index_t rows, bool pull, bool trained, bool wanted) = nullptr;  // multiply-adds
    std::array<index_t, most_operands> in{-1, -1, -1};  // earlier steps
    reads (*pull_reads)(Sizes const&) = nullptr;  // where the weights of the operation are trained
    reads (*pull_reads_untrained)(Sizes const&) = nullptr;
    unsigned forward_over = 0, pull_over = 0;
    int pull_takes = -1;
    bool rows_independent = true;
};

/// Stage s is steps first[s] (the stream that enters it) … first[s + 1] − 1 (the last operation of its F).
/// The sum x + F(x) is not a step: it closes the stage.
template <class Sizes, std::size_t N, std::size_t S>
struct program {
    static constexpr index_t stages = static_cast<index_t>(S);
    std::array<program_step<Sizes>, N> steps{};
    std::array<index_t, S + 1> first{};

    constexpr program_step<Sizes> const& at(index_t i) const { return steps[static_cast<std::size_t>(i)]; }
    constexpr index_t begin(index_t s) const { return first[static_cast<std::size_t>(s)]; }
    constexpr index_t last(index_t s) const { return begin(s + 1) - 1; }
    /// May this stage run on some of its rows at a time?
    constexpr bool tiles(index_t s) const {
        for (index_t i = begin(s); i <= last(s); ++i)
            if (!at(i).rows_independent) return false;
        return true;
    }
};

// ------------------------------------------------------------------ types to a list, operands first, each once
template <class... E> struct list {};
template <class E, class L> inline constexpr bool contains = false;
template <class E, class... S> inline constexpr bool contains<E, list<S...>> = (std::is_same_v<E, S> || ...);
template <class L> inline constexpr std::size_t length_of = 0;
template <class... E> inline constexpr std::size_t length_of<list<E...>> = sizeof...(E);
template <class E, class... S>
constexpr index_t position(list<S...>) {
    index_t i = 0;
    (void)((std::is_same_v<E, S> || (++i, false)) || ...);
    return i;
}

template <class Seen, class E> struct visit { using type = Seen; };
template <class... S, class E>
    requires(!contains<E, list<S...>>)
struct visit<list<S...>, E> { using type = list<S..., E>; };
template <class Seen, class... E> struct visit_each { using type = Seen; };
template <class Seen, class E, class... Rest>
struct visit_each<Seen, E, Rest...> : visit_each<typename visit<Seen, E>::type, Rest...> {};
template <class... S, class Op, class C, class... Args>
    requires(!contains<node<Op, C, Args...>, list<S...>>)
struct visit<list<S...>, node<Op, C, Args...>> {
    template <class... Before> static list<Before..., node<Op, C, Args...>> push(list<Before...>);
    using type = decltype(push(typename visit_each<list<S...>, Args...>::type{}));
};

/// The stream a stage starts from, read off the first operand of its innermost operation.
template <class E> struct source_of { using type = E; };
template <class Op, class C, class First, class... Rest>
struct source_of<node<Op, C, First, Rest...>> : source_of<First> {};
/// The steps of residual(F): the stream, then F's distinct sub-expressions.
template <class F> using stage_steps = typename visit<list<typename source_of<F>::type>, F>::type;

// ------------------------------------------------------------------ a list of types to a value
template <class Op, class Sizes>
constexpr index_t adapter_rank(Sizes const& n) {
    if constexpr (requires { Op::adapter_rank(n); }) return Op::adapter_rank(n);
    else return 0;
}

template <class Op, class Sizes>
constexpr index_t columns_in(Sizes const& n) {
    if constexpr (requires { Op::in_axis::of(n); }) return Op::in_axis::of(n);
    else return 0;
}
/// What a pull reads: a constant of its rule, or what the rule says of these sizes.
template <class Rule, class Sizes>
constexpr reads reads_trained(Sizes const& n) {
    if constexpr (requires { Rule::pull_reads(n); }) return Rule::pull_reads(n);
    else return Rule::pull_reads;
}
/// The same where the weights of its operation are not trained.
template <class Rule, class Sizes>
constexpr reads reads_untrained(Sizes const& n) {
    if constexpr (requires { Rule::pull_reads_untrained; }) return Rule::pull_reads_untrained;
    else return reads_trained<Rule>(n);
}
/// A call of an operation's rule, with the columns that the operation has in these sizes.
template <class Op, class C, class Sizes>
constexpr call sized(Sizes const& n, call c) {
    c.in = columns_in<Op>(n), c.out = C::of(n);
    return c;
}

template <class Sizes, class L, class Op, class C, class... Args>
constexpr program_step<Sizes> make_step(node<Op, C, Args...>) {
    static_assert(Ruled<Op>, "no rule says how this operation runs and how its gradient is pulled");
    if constexpr (Ruled<Op>) {
        using r = rule<typename Op::kind>;
        return {.columns = [](Sizes const& n) { return C::of(n); },
                .rank = [](Sizes const& n) { return adapter_rank<Op>(n); },
                .residue = [](Sizes const& n) { return r::residue(n); },
                .scratch_float =
                    [](Sizes const& n, call c) { return r::template scratch<float>(n, sized<Op, C>(n, c)); },
                .scratch_double =
                    [](Sizes const& n, call c) { return r::template scratch<double>(n, sized<Op, C>(n, c)); },
                .work =
                    [](Sizes const& n, index_t rows, bool pull, bool trained, bool wanted) {
                        return r::work(
                            n, task{rows, columns_in<Op>(n), C::of(n), adapter_rank<Op>(n), pull, trained, wanted});
                    },
                .in = [] {
                    std::array<index_t, most_operands> in{-1, -1, -1};
                    std::size_t k = 0;
                    ((in[k++] = position<Args>(L{})), ...);
                    return in;
                }(),
                .pull_reads = [](Sizes const& n) { return reads_trained<r>(n); },
                .pull_reads_untrained = [](Sizes const& n) { return reads_untrained<r>(n); },
                .forward_over = r::forward_over,
                .pull_over = r::pull_over,
                .pull_takes = r::pull_takes,
                .rows_independent = r::rows_independent};
    } else {
        return {};
    }
}
template <class Sizes, class L, class C>
constexpr program_step<Sizes> make_step(stream<C>) {
    program_step<Sizes> s;
    s.columns = [](Sizes const& n) { return C::of(n); };
    return s;
}

template <class Sizes, class... F>
constexpr auto flatten_chain(chain<residual_<F>...>) {
    program<Sizes, (length_of<stage_steps<F>> + ...), sizeof...(F)> p;
    index_t at = 0;
    std::size_t stage = 0;
    auto const put = [&]<class... E>(list<E...> steps) {
        index_t const base = at;
        p.first[stage++] = base;
        auto const append = [&](program_step<Sizes> s) {
            for (index_t& i : s.in)
                if (i >= 0) i += base;
            p.steps[static_cast<std::size_t>(at++)] = s;
        };
        (append(make_step<Sizes, decltype(steps)>(E{})), ...);
    };
    (put(stage_steps<F>{}), ...);
    p.first[stage] = at;
    return p;
}

/// The program of a block: a value that knows no weights, no memory and no numbers.
template <class Block>
constexpr auto flatten() { return flatten_chain<typename Block::sizes>(Block::equations); }

// ------------------------------------------------------------------ the operations of a block, each once
template <class E> struct op_of { using type = list<>; };
template <class Op, class C, class... Args> struct op_of<node<Op, C, Args...>> { using type = list<Op>; };
template <class... A, class... B> constexpr list<A..., B...> operator+(list<A...>, list<B...>) { return {}; }
template <class... S> constexpr list<S...> distinct(list<S...>, list<>) { return {}; }
template <class... S, class Op, class... Rest>
constexpr auto distinct(list<S...> seen, list<Op, Rest...>) {
    if constexpr (contains<Op, list<S...>>) return distinct(seen, list<Rest...>{});
    else return distinct(list<S..., Op>{}, list<Rest...>{});
}
template <class... E> constexpr auto ops_in(list<E...>) { return (list<>{} + ... + typename op_of<E>::type{}); }
template <class... F>
constexpr auto ops_of(chain<residual_<F>...>) {
    return distinct(list<>{}, (list<>{} + ... + ops_in(stage_steps<F>{})));
}
template <class Op, class Sizes>
inline constexpr index_t is_trained = requires(Sizes const& n) { Op::adapter_rank(n); } ? 1 : 0;
template <class Sizes, class... Op>
constexpr index_t trained_in(list<Op...>) { return (is_trained<Op, Sizes> + ... + 0); }
/// Is every map with an adapter applied once? Its gradient is assigned by its one pull of a backward pass.
template <class Sizes, class... F>
constexpr bool trained_once(chain<residual_<F>...> c) {
    return (trained_in<Sizes>(ops_in(stage_steps<F>{})) + ... + 0) == trained_in<Sizes>(ops_of(c));
}
/// Every operation of a block once, in the order in which it first runs.
template <class Block> using ops = decltype(ops_of(Block::equations));

}  // namespace graft
