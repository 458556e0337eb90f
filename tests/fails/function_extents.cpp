// SPDX-License-Identifier: Apache-2.0
// A product of two symbols whose columns differ: both numbers are shown, when the expression is written.
// expects: the extents of the operands do not fit
// expects (g++): (3 == 4)
// expects (clang++): expects<3, 4>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 3> x;
#ifdef RIGHT
    constexpr symbol<"w", 3> w;
#else
    constexpr symbol<"w", 4> w;
#endif
    constexpr auto loss = sum(x * w);
    (void)loss;
}
