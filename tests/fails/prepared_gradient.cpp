// SPDX-License-Identifier: Apache-2.0
// The gradient of what has none.
// expects: what was prepared has no gradients: prepare gradient(f, wrt(...))
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f(tensor<float, 8, 4> const& W) {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    auto g = prepare<float>(gradient(sum(w), wrt(w)), w = W);
    (void)g.gradient(w);
#else
    auto g = prepare<float>(sum(w), w = W);
    (void)g.gradient(w);
#endif
    (void)x;
}
