// SPDX-License-Identifier: Apache-2.0
// A loop of one cell over the first axis of its input, with its gradient through time.   (layer 9: program)
//
//     auto hs = scan(elman, xs, h0, W, U);                    // steps × batch × width; gradients by all operands
//     auto hs = scan<checkpointed()>(elman, xs, h0, W, U);    // keeps the states of every √steps-th step only
//     auto hs = scan<truncated(20) | backwards>(elman, xs, h0, W, U);
#pragma once

#include <graft/program/cell.hpp>
#include <graft/program/cell_run.hpp>

namespace graft {

/// How a loop runs and how its gradient flows through time. Parts are joined by |.
struct through_time {
    index_t keep_every = 1;  // kept: the states that enter every k-th step, others are computed again; 0: every √steps
    index_t detach_every = 0;  // no gradient passes from step n k to the step before it; 0: it always passes
    bool from_the_end = false;
    bool last_output = false;  // the value is the output of the last step that runs

    friend constexpr through_time operator|(through_time a, through_time b) {
        return {a.keep_every != 1 ? a.keep_every : b.keep_every, a.detach_every != 0 ? a.detach_every : b.detach_every,
                a.from_the_end || b.from_the_end, a.last_output || b.last_output};
    }
    friend constexpr bool operator==(through_time, through_time) = default;
};
/// All states are kept for the gradient.
inline constexpr through_time every_state{};
/// The states that enter every k-th step (every √steps-th, if k is 0) are kept; the gradient is the same to the bit.
constexpr through_time checkpointed(index_t k = 0) { return {.keep_every = k}; }
/// The states are detached every k steps: no gradient flows further back than k steps.
constexpr through_time truncated(index_t k) { return {.detach_every = k}; }
/// From the last step to the first; outputs stay at the places of their inputs.
inline constexpr through_time backwards{.from_the_end = true};
/// The value is what the last step gives, not what every step gives.
inline constexpr through_time last_only{.last_output = true};

/// The operation of `scan`.
template <class Cell, through_time How>
struct scan_op { using kind = scan_op; };

namespace detail {

/// The sizes of one step of a loop, and of what it keeps.
template <class Cell, through_time How>
struct scan_sizes {
    using code = cell_code<Cell>;
    static constexpr int S = code::state_count, N = code::operand_count;
    static constexpr bool emits_state = code::emits_first_state;
    /// Does the value hold the first state of every step? Then it is kept nowhere else.
    static constexpr bool state_in_value = emits_state && !How.last_output;
    static constexpr int first_kept = state_in_value ? 1 : 0;

    sizes_t arguments[N + S + 1];  // of the pull's program; the first N are also those of the step
    index_t steps, every, input, output, state[S], kept = 0;

    constexpr explicit scan_sizes(operand_sizes n) : steps(n.of[0][0]), every(How.keep_every) {
        for (index_t a = 1; a < n.of[0].rank; ++a) arguments[0].push(n.of[0][a]);
        for (int k = 1; k < N; ++k) arguments[k] = n.of[k];
        for (int k = 0; k < S; ++k) arguments[N + k] = n.of[1 + k], state[k] = count(n.of[1 + k]);
        arguments[N + S] = code::output_shape(*this, arguments);
        for (int k = first_kept; k < S; ++k) kept += state[k];
        if (every == 0)
            for (every = 1; every * every < steps;) ++every;
        input = count(arguments[0]), output = count(arguments[N + S]);
    }
    constexpr index_t segments() const { return (steps + every - 1) / every; }
    constexpr index_t residue() const { return kept * std::max(segments() - 1, index_t{0}); }
    static constexpr bool needs_residue = first_kept < S;

    // The algebra of sizes that are known.
    constexpr index_t number(index_t n) const { return n; }
    constexpr index_t add(index_t a, index_t b) const { return a + b; }
    constexpr index_t multiply(index_t a, index_t b) const { return a * b; }
    constexpr index_t divide(index_t a, index_t by) const { return a / by; }
    constexpr void meet(index_t, index_t) const {}
    constexpr void mistake(index_t, index_t) const {}
};

/// to (+)= from.
template <class T>
void join(T* to, T const* from, index_t n, bool assigns) {
    if (assigns) return void(std::copy_n(from, n, to));
    along<T>(n, [=](index_t j, auto access) { access.store(to + j, access.load(to + j) + access.load(from + j)); });
}

}  // namespace detail

/// s_n = cell(x_n, s_{n−1}), n = 1 … steps, and its gradient by back-propagation through time: one pull of the cell for
/// each step, which computes the step again from the states that enter it.
///
/// shapes   x: steps × (an input of the cell)    states, parameters: those of the cell    y: steps × (an output)
/// keeps    the states that enter every k-th step, but not the first state where it is the output: that is y
/// source   Williams and Peng 1990 (truncation); arXiv 1604.06174 (every √n-th kept)
template <class Cell, through_time How>
struct rule<scan_op<Cell, How>> : careful {
    using sizes = detail::scan_sizes<Cell, How>;
    using code = typename sizes::code;
    static constexpr int S = sizes::S, N = sizes::N;
    static constexpr reads pull_reads{~0u, sizes::state_in_value, sizes::needs_residue};

