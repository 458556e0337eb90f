// SPDX-License-Identifier: Apache-2.0
// A number for a tensor that is const.
// expects (g++): use of deleted function
// expects (clang++): selected deleted operator
// expects: const
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

void f(tensor<float, 8, 4> const& x) {
#ifdef RIGHT
    tensor y = x;
    y = 1;
#else
    x = 1;
#endif
}
