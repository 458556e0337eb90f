// SPDX-License-Identifier: Apache-2.0
// A gradient of a whole tensor: of which of its numbers?
// expects: a gradient is of one number: reduce the function (sum, mean), or use vjp with a cotangent
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8> w;
#ifdef RIGHT
    constexpr auto slope = gradient(mean(x * w), wrt(w));
#else
    constexpr auto slope = gradient(x * w, wrt(w));
#endif
    (void)slope;
}