    template <class D, class... M>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& xs, M const&... more) {
        shape<D> step[N]{{}, more...};
        for (index_t a = 1; a < xs.rank; ++a) step[0].push(xs[a]);
        auto const one = code::output_shape(algebra, step);
        shape<D> y;
        if (!How.last_output) y.push(xs[0]);
        for (D d : one) y.push(d);
        return y;
    }
    static constexpr index_t residue(operand_sizes n) { return sizes(n).residue(); }

    template <class T>
    static constexpr index_t scratch(operand_sizes n, call c) {
        using space = workspace<T>;
        sizes const z(n);
        index_t const steps = detail::inner_run<typename code::forward_program, T>::numbers(z.arguments, c.lanes);
        index_t states = 0;
        for (index_t s : z.state) states += space::numbers(1, s);
        if (!c.pull) return round_up(steps, space::grain) + states;
        index_t program = detail::inner_run<typename code::pull_program, T>::numbers(z.arguments, c.lanes);
        if (z.every > 1) program = std::max(program, steps);
        return round_up(program, space::grain) + states + space::numbers(1, z.output) +
               space::numbers(std::min(z.every, z.steps), z.kept);
    }

    template <class T, class... M>
    static void forward(auto const& here, matrix<T> y, matrix<T> x, M... others) {
        T* const operand[]{x.data, others.data...};
        sizes const z(here.n);
        auto space = here.space;
        T* const memory =
            space.take(detail::inner_run<typename code::forward_program, T>::numbers(z.arguments, here.on.count));
        detail::inner_run<typename code::forward_program, T> run(z.arguments, memory, here.on);
        T* own[S];
        T const* now[S];
        for (int k = 0; k < S; ++k) own[k] = space.take(z.state[k]), now[k] = operand[1 + k];
        for (int k = 1 + S; k < N; ++k) run.set(k, operand[k]);
        for (index_t n = 0; n < z.steps; ++n) {
            advance(run, z, n, operand[0], now);
            if (!How.last_output) std::copy_n(run.output(code_output), z.output, y.data + place(z, n) * z.output);
            else if (n + 1 == z.steps) std::copy_n(run.output(code_output), z.output, y.data);
            T* kept = here.residue.data && (n + 1) % z.every == 0 && n + 1 < z.steps
                          ? here.residue.data + ((n + 1) / z.every - 1) * z.kept : nullptr;
            for (int k = 0; k < S; ++k) {
                now[k] = own[k];
                if (k == 0 && sizes::state_in_value) now[k] = y.data + place(z, n) * z.output;
                else std::copy_n(run.output(k), z.state[k], own[k]);
                if (kept && k >= sizes::first_kept) kept = std::copy_n(own[k], z.state[k], kept);
            }
        }
        if (z.steps == 0 && How.last_output) std::fill_n(y.data, z.output, T(0));
    }

