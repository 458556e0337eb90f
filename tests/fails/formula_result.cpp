// SPDX-License-Identifier: Apache-2.0
// A formula that gives a number.
// expects: a formula gives an expression of its arguments
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr auto y = formula([](auto a) { return a * 0.0; }, x);
#else
    constexpr auto y = formula([](auto) { return 0.0; }, x);
#endif
    (void)y, (void)w;
}
