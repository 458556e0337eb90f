// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/muon.hpp>
#include <graft/optimizer/geometry.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

using namespace graft;
using graft_test::parameter_trial;
using graft_test::sines;

TEST_CASE("muon: a step of A or of B is orthonormal, times the rate and its shape's factor") {
    for (auto [is, rows, columns] : {piece{role::lora_a, 5, 40}, {role::lora_b, 40, 5}, {role::lora_b, 9, 9}}) {
        parameter_trial<double, muon> all({.weight_decay = 0}, {is, rows, columns});
        std::vector<double> g(static_cast<std::size_t>(rows * columns));
        for (std::size_t i = 0; i < g.size(); ++i) g[i] = std::sin(1.7 * static_cast<double>(i * i) + 0.3);
        all.step(g, 0.5);
        double const size = 0.5 * std::sqrt(std::max(1.0, static_cast<double>(rows) / static_cast<double>(columns)));
        double along = 0;
        for (std::size_t i = 0; i < g.size(); ++i) along += g[i] * all.x[i];
        CHECK(along < 0);
        for (double& x : all.x) x /= size;
        graft_test::bytes_of_64 scratch(geometry_scratch(rows, columns));
        CHECK(orthogonality_error(all.x.data(), rows, columns, scratch.data()) < 1e-11);
    }
}

TEST_CASE("muon: momentum, Nesterov's and decay: the step is the polar factor of what they make of the gradients") {
    for (bool nesterov : {false, true}) {
        piece const of{role::lora_b, 6, 1};  // one column: its polar factor is itself over its length
        parameter_trial<double, muon> all({0.9, nesterov, 0.1}, of, 1.0);
        std::vector<double> x(6, 1.0), m(6);
        for (int t = 0; t < 10; ++t) {
            auto const g = sines<double>(6, 1.1, t);
            all.step(g, 0.02, 2);
            double length = 0;
            std::vector<double> d(6);
            for (std::size_t i = 0; i < 6; ++i) {
                m[i] = 0.9 * m[i] + 2 * g[i], d[i] = nesterov ? 2 * g[i] + 0.9 * m[i] : m[i];
                length += d[i] * d[i];
            }
            for (std::size_t i = 0; i < 6; ++i)
                x[i] -= 0.02 * (std::sqrt(6.0) * d[i] / std::sqrt(length) + 0.1 * x[i]);
        }
        for (std::size_t i = 0; i < 6; ++i) CHECK(all.x[i] == doctest::Approx(x[i]).epsilon(1e-12));
    }
}

TEST_CASE("muon: a gradient of zeros moves nothing, one of rank 1 gives a step of rank 1") {
    piece const of{role::lora_a, 4, 30};
    parameter_trial<float, muon> all({.weight_decay = 0}, of, 1.0f);
    all.step({}, 1);
    for (float x : all.x) CHECK(x == 1);
    std::vector<float> g(120);
    for (std::size_t i = 0; i < 120; ++i)
        g[i] = static_cast<float>(std::sin(0.5 * static_cast<double>(i % 30)) * static_cast<double>(1 + i / 30));
    std::fill(all.x.begin(), all.x.end(), 0.0f);
    all.step(g, 1);
    graft_test::bytes_of_64 scratch(geometry_scratch(4, 30));
    CHECK(effective_rank(all.x.data(), 4, 30, scratch.data()) < 1.001);
    double squares = 0;
    for (float x : all.x) squares += double{x} * double{x};
    CHECK(squares == doctest::Approx(1).epsilon(1e-5));
}

TEST_CASE("muon: everything but A and B is adamw's") {
    for (role r : {role::dense, role::norm, role::magnitude}) {
        parameter_trial<float, muon> all({}, {r, 10, 3}, 1.0f);
        parameter_trial<float, adamw> plain({}, {r, 10, 3}, 1.0f);
        auto const g = sines<float>(30, 1, 1);
        for (int t = 0; t < 3; ++t) all.step(g, 0.1), plain.step(g, 0.1);
        CHECK(all.x == plain.x);
    }
}
