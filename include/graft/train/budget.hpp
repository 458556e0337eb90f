// SPDX-License-Identifier: Apache-2.0
// The least arithmetic that fits a number of bytes: what to keep, what to run again, what to tile. (layer 13: train)
#pragma once

#include <graft/strategy/rematerialised.hpp>
#include <graft/train/step_work.hpp>

#include <algorithm>
#include <array>

namespace graft {

/// What `cheapest_within` found.
struct budgeted {
    rematerialised strategy{};
    training_memory memory{};
    double work = 0;    // multiply-adds of a step's blocks
    bool fits = false;  // false: nothing does; the strategy is the smallest there is

    constexpr index_t total() const { return memory.total(); }
};

namespace detail {

inline constexpr index_t most_kept = 12;  // sets in the chain that a search walks

/// Sets of values worth keeping, each larger by one than the one before: the next is the value that saves most
/// arithmetic a byte.
struct kept_chain {
    std::array<step_set, most_kept> sets{};
    index_t size = 1;
};

template <class Block>
constexpr double work_again(transformer_sizes const& n, step_set kept) {
    auto const& code = machine<Block, float>::code;
    mesp s;
    s.kept = kept;
    return work_of(code, make_schedule(code, s, n), n).total();
}

template <class Block>
constexpr kept_chain worth_keeping(transformer_sizes const& n) {
    auto const& code = machine<Block, float>::code;
    kept_chain out;
    double now = work_again<Block>(n, 0);
    while (out.size < most_kept) {
        step_set const have = out.sets[static_cast<std::size_t>(out.size - 1)];
        double best = 0, best_work = now;
        index_t next = -1;
        for (index_t s = 0; s < code.stages; ++s)
            for (index_t i = s == 0 ? 1 : code.begin(s); i <= code.last(s); ++i) {
                bool const stream = i == code.begin(s);
                if (has(have, i) || (!stream && i == code.last(s))) continue;
                double const w = work_again<Block>(n, have | step_set{1} << i);
                index_t const columns = code.at(i).columns(n) + (stream ? 0 : code.at(i).residue(n));
                double const gain = (now - w) / static_cast<double>(columns);
                if (gain > best) best = gain, next = i, best_work = w;
            }
        if (next < 0) break;
        out.sets[static_cast<std::size_t>(out.size++)] = have | step_set{1} << next;
        now = best_work;
    }
    return out;
}

/// Numbers that decoding a weight costs, in multiply-adds: a tile of rows decodes all weights anew.
inline constexpr double decoding = 8;

template <class Block, Optimizer Rule, class T>
struct budget_search {
    model_config const& c;
    training<rematerialised, Rule> s;
    index_t budget;
    kept_chain chain{};
    budgeted best{}, least{};

    constexpr void consider(rematerialised const& r) {
        s.strategy = r;
        budgeted b{r, step_layout<Block, rematerialised, Rule, T>{c, s}.memory(), 0, false};
        b.fits = b.total() <= budget;
        b.work = step_work<Block>(c, s).blocks;
        if (r.tile > 0) b.work *= 1 + decoding / static_cast<double>(r.tile);
        if (least.work == 0 || b.total() < least.total()) least = b;
        bool const better = b.work < best.work || (b.work == best.work && b.total() < best.total());
        if (b.fits && (!best.fits || better)) best = b;
    }
    constexpr mesp keeping(index_t set, index_t tile, phases p) const {
        mesp m;
        m.tile = tile, m.pulled = p, m.kept = chain.sets[static_cast<std::size_t>(set)];
        return m;
    }

    /// All layers keep one set, or the upper ones the next: as many as fit.
    constexpr void keep_some(index_t tile, phases p) {
        for (index_t k = 0; k < chain.size; ++k) {
            mesp const low = keeping(k, tile, p), high = keeping(std::min(k + 1, chain.size - 1), tile, p);
            rematerialised r{low, high, c.layers, 1, tile};
            consider(r);
            if (!best.fits || best.strategy.low.kept != low.kept || best.strategy.tile != tile) {
                s.strategy = r;
                if (step_layout<Block, rematerialised, Rule, T>{c, s}.memory().total() > budget) return;
            }
            index_t fit = 0, not_fit = c.layers + 1;  // how many upper layers may keep more
            while (not_fit - fit > 1) {
                index_t const middle = (fit + not_fit) / 2;
                r.from = c.layers - middle, s.strategy = r;
                bool const fits = step_layout<Block, rematerialised, Rule, T>{c, s}.memory().total() <= budget;
                (fits ? fit : not_fit) = middle;
            }
            if (fit > 0 && fit < c.layers) r.from = c.layers - fit, consider(r);
        }
    }

    constexpr budgeted run() {
        transformer_sizes const n = step_layout<Block, rematerialised, Rule, T>{c, s}.n;
        chain = worth_keeping<Block>(n);
        index_t const finest = s.tokens > 64 ? 64 : 8;  // multiples of 64 keep the order of every sum over rows
        index_t tile = 0;
        for (;;) {
            for (phases p : {phases::one, phases::two}) keep_some(tile, p);
            index_t const next = tile == 0 ? round_up(s.tokens / 2, finest) : round_up(tile / 2, finest);
            if (next == tile || next >= s.tokens) break;
            tile = next;
        }
        if (!best.fits)  // fewer streams, computed once more
            for (index_t every = 2; every <= c.layers && !best.fits; ++every)
                for (phases p : {phases::one, phases::two})
                    consider({keeping(0, tile, p), keeping(0, tile, p), c.layers, every, tile});
        return best.fits ? best : least;
    }
};

}  // namespace detail

/// The schedule of least arithmetic whose plan is at most `budget` bytes, among: which values wait for their pull (the
/// same in all blocks, or one more in the upper ones), tiles, phases, and streams at every block or fewer. Settings are
/// those of the run; the strategy in them is not read. A constant expression too, which takes more steps than compilers
/// allow unasked (`-fconstexpr-ops-limit`, `-fconstexpr-steps`).
template <class Block, class T = float, GradientStrategy Strategy, Optimizer Rule>
constexpr budgeted cheapest_within(model_config const& c, training<Strategy, Rule> const& s, index_t budget) {
    return detail::budget_search<Block, Rule, T>{c, s.with(rematerialised{}), budget}.run();
}

}  // namespace graft
