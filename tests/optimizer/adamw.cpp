// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/adamw.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

using namespace graft;
using graft_test::parameter_trial;
using graft_test::sines;

TEST_CASE("adamw: the first step moves by the rate, whatever the gradient's size") {
    parameter_trial<double, adamw> all({.weight_decay = 0}, {role::dense, 3, 1}, 1.0);
    all.step({1e-3, -5, 0}, 0.1);
    CHECK(all.x[0] == doctest::Approx(0.9).epsilon(1e-5));
    CHECK(all.x[1] == doctest::Approx(1.1).epsilon(1e-8));
    CHECK(all.x[2] == 1);
}

TEST_CASE("adamw: a trajectory agrees with the formulas written out, to 1e-12") {
    parameter_trial<double, adamw> all({0.8, 0.95, 1e-6, 0.1}, {role::lora_a, 37, 1});
    std::vector<double> m(37), v(37), q(37);
    for (std::size_t i = 0; i < 37; ++i) all.x[i] = q[i] = 0.1 * static_cast<double>(i) - 1;
    for (int t = 1; t <= 50; ++t) {
        auto g = sines<double>(37, 1, 0.3 * t);
        for (std::size_t i = 0; i < 37; ++i) g[i] += all.x[i];
        all.step(g, 0.01, 0.5);
        for (std::size_t i = 0; i < 37; ++i) {
            double const gi = 0.5 * (std::sin(static_cast<double>(i) + 0.3 * t) + q[i]);
            m[i] = 0.8 * m[i] + 0.2 * gi, v[i] = 0.95 * v[i] + 0.05 * gi * gi;
            double const mh = m[i] / (1 - std::pow(0.8, t)), vh = v[i] / (1 - std::pow(0.95, t));
            q[i] -= 0.01 * (mh / (std::sqrt(vh) + 1e-6) + 0.1 * q[i]);
        }
    }
    for (std::size_t i = 0; i < 37; ++i) CHECK(all.x[i] == doctest::Approx(q[i]).epsilon(1e-12));
}

TEST_CASE("adamw: a step without a gradient still moves along the momentum, and decays what decays") {
    parameter_trial<double, adamw> all({.weight_decay = 0}, {role::dense, 1, 1}, 1.0);
    all.step({1}, 0.1);
    double const before = all.x[0];
    all.step({}, 0.1);
    CHECK(all.x[0] < before);
    for (role r : {role::lora_a, role::lora_b, role::dense, role::magnitude, role::norm}) {
        parameter_trial<double, adamw> still({.weight_decay = 0.5}, {r, 1, 1}, 2.0);
        still.step({0}, 0.1);
        CHECK(still.x[0] == doctest::Approx(decays(r) ? 2 * (1 - 0.05) : 2));
    }
}
