// SPDX-License-Identifier: Apache-2.0
// A matrix product whose inner extents differ.
// expects: the extents of the operands do not fit
// expects: matmul_
// expects (g++): (8 == 9)
// expects (clang++): expects<8, 9>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

#ifdef RIGHT
void f(tensor<float, any, 8> const& x, tensor<float, 8, 4> const& w) {
#else
void f(tensor<float, any, 8> const& x, tensor<float, 9, 4> const& w) {
#endif
    tensor y = matmul(x, w);
}
