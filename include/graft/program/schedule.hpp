// SPDX-License-Identifier: Apache-2.0
// What a strategy makes of a program: an explicit list of events, forward then backward. (layer 9: program)
#pragma once

#include <graft/base/error.hpp>
#include <graft/program/program.hpp>

#include <cstdint>

namespace graft {

enum class act : unsigned char {
    run,    // compute the value of a step
    close,  // x + F(x): add the stream that entered the stage to its last value
    pull,   // from the gradient of a step's value to those of its operands and weights
    hold    // keep the value of a step until here
};

/// Events of one scene run in order; a tiled scene runs once for each tile of rows.
struct event {
    act what = act::run;
    bool tiled = false;
    unsigned wanted = ~0u;  // of a pull: the operands whose gradients are of use (bit k: operand k)
    index_t step = -1, stage = -1, scene = -1;
};

/// What becomes of one block's gradients.
struct block_role {
    bool trains = true;  // its weights' gradients are wanted
    bool passes = true;  // the gradient of the stream that enters it is
    constexpr bool operator==(block_role const&) const = default;
};

/// A list of events with room for the longest schedule of a program of N steps and S stages: each stage pulled on its
/// own after the stream up to it was computed again, and its values held.
template <std::size_t N, std::size_t S>
struct schedule {
    static constexpr std::size_t capacity = (S + 3) * (N + S);
    std::array<event, capacity> events{};
    std::array<reads, N> pull_reads{};  // under the block's role
    index_t size = 0;                   // events in use
    index_t tile = 0;                   // rows of a tile
    index_t backward = 0;               // the first event of the backward pass
    constexpr event const& at(index_t e) const { return events[static_cast<std::size_t>(e)]; }
    constexpr reads const& reads_of(index_t step) const { return pull_reads[static_cast<std::size_t>(step)]; }
};

/// Why a stage runs: for its value (the stream goes on), for what its pull reads, or both.
struct purpose {
    bool value = false, pull = false;
};

/// A set of a program's steps: bit i stands for step i.
using step_set = std::uint64_t;
constexpr bool has(step_set s, index_t step) { return s >> step & 1; }

/// What a strategy writes its schedule with.
template <class Sizes, std::size_t N, std::size_t S>
struct composer {
    static_assert(N <= 64, "a step_set has a bit for each step of a block");
    program<Sizes, N, S> const& code;
    Sizes const& n;
    block_role role{};
    schedule<N, S> out{};
    step_set kept = 0;    // values of the forward that wait for the pulls
    step_set useful = 0;  // steps whose gradient leads to something that is wanted
    index_t variant = 0;  // which of the strategy's schedules this is
    index_t scenes = 0;
    bool tiled = false, goes_back = false, renews = false;

    static constexpr index_t stages = static_cast<index_t>(S);
    constexpr bool tiles(index_t stage) const { return code.tiles(stage); }

    constexpr composer(program<Sizes, N, S> const& c, Sizes const& sizes, block_role r) : code(c), n(sizes), role(r) {
        bool below = role.passes;
        for (index_t s = 0; s < stages; ++s) {
            if (below) useful |= step_set{1} << code.begin(s);
            for (index_t i = code.begin(s) + 1; i <= code.last(s); ++i) {
                bool const trained = trains(i);
                bool leads = trained;
                for (index_t k : code.at(i).in) leads |= k >= 0 && has(useful, k);
                if (leads) useful |= step_set{1} << i;
                below |= trained;
                out.pull_reads[static_cast<std::size_t>(i)] =
                    !leads ? reads{} : trained ? code.at(i).pull_reads(n) : code.at(i).pull_reads_untrained(n);
            }
        }
    }
    /// Are weights of this step trained here?
    constexpr bool trains(index_t step) const { return role.trains && code.at(step).rank(n) > 0; }

    /// What follows runs together, tile by tile if asked and if every stage in it can.
    constexpr void scene(bool by_tiles = false) { ++scenes, tiled = by_tiles; }

    /// The values of these steps, computed in the forward, wait for the pulls: they are not computed again. A stage's
    /// last value becomes the stream in its place: to keep that, name the next stage's stream.
    constexpr void keep(step_set which) {
        kept = which;
        for (index_t s = 0; s < stages; ++s) kept &= ~(step_set{1} << code.last(s));
    }

