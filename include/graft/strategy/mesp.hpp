// SPDX-License-Identifier: Apache-2.0
// Keep block inputs only; pull a block stage by stage from values computed again.        (layer 10: strategy)
#pragma once

#include <graft/strategy/strategy.hpp>

namespace graft {

/// How a block's values are computed again before its pull.
enum class phases : unsigned char {
    one,  // all stages first, then all pulls: nothing runs more than twice, every stage's values meet
    two   // the stream up to a stage, then that stage and its pull: fewer values at once, lower stages run again
};

/// Memory-efficient structured back-propagation: exact gradients from block inputs alone. Values that no pull reads
/// are never computed again, gradients take the place of the values they belong to, and the stages whose rows do not
/// meet (the feed-forward half) run `tile` rows at a time. Values in `kept` are an exception: they wait for the pulls.
///
/// source   MeSP, arXiv 2602.13069; phases, tiles, gradients in place and values that stay are our own.
struct mesp {
    index_t tile = 0;  // rows, 0: all; multiples of `depth_block` keep the order of every sum over rows
    phases pulled = phases::one;
    index_t every = 1;  // blocks from one kept stream to the next
    step_set kept = 0;  // steps of the block
    bool renews = false;  // norms that pulls read do not wait for them beside attention: each runs once more

    constexpr void forward(auto& c) const {
        c.keep(kept);
        for (index_t s = 0; s < c.stages; ++s) c.scene(tile > 0), c.run(s, {.value = true});
    }
    constexpr void backward(auto& c) const {
        index_t const top = c.stages - 1;
        if (renews) c.renew();
        if (pulled ==
            phases::one) {  // a tile of a lower stage would be overwritten before its pull: only the top tiles
            for (index_t s = 0; s < top; ++s) c.scene(), c.run(s, {.value = true, .pull = true});
            c.scene(tile > 0), c.run(top, {.pull = true}), c.pull(top);
            for (index_t s = top; s-- > 0;) c.scene(), c.pull(s);
        } else {
            for (index_t s = c.stages; s-- > 0;) {
                for (index_t below = 0; below < s; ++below) c.scene(tile > 0), c.run(below, {.value = true});
                c.scene(tile > 0), c.run(s, {.pull = true}), c.pull(s);
            }
        }
    }
};
static_assert(GradientStrategy<mesp>);

}  // namespace graft
