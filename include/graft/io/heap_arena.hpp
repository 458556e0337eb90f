// SPDX-License-Identifier: Apache-2.0
// The one piece of heap memory that a plan asks for.                                     (layer 16: io)
#pragma once

#include <graft/base/result.hpp>
#include <graft/memory/buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

namespace graft {

/// Whole pages, which count only once they are touched.
class heap_arena {
public:
    static result<heap_arena> make(index_t bytes) {
        heap_arena a;
        a.size = static_cast<std::size_t>(round_up(std::max<index_t>(bytes, 1), 4096));
        a.data.reset(static_cast<std::byte*>(std::aligned_alloc(4096, a.size)));
        if (!a.data)
            return problem{cause::memory,
                           {},
                           "the system does not give the memory of the plan",
                           {},
                           std::to_string(a.size) + " bytes",
                           "none",
                           "a smaller --seq-len or --rank"};
        return a;
    }
    std::span<std::byte> bytes() const { return {data.get(), size}; }

private:
    struct release {
        void operator()(std::byte* p) const { std::free(p); }
    };
    std::unique_ptr<std::byte, release> data;
    std::size_t size = 0;
};

}  // namespace graft
