// SPDX-License-Identifier: Apache-2.0
// A rule that does not say how its gradient is pulled.
// expects: this rule has no pull(here, d value, operands..., d operands...) for this many operands
// expects: halve
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>

using namespace graft;

struct halve { using kind = halve; };
template <> struct graft::rule<halve> : careful {
    static constexpr reads pull_reads{};
    template <class T> static void forward(auto const&, matrix<T>, matrix<T>) {}
#ifdef RIGHT
    template <class T> static void pull(auto const&, matrix<T>, matrix<T>, matrix<T>) {}
#endif
};

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr auto y = sum(apply<halve>(x));
    (void)y;
}
