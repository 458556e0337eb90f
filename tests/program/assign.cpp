// SPDX-License-Identifier: Apache-2.0
#include <graft/program/assign.hpp>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace graft;

namespace {

/// Numbers of no pattern, and their sums.
struct table {
    tensor<double, any, 33> x = tensor<double, any, 33>(7);
    double row[7]{}, column[33]{}, squares[7]{};

    table() {
        for (index_t i = 0; i < 7; ++i)
            for (index_t j = 0; j < 33; ++j) {
                double const v = x(i, j) = std::sin(static_cast<double>(7 * i + j * j));
                row[i] += v, column[j] += v, squares[i] += v * v;
            }
    }
};

}  // namespace

TEST_CASE("assign: what is computed after a reduction lies where its sum lay") {
    table const t;
    tensor<double, any> average(7), length(7);
    tensor<double> all;
    average = mean<-1>(t.x);
    length = norm<-1>(t.x) * 2 + 1;
    all = mean(t.x);
    double sum = 0;
    for (index_t i = 0; i < 7; ++i) {
        CHECK(average(i) == doctest::Approx(t.row[i] / 33).epsilon(1e-13));
        CHECK(length(i) == doctest::Approx(2 * std::sqrt(t.squares[i]) + 1).epsilon(1e-13));
        sum += t.row[i];
    }
    CHECK(all() == doctest::Approx(sum / (7 * 33)).epsilon(1e-13));

    tensor average_kept = mean<0>(t.x, keep);
    static_assert(decltype(average_kept)::extents_value == extents<1, 33>::value);
    for (index_t j = 0; j < 33; ++j) CHECK(average_kept(0, j) == doctest::Approx(t.column[j] / 7).epsilon(1e-13));
}

TEST_CASE("assign: an operand that is the destination is read before the sum is written") {
    table const t;
    tensor<double, 33> y(fill{1});
    y = y / 2 + mean<0>(t.x);
    for (index_t j = 0; j < 33; ++j) CHECK(y(j) == doctest::Approx(t.column[j] / 7 + 0.5).epsilon(1e-13));
    y = mean<0>(t.x) * y - y;
    for (index_t j = 0; j < 33; ++j) {
        double const m = t.column[j] / 7;
        CHECK(y(j) == doctest::Approx(m * (m + 0.5) - (m + 0.5)).epsilon(1e-12));
    }
}
