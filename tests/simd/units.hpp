// SPDX-License-Identifier: Apache-2.0
// How far a number is from the exact one, in units of its last place.
#pragma once

#include <cmath>
#include <limits>

namespace graft_test {

template <class T>
bool same_number(T a, T b) {
    return a == b ? std::signbit(a) == std::signbit(b) : std::isnan(a) && std::isnan(b);
}

/// 0 where both are no number or the same infinity, infinity where only one is; one unit around the largest number.
template <class T>
double units_off(T y, long double exact) {
    auto const rounded = static_cast<T>(exact);
    constexpr double wrong = std::numeric_limits<double>::infinity();
    if (std::isnan(rounded) || std::isnan(y)) return std::isnan(rounded) && std::isnan(y) ? 0 : wrong;
    if (std::isinf(rounded) || std::isinf(y)) {
        T const finite = std::isinf(y) ? rounded : y;
        return y == rounded ? 0 : std::abs(finite) > std::numeric_limits<T>::max() * T(0.999999) ? 1 : wrong;
    }
    T const size = std::abs(rounded), next = std::nextafter(size, std::numeric_limits<T>::infinity());
    auto const unit = static_cast<long double>(std::isinf(next) ? size - std::nextafter(size, T(0)) : next - size);
    return static_cast<double>(std::abs(static_cast<long double>(y) - exact) / unit);
}

}  // namespace graft_test
