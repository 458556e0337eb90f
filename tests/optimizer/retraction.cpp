// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/gaussian.hpp>
#include <graft/optimizer/geometry.hpp>
#include <graft/optimizer/retraction.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

#include <limits>

using namespace graft;
using graft_test::bytes_of_64;

namespace {

/// A point with orthonormal columns, and a tangent there of Frobenius norm 1.
template <class T>
struct spot {
    index_t rows, r;
    std::vector<T> b, d, to;

    spot(index_t n, index_t k) : rows(n), r(k), b(static_cast<std::size_t>(n * k)), d(b.size()), to(b.size()) {
        gaussian(b.data(), n * k, 0, 1, 2, 3);
        gaussian(d.data(), n * k, 0, 4, 5, 6);
        orthonormalise();
        double size = 0;
        std::vector<double> const s = sums(b, d);
        for (index_t i = 0; i < n; ++i)
            for (index_t j = 0; j < k; ++j) {
                double x = at(d, i, j);
                for (index_t l = 0; l < k; ++l)
                    x -= at(b, i, l) * symmetric(s, l, j);
                to[static_cast<std::size_t>(i * k + j)] = static_cast<T>(x), size += x * x;
            }
        for (std::size_t i = 0; i < d.size(); ++i) d[i] = static_cast<T>(static_cast<double>(to[i]) / std::sqrt(size));
    }
    double at(std::vector<T> const& x, index_t i, index_t j) const {
        return static_cast<double>(x[static_cast<std::size_t>(i * r + j)]);
    }
    /// xᵀ y
    std::vector<double> sums(std::vector<T> const& x, std::vector<T> const& y) const {
        std::vector<double> s(static_cast<std::size_t>(r * r));
        for (index_t i = 0; i < r; ++i)
            for (index_t j = 0; j < r; ++j)
                for (index_t l = 0; l < rows; ++l) s[static_cast<std::size_t>(i * r + j)] += at(x, l, i) * at(y, l, j);
        return s;
    }
    double symmetric(std::vector<double> const& s, index_t i, index_t j) const {
        return (s[static_cast<std::size_t>(i * r + j)] + s[static_cast<std::size_t>(j * r + i)]) / 2;
    }
    template <class R>
    void go(R const& how, double t) {
        bytes_of_64 scratch(R::scratch_bytes(r), std::byte{0xff});
        how.retract(to.data(), b.data(), d.data(), t, rows, r, scratch.data());
    }
    double error(std::vector<T> const& x) const {
        bytes_of_64 scratch(geometry_scratch(rows, r));
        return orthogonality_error(x.data(), rows, r, scratch.data());
    }

private:
    void orthonormalise() {  // Gram and Schmidt, twice
        for (int pass = 0; pass < 2; ++pass)
            for (index_t j = 0; j < r; ++j) {
                for (index_t i = 0; i < j; ++i) add(i, j);
                double size = 0;
                for (index_t l = 0; l < rows; ++l) size += at(b, l, j) * at(b, l, j);
                for (index_t l = 0; l < rows; ++l)
                    b[static_cast<std::size_t>(l * r + j)] = static_cast<T>(at(b, l, j) / std::sqrt(size));
            }
    }
    void add(index_t i, index_t j) {
        double along = 0;
        for (index_t l = 0; l < rows; ++l) along += at(b, l, i) * at(b, l, j);
        for (index_t l = 0; l < rows; ++l)
            b[static_cast<std::size_t>(l * r + j)] = static_cast<T>(at(b, l, j) - along * at(b, l, i));
    }
};

/// a x = b for dense a (n × n) and b (n × m), by elimination with row pivots.
std::vector<double> dense_solve(std::vector<double> a, std::vector<double> b, std::size_t n, std::size_t m) {
    for (std::size_t k = 0; k < n; ++k) {
        std::size_t best = k;
        for (std::size_t i = k; i < n; ++i)
            if (std::abs(a[i * n + k]) > std::abs(a[best * n + k])) best = i;
        for (std::size_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[best * n + j]);
        for (std::size_t j = 0; j < m; ++j) std::swap(b[k * m + j], b[best * m + j]);
        for (std::size_t i = 0; i < n; ++i) {
            if (i == k) continue;
            double const f = a[i * n + k] / a[k * n + k];
            for (std::size_t j = 0; j < n; ++j) a[i * n + j] -= f * a[k * n + j];
            for (std::size_t j = 0; j < m; ++j) b[i * m + j] -= f * b[k * m + j];
        }
    }
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < m; ++j) b[i * m + j] /= a[i * n + i];
    return b;
}

/// (I − t/2 W)⁻¹ (I + t/2 W) B with W rows × rows.
std::vector<double> dense_cayley(spot<double> const& p, double t) {
    auto const n = static_cast<std::size_t>(p.rows), r = static_cast<std::size_t>(p.r);
    auto const s = p.sums(p.b, p.d);
    std::vector<double> pd = p.d, w(n * n), left(n * n), right(n * r);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < r; ++j)
            for (std::size_t l = 0; l < r; ++l) pd[i * r + j] -= p.b[i * r + l] * s[l * r + j] / 2;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) {
            for (std::size_t l = 0; l < r; ++l)
                w[i * n + j] += pd[i * r + l] * p.b[j * r + l] - p.b[i * r + l] * pd[j * r + l];
            left[i * n + j] = (i == j) - t / 2 * w[i * n + j];
            for (std::size_t l = 0; l < r; ++l)
                right[i * r + l] += ((i == j) + t / 2 * w[i * n + j]) * p.b[j * r + l];
        }
    return dense_solve(left, right, n, r);
}

