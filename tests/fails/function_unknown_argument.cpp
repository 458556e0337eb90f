// SPDX-License-Identifier: Apache-2.0
// A tensor for an argument that the function does not have.
// expects: the function has no argument of this name
// expects (g++): "y"
// expects (clang++): {{121, 0}}
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f(tensor<float, any, 8> const& X) {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"y", any, 8> y;
#ifdef RIGHT
    auto total = prepare<float>(sum(x), x = X);
#else
    auto total = prepare<float>(sum(x), y = X);
#endif
    (void)y, total();
}
