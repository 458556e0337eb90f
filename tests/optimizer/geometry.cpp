// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/geometry.hpp>
#include <graft/kernel/gaussian.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

using namespace graft;

namespace {

std::vector<float> normal(index_t count) {
    std::vector<float> z(static_cast<std::size_t>(count));
    gaussian(z.data(), count, 0, 7, 1, 2);
    return z;
}

}  // namespace

TEST_CASE("geometry: known singular values give their effective rank, of a matrix and of its transpose") {
    // Columns 3 e₁, 1 e₂, and 0: q = 3/4, 1/4.
    std::vector<double> const x{3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    std::vector<double> const t{3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    graft_test::bytes_of_64 scratch(geometry_scratch(4, 3));
    double const known = std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25));
    CHECK(effective_rank(x.data(), 4, 3, scratch.data()) == doctest::Approx(known).epsilon(1e-12));
    CHECK(effective_rank(t.data(), 3, 4, scratch.data()) == doctest::Approx(known).epsilon(1e-12));
    std::vector<double> const zero(12);
    CHECK(effective_rank(zero.data(), 4, 3, scratch.data()) == 0);
}

TEST_CASE("geometry: Gaussian numbers have the effective ranks that papers quote") {
    graft_test::bytes_of_64 scratch(geometry_scratch(2048, 16));
    CHECK(effective_rank(normal(2048 * 16).data(), 2048, 16, scratch.data()) == doctest::Approx(15.99).epsilon(1e-3));
    double mean = 0;
    auto const all = normal(256 * 100);
    for (int k = 0; k < 100; ++k) mean += effective_rank(all.data() + 256 * k, 16, 16, scratch.data()) / 100;
    CHECK(mean == doctest::Approx(12.4).epsilon(0.04));
}

TEST_CASE("geometry: orthonormal columns have no error, full rank and no cosines") {
    std::vector<float> b(7 * 3);
    b[0] = b[2 * 3 + 1] = b[6 * 3 + 2] = 1;
    graft_test::bytes_of_64 scratch(geometry_scratch(7, 3));
    CHECK(orthogonality_error(b.data(), 7, 3, scratch.data()) == 0);
    CHECK(effective_rank(b.data(), 7, 3, scratch.data()) == doctest::Approx(3).epsilon(1e-12));
    CHECK(column_cosines(b.data(), 7, 3, scratch.data()).mean_size == 0);
    b[0] = 2;
    CHECK(orthogonality_error(b.data(), 7, 3, scratch.data()) == doctest::Approx(3));
    b[0] = 1, b[1] = 0.5f;  // columns 0 and 1: 0.5, twice; and column 1 is longer by ¼
    CHECK(orthogonality_error(b.data(), 7, 3, scratch.data()) == doctest::Approx(std::sqrt(0.5 + 0.0625)));
}

TEST_CASE("geometry: cosines of three columns, written out") {
    std::vector<double> const x{1, 2, -1, 0, 2, 0};  // (1, 0), (2, 2), (−1, 0): 45°, 180°, 135°
    graft_test::bytes_of_64 scratch(geometry_scratch(2, 3));
    std::vector<double> const tall_one{1, 2, -1, 0, 2, 0, 0, 0, 0};
    graft_test::bytes_of_64 more(geometry_scratch(3, 3));
    auto const c = column_cosines(tall_one.data(), 3, 3, more.data());
    double const s = std::sqrt(0.5), mean = (s - 1 - s) / 3;
    CHECK(c.mean == doctest::Approx(mean));
    CHECK(c.mean_size == doctest::Approx((2 * s + 1) / 3));
    CHECK(c.deviation == doctest::Approx(std::sqrt((0.5 + 1 + 0.5) / 3 - mean * mean)));
    auto const of_rows = column_cosines(x.data(), 2, 3, scratch.data());  // (1, 2, −1) and (0, 2, 0)
    CHECK(of_rows.mean == doctest::Approx(4 / (std::sqrt(6.0) * 2)));
    CHECK(of_rows.deviation == doctest::Approx(0).epsilon(1e-7));
    auto const alone = column_cosines(x.data(), 6, 1, scratch.data());
    CHECK(alone.mean == 0);
    CHECK(alone.deviation == 0);
}
