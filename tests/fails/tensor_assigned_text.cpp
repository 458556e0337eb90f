// SPDX-License-Identifier: Apache-2.0
// A text for a tensor.
// expects (g++): use of deleted function
// expects (clang++): selected deleted operator
// expects: char
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

void f(tensor<float, 8, 4>& y) {
#ifdef RIGHT
    y = 1;
#else
    y = "one";
#endif
}
