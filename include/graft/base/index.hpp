// SPDX-License-Identifier: Apache-2.0
// The integer in which the library counts.                                               (layer 0: base)
#pragma once

#include <cstddef>

namespace graft {

/// Counts, extents and positions: signed, so that differences are what they look like.
using index_t = std::ptrdiff_t;

/// n rounded up to a multiple of `step` (n ≥ 0, step > 0).
constexpr index_t round_up(index_t n, index_t step) { return (n + step - 1) / step * step; }

}  // namespace graft
