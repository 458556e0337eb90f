// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <graft/base/rope_pairing.hpp>

TEST_CASE("rope_pairing: files and configurations start from interleaved pairs as number 0") {
    CHECK(static_cast<int>(graft::rope_pairing::interleaved) == 0);
    CHECK(static_cast<int>(graft::rope_pairing::half_split) == 1);
}
