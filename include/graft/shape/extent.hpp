// SPDX-License-Identifier: Apache-2.0
// One size: known exactly when compiling, only bounded, or only known when running.      (layer 1: shape)
#pragma once

#include <graft/base/index.hpp>

namespace graft {

/// A size known when compiling (`64`), a bound on one known when running (`up_to(128)`), or neither (`any`).
struct extent {
    index_t bound = 0;  // negative: none
    bool exact = true;
    constexpr extent() = default;
    constexpr extent(index_t n, bool is_exact = true) : bound(n), exact(is_exact) {}

    friend constexpr bool operator==(extent, extent) = default;
    /// May a size of n stand here?
    constexpr bool admits(index_t n) const { return exact ? n == bound : n >= 0 && (bound < 0 || n <= bound); }
};

constexpr extent up_to(index_t most) { return {most, false}; }
/// A size that only a running program knows.
inline constexpr extent any{-1, false};

}  // namespace graft
