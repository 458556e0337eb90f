// SPDX-License-Identifier: Apache-2.0
// The third output of a function that has one.
// expects: the function has fewer outputs
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f(tensor<float, 8, 4> const& W) {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    (void)prepare<float>(sum(w), w = W).output<0>();
#else
    (void)prepare<float>(sum(w), w = W).output<2>();
#endif
    (void)x;
}
