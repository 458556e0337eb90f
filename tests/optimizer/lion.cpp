// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/lion.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

using namespace graft;
using graft_test::parameter_trial;
using graft_test::sines;

TEST_CASE("lion: every number moves by the rate, against the sign of its momentum, or not at all") {
    parameter_trial<float, lion> all({.weight_decay = 0}, {role::lora_a, 1, 35}, 1.0f);
    auto g = sines<float>(35, 0.7, 1);
    g[3] = 0;
    all.step(g, 0.125);
    for (std::size_t i = 0; i < 35; ++i) CHECK(all.x[i] == (g[i] > 0 ? 0.875f : g[i] < 0 ? 1.125f : 1.0f));
    all.step({}, 0.125);  // 0.9 of what is remembered: the same sign
    CHECK(all.x[0] == 0.75f);
    CHECK(all.x[3] == 1);
}

TEST_CASE("lion: a trajectory agrees with the formulas written out") {
    parameter_trial<double, lion> all({0.7, 0.95, 0.1}, {role::lora_b, 21, 1}, 1.0);
    std::vector<double> x(21, 1.0), m(21);
    for (int t = 0; t < 40; ++t) {
        auto const g = sines<double>(21, 0.9, 0.37 * t);
        all.step(g, 0.02, 3);
        for (std::size_t i = 0; i < 21; ++i) {
            double const c = 0.7 * m[i] + 0.3 * 3 * g[i];
            x[i] -= 0.02 * ((c > 0) - (c < 0) + 0.1 * x[i]);
            m[i] = 0.95 * m[i] + 0.05 * 3 * g[i];
        }
    }
    for (std::size_t i = 0; i < 21; ++i) CHECK(all.x[i] == doctest::Approx(x[i]).epsilon(1e-12));
    CHECK(lion{}.state_bytes<float>({role::dense, 3, 5}) == 60);
}
