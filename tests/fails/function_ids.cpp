// SPDX-License-Identifier: Apache-2.0
// Rows that are selected by a symbol of numbers.
// expects: what selects (ids of rows and pick, a key of dropout) is an index_symbol, or of std::int32_t
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr index_symbol<"ids", any> ids;
    constexpr auto slope = gradient(sum(rows(w, ids)), wrt(w));
#else
    constexpr symbol<"ids", any> ids;
    constexpr auto slope = gradient(sum(rows(w, ids)), wrt(w));
#endif
    (void)slope, (void)x;
}
