// SPDX-License-Identifier: Apache-2.0
// An expression with more columns than where it goes to: the destination does not stretch.
// expects: the extents of the operands do not fit
// expects (g++): (3 == 1)
// expects (clang++): expects<3, 1>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>

using namespace graft;

void f(tensor<float, 2, 3> const& a, tensor<float, 2, 1>& wrong, tensor<float, any, 3>& right) {
#ifdef RIGHT
    (void)wrong, right = a * 2;
#else
    (void)right, wrong = a * 2;
#endif
}
