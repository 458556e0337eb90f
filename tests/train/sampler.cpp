// SPDX-License-Identifier: Apache-2.0
#include <graft/train/sampler.hpp>

#include <doctest/doctest.h>

#include <array>
#include <vector>

using namespace graft;

namespace {

std::vector<double> draws(sampler s, int count = 20000) {
    std::vector<double> share(4);
    for (index_t k = 0; k < count; ++k) {
        std::array<float, 4> logits{std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
        share[static_cast<std::size_t>(s(std::span<float>(logits), k))] += 1.0 / count;
    }
    return share;
}

}  // namespace

TEST_CASE("sampler: temperature 0 takes the likeliest, the first of equals") {
    std::array<float, 4> logits{1, 3, 3, 2};
    CHECK(sampler{}(std::span<float>(logits), 0) == 1);
    CHECK(logits[0] == 1);
}

TEST_CASE("sampler: draws have the probabilities of the softmax, sharper when colder") {
    auto const p = draws({.temperature = 1, .seed = 3});
    CHECK(p[0] == doctest::Approx(0.5).epsilon(0.05));
    CHECK(p[1] == doctest::Approx(0.3).epsilon(0.05));
    CHECK(p[3] == doctest::Approx(0.05).epsilon(0.15));
    CHECK(draws({.temperature = 0.5})[0] == doctest::Approx(0.25 / 0.365).epsilon(0.05));
}

TEST_CASE("sampler: top-k and top-p leave out the unlikely") {
    auto const k = draws({.temperature = 1, .top_k = 2});
    CHECK(k[2] + k[3] == 0);
    CHECK(k[0] == doctest::Approx(0.625).epsilon(0.05));
    auto const p = draws({.temperature = 1, .top_p = 0.9});
    CHECK(p[3] == 0);
    CHECK(p[2] > 0);
    CHECK(draws({.temperature = 1, .top_p = 0.4})[0] == doctest::Approx(1));
}

TEST_CASE("sampler: the same seed and step draw the same token") {
    for (index_t step = 0; step < 50; ++step) {
        std::array<float, 3> a{0, 0.1f, 0.2f}, b = a;
        CHECK(sampler{.temperature = 1, .seed = 9}(std::span<float>(a), step) ==
              sampler{.temperature = 1, .seed = 9}(std::span<float>(b), step));
    }
}
