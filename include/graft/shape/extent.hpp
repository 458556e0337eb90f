// SPDX-License-Identifier: Apache-2.0
// One size: known exactly when compiling, or only bounded.                               (layer 1: shape)
#pragma once

#include <graft/base/index.hpp>

namespace graft {

/// A size known when compiling (`64`), or a bound on one known when running (`up_to(128)`).
struct extent {
    index_t bound = 0;
    bool exact = true;
    constexpr extent() = default;
    constexpr extent(index_t n, bool is_exact = true) : bound(n), exact(is_exact) {}
};

constexpr extent up_to(index_t most) { return {most, false}; }

}  // namespace graft
