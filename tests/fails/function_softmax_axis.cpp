// SPDX-License-Identifier: Apache-2.0
// A softmax along an axis that is not there.
// expects: the extents of the operands do not fit, or they have too few axes
// expects (g++): (2 == 3)
// expects (clang++): expects<2, 3>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr auto y = softmax<0>(x);
#else
    constexpr auto y = softmax<2>(x);
#endif
    (void)y, (void)w;
}
