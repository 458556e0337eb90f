// SPDX-License-Identifier: Apache-2.0
// One run of bytes that someone else owns, given out piece by piece at set-up.           (layer 2: memory)
#pragma once

#include <graft/base/error.hpp>
#include <graft/memory/buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

namespace graft {

/// Gives out 64-byte aligned pieces in order and never takes one back. `require`s that they fit (fault::memory).
class arena {
public:
    explicit arena(std::span<std::byte> memory) : base(memory.data()), size(static_cast<index_t>(memory.size())) {}

    std::byte* take(index_t bytes) {
        require(bytes >= 0, fault::memory, "arena: bytes asked for", bytes, 0);
        index_t const padded = round_up(bytes, buffer_alignment);
        require(padded <= size - used, fault::memory, "arena: bytes needed", used + padded, size);
        std::byte* const at = base + used;
        used += padded;
        return at;
    }
    template <class T>
    T* take_numbers(index_t count) { return reinterpret_cast<T*>(take(count * static_cast<index_t>(sizeof(T)))); }

    /// The bytes given out so far.
    index_t taken() const { return used; }

private:
    std::byte* base;
    index_t size, used = 0;
};

}  // namespace graft
