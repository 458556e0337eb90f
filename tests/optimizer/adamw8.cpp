// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/adamw8.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

using namespace graft;
using graft_test::parameter_trial;
using graft_test::sines;

namespace {

/// Noisy gradients of Σ c (x − 1)², c from 0.01 to 1 within each block.
std::vector<float> gradient_at(std::vector<float> const& x, int t) {
    auto g = sines<float>(static_cast<index_t>(x.size()), 12.9898, 78.233 * t);
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const c = std::pow(10.0, -2 * static_cast<double>(i % 128) / 127);
        g[i] = static_cast<float>(c * (x[i] - 1 + 2 * static_cast<double>(g[i])));
    }
    return g;
}

/// ‖path of adamw8 − path of adamw‖ / ‖path of adamw‖ after so many steps.
double departure(int steps, double beta2) {
    piece const of{role::lora_a, 8, 1000};
    parameter_trial<float, adamw> plain({.beta2 = beta2, .weight_decay = 0}, of);
    parameter_trial<float, adamw8> coded({.beta2 = beta2, .weight_decay = 0}, of);
    for (int t = 0; t < steps; ++t)
        plain.step(gradient_at(plain.x, t), 2e-3), coded.step(gradient_at(coded.x, t), 2e-3);
    double apart = 0, whole = 0;
    for (std::size_t i = 0; i < plain.x.size(); ++i)
        apart += std::pow(coded.x[i] - plain.x[i], 2), whole += std::pow(plain.x[i], 2);
    return std::sqrt(apart / whole);
}

}  // namespace

TEST_CASE("adamw8: follows adamw") {
    double const few = departure(50, 0.999), many = departure(400, 0.999), fast = departure(400, 0.95);
    INFO("relative distance after 50 and 400 steps, and with beta2 = 0.95: " << few << ", " << many << ", " << fast);
    CHECK(few < 0.05);
    CHECK(many < 0.06);
    CHECK(fast < 0.025);
}

TEST_CASE("adamw8: two bytes and a sixteenth per number") {
    CHECK(adamw8{}.state_bytes<float>({role::lora_a, 8, 1024}) == 8 * 1024 * 33 / 16);
    CHECK(adamw8{}.state_bytes<double>({role::lora_a, 1, 129}) == 2 * 264);
}

TEST_CASE("adamw8: the first step is adamw's; a gradient that stays 0 never moves; neither blows up") {
    piece const of{role::dense, 3, 100};
    parameter_trial<double, adamw> plain({}, of, 1.0);
    parameter_trial<double, adamw8> coded({}, of, 1.0);
    std::vector<double> g = sines<double>(300, 2.1, 0);
    for (std::size_t i = 0; i < 300; i += 3) g[i] = 0;
    plain.step(g, 0.01, 0.5), coded.step(g, 0.01, 0.5);
    for (std::size_t i = 0; i < 300; ++i) CHECK(coded.x[i] == doctest::Approx(plain.x[i]).epsilon(1e-7));
    for (int t = 0; t < 50; ++t) plain.step(g, 0.01), coded.step(g, 0.01);
    for (std::size_t i = 0; i < 300; i += 3) CHECK(coded.x[i] == doctest::Approx(plain.x[i]).epsilon(1e-6));
}

TEST_CASE("adamw8: a weak gradient beside a strong one moves at most as far as two codes' ratio lets it") {
    piece const of{role::lora_a, 1, 128};
    parameter_trial<float, adamw8> coded({.weight_decay = 0}, of);
    double longest = 0;
    for (int t = 0; t < 300; ++t) {
        std::vector<float> g = sines<float>(128, 3.3, 1.7 * t);
        for (std::size_t i = 1; i < 128; ++i) g[i] *= 1e-7f;  // below every code of m and of v
        auto const before = coded.x;
        coded.step(g, 1);
        for (std::size_t i = 0; i < 128; ++i)
            longest = std::max(longest, std::abs(double{coded.x[i]} - double{before[i]}));
    }
    CHECK(std::isfinite(longest));
    CHECK(longest < 20);
}

TEST_CASE("adamw8: a resumed run is the same run; soundness is that of the scales") {
    piece const of{role::lora_b, 50, 7};
    parameter_trial<float, adamw8> one({}, of), other({}, of);
    for (int t = 0; t < 10; ++t) one.step(gradient_at(one.x, t), 0.01);
    for (int t = 0; t < 5; ++t) other.step(gradient_at(other.x, t), 0.01);
    parameter_trial<float, adamw8> resumed({}, of);
    resumed.x = other.x, resumed.steps = 5;
    std::copy_n(other.state.data(), adamw8{}.state_bytes<float>(of), resumed.state.data());
    for (int t = 5; t < 10; ++t) resumed.step(gradient_at(resumed.x, t), 0.01);
    CHECK(resumed.x == one.x);
    CHECK(sound<float>(adamw8{}, one.state.data(), of));
    reinterpret_cast<float*>(one.state.data())[3] = std::numeric_limits<float>::infinity();
    CHECK_FALSE(sound<float>(adamw8{}, one.state.data(), of));
}
