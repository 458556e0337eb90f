// SPDX-License-Identifier: Apache-2.0
// A step that captures a number.
// expects: the step of a cell captures nothing
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr symbol<"x", any, 4> x;
constexpr symbol<"h", any, 4> h;
constexpr symbol<"rate"> rate;
void f(float leak) {
#ifdef RIGHT
    constexpr auto leaky =
        cell(x, states(h), parameters(rate), [](auto now, auto was, auto r) { return r * was + now; });
#else
    auto leaky =
        cell(x, states(h), parameters(rate), [leak](auto now, auto was, auto r) { return leak * r * was + now; });
#endif
    (void)leaky, (void)leak;
}
