// SPDX-License-Identifier: Apache-2.0
// A window that ends after its axis does.
// expects: the extents of the operands do not fit, or they have too few axes
// expects (g++): (8 == 9)
// expects (clang++): expects<8, 9>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

void f(tensor<float, 8, 4> const& y) {
#ifdef RIGHT
    (void)y(range<2, 8>(), 0);
#else
    (void)y(range<2, 9>(), 0);
#endif
}
