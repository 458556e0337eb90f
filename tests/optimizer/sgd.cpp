// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/sgd.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;

TEST_CASE("sgd: p - rate (scale g + decay p), every number once") {
    std::vector<float> p(40000, 1.0f), g(40000);
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(i % 17) - 8;
    sgd{.weight_decay = 0.5}.apply(update<float>{p.data(), g.data(), nullptr, 40000, 0.1, 0.25, 1}, {});
    for (std::size_t i = 0; i < p.size(); ++i)
        CHECK(p[i] == doctest::Approx(1 - 0.1 * (0.25 * g[i] + 0.5)).epsilon(1e-6));
}
