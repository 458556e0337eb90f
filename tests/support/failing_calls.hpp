// SPDX-License-Identifier: Apache-2.0
// Calls of the operating system that fail at a chosen moment.
#pragma once

#include <graft/io/file_calls.hpp>

#include <cerrno>

namespace graft_test {

/// Lets `good` calls pass and then fails one, or all that follow: a process that is killed cleans nothing up either.
struct failing_calls {
    int good = 1 << 30;
    bool all_that_follow = false;
    int code = ENOSPC;
    int seen = 0;

    graft::file_calls calls() {
        return {[](void* self, graft::file_call, char const*) {
                    auto& me = *static_cast<failing_calls*>(self);
                    int const which = me.seen++;
                    return which == me.good || (me.all_that_follow && which > me.good) ? me.code : 0;
                },
                this};
    }
    /// Whether the chosen moment was reached.
    bool failed() const { return seen > good; }
};

}  // namespace graft_test
