// SPDX-License-Identifier: Apache-2.0
// Indices that a function computes with.
// expects: indices (index_symbol, std::int32_t, argmax) select rows or numbers, they do not compute
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
    constexpr index_symbol<"ids", any> ids;
#ifdef RIGHT
    constexpr auto slope = gradient(sum(rows(w, ids)), wrt(w));
#else
    constexpr auto slope = gradient(sum(w) * sum(ids), wrt(w));
#endif
    (void)slope, (void)x;
}
