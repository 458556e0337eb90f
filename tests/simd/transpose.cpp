// SPDX-License-Identifier: Apache-2.0
// A square in registers, transposed, holds every number in its place.
#include <doctest/doctest.h>

#include <graft/simd/transpose.hpp>

using namespace graft;

TEST_CASE_TEMPLATE("transpose: rows become columns", T, float, double) {
    constexpr index_t W = native_width<T>;
    detail::vector_t<T, W> r[W];
    for (index_t i = 0; i < W; ++i)
        for (index_t j = 0; j < W; ++j) r[i][j] = static_cast<T>(100 * i + j);
    transpose<T>(r);
    for (index_t i = 0; i < W; ++i)
        for (index_t j = 0; j < W; ++j) CHECK(T(r[i][j]) == static_cast<T>(100 * j + i));
}
