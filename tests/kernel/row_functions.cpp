// SPDX-License-Identifier: Apache-2.0
// Functions of rows against plain loops in double: every length, in place, on lanes, with strange numbers.
#include <graft/kernel/row_functions.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 2e-6 : 4e-15;

/// body(row, sum of e^x, largest, mean, variance) for each row in double.
template <class T, class Body>
void each_reference(grid<T> const& x, Body body) {
    for (index_t i = 0; i < x.rows; ++i) {
        double top = -std::numeric_limits<double>::infinity(), mean = 0, variance = 0, sum = 0;
        auto const n = static_cast<double>(x.columns);
        for (index_t j = 0; j < x.columns; ++j)
            top = std::max(top, static_cast<double>(x(i, j))), mean += static_cast<double>(x(i, j)) / n;
        for (index_t j = 0; j < x.columns; ++j)
            variance += std::pow(static_cast<double>(x(i, j)) - mean, 2) / n,
                sum += std::exp(static_cast<double>(x(i, j)) - top);
        body(i, top, sum, mean, variance);
    }
}

/// Lengths around every width, and some that need all partial sums.
template <class T>
std::vector<index_t> lengths() {
    std::vector<index_t> n{64, 65, 127, 130, 577};
    for (index_t k = 0; k <= 2 * native_width<T> + 3; ++k) n.push_back(k);
    return n;
}

/// f(y, x) agrees with `expected`, gives the same in place, and writes nothing else.
template <class T, class F>
void check_rows(F f, grid<T> const& x, grid<double> const& expected) {
    CAPTURE(x.columns);
    grid<T> y(x.rows, x.columns), in = x;
    f(y.view(), in.view());
    CHECK(distance(y, expected, tolerance<T>, tolerance<T>) <= 1);
    f(in.view(), in.view());
    CHECK(same_bits(in, y));
    CHECK(y.gaps_untouched());
    CHECK(in.gaps_untouched());
}

}  // namespace

TEST_CASE_TEMPLATE("row functions: softmax, log_softmax and log_sum_exp agree with plain loops", T, float, double) {
    for (index_t const n : lengths<T>()) {
        grid<T> x(3, n, static_cast<std::uint64_t>(n), 20.0);
        grid<double> soft(3, n), logs(3, n), sums(3, 1);
        each_reference(x, [&](index_t i, double top, double sum, double, double) {
            for (index_t j = 0; j < n; ++j) {
                logs(i, j) = static_cast<double>(x(i, j)) - top - std::log(sum);
                soft(i, j) = std::exp(static_cast<double>(x(i, j)) - top) / sum;
            }
            sums(i, 0) = top + std::log(sum);
        });
        check_rows([](auto y, auto a) { softmax(y, a); }, x, soft);
        check_rows([](auto y, auto a) { log_softmax(y, a); }, x, logs);
        grid<T> y(3, 1);
        log_sum_exp(y.view(), x.view());
        if (n > 0) CHECK(distance(y, sums, tolerance<T>, tolerance<T>) <= 1);
        else CHECK(y(2, 0) == -std::numeric_limits<T>::infinity());
        CHECK(y.gaps_untouched());
    }
}

TEST_CASE_TEMPLATE("row functions: softmax of large numbers, of hidden ones and of what is none", T, float, double) {
    T const infinity = std::numeric_limits<T>::infinity();
    T numbers[] = {T(5e4), T(5e4) + 1, -infinity, T(-5e4)};
    matrix<T> const x{numbers, 1, 4};
    T y[4], sum;
    softmax(matrix<T>{y, 1, 4}, x);
    CHECK(y[1] == doctest::Approx(1 / (1 + std::exp(-1.0))));
    CHECK(y[2] == 0);
    CHECK(y[3] == 0);
    log_softmax(matrix<T>{y, 1, 4}, x);
    CHECK(y[2] == -infinity);
    CHECK(y[0] == doctest::Approx(-1 - std::log1p(std::exp(-1.0))));
    numbers[0] = poison<T>;
    softmax(matrix<T>{y, 1, 4}, x);
    CHECK(std::isnan(y[1]));
    numbers[0] = numbers[1] = numbers[3] = -infinity;
    log_sum_exp(matrix<T>{&sum, 1, 1}, x);
    CHECK(sum == -infinity);
}

