// SPDX-License-Identifier: Apache-2.0
// What the blocks of kernels must be for those that are built on them.
#include <graft/simd/blocking.hpp>

#include <doctest/doctest.h>

using namespace graft;

TEST_CASE("blocking: whole blocks of stored weights, small ones where there is no SIMD") {
    CHECK(blocking::small == (native_width<float> == 1));
    CHECK(blocking::depth % 32 == 0);
    CHECK(blocking::columns % 32 == 0);
    CHECK(blocking::logits % 32 == 0);
    CHECK(blocking::attention >= blocking::rows);
    CHECK(blocking::depth * blocking::columns * 4 <= (blocking::small ? 4 * 1024 : 128 * 1024));
    CHECK((blocking::head_rows > 0) == blocking::small);
}
