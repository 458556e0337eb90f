// SPDX-License-Identifier: Apache-2.0
#include <graft/memory/arena.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;

TEST_CASE("arena: pieces follow each other, aligned, and never past the end") {
    alignas(64) std::byte memory[256];
    arena a(memory);
    CHECK(a.take(1) == memory);
    CHECK(a.take_numbers<double>(9) == reinterpret_cast<double*>(memory + 64));
    CHECK(a.taken() == 192);
    CHECK(a.take(64) == memory + 192);
    CHECK_THROWS_AS(a.take(1), failure);
    CHECK(a.take(0) != nullptr);
}
