// SPDX-License-Identifier: Apache-2.0
// A formula that captures a number.
// expects: a formula captures nothing: what it needs is an argument of it
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f(float scale) {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr symbol<"k"> k;
    constexpr auto y = formula([](auto a, auto s) { return s * a; }, x, k);
#else
    auto y = formula([scale](auto a) { return scale * a; }, x);
#endif
    (void)y, (void)w, (void)scale;
}
