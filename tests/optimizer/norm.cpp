// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/norm.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include <limits>
#include <vector>

using namespace graft;

TEST_CASE("norm: the length of all numbers, for every count") {
    for (index_t count : {0, 1, 7, 63, 64, 65, 1000, 4097}) {
        std::vector<float> g(static_cast<std::size_t>(count));
        double sum = 0;
        for (std::size_t i = 0; i < g.size(); ++i)
            g[i] = 0.5f * static_cast<float>(i % 11) - 1, sum += static_cast<double>(g[i]) * g[i];
        CHECK(global_norm(g.data(), count, {}) == doctest::Approx(std::sqrt(sum)).epsilon(1e-12));
    }
}

TEST_CASE("norm: one number that is not finite makes it not finite; large ones do not overflow") {
    std::vector<float> g(100, 1e30f);
    CHECK(global_norm(g.data(), 100, {}) == doctest::Approx(1e31).epsilon(1e-6));
    g[93] = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(global_norm(g.data(), 100, {})));
    g[93] = std::numeric_limits<float>::infinity();
    CHECK(std::isinf(global_norm(g.data(), 100, {})));
}

TEST_CASE("norm: clipping leaves short gradients and shortens long ones to the bound") {
    CHECK(clip_scale(0.5, 1) == 1);
    CHECK(clip_scale(4, 1) == 0.25);
    CHECK(clip_scale(4, 0) == 1);
}
