// SPDX-License-Identifier: Apache-2.0
// A cotangent that has another rank than the value.
// expects: the extents of the operands do not fit, or they have too few axes
// expects (g++): (1 == 2)
// expects (clang++): expects<1, 2>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr symbol<"dy", any, 4> dy;
    constexpr auto slope = vjp(matmul(x, w), wrt(x), dy);
#else
    constexpr symbol<"dy", 4> dy;
    constexpr auto slope = vjp(matmul(x, w), wrt(x), dy);
#endif
    (void)slope;
}
