// SPDX-License-Identifier: Apache-2.0
// Inner extents that differ inside a formula: its graph shows them, without the way through the tracer.
// expects: the extents of the operands do not fit
// expects (g++): (8 == 9)
// expects (clang++): expects_in<graft::structure::matmul, 8, 9>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
#ifdef RIGHT
    constexpr symbol<"w", 8, 4> w;
#else
    constexpr symbol<"w", 9, 4> w;
#endif
    constexpr auto loss = formula([](auto a, auto b) { return sum(tanh(matmul(a, b))); }, x, w);
    constexpr auto slope = gradient(loss, wrt(w));
    (void)slope;
}
