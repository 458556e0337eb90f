// SPDX-License-Identifier: Apache-2.0
// A direction that has another shape than what moves along it.
// expects: the extents of the operands do not fit, or they have too few axes
// expects (g++): (4 == 8)
// expects (clang++): expects<4, 8>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr symbol<"dx", any, 8> dx;
    constexpr auto slope = jvp(matmul(x, w), wrt(x), along(dx));
#else
    constexpr symbol<"dx", any, 4> dx;
    constexpr auto slope = jvp(matmul(x, w), wrt(x), along(dx));
#endif
    (void)slope;
}
