// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/tall.hpp>
#include <tests/support/small_squares.hpp>

#include <doctest/doctest.h>

using namespace graft;
using graft_test::squares_at_hand;

namespace {

template <class T>
struct drawn_matrix {
    index_t rows, columns;
    std::vector<T> all;

    drawn_matrix(index_t r, index_t c, double factor) : rows(r), columns(c), all(static_cast<std::size_t>(r * c)) {
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = static_cast<T>(std::sin(factor * static_cast<double>((i + 1) * (i + 1))));
    }
    tall_matrix<T> matrix() { return tall(all.data(), rows, columns); }
    tall_matrix<T const> read() const { return tall<T const>(all.data(), rows, columns); }
};

template <class T>
double at(tall_matrix<T const> const& x, index_t i, index_t j) {
    return static_cast<double>(x.data[i * x.row + j * x.column]);
}

std::vector<std::byte> room(index_t columns) {
    return std::vector<std::byte>(static_cast<std::size_t>(tall_scratch(columns)));
}

template <class T>
void products(index_t rows, index_t columns) {
    drawn_matrix<T> x(rows, columns, 0.37), y(rows, columns, 0.83);
    index_t const r = x.read().columns, n = x.read().rows;
    squares_at_hand of(r, 5);
    auto scratch = room(r);
    small_square const c = of.empty(), own = of.empty(), m = of.drawn(1.3), k = of.drawn(0.2);
    gram(c, x.read(), y.read(), scratch.data());
    gram(own, x.read(), scratch.data());
    for (index_t i = 0; i < r; ++i)
        for (index_t j = 0; j < r; ++j) {
            double xy = 0, xx = 0;
            for (index_t l = 0; l < n; ++l)
                xy += at<T>(x.read(), l, i) * at<T>(y.read(), l, j),
                    xx += at<T>(x.read(), l, i) * at<T>(x.read(), l, j);
            CHECK(std::abs(c(i, j) - xy) < 1e-12 * static_cast<double>(n));
            CHECK(std::abs(own(i, j) - xx) < 1e-12 * static_cast<double>(n));
            CHECK(own(i, j) == own(j, i));
        }

    auto const before = y;
    tall_sum(y.matrix(), 2, scratch.data(), tall_term<T>{x.read(), m}, tall_term<T>{y.read(), k});
    double const half_digit = sizeof(T) == 4 ? 0x1p-23 : 0x1p-50;
    for (index_t i = 0; i < n; ++i)
        for (index_t j = 0; j < r; ++j) {
            double sum = 2 * at<T>(before.read(), i, j);
            for (index_t l = 0; l < r; ++l)
                sum += at<T>(x.read(), i, l) * m(l, j) + at<T>(before.read(), i, l) * k(l, j);
            CHECK(std::abs(at<T>(y.read(), i, j) - sum) <= half_digit * (std::abs(sum) + static_cast<double>(r)));
        }
}

}  // namespace

TEST_CASE("tall: Gram matrices and sums of products, of tall matrices and of wide ones as their transposes") {
    for (auto [rows, columns] : {std::pair<index_t, index_t>{1, 1}, {5, 3}, {36, 8}, {37, 16}, {100, 7}, {73, 20},
                                 {64, 64}, {9, 40}, {16, 75}}) {
        products<float>(rows, columns);
        products<double>(rows, columns);
    }
}

TEST_CASE("tall: floats are summed in double") {
    drawn_matrix<float> x(20000, 1, 0.1);
    for (float& v : x.all) v = 1.0f / 3;
    squares_at_hand of(1, 1);
    auto scratch = room(1);
    small_square const c = of.empty();
    gram(c, x.read(), scratch.data());
    double const third = static_cast<double>(1.0f / 3);
    CHECK(c(0, 0) == doctest::Approx(20000 * third * third).epsilon(1e-12));  // in float: off by 1e-5
}

TEST_CASE("tall: the squares of any count of numbers") {
    for (index_t n : {0, 1, 7, 31, 32, 33, 1000}) {
        drawn_matrix<float> const x(n, 1, 0.7);
        double sum = 0;
        for (float v : x.all) sum += double{v} * double{v};
        CHECK(squares(x.all.data(), n) == doctest::Approx(sum).epsilon(1e-14));
    }
}
