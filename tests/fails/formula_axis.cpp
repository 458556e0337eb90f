// SPDX-License-Identifier: Apache-2.0
// A sum inside a formula over an axis that is not there.
// expects: the extents of the operands do not fit, or they have too few axes
// expects: sum
// expects (g++): (2 == 3)
// expects (clang++): expects_in<graft::structure::sum, 2, 3>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr auto y = formula([](auto a, auto b) { return sum<1>(matmul(a, b)); }, x, w);
#else
    constexpr auto y = formula([](auto a, auto b) { return sum<2>(matmul(a, b)); }, x, w);
#endif
    (void)y;
}
