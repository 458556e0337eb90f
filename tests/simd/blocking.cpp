// SPDX-License-Identifier: Apache-2.0
// What the blocks of kernels must be for those that are built on them.
#include <graft/simd/blocking.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

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

TEST_CASE("blocking: a root by Newton's steps is a root") {
    for (double const x : {0.0, 1e-30, 0.001, 0.5, 1.0, 2.0, 3.0, 12345.678, 1e62, 1e300})
        CHECK(refined_sqrt(x) == doctest::Approx(std::sqrt(x)).epsilon(1e-14));
    CHECK(std::isinf(refined_sqrt(std::numeric_limits<double>::infinity())));
    CHECK(std::isnan(refined_sqrt(std::numeric_limits<double>::quiet_NaN())));
}
