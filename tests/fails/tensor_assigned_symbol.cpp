// SPDX-License-Identifier: Apache-2.0
// A symbol for a tensor.
// expects: what is assigned has symbols: prepare() it with tensors for them
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>
#include <graft/program/symbol.hpp>

using namespace graft;

void f(tensor<float, any, 8> const& z, tensor<float, any, 8>& y) {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    y = 2 * z;
#else
    y = 2 * x;
#endif
    (void)x, (void)w, (void)z;
}
