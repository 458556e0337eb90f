// SPDX-License-Identifier: Apache-2.0
// A sum over an axis that the operand does not have: it has two axes, three would be needed.
// expects: they have too few axes
// expects: sum
// expects (g++): (2 == 3)
// expects (clang++): expects<2, 3>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
#ifdef RIGHT
    constexpr auto total = sum<1>(x);
#else
    constexpr auto total = sum<2>(x);
#endif
    (void)total;
}