template <class T>
double largest_difference(std::vector<T> const& a, std::vector<T> const& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(static_cast<double>(a[i] - b[i])));
    return most;
}

template <class R>
void behaves(R const& how) {
    for (auto [rows, r] : {std::pair<index_t, index_t>{5, 1}, {12, 3}, {40, 8}, {100, 17}, {16, 16}})
        for (double t : {-1e-3, 0.3, -5.0, 100.0, 1e4, 1e9}) {
            spot<double> p(rows, r);
            p.go(how, t);
            CHECK(p.error(p.to) < (std::abs(t) < 10 ? 1e-13 : 1e-9));
            spot<float> q(rows, r);
            q.go(how, t);
            CHECK(q.error(q.to) < 1e-6);
        }

    // A tangent of rank 1, u wᵀ with Bᵀ u = 0: beyond `longest_step` nothing would be left of the other directions.
    spot<double> one(30, 4);
    std::vector<double> const bd = one.sums(one.b, one.d);
    double const w[4] = {1, 2, -1, 0.5};
    std::vector<double> u(30);
    for (index_t i = 0; i < 30; ++i) {
        u[static_cast<std::size_t>(i)] = one.at(one.d, i, 0);
        for (index_t l = 0; l < 4; ++l)
            u[static_cast<std::size_t>(i)] -= one.at(one.b, i, l) * bd[static_cast<std::size_t>(l * 4)];
    }
    for (std::size_t i = 0; i < one.d.size(); ++i) one.d[i] = u[i / 4] * w[i % 4];
    one.go(how, 1e12);
    CHECK(one.error(one.to) < 1e-6);
    CHECK(largest_difference(one.to, one.b) > 0.1);

    // To first order along the tangent, also written over the point and over the direction.
    spot<double> p(30, 4);
    double const small = 1e-4;
    p.go(how, small);
    auto const there = p.to;
    p.go(how, -small);
    for (std::size_t i = 0; i < there.size(); ++i) CHECK(std::abs((there[i] - p.to[i]) / (2 * small) - p.d[i]) < 1e-7);
    bytes_of_64 scratch(R::scratch_bytes(4), std::byte{0xff});
    auto over_point = p.b, over_direction = p.d;
    how.retract(over_point.data(), over_point.data(), p.d.data(), small, p.rows, p.r, scratch.data());
    how.retract(over_direction.data(), p.b.data(), over_direction.data(), small, p.rows, p.r, scratch.data());
    CHECK(over_point == there);
    CHECK(over_direction == there);

    // What is not finite leaves the point where it is.
    for (double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        p.d[7] = bad;
        p.go(how, small);
        CHECK(largest_difference(p.to, p.b) < 1e-14);
    }
}

}  // namespace

TEST_CASE("retraction: steps of every length end on the manifold, small ones where they point") {
    behaves(cholesky_qr{});
    behaves(polar{});
    behaves(cayley{});
}

TEST_CASE("retraction: Cayley's is that of the dense equations, to 1e-12") {
    for (auto [rows, r] : {std::pair<index_t, index_t>{5, 1}, {20, 3}, {40, 8}, {9, 9}})
        for (double t : {1e-3, -0.5, 3.0, 40.0}) {
            spot<double> p(rows, r);
            p.go(cayley{}, t);
            CHECK(largest_difference(p.to, dense_cayley(p, t)) < 1e-12);
        }
}

TEST_CASE("retraction: qf makes Y an upper triangle, polar a symmetric positive matrix") {
    spot<double> p(40, 6);
    for (double t : {0.5, -7.0}) {
        std::vector<double> y = p.b;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] += t * p.d[i];
        p.go(cholesky_qr{}, t);
        auto const triangle = p.sums(p.to, y);  // QᵀY = R
        p.go(polar{}, t);
        auto const symmetric = p.sums(p.to, y);
        for (std::size_t i = 0; i < 6; ++i) {
            CHECK(triangle[i * 6 + i] > 0);
            CHECK(symmetric[i * 6 + i] > 0);
            for (std::size_t j = 0; j < i; ++j) {
                CHECK(std::abs(triangle[i * 6 + j]) < 1e-12);
                CHECK(std::abs(symmetric[i * 6 + j] - symmetric[j * 6 + i]) < 1e-12);
            }
        }
    }
}

TEST_CASE("retraction: rounding of many steps does not add up") {
    auto const many = [](auto how) {
        spot<float> p(192, 16);
        double worst = 0;
        for (int k = 0; k < 1000; ++k) {
            p.go(how, 0.05);
            p.b = p.to;
            std::vector<double> const s = p.sums(p.b, p.d);
            for (index_t i = 0; i < 192; ++i) {  // the direction stays a tangent
                float row[16];
                for (index_t j = 0; j < 16; ++j) {
                    double x = p.at(p.d, i, j);
                    for (index_t l = 0; l < 16; ++l)
                        x -= p.at(p.b, i, l) * p.symmetric(s, l, j);
                    row[j] = static_cast<float>(x);
                }
                std::copy_n(row, 16, p.d.data() + i * 16);
            }
            if (k % 50 == 49) worst = std::max(worst, p.error(p.b));
        }
        CHECK(worst < 5e-7);
    };
    many(cholesky_qr{});
    many(polar{});
    many(cayley{});
}
