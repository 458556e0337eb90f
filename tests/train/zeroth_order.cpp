// SPDX-License-Identifier: Apache-2.0
// Gradients estimated from losses: the formula, its accuracy, the law of its cosine, and that nothing drifts.
#include <tests/support/strategy_rig.hpp>

using namespace graft;
using namespace graft_test;

namespace {

using estimator = rig<double, llama<lora>, zeroth_order, sgd>;

estimator::trainer_type::settings settings(zeroth_order s, std::uint64_t seed = 7) {
    estimator::trainer_type::settings how;
    how.tokens = 12, how.rank = 3, how.alpha = 5, how.strategy = s, how.seed = seed, how.max_grad_norm = 0;
    return how;
}

/// Draw k of an update over all layers: what the trainer adds, added here.
std::vector<double> direction_of(estimator& r, std::uint64_t draw, std::uint64_t seed = 7) {
    auto const layers = static_cast<index_t>(r.t.strategy_memory().size() / 2 - 1);
    std::vector<double> z(static_cast<std::size_t>(layers * r.each()));
    for (index_t l = 0; l < layers; ++l) add_direction(z.data() + l * r.each(), r.each(), {seed, draw, 1}, l, {});
    return z;
}
/// The mean loss at p + by z.
double loss_at(estimator& r, std::vector<double> const& z, double by) {
    auto const p = r.t.parameters();
    std::vector<double> const before(p.begin(), p.end());
    for (std::size_t i = 0; i < z.size(); ++i) p[i] += by * z[i];
    double const loss = r.loss();
    std::copy(before.begin(), before.end(), p.begin());
    return loss;
}
/// The estimate of the next update: what descent by rate 1 takes away.
std::vector<double> estimate(estimator& r) {
    auto const before = r.parameters();
    sample const b;
    REQUIRE(r.t.update(b.view(), b.scale, 1).finite);
    auto g = r.parameters();
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = before[i] - g[i];
    std::copy(before.begin(), before.end(), r.t.parameters().begin());
    return g;
}
double dot(std::vector<double> const& a, std::vector<double> const& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

}  // namespace

TEST_CASE("zeroth_order: two points, several samples: the mean of g z, each from its own direction") {
    for (index_t samples : {1, 2, 5}) {
        estimator r(settings({samples, 1e-3}), deep_config(2));
        for (std::uint64_t step = 0; step < 3; ++step) {
            std::vector<double> expected(r.t.parameters().size());
            double squares = 0;
            for (std::uint64_t k = 0; k < static_cast<std::uint64_t>(samples); ++k) {
                auto const z = direction_of(r, step * static_cast<std::uint64_t>(samples) + k);
                double const g = (loss_at(r, z, 1e-3) - loss_at(r, z, -1e-3)) / 2e-3 / static_cast<double>(samples);
                squares += g * g;
                for (std::size_t i = 0; i < z.size(); ++i) expected[i] += g * z[i];
            }
            CHECK(distance(estimate(r), expected) <= 1e-9);
            CHECK(r.t.steps() == static_cast<index_t>(step) + 1);
            CHECK(squares > 0);
        }
    }
}

TEST_CASE("zeroth_order: the difference over a direction is the slope along it, to second order") {
    auto const gradient = rig<>(any_settings(full{}), deep_config(2)).gradients();
    double error[2] = {};
    for (int i = 0; i < 2; ++i) {
        estimator r(settings({1, i == 0 ? 1e-3 : 2.5e-4}), deep_config(2));
        auto const z = direction_of(r, 0);
        double const slope = dot(gradient, z);
        error[i] = std::abs(dot(estimate(r), z) / dot(z, z) / slope - 1);
    }
    CHECK(error[1] < 1e-3);
    CHECK(error[0] / error[1] == doctest::Approx(16).epsilon(0.1));
}

TEST_CASE("zeroth_order: one point takes the loss of the step before as its other end") {
    estimator r(settings({1, 1e-2, true}), deep_config(2));
    sample const b;
    double last = 0;
    for (std::uint64_t step = 0; step < 4; ++step) {
        auto const z = direction_of(r, step);
        double const loss = loss_at(r, z, 1e-2);
        auto const g = estimate(r);
        auto expected = z;
        for (double& x : expected) x *= (loss - last) / 1e-2;
        if (step == 0) CHECK(dot(g, g) == 0);  // nothing to compare with yet
        else CHECK(distance(g, expected) <= 1e-9);
        last = loss;
    }
}

TEST_CASE("zeroth_order: several batches of an update are one estimate of their sum") {
    estimator one(settings({2, 1e-3}), deep_config(2)), two(settings({2, 1e-3}), deep_config(2));
    sample const b;
    auto const expected = estimate(one);
    auto const before = two.parameters();
    index_t const start = 0;
    for (auto const& [first, count] : {std::pair{0u, 7u}, {7u, 5u}})
        two.t.accumulate({std::span(b.ids).subspan(first, count), std::span(b.targets).subspan(first, count),
                          {&start, 1}}, b.scale);
    CHECK(two.parameters() == before);
    two.t.apply(1);
    auto g = two.parameters();
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = before[i] - g[i];
    CHECK(distance(g, expected) <= 1e-9);
}

TEST_CASE("zeroth_order: probing changes no bit of the parameters, in any precision") {
    for (resting rest : {resting::same, resting::half, resting::brain}) {
        auto how = settings({3, 1e-1});
        how.adapters = rest;
        estimator r(how);
        sample const b;
        auto const before = r.stored();
        for (int i = 0; i < 5; ++i) {
            r.t.accumulate(b.view(), b.scale), r.t.discard();
            CHECK(r.stored() == before);
        }
        double const loss = r.loss();
        r.t.accumulate(b.view(), b.scale);
        CHECK(r.loss() == loss);  // and the model is the unmoved one again
        if (rest != resting::same) continue;
        auto const p = r.t.parameters();
        r.t.accumulate(b.view(), b.scale);
        CHECK(r.t.layer(0).of<std::remove_const_t<decltype(llama<lora>::Q)>>().A.data == p.data());  // its views too
    }
}

TEST_CASE("zeroth_order: the cosine with the true gradient is that of chance, sqrt(2 / (pi d)) in d dimensions") {
    auto const c = deep_config(2);
    auto const gradient = rig<>(any_settings(full{}), c).gradients();
    double const d = static_cast<double>(gradient.size());
    double mean = 0, with_four = 0;
    constexpr int seeds = 1000;
    for (int k = 0; k < seeds; ++k) {
        estimator one(settings({1, 1e-4}, static_cast<std::uint64_t>(k)), c);
        double const cos = cosine(estimate(one), gradient);
        CHECK(cos >= 0);
        mean += cos / seeds;
        if (k % 5 == 0) {
            estimator four(settings({4, 1e-4}, static_cast<std::uint64_t>(k)), c);
            with_four += cosine(estimate(four), gradient) / (seeds / 5);
        }
    }
    CAPTURE(d);
    CHECK(mean == doctest::Approx(std::sqrt(2 / (3.14159265 * d))).epsilon(0.1));
    CHECK(with_four == doctest::Approx(std::sqrt(4 / (d + 4))).epsilon(0.1));
}

TEST_CASE("zeroth_order: a run goes on where it stopped, one point and two") {
    for (bool one_point : {false, true}) {
        auto const how = settings({2, 1e-3, one_point});
        estimator straight(how), first(how), second(how);
        sample const b;
        auto const steps = [&](estimator& r, int count) {
            for (int i = 0; i < count; ++i) r.t.update(b.view(), b.scale, 1e-4);
        };
        steps(straight, 7), steps(first, 3);
        std::copy(first.t.parameters().begin(), first.t.parameters().end(), second.t.parameters().begin());
        std::copy(first.t.strategy_memory().begin(), first.t.strategy_memory().end(),
                  second.t.strategy_memory().begin());
        second.t.resume_at(3);
        steps(second, 4);
        CHECK(second.parameters() == straight.parameters());
        CHECK(second.parameters() != first.parameters());
    }
}

TEST_CASE("zeroth_order: descent along estimates lowers the loss, and seeds differ") {
    estimator a(settings({4, 1e-3}), deep_config(2)), b(settings({4, 1e-3}, 8), deep_config(2));
    sample const s;
    double const before = a.loss();
    for (int i = 0; i < 60; ++i) a.t.update(s.view(), s.scale, 1e-4), b.t.update(s.view(), s.scale, 1e-4);
    CHECK(a.loss() < 0.98 * before);
    CHECK(b.loss() < 0.98 * before);
    CHECK(a.parameters() != b.parameters());
}