    template <class T, class... M>
    static void pull(auto const& here, matrix<T> dy, M... all) {
        matrix<T> const operand[]{all...};
        matrix<T> const* const gradient = operand + N;
        sizes const z(here.n);
        auto space = here.space;
        using pull_run = detail::inner_run<typename code::pull_program, T>;
        index_t program = pull_run::numbers(z.arguments, here.on.count);
        if (z.every > 1)
            program = std::max(
                program, detail::inner_run<typename code::forward_program, T>::numbers(z.arguments, here.on.count));
        T* const memory = space.take(program);
        T* ds[S];
        for (int k = 0; k < S; ++k) std::fill_n(ds[k] = space.take(z.state[k]), z.state[k], T(0));
        T* const none = space.take(z.output);  // the gradient by an output that nobody sees
        T* const again = space.take(std::min(z.every, z.steps), z.kept).data;
        std::fill_n(none, z.output, T(0));
        bool fresh = true;

        for (index_t segment = z.segments(); segment-- > 0;) {
            index_t const begin = segment * z.every, end = std::min(z.steps, begin + z.every);
            // Where state k that enters step n of this segment lies.
            auto const state = [&](int k, index_t n) -> T const* {
                if (n == 0) return operand[1 + k].data;
                if (k < sizes::first_kept) return here.value.data + place(z, n - 1) * z.output;
                T const* at = n == begin ? here.residue.data + (segment - 1) * z.kept : again + (n - begin) * z.kept;
                for (int i = sizes::first_kept; i < k; ++i) at += z.state[i];
                return at;
            };
            if (z.kept > 0 && end - begin > 1) {
                detail::inner_run<typename code::forward_program, T> run(z.arguments, memory, here.on);
                for (int k = 1 + S; k < N; ++k) run.set(k, operand[k].data);
                for (index_t n = begin; n + 1 < end; ++n) {
                    T const* now[S];
                    for (int k = 0; k < S; ++k) now[k] = state(k, n);
                    advance(run, z, n, operand[0].data, now);
                    for (int k = sizes::first_kept; k < S; ++k)
                        std::copy_n(run.output(k), z.state[k], const_cast<T*>(state(k, n + 1)));
                }
            }
            pull_run run(z.arguments, memory, here.on);
            for (int k = 1 + S; k < N; ++k) run.set(k, operand[k].data);
            for (int k = 0; k < S; ++k) run.set(N + k, ds[k]);
            for (index_t n = end; n-- > begin;) {
                T const* const dyn = !How.last_output     ? dy.data + place(z, n) * z.output
                                     : n + 1 == z.steps ? dy.data : none;
                if (sizes::emits_state) detail::join(ds[0], dyn, z.output, false);
                else run.set(N + S, dyn);
                run.set(0, operand[0].data + place(z, n) * z.input);
                for (int k = 0; k < S; ++k) run.set(1 + k, state(k, n));
                run();
                if (gradient[0])
                    detail::join(gradient[0].data + place(z, n) * z.input, run.output(0), z.input, gradient[0].fresh);
                bool const cut = How.detach_every > 0 && n > 0 && n % How.detach_every == 0;
                for (int k = 0; k < S; ++k) {
                    if (cut) std::fill_n(ds[k], z.state[k], T(0));
                    else std::copy_n(run.output(1 + k), z.state[k], ds[k]);
                }
                for (int k = 1 + S; k < N; ++k)
                    if (gradient[k])
                        detail::join(gradient[k].data, run.output(k), count(z.arguments[k]),
                                     gradient[k].fresh && fresh);
                fresh = false;
            }
        }
        for (int k = 0; k < S; ++k)
            if (gradient[1 + k]) detail::join(gradient[1 + k].data, ds[k], z.state[k], gradient[1 + k].fresh);
        for (int k = 1 + S; k < N; ++k)
            if (fresh && gradient[k] && gradient[k].fresh) std::fill_n(gradient[k].data, count(z.arguments[k]), T(0));
    }

private:
    static constexpr int code_output = sizes::emits_state ? 0 : S;
    /// The place in x and y of the n-th step that runs.
    static constexpr index_t place(sizes const& z, index_t n) { return How.from_the_end ? z.steps - 1 - n : n; }
    template <class Run, class T>
    static void advance(Run& run, sizes const& z, index_t n, T const* x, T const* const* now) {
        run.set(0, x + place(z, n) * z.input);
        for (int k = 0; k < S; ++k) run.set(1 + k, now[k]);
        run();
    }
};

/// The outputs of a cell that runs over the first axis of xs: `scan(cell, xs, states…, parameters…)`. With `last_only`
/// the output of the last step.
template <through_time How = every_state, class X, class S, class P, class Step, Operand Xs, Operand... Args>
constexpr auto scan(cell_of<X, S, P, Step>, Xs const& xs, Args const&... args) {
    constexpr bool each = 1 + sizeof...(Args) == detail::cell_code<cell_of<X, S, P, Step>>::operand_count;
    static_assert(each, "scan takes the inputs, then each state and each parameter of its cell");
    static_assert(How.keep_every >= 0 && How.detach_every >= 0, "through_time counts steps");
    if constexpr (each) return apply<scan_op<cell_of<X, S, P, Step>, How>>(xs, args...);
    else return xs;
}
template <through_time How = every_state, Operand Xs, Operand... Args>
constexpr auto scan(detail::faulty_cell, Xs const& xs, Args const&...) { return xs; }

}  // namespace graft
