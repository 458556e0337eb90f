// SPDX-License-Identifier: Apache-2.0
// float and double in one expression.
// expects: two kinds of numbers in one expression
// expects: float
// expects: double
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

#ifdef RIGHT
void f(tensor<float, 8> const& a, tensor<float, 8> const& b) {
#else
void f(tensor<float, 8> const& a, tensor<double, 8> const& b) {
#endif
    (void)(a + b);
}
