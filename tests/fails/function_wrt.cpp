// SPDX-License-Identifier: Apache-2.0
// A gradient by something that the function does not name.
// expects: wrt names an argument that the function does not have
// expects (g++): "v"
// expects (clang++): {{118, 0}}
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8> w;
    constexpr symbol<"v", 8> v;
#ifdef RIGHT
    constexpr auto slope = gradient(sum(x * w), wrt(w));
#else
    constexpr auto slope = gradient(sum(x * w), wrt(v));
#endif
    (void)slope, (void)v;
}
