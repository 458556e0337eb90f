// SPDX-License-Identifier: Apache-2.0
// The gradient by an argument that nobody asked for.
// expects: wrt did not name this argument
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

auto f(tensor<float, 8> const& X, tensor<float, 8> const& W) {
    constexpr symbol<"x", 8> x;
    constexpr symbol<"w", 8> w;
    auto step = prepare<float>(gradient(sum(x * w), wrt(w)), x = X, w = W);
    step();
#ifdef RIGHT
    return step.gradient(w)(0);
#else
    return step.gradient(x)(0);
#endif
}
