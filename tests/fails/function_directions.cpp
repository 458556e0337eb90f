// SPDX-License-Identifier: Apache-2.0
// Two directions for one argument.
// expects: jvp needs one direction for each argument
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", 8> x;
    constexpr symbol<"v", 8> v;
#ifdef RIGHT
    constexpr auto slope = jvp(sum(x * x), wrt(x), along(v));
#else
    constexpr auto slope = jvp(sum(x * x), wrt(x), along(v, v));
#endif
    (void)slope;
}
