// SPDX-License-Identifier: Apache-2.0
// A number of bytes that a plan must not exceed, checked when compiling.                 (layer 2: memory)
#pragma once

#include <graft/base/index.hpp>

namespace graft {

/// Both numbers stand in the compiler's message, whichever compiler it is:
///
///     static_assert(memory_limit<trains::memory_plan(config, settings).total(), 200 * 1024>::holds);
template <index_t needed, index_t limit>
struct memory_limit {
    static_assert(needed <= limit, "the plan needs more bytes than the limit: memory_limit<needed, limit>");
    static constexpr bool holds = needed <= limit;
};

}  // namespace graft
