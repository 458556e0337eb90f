// SPDX-License-Identifier: Apache-2.0
// A sum of two tensors whose columns differ: both numbers are shown.
// expects: the extents of the operands do not fit
// expects (g++): (3 == 4)
// expects (clang++): expects<3, 4>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>

using namespace graft;

void f(tensor<float, 2, 3> const& a, tensor<float, any, 4> const& wrong, tensor<float, any, 3> const& right) {
#ifdef RIGHT
    (void)wrong, (void)(a + right);
#else
    (void)right, (void)(a + wrong);
#endif
}
