// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/adamw.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;

TEST_CASE("adamw: the first step moves by the rate, whatever the gradient's size") {
    std::vector<double> p{1, 1, 1}, g{1e-3, -5, 0}, state(6);
    adamw{.weight_decay = 0}.apply(update<double>{p.data(), g.data(), state.data(), 3, 0.1, 1, 1}, {});
    CHECK(p[0] == doctest::Approx(0.9).epsilon(1e-5));
    CHECK(p[1] == doctest::Approx(1.1).epsilon(1e-8));
    CHECK(p[2] == 1);
}

TEST_CASE("adamw: a trajectory agrees with the formulas written out, to 1e-12") {
    constexpr index_t count = 37;
    std::vector<double> p(count), state(2 * count), g(count), q(count), m(count), v(count);
    for (std::size_t i = 0; i < count; ++i) p[i] = q[i] = 0.1 * static_cast<double>(i) - 1;
    adamw const rule{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1};
    for (index_t t = 1; t <= 50; ++t) {
        for (std::size_t i = 0; i < count; ++i)
            g[i] = std::sin(static_cast<double>(i) + 0.3 * static_cast<double>(t)) + p[i];
        rule.apply(update<double>{p.data(), g.data(), state.data(), count, 0.01, 0.5, t}, {});
        for (std::size_t i = 0; i < count; ++i) {
            double const gi = 0.5 * (std::sin(static_cast<double>(i) + 0.3 * static_cast<double>(t)) + q[i]);
            m[i] = 0.8 * m[i] + 0.2 * gi, v[i] = 0.95 * v[i] + 0.05 * gi * gi;
            double const mh = m[i] / (1 - std::pow(0.8, t)), vh = v[i] / (1 - std::pow(0.95, t));
            q[i] -= 0.01 * (mh / (std::sqrt(vh) + 1e-6) + 0.1 * q[i]);
        }
    }
    for (std::size_t i = 0; i < count; ++i) CHECK(p[i] == doctest::Approx(q[i]).epsilon(1e-12));
}

TEST_CASE("adamw: a step without a gradient still moves along the momentum, and decays") {
    std::vector<double> p{1}, g{1}, state(2);
    adamw const rule{.weight_decay = 0};
    rule.apply(update<double>{p.data(), g.data(), state.data(), 1, 0.1, 1, 1}, {});
    g[0] = 0;
    double const before = p[0];
    rule.apply(update<double>{p.data(), g.data(), state.data(), 1, 0.1, 1, 2}, {});
    CHECK(p[0] < before);
    std::vector<double> still{2}, zero{0}, none(2);
    adamw{.weight_decay = 0.5}.apply(update<double>{still.data(), zero.data(), none.data(), 1, 0.1, 1, 1}, {});
    CHECK(still[0] == doctest::Approx(2 * (1 - 0.05)));
}