TEST_CASE_TEMPLATE("row functions: normalise and layer_norm agree with plain loops, far from zero too", T, float,
                   double) {
    for (index_t const n : lengths<T>()) {
        if (n == 0) continue;
        grid<T> x(3, n, static_cast<std::uint64_t>(n), 3.0);
        for (index_t j = 0; j < n; ++j) x(1, j) += T(64);
        grid<T> const w(1, n, 7, 2.0), b(1, n, 8, 2.0);
        grid<double> plain(3, n), full(3, n), weighted(3, n);
        each_reference(x, [&](index_t i, double, double, double mean, double variance) {
            for (index_t j = 0; j < n; ++j) {
                plain(i, j) = (static_cast<double>(x(i, j)) - mean) / std::sqrt(variance + 0.01);
                weighted(i, j) = plain(i, j) * static_cast<double>(w(0, j));
                full(i, j) = weighted(i, j) + static_cast<double>(b(0, j));
            }
        });
        T const *const none = nullptr, *const ws = w.numbers.data(), *const bs = b.numbers.data();
        double const looser = 40;  // the mean of 64 loses a few bits
        auto const check = [&](auto f, grid<double> const& expected) {
            grid<T> y(3, n), in = x;
            f(y.view(), in.view());
            CAPTURE(n);
            CHECK(distance(y, expected, looser * tolerance<T>, tolerance<T>) <= 1);
            f(in.view(), in.view());
            CHECK(same_bits(in, y));
            CHECK(y.gaps_untouched());
        };
        check([](auto y, auto a) { normalise(y, a, 0.01); }, plain);
        check([=](auto y, auto a) { layer_norm(y, a, ws, bs, 0.01); }, full);
        check([=](auto y, auto a) { layer_norm(y, a, ws, none, 0.01); }, weighted);
        check([=](auto y, auto a) { layer_norm(y, a, none, none, 0.01); }, plain);
        check([=](auto y, auto a) { layer_norm(y, a, none, bs, 0.01); }, [&] {
            grid<double> shifted(3, n);
            for (index_t i = 0; i < 3; ++i)
                for (index_t j = 0; j < n; ++j) shifted(i, j) = plain(i, j) + static_cast<double>(b(0, j));
            return shifted;
        }());
    }
}

TEST_CASE_TEMPLATE("row functions: argmax finds the first of the largest, wherever it stands", T, float, double) {
    T const infinity = std::numeric_limits<T>::infinity();
    for (index_t const n : lengths<T>())
        for (index_t at = 0; at < n; ++at) {
            grid<T> x(2, n, 3, 1.0);
            x(1, at) = x(1, n - 1) = 2;
            std::int32_t y[3] = {-1, -1, -1};
            argmax(y, x.view());
            index_t first = 0;
            for (index_t j = 1; j < n; ++j)
                if (x(0, j) > x(0, first)) first = j;
            REQUIRE(y[0] == first);
            REQUIRE(y[1] == at);
            REQUIRE(y[2] == -1);
            for (index_t j = 0; j < n; ++j) x(0, j) = -infinity, x(1, j) = T(-0.0);
            argmax(y, x.view());
            REQUIRE(y[0] == 0);
            REQUIRE(y[1] == 0);
            x(0, at) = poison<T>, x(1, 0) = infinity, x(1, at) = infinity;
            argmax(y, x.view());
            REQUIRE(y[0] == at);
            REQUIRE(y[1] == 0);
        }
    std::int32_t y = 0;
    CHECK_THROWS(argmax(&y, matrix<T>{nullptr, 1, 0}));
}

TEST_CASE("row functions: two lanes give what one gives") {
    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    grid<float> const x(200, 577, 1, 2.0);
    grid<float> a(200, 577), b(200, 577), in = x;
    softmax(a.view(), in.view());
    softmax(b.view(&two), in.view());
    CHECK(same_bits(a, b));
    normalise(a.view(), in.view(), 1e-5);
    normalise(b.view(&two), in.view(), 1e-5);
    CHECK(same_bits(a, b));
}
