// SPDX-License-Identifier: Apache-2.0
// A formula of one argument that is given two.
// expects: a formula takes one argument for each operand that is named after it
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr auto y = formula([](auto a) { return sum(a); }, x);
#else
    constexpr auto y = formula([](auto a) { return sum(a); }, x, w);
#endif
    (void)y, (void)w;
}
