// SPDX-License-Identifier: Apache-2.0
// Matrices for tests of kernels: strided, poisoned where nothing may be read or written; central differences.
#pragma once

#include <doctest/doctest.h>

#include <graft/tensor/matrix.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace graft_test {

using namespace graft;

/// Uniform in ±1, a pure function of seed and index.
inline double spread(std::uint64_t seed, std::uint64_t index) {
    std::uint64_t z = (seed + 1) * 0x9e3779b97f4a7c15u + index * 0xd1342543de82ef95u;
    z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 32)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 29)) >> 11) * 0x1p-52 - 1;
}

template <class T>
inline constexpr T poison = std::numeric_limits<T>::quiet_NaN();

/// Scratch of n numbers, each poisoned.
template <class T>
std::vector<T> scratch(index_t n) {
    return std::vector<T>(static_cast<std::size_t>(n), poison<T>);
}

/// rows × columns numbers with `gap` poisoned numbers after each row.
template <class T>
struct grid {
    index_t rows, columns, stride;
    std::vector<T> numbers;

    grid(index_t r, index_t c, index_t gap = 3)
        : rows(r), columns(c), stride(c + gap), numbers(scratch<T>(r * (c + gap) + 1)) {}
    /// Uniform in ±size.
    grid(index_t r, index_t c, std::uint64_t seed, double size) : grid(r, c) {
        for (index_t i = 0; i < r; ++i)
            for (index_t j = 0; j < c; ++j)
                (*this)(i, j) = static_cast<T>(size * spread(seed, static_cast<std::uint64_t>(i * c + j)));
    }
    template <class U>
    explicit grid(grid<U> const& other) : rows(other.rows), columns(other.columns), stride(other.stride) {
        for (U x : other.numbers) numbers.push_back(static_cast<T>(x));
    }

    T& operator()(index_t i, index_t j) { return numbers[static_cast<std::size_t>(i * stride + j)]; }
    T operator()(index_t i, index_t j) const { return numbers[static_cast<std::size_t>(i * stride + j)]; }
    matrix<T> view(workers const* on = nullptr) { return {numbers.data(), rows, columns, stride, on}; }
    matrix<T> fresh(workers const* on = nullptr) { return view(on).as_fresh(); }

    /// Nothing was written between the rows.
    bool gaps_untouched() const {
        for (index_t i = 0; i < rows; ++i)
            for (index_t j = columns; j < stride; ++j)
                if (!std::isnan((*this)(i, j))) return false;
        return std::isnan(numbers.back());
    }
    /// Every number has the same bits.
    friend bool same_bits(grid const& a, grid const& b) {
        for (index_t i = 0; i < a.rows; ++i)
            for (index_t j = 0; j < a.columns; ++j)
                if (T const x = a(i, j), y = b(i, j); std::memcmp(&x, &y, sizeof x) != 0) return false;
        return a.rows == b.rows && a.columns == b.columns;
    }
};

/// The largest |a - b| / (absolute + relative |b|): at most 1 where all numbers agree, infinity where one is no number.
template <class A, class B>
double distance(grid<A> const& a, grid<B> const& b, double absolute, double relative) {
    double worst = 0;
    for (index_t i = 0; i < b.rows; ++i)
        for (index_t j = 0; j < b.columns; ++j) {
            double const x = static_cast<double>(a(i, j)), y = static_cast<double>(b(i, j));
            double const d = std::abs(x - y) / (absolute + relative * std::abs(y));
            worst = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(worst, d);
        }
    return worst;
}

/// Σ y g: a loss whose gradient with respect to y is g.
inline double inner(grid<double> const& y, grid<double> const& g) {
    double s = 0;
    for (index_t i = 0; i < y.rows; ++i)
        for (index_t j = 0; j < y.columns; ++j) s += y(i, j) * g(i, j);
    return s;
}

/// The gradient of loss() with respect to x by central differences of fourth order.
template <class Loss>
grid<double> differences(grid<double>& x, Loss loss, double h = 1e-3) {
    grid<double> d(x.rows, x.columns);
    for (index_t i = 0; i < x.rows; ++i)
        for (index_t j = 0; j < x.columns; ++j) {
            double const kept = x(i, j);
            auto const at = [&](double step) { return x(i, j) = kept + step, loss(); };
            double const near = at(h) - at(-h), far = at(2 * h) - at(-2 * h);
            d(i, j) = (8 * near - far) / (12 * h);
            x(i, j) = kept;
        }
    return d;
}

/// The project's tolerance for gradients in double.
inline bool agree(grid<double> const& gradient, grid<double> const& expected) {
    return distance(gradient, expected, 1e-8, 1e-6) <= 1;
}

/// a + b.
template <class T>
grid<T> sum_of(grid<T> const& a, grid<T> const& b) {
    grid<T> s(a.rows, a.columns);
    for (index_t i = 0; i < a.rows; ++i)
        for (index_t j = 0; j < a.columns; ++j) s(i, j) = a(i, j) + b(i, j);
    return s;
}

}  // namespace graft_test
