// SPDX-License-Identifier: Apache-2.0
// An assignment that would have to keep the means of all rows somewhere.
// expects: this expression needs memory for what it computes on the way
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

void f(tensor<float, any, 8> const& x, tensor<float, any, 8>& y) {
#ifdef RIGHT
    tensor average = mean<-1>(x, keep);
    y = x - average;
#else
    y = x - mean<-1>(x, keep);
#endif
}