    /// Computes those steps of a stage that the purpose needs, and what these need in turn.
    constexpr void run(index_t stage, purpose why) {
        step_set need = 0;
        bool const onward = why.value && !(goes_back && stage + 1 < stages && has(kept, code.begin(stage + 1)));
        if (onward) add(need, code.last(stage));
        for (index_t i = code.last(stage); i > code.begin(stage); --i) {
            auto const& s = code.at(i);
            auto const& r = out.reads_of(i);
            if (why.pull && (r.value || r.residue)) add(need, i);
            if (!goes_back && has(kept, i)) need |= step_set{1} << i;
            for (std::size_t k = 0; k < most_operands; ++k)
                if (s.in[k] >= 0 && (has(need, i) || (why.pull && (r.operands >> k & 1)))) add(need, s.in[k]);
        }
        for (index_t i = code.begin(stage) + 1; i <= code.last(stage); ++i)
            if (has(need, i)) put(act::run, i, stage);
        if (onward) put(act::close, code.last(stage), stage);
    }
    /// Computes one step again, from values that are there.
    constexpr void run_again(index_t stage, index_t step) { put(act::run, step, stage); }
    /// Keeps the value of a step until here.
    constexpr void hold(index_t stage, index_t step) { put(act::hold, step, stage); }

    /// Values of little arithmetic that the stream alone leads to (norms) are not held for the pulls that read them:
    /// each is computed once more, before the first of these.
    constexpr void renew() { renews = true; }

    constexpr void pull(index_t stage) {
        step_set here = kept;
        for (index_t i = code.last(stage); i > code.begin(stage); --i) {
            if (!has(useful, i)) continue;
            for (std::size_t k = 0; renews && k < most_operands; ++k)
                if (index_t const a = code.at(i).in[k];
                    a >= 0 && (out.reads_of(i).operands >> k & 1) && is_light(a, stage) && !has(here, a))
                    put(act::run, a, stage), here |= step_set{1} << a;
            put(act::pull, i, stage);
        }
    }

private:
    constexpr bool is_light(index_t step, index_t stage) const {
        auto const& s = code.at(step);
        double const numbers = static_cast<double>(n.tokens * s.columns(n));
        return s.in[0] == code.begin(stage) && s.in[1] < 0 && s.work(n, n.tokens, false, false, false) <= 8 * numbers;
    }
    /// A value is needed: computed here, unless it waits since the forward.
    constexpr void add(step_set& need, index_t step) const {
        if (!(goes_back && has(kept, step))) need |= step_set{1} << step;
    }

    constexpr void put(act what, index_t step, index_t stage) {
        auto const capacity = static_cast<index_t>(schedule<N, S>::capacity);
        require(out.size < capacity, fault::bounds, "schedule: events", out.size + 1, capacity);
        if (tiled && !code.tiles(stage)) {
            tiled = false;
            for (event& e : out.events)
                if (e.scene == scenes) e.tiled = false;
        }
        event e{what, tiled, ~0u, step, stage, scenes};
        if (what == act::pull) {
            e.wanted = 0;
            for (std::size_t k = 0; k < most_operands; ++k)
                if (index_t const a = code.at(step).in[k]; a >= 0 && has(useful, a)) e.wanted |= 1u << k;
        }
        out.events[static_cast<std::size_t>(out.size++)] = e;
    }
};

/// Multiply-adds of one block's two passes over `rows` rows.
struct block_work {
    double forward = 0, backward = 0;
    constexpr double total() const { return forward + backward; }
};

template <class Sizes, std::size_t N, std::size_t S>
constexpr block_work work_of(program<Sizes, N, S> const& code, schedule<N, S> const& events, Sizes const& n,
                             block_role role = {}) {
    block_work w;
    for (index_t e = 0; e < events.size; ++e) {
        event const& v = events.at(e);
        if (v.what != act::run && v.what != act::pull) continue;
        auto const& s = code.at(v.step);
        bool const pull = v.what == act::pull;
        (e < events.backward ? w.forward : w.backward) +=
            s.work(n, n.tokens, pull, role.trains && s.rank(n) > 0, v.wanted != 0);
    }
    return w;
}

}  // namespace graft
