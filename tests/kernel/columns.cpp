// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/columns.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/quant/formats.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

TEST_CASE_TEMPLATE("columns: column_dots are sums down the rows, whoever computes them", T, float, double) {
    thread_pool pool(2);
    double const tolerance = sizeof(T) == 4 ? 1e-5 : 1e-13;
    for (index_t const rows : {0, 1, 5})
        for (index_t const columns : {1, 16, 37, 300, 515}) {
            grid<T> const a(rows, columns, 1, 2.0), b(rows, columns, 2, 2.0);
            grid<float> const c(1, columns, 3, 2.0);
            for (bool const shifted : {false, true}) {
                grid<double> sums(1, columns);
                for (index_t j = 0; j < columns; ++j) {
                    sums(0, j) = 0;
                    for (index_t i = 0; i < rows; ++i) {
                        double const from = shifted ? static_cast<double>(c(0, j)) : 0;
                        sums(0, j) += static_cast<double>(a(i, j)) * (static_cast<double>(b(i, j)) - from);
                    }
                }
                grid<T> l = a, r = b, alone(1, columns), shared(1, columns);
                column_dots(alone.numbers.data(), l.view(), r.view(), shifted ? c.numbers.data() : nullptr);
                CHECK(distance(alone, sums, tolerance, tolerance) <= 1);
                auto const on = pool.handle(nullptr, 0);
                column_dots(shared.numbers.data(), l.view(&on), r.view(), shifted ? c.numbers.data() : nullptr);
                CHECK(same_bits(alone, shared));
            }
        }
}

TEST_CASE_TEMPLATE("columns: add_scaled_rows adds to what is there, or writes where it is fresh", T, float, double) {
    double const tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;
    for (index_t const columns : {1, 16, 37}) {
        index_t const rows = 3;
        grid<T> const s(rows, columns, 1, 2.0), before(rows, columns, 2, 2.0), k(1, rows, 3, 2.0);
        for (bool const fresh : {false, true}) {
            grid<double> wanted(rows, columns);
            for (index_t i = 0; i < rows; ++i)
                for (index_t j = 0; j < columns; ++j)
                    wanted(i, j) = static_cast<double>(k(0, i)) * static_cast<double>(s(i, j)) +
                                   (fresh ? 0 : static_cast<double>(before(i, j)));
            grid<T> d = before, from = s;
            add_scaled_rows(fresh ? d.fresh() : d.view(), k.numbers.data(), from.view());
            CHECK(distance(d, wanted, tolerance, tolerance) <= 1);
            add_scaled_rows(from.fresh(), k.numbers.data(), from.view());
            if (fresh) CHECK(same_bits(from, d));
        }
    }
}

TEST_CASE_TEMPLATE("columns: row_squares are squared lengths of stored rows", T, float, double) {
    constexpr index_t rows = 5, columns = 333;
    std::vector<float> x;
    for (std::uint64_t i = 0; i < rows * columns; ++i) x.push_back(static_cast<float>(spread(1, i)));
    weight const w{reinterpret_cast<std::byte const*>(x.data()), rows, columns, f32};
    std::vector<T> squares(static_cast<std::size_t>(rows));
    row_squares(squares.data(), w, nullptr);
    for (index_t i = 0; i < rows; ++i) {
        double sum = 0;
        for (index_t j = 0; j < columns; ++j) {
            double const number = static_cast<double>(x[static_cast<std::size_t>(i * columns + j)]);
            sum += number * number;
        }
        CHECK(static_cast<double>(squares[static_cast<std::size_t>(i)]) == doctest::Approx(sum).epsilon(1e-7));
    }
}
