// SPDX-License-Identifier: Apache-2.0
// What a trainer tells: of an update, and of memory that rests.                          (layer 13: train)
#pragma once

#include <graft/memory/visitor.hpp>

namespace graft {

/// What one update did.
struct update_report {
    double grad_norm = 0;  // before clipping
    bool finite = true;    // false: nothing was changed (fused updates: of the blocks from the first bad one down)
    double loss = 0;       // of `update`: the sum over its batch, before it
};

/// Who hears of memory that is not needed for a while: of the weights' bytes, of the kept streams'.
struct memory_visitors {
    memory_visitor weights{}, checkpoints{};
};

}  // namespace graft
