// SPDX-License-Identifier: Apache-2.0
// A gradient by indices.
// expects: wrt names an argument that holds indices: there is no gradient by them
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr index_symbol<"ids", any> ids;
#ifdef RIGHT
    constexpr auto slope = gradient(mean(pick(x, ids)), wrt(x));
#else
    constexpr auto slope = gradient(mean(pick(x, ids)), wrt(ids));
#endif
    (void)slope;
}
