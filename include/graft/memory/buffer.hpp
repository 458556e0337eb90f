// SPDX-License-Identifier: Apache-2.0
// Pieces of memory with a lifetime, and where they can lie.                              (layer 2: memory)
#pragma once

#include <graft/base/index.hpp>

#include <algorithm>
#include <utility>

namespace graft {

/// Every buffer starts at a multiple of this many bytes: a cache line, and the widest register.
inline constexpr index_t buffer_alignment = 64;

/// `bytes` that must exist from event `born` to event `dies`, both included.
struct buffer {
    index_t bytes = 0, born = 0, dies = 0, offset = 0;

    constexpr index_t end() const { return offset + bytes; }
    constexpr bool meets(buffer const& b) const { return born <= b.dies && b.born <= dies; }
    constexpr bool covers(buffer const& b) const { return offset < b.end() && b.offset < end(); }
};

/// Gives each of `count` buffers its offset, largest first, each at the lowest place that no living one covers.
/// Reorders the pointers. Returns the peak in bytes.
constexpr index_t place(buffer** all, index_t count) {
    auto const before = [](buffer const* a, buffer const* b) {
        return a->bytes != b->bytes ? a->bytes > b->bytes : a->born < b->born;
    };
    for (index_t i = 1; i < count; ++i)
        for (index_t j = i; j > 0 && before(all[j], all[j - 1]); --j) std::swap(all[j], all[j - 1]);
    index_t peak = 0;
    for (index_t i = 0; i < count; ++i) {
        buffer& b = *all[i];
        b.offset = 0;
        for (index_t j = 0; j < i;) {
            if (buffer const& a = *all[j]; a.meets(b) && a.covers(b)) b.offset = a.end(), j = 0;
            else ++j;
        }
        peak = std::max(peak, b.end());
    }
    return peak;
}

}  // namespace graft
