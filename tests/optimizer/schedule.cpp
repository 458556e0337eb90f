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
