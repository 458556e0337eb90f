// SPDX-License-Identifier: Apache-2.0
// A limit that is not exceeded holds; one that is does not compile (tests/fails/step_memory.cpp).
#include <graft/memory/limit.hpp>

#include <doctest/doctest.h>

using namespace graft;

TEST_CASE("memory_limit: holds up to the limit itself") {
    CHECK(memory_limit<0, 0>::holds);
    CHECK(memory_limit<1023, 1024>::holds);
    CHECK(memory_limit<1024, 1024>::holds);
}
