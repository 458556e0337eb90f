// SPDX-License-Identifier: Apache-2.0
// What a strategy makes of a program: an explicit list of events, forward then backward. (layer 9: program)
#pragma once

#include <graft/base/error.hpp>
#include <graft/program/program.hpp>

namespace graft {

enum class act : unsigned char {
    run,    // compute the value of a step
    close,  // x + F(x): add the stream that entered the stage to its last value
    pull    // from the gradient of a step's value to those of its operands and weights
};

/// Events of one scene run in order; a tiled scene runs once for each tile of rows.
struct event {
    act what = act::run;
    bool tiled = false;
    index_t step = -1, stage = -1, scene = -1;
};

/// A list of events with room for the longest schedule of a program of N steps and S stages: each stage pulled on its
/// own after the stream up to it was computed again.
template <std::size_t N, std::size_t S>
struct schedule {
    static constexpr std::size_t capacity = (S + 2) * (N + S);
    std::array<event, capacity> events{};
    index_t size = 0;      // events in use
    index_t backward = 0;  // the first event of the backward pass
    constexpr event const& at(index_t e) const { return events[static_cast<std::size_t>(e)]; }
};

/// Why a stage runs: for its value (the stream goes on), for what its pull reads, or both.
struct purpose {
    bool value = false, pull = false;
};

/// What a strategy writes its schedule with.
template <class Sizes, std::size_t N, std::size_t S>
struct composer {
    program<Sizes, N, S> const& code;
    schedule<N, S> out{};
    index_t scenes = 0;
    bool tiled = false;

    static constexpr index_t stages = static_cast<index_t>(S);
    constexpr bool tiles(index_t stage) const { return code.tiles(stage); }

    /// What follows runs together, tile by tile if asked and if every stage in it can.
    constexpr void scene(bool by_tiles = false) { ++scenes, tiled = by_tiles; }

    /// Computes those steps of a stage that the purpose needs, and what these need in turn.
    constexpr void run(index_t stage, purpose why) {
        std::array<bool, N> need{};
        auto const of = [&](index_t i) -> bool& { return need[static_cast<std::size_t>(i)]; };
        of(code.last(stage)) = why.value;
        for (index_t i = code.last(stage); i > code.begin(stage); --i) {
            auto const& s = code.at(i);
            if (why.pull && (s.pull_reads.value || s.pull_reads.residue)) of(i) = true;
            for (std::size_t k = 0; k < most_operands; ++k)
                if (s.in[k] >= 0 && (of(i) || (why.pull && (s.pull_reads.operands >> k & 1)))) of(s.in[k]) = true;
        }
        for (index_t i = code.begin(stage) + 1; i <= code.last(stage); ++i)
            if (of(i)) put(act::run, i, stage);
        if (why.value) put(act::close, code.last(stage), stage);
    }

    constexpr void pull(index_t stage) {
        for (index_t i = code.last(stage); i > code.begin(stage); --i) put(act::pull, i, stage);
    }

private:
    constexpr void put(act what, index_t step, index_t stage) {
        auto const capacity = static_cast<index_t>(schedule<N, S>::capacity);
        require(out.size < capacity, fault::bounds, "schedule: events", out.size + 1, capacity);
        if (tiled && !code.tiles(stage)) {
            tiled = false;
            for (event& e : out.events)
                if (e.scene == scenes) e.tiled = false;
        }
        out.events[static_cast<std::size_t>(out.size++)] = {what, tiled, step, stage, scenes};
    }
};

/// The events of one block under a strategy.
template <class Sizes, std::size_t N, std::size_t S, class Strategy>
constexpr schedule<N, S> make_schedule(program<Sizes, N, S> const& code, Strategy const& strategy) {
    composer<Sizes, N, S> c{code};
    strategy.forward(c);
    c.out.backward = c.out.size;
    strategy.backward(c);
    return c.out;
}

}  // namespace graft
