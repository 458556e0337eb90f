// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/sgd.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

using namespace graft;
using graft_test::parameter_trial;

TEST_CASE("sgd: p - rate (scale g + decay p), every number once; lengths and scales do not decay") {
    for (role is : {role::lora_a, role::magnitude}) {
        sgd const rule{.weight_decay = 0.5};
        CHECK(rule.state_bytes<float>({is, 40000, 1}) == 0);
        parameter_trial<float, sgd> all(rule, {is, 40000, 1}, 1.0f);
        std::vector<float> g(40000);
        for (std::size_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(i % 17) - 8;
        all.step(g, 0.1, 0.25);
        double const decay = is == role::lora_a ? 0.5 : 0;
        for (std::size_t i = 0; i < g.size(); ++i)
            REQUIRE(all.x[i] == doctest::Approx(1 - 0.1 * (0.25 * g[i] + decay)).epsilon(1e-6));
    }
}

TEST_CASE("sgd: momentum and Nesterov's as PyTorch has them, without dampening") {
    for (bool nesterov : {false, true}) {
        parameter_trial<double, sgd> all({.momentum = 0.9, .nesterov = nesterov}, {role::lora_a, 37, 1}, 1.0);
        std::vector<double> q(37, 1.0), buffer(37, 0.0), g(37);
        for (int t = 1; t <= 20; ++t) {
            for (std::size_t i = 0; i < g.size(); ++i) g[i] = all.x[i] * 0.3 + 0.01 * static_cast<double>(i);
            all.step(g, 0.05);
            for (std::size_t i = 0; i < q.size(); ++i) {
                double const d = q[i] * 0.3 + 0.01 * static_cast<double>(i);
                buffer[i] = t == 1 ? d : 0.9 * buffer[i] + d;
                q[i] -= 0.05 * (nesterov ? d + 0.9 * buffer[i] : buffer[i]);
            }
        }
        for (std::size_t i = 0; i < q.size(); ++i) CHECK(all.x[i] == doctest::Approx(q[i]).epsilon(1e-12));
    }
}
