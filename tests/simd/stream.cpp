// SPDX-License-Identifier: Apache-2.0
// What is stored past the caches arrives.
#include <doctest/doctest.h>

#include <graft/simd/stream.hpp>

#include <cstdint>

using namespace graft;

TEST_CASE_TEMPLATE("stream: a register of any type and width arrives whole, and nothing else", T, float, double,
                   std::int32_t) {
    constexpr index_t W = native_width<T>, lines = 4 * line_bytes / static_cast<index_t>(sizeof(T));
    alignas(line_bytes) T to[lines] = {};
    detail::vector_t<T, W> v{};
    for (index_t i = 0; i < W; ++i) v[i] = static_cast<T>(i + 1);
    index_t const at = lines / 2 / W * W;
    store_past_caches(to + at, v);
    finish_past_caches();
    for (index_t i = 0; i < lines; ++i) CHECK(to[i] == (i >= at && i < at + W ? static_cast<T>(i - at + 1) : T(0)));
}

TEST_CASE("stream: stores may be expected anywhere, and change nothing") {
    alignas(line_bytes) std::int32_t to[16] = {1, 2, 3};
    for (index_t i = 0; i < 16; ++i) expect_stores(to + i);
    expect_stores(nullptr);
    for (index_t i = 0; i < 16; ++i) CHECK(to[i] == (i < 3 ? i + 1 : 0));
}
