// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/schedule.hpp>

#include <doctest/doctest.h>

#include <initializer_list>

using namespace graft;

TEST_CASE("schedule: warm-up is a line that reaches the peak at its last step") {
    rate_schedule const s{.peak = 1, .floor = 0.1, .steps = 100, .warmup = 10, .shape = decay::constant};
    CHECK(s.at(1) == doctest::Approx(0.1));
    CHECK(s.at(10) == doctest::Approx(1));
    CHECK(s.at(11) == 1);
    CHECK(s.at(100) == 1);
}

TEST_CASE("schedule: cosine and line start at the peak after warm-up and approach the floor") {
    for (decay shape : {decay::cosine, decay::linear}) {
        rate_schedule const s{.peak = 1, .floor = 0.2, .steps = 90, .warmup = 10, .shape = shape};
        CHECK(s.at(11) == doctest::Approx(1));
        CHECK(s.at(51) == doctest::Approx(0.6));
        CHECK(s.at(91) == doctest::Approx(0.2));
        CHECK(s.at(1000) == doctest::Approx(0.2));
        for (index_t k = 12; k < 90; ++k) CHECK(s.at(k) < s.at(k - 1));
    }
    CHECK(rate_schedule{.peak = 3, .steps = 1}.at(1) == 3);
}

TEST_CASE("schedule: restarts begin at the peak, each a half cosine") {
    rate_schedule const s{
        .peak = 1, .floor = 0.2, .steps = 90, .warmup = 10, .shape = decay::cosine_restarts, .cycles = 4};
    for (index_t first : {11, 31, 51, 71}) {
        CHECK(s.at(first) == doctest::Approx(1));
        CHECK(s.at(first + 10) == doctest::Approx(0.6));
        for (index_t k = first + 1; k < first + 20; ++k) CHECK(s.at(k) < s.at(k - 1));
    }
    CHECK(s.at(91) == doctest::Approx(0.2));
    rate_schedule const one{.peak = 1, .steps = 90, .warmup = 10, .shape = decay::cosine};
    rate_schedule same = one;
    same.shape = decay::cosine_restarts;
    for (index_t k = 1; k < 100; ++k) CHECK(same.at(k) == doctest::Approx(one.at(k)));
}

TEST_CASE("schedule: the inverse square root counts in warm-ups") {
    rate_schedule const s{.peak = 2, .steps = 1000, .warmup = 100, .shape = decay::inverse_sqrt};
    CHECK(s.at(100) == doctest::Approx(2));
    CHECK(s.at(101) == doctest::Approx(2));
    CHECK(s.at(401) == doctest::Approx(1));
    CHECK(s.at(901) == doctest::Approx(2.0 / 3));
    rate_schedule const bare{.peak = 2, .floor = 1, .steps = 10, .shape = decay::inverse_sqrt};
    CHECK(bare.at(1) == doctest::Approx(2));
    CHECK(bare.at(30001) == doctest::Approx(1.5));
}
