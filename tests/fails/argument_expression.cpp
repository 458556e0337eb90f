// SPDX-License-Identifier: Apache-2.0
// An expression for a symbol.
// expects: a symbol stands for a tensor or a view
// expects: assigned to a tensor first
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

void f(tensor<float, 8, 4> const& W) {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    tensor twice = 2 * W;
    auto g = prepare<float>(sum(w), w = twice);
#else
    auto g = prepare<float>(sum(w), w = 2 * W);
#endif
    (void)g, (void)x;
}
