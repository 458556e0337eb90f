// SPDX-License-Identifier: Apache-2.0
// Products with lower triangles against plain loops; what lies above a diagonal is never read, nothing outside written.
#include <doctest/doctest.h>

#include <graft/kernel/triangular.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace graft;

namespace {

template <class T>
std::vector<T> numbers(index_t n, int seed) {
    std::vector<T> r(static_cast<std::size_t>(n));
    for (std::size_t k = 0; k < r.size(); ++k)
        r[k] = static_cast<T>(std::sin(1.3 * static_cast<double>(k) + seed) + 0.1);
    return r;
}

template <class T>
struct lower_case {
    index_t order, columns;
    std::vector<T> q, x, from;
    lower_case(index_t d, index_t n)
        : order(d), columns(n), q(numbers<T>(d * d, 1)), x(numbers<T>(d * n, 2)), from(numbers<T>(d * n + 1, 3)) {
        for (index_t i = 0; i < d; ++i)
            for (index_t j = i + 1; j < d; ++j) q[at(i, j, d)] = std::numeric_limits<T>::quiet_NaN();
    }
    static std::size_t at(index_t i, index_t j, index_t step) { return static_cast<std::size_t>(i * step + j); }

    /// L x or Lᵀ x in double, added to `start`.
    double expected(index_t i, index_t c, bool transposed, double start) const {
        for (index_t j = 0; j < order; ++j)
            if (transposed ? j >= i : j <= i)
                start += static_cast<double>(transposed ? q[at(j, i, order)] : q[at(i, j, order)]) *
                         static_cast<double>(x[at(j, c, columns)]);
        return start;
    }
    double worst(bool transposed, bool add) const {
        auto y = from;
        if (transposed) lower_transposed_product(y.data(), q.data(), x.data(), order, columns, add);
        else lower_product(y.data(), q.data(), x.data(), order, columns, add);
        double off = y.back() == from.back() ? 0 : INFINITY;  // what follows y stays
        for (index_t i = 0; i < order; ++i)
            for (index_t c = 0; c < columns; ++c) {
                double const start = add ? static_cast<double>(from[at(i, c, columns)]) : 0;
                auto const found = static_cast<double>(y[at(i, c, columns)]);
                double const d = std::abs(found - expected(i, c, transposed, start));
                off = d <= off ? off : d;  // also where d is no number
            }
        return off;
    }
    double worst_outer() const {
        std::vector<T> turned(static_cast<std::size_t>(outer_step<T>(order) * columns) + 1, T(7));
        std::vector<T> dq(q.size() + 1, T(7));
        outer_columns(turned.data(), x.data(), order, columns);
        lower_outer(dq.data(), from.data(), turned.data(), order, columns);
        double off = turned.back() == T(7) && dq.back() == T(7) ? 0 : INFINITY;
        for (index_t i = 0; i < order; ++i)
            for (index_t j = 0; j < order; ++j) {
                double sum = 0;
                for (index_t c = 0; c < columns && j <= i; ++c)
                    sum += static_cast<double>(from[at(i, c, columns)]) * static_cast<double>(x[at(j, c, columns)]);
                double const d = std::abs(static_cast<double>(dq[at(i, j, order)]) - sum);
                off = d <= off ? off : d;
                if (j > i && dq[at(i, j, order)] != T(0)) off = INFINITY;
            }
        return off;
    }
};

template <class T>
void check(double tolerance) {
    for (index_t d : {1, 2, 5, 8, 9, 15, 16, 17, 27, 40})
        for (index_t n : {0, 1, 3, 4, 7, 8, 16, 23, 24, 25, 33, 56}) {
            lower_case<T> const c(d, n);
            INFO("order ", d, ", columns ", n);
            CHECK(c.worst(false, false) < tolerance);
            CHECK(c.worst(false, true) < tolerance);
            CHECK(c.worst(true, false) < tolerance);
            CHECK(c.worst(true, true) < tolerance);
            CHECK(c.worst_outer() < tolerance);
        }
}

}  // namespace

TEST_CASE("triangular products: double, every split of rows and columns") { check<double>(1e-13); }
TEST_CASE("triangular products: float") { check<float>(1e-4); }
