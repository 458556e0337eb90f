// SPDX-License-Identifier: Apache-2.0
// A rule for one operand that is given two.
// expects: this rule has no forward(here, value, operands...) for this many operands
// expects: halve
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

struct halve { using kind = halve; };
template <> struct graft::rule<halve> : careful {
    static constexpr reads pull_reads{};
    template <class T> static void forward(auto const&, matrix<T>, matrix<T>) {}
    template <class T> static void pull(auto const&, matrix<T>, matrix<T>, matrix<T>) {}
};

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr symbol<"w", 8, 4> w;
#ifdef RIGHT
    constexpr auto y = sum(apply<halve>(x));
#else
    constexpr auto y = sum(apply<halve>(x, w));
#endif
    (void)y, (void)w;
}
