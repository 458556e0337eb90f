// SPDX-License-Identifier: Apache-2.0
// Tests of prepared functions: arguments from one formula, central differences, figures of another program.
#pragma once

#include <doctest/doctest.h>

#include <graft/program/assign.hpp>
#include <graft/program/prepare_heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <cmath>
#include <span>
#include <vector>

namespace graft_test {

using namespace graft;

/// Writes sin(1.7 n) · 0.9 into all tensors, where n counts on from `count` + 1.
struct filled {
    index_t count = 0;
    template <class... X> void operator()(X&... tensors) {
        auto const one = [&](auto& x) {
            for (auto& number : x.all().span())
                number = static_cast<std::remove_reference_t<decltype(number)>>(
                    std::sin(1.7 * static_cast<double>(++count)) * 0.9);
        };
        (one(tensors), ...);
    }
};

/// The largest |a − b| / (1e-8 + 1e-6 |b|) of a gradient and the central differences of run.value() by an argument.
inline double off_differences(auto&& run, auto& argument, auto const& gradient, double step = 2e-5) {
    double worst = 0;
    auto const numbers = argument.all().span();
    auto const given = gradient.span();
    if (numbers.size() != given.size()) return INFINITY;
    for (std::size_t k = 0; k < numbers.size(); ++k) {
        double const before = numbers[k];
        auto const at = [&](double x) { return numbers[k] = x, run(), run.value(); };
        // five points: the error is of fourth order
        double const slope =
            (8 * (at(before + step) - at(before - step)) - (at(before + 2 * step) - at(before - 2 * step))) /
            (12 * step);
        numbers[k] = before;
        double const d = std::abs(given[k] - slope) / (1e-8 + 1e-6 * std::abs(slope));
        worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    }
    return worst;
}

/// The numbers of views, one after the other.
template <class... V>
std::vector<double> all_numbers(V const&... views) {
    std::vector<double> all;
    auto const one = [&](auto const& v) {
        if constexpr (std::is_floating_point_v<std::remove_cvref_t<decltype(v)>>) all.push_back(static_cast<double>(v));
        else for (auto x : v.span()) all.push_back(static_cast<double>(x));
    };
    (one(views), ...);
    return all;
}

/// The largest |a − b| / (1 + |b|); infinity where there are not equally many.
inline double distance(std::vector<double> const& a, std::vector<double> const& b) {
    double worst = a.size() == b.size() ? 0 : INFINITY;
    for (std::size_t k = 0; k < a.size() && k < b.size(); ++k) {
        double const d = std::abs(a[k] - b[k]) / (1 + std::abs(b[k]));
        worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    }
    return worst;
}

}  // namespace graft_test
