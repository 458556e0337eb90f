// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/rope.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

/// The rotation as papers write it, in double.
grid<double> turned(grid<double> const& x, std::vector<index_t> const& positions, index_t head, rope_pairing pairing,
                    double base, std::vector<float> const& divisors) {
    grid<double> y(x.rows, x.columns);
    for (index_t i = 0; i < x.rows; ++i)
        for (index_t first = 0; first < x.columns; first += head)
            for (index_t p = 0; p < head / 2; ++p) {
                double const divisor =
                    divisors.empty() ? 1.0 : static_cast<double>(divisors[static_cast<std::size_t>(p)]);
                double const angle = static_cast<double>(positions[static_cast<std::size_t>(i)]) *
                                     std::pow(base, -2.0 * static_cast<double>(p) / static_cast<double>(head)) /
                                     divisor;
                bool const split = pairing == rope_pairing::half_split;
                index_t const l = first + (split ? p : 2 * p), r = first + (split ? p + head / 2 : 2 * p + 1);
                y(i, l) = x(i, l) * std::cos(angle) - x(i, r) * std::sin(angle);
                y(i, r) = x(i, l) * std::sin(angle) + x(i, r) * std::cos(angle);
            }
    return y;
}

}  // namespace

TEST_CASE("rope: rotation agrees with the formula for both pairings, divisors and repeated positions") {
    std::vector<index_t> const positions{0, 1, 2, 0, 1, 900, 8191};
    for (index_t const head : {2, 8, 64, 80})
        for (auto const pairing : {rope_pairing::interleaved, rope_pairing::half_split})
            for (bool const divided : {false, true}) {
                std::vector<float> divisors;
                for (index_t i = 0; divided && i < head / 2; ++i) divisors.push_back(i < head / 4 ? 1.0f : 8.0f);
                grid<double> x(7, 3 * head, 1, 1.0), y(7, 3 * head), co(7, head / 2), si(7, head / 2);
                rope_table(co.view(), si.view(), positions, 500000.0, divisors);
                rope(y.view(), x.view(), co.view(), si.view(), head, pairing);
                CHECK(distance(y, turned(x, positions, head, pairing, 500000.0, divisors), 1e-11, 0) <= 1);
                CHECK(y.gaps_untouched());
                CHECK(co.gaps_untouched());
                grid<double> over = x;
                rope(over.view(), over.view(), co.view(), si.view(), head, pairing);
                CHECK(same_bits(over, y));
                // Turning back gives x again: the pull is the transpose, and the transpose of a rotation its inverse.
                rope_pull(over.fresh(), over.view(), co.view(), si.view(), head, pairing);
                CHECK(distance(over, x, 1e-14, 0) <= 1);

                grid<float> fx(x), fco(7, head / 2), fsi(7, head / 2), fy(7, 3 * head);
                rope_table(fco.view(), fsi.view(), positions, 500000.0, divisors);
                rope(fy.view(), fx.view(), fco.view(), fsi.view(), head, pairing);
                CHECK(distance(fy, y, 3e-7, 0) <= 1);
            }
}

TEST_CASE("rope: pull agrees with central differences, assigned and added") {
    std::vector<index_t> const positions{3, 11};
    for (auto const pairing : {rope_pairing::interleaved, rope_pairing::half_split}) {
        grid<double> x(2, 20, 1, 1.0), y(2, 20), co(2, 5), si(2, 5);
        grid<double> dy(2, 20, 3, 1.0);
        grid<double> const start(2, 20, 4, 1.0);
        rope_table(co.view(), si.view(), positions, 100.0);
        auto const expected =
            differences(x, [&] { return rope(y.view(), x.view(), co.view(), si.view(), 10, pairing), inner(y, dy); });
        grid<double> dx(2, 20);
        rope_pull(dx.fresh(), dy.view(), co.view(), si.view(), 10, pairing);
        CHECK(agree(dx, expected));
        dx = start;
        rope_pull(dx.view(), dy.view(), co.view(), si.view(), 10, pairing);
        CHECK(agree(dx, sum_of(start, expected)));
    }
}

TEST_CASE("rope: no rows are allowed, and two lanes give the same bits as one") {
    grid<float> none(0, 16), no_table(0, 4);
    rope_table(no_table.view(), no_table.view(), {}, 1e4);
    rope(none.view(), none.view(), no_table.view(), no_table.view(), 8, rope_pairing::half_split);

    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    std::vector<index_t> positions;
    for (index_t i = 0; i < 200; ++i) positions.push_back(i);
    grid<float> x(200, 576, 1, 1.0), co(200, 32), si(200, 32), one(200, 576), other(200, 576);
    rope_table(co.view(), si.view(), positions, 1e4);
    for (auto const pairing : {rope_pairing::interleaved, rope_pairing::half_split}) {
        rope(one.view(), x.view(), co.view(), si.view(), 64, pairing);
        rope(other.view(&two), x.view(), co.view(), si.view(), 64, pairing);
        CHECK(same_bits(one, other));
    }
}
