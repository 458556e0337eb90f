// SPDX-License-Identifier: Apache-2.0
// An expression of float assigned to a tensor of double.
// expects: the numbers of an expression are not of the type of what they are assigned to
// expects: float
// expects: double
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

#ifdef RIGHT
void f(tensor<float, 8> const& a, tensor<float, 8>& y) {
#else
void f(tensor<float, 8> const& a, tensor<double, 8>& y) {
#endif
    y = a + 1;
}
