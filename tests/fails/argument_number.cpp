// SPDX-License-Identifier: Apache-2.0
// A number for a symbol.
// expects: a symbol stands for a tensor or a view
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f(tensor<float, 8, 4> const& W) {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    auto g = prepare<float>(sum(w), w = W);
#else
    auto g = prepare<float>(sum(w), w = 2.0f);
#endif
    (void)g, (void)x, (void)W;
}
