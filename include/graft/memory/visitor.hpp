// SPDX-License-Identifier: Apache-2.0
// Who is told which bytes were read and are not needed for a while.                      (layer 2: memory)
#pragma once

#include <graft/base/index.hpp>

#include <cstddef>

namespace graft {

/// A handle on someone who watches memory that need not stay resident: weights in a mapped file, a stream between
/// blocks in a file of its own. Whoever has read (or written) a run of bytes and will not soon touch it again says so,
/// from the thread that called it and after all lanes are done. Null, it costs a comparison. Nobody here owns anything,
/// and what is computed never depends on it: the bytes are there again when they are touched again.
struct memory_visitor {
    void (*used)(void* self, std::byte const* first, index_t bytes) = nullptr;
    void* self = nullptr;

    constexpr explicit operator bool() const { return used != nullptr; }
    void operator()(std::byte const* first, index_t bytes) const {
        if (used && bytes > 0) used(self, first, bytes);
    }
    /// All rows of a stored matrix (`quant/weight.hpp`); nothing where it is absent.
    template <class W>
        requires requires(W const& w) { w.data + w.rows * w.row_bytes; }
    void operator()(W const& w) const {
        if (w.data) (*this)(w.data, w.rows * w.row_bytes);
    }
};

}  // namespace graft
