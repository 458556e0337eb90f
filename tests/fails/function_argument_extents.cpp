// SPDX-License-Identifier: Apache-2.0
// A tensor whose columns are not those of the symbol that it is to stand for.
// expects: the extents of the operands do not fit
// expects (g++): (9 == 8)
// expects (clang++): expects<9, 8>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

#ifdef RIGHT
void f(tensor<float, any, any> const& X) {
#else
void f(tensor<float, any, 9> const& X) {
#endif
    constexpr symbol<"x", any, 8> x;
    auto total = prepare<float>(sum(x), x = X);
    total();
}
