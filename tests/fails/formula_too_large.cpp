// SPDX-License-Identifier: Apache-2.0
// A loop of two thousand layers in one formula.
// expects: a function has more operations than a graph holds: prepare its parts one by one
// expects: 1024
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr auto y = formula([](auto a) {
        for (int k = 0; k < 200; ++k) a = tanh(a);
        return a;
    }, x);
#else
    constexpr auto y = formula([](auto a) {
        for (int k = 0; k < 2000; ++k) a = tanh(a);
        return a;
    }, x);
#endif
    (void)y, (void)w;
}
