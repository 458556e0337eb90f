// SPDX-License-Identifier: Apache-2.0
// Two symbols of one name that differ.
// expects: two symbols of one name differ in their extents or kind
// expects (g++): (9 == 8)
// expects (clang++): expects_same<9, 8>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr symbol<"x", any, 8> z;
    constexpr auto slope = gradient(sum(matmul(x, w)) + sum(z), wrt(x));
#else
    constexpr symbol<"x", any, 9> z;
    constexpr auto slope = gradient(sum(matmul(x, w)) + sum(z), wrt(x));
#endif
    (void)slope;
}
