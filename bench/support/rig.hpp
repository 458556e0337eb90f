// SPDX-License-Identifier: Apache-2.0
// A trainer with its memory, of any strategy and optimizer.
#pragma once

#include <graft/io/heap_arena.hpp>
#include <graft/train/any.hpp>

#include <cstdio>
#include <cstdlib>

namespace bench {

using namespace graft;

/// The model's layers are copied: rigs of one model do not meet.
template <class Block, class T = float>
class rig {
public:
    using trainer_type = trainer<Block, any_strategy, any_optimizer, T>;

    rig(model<Block, T> const& m, any_training s, workers const& on, std::uint64_t seed = 1)
        : layers(m.layers.begin(), m.layers.end()),
          memory(take(trainer_type::memory_plan(m.config, with_lanes(s, on)).total())),
          runs(with_layers(m), with_lanes(s, on), memory.bytes(), on) {
        runs.start(seed);
    }
    rig(rig const&) = delete;
    rig& operator=(rig const&) = delete;

    trainer_type* operator->() { return &runs; }
    trainer_type& operator*() { return runs; }

private:
    static heap_arena take(index_t bytes) {
        auto a = heap_arena::make(bytes);
        if (!a) std::fprintf(stderr, "%s\n", describe(a.error()).c_str()), std::exit(1);
        return std::move(*a);
    }
    static any_training with_lanes(any_training s, workers const& on) { return s.lanes = on.count, s; }
    model<Block, T> with_layers(model<Block, T> m) { return m.layers = layers, m; }

    std::vector<layer_weights<Block, T>> layers;
    heap_arena memory;
    trainer_type runs;
};

}  // namespace bench
