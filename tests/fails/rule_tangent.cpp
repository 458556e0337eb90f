// SPDX-License-Identifier: Apache-2.0
// Forward mode through a rule, which says how gradients are pulled.
// expects: a rule gives gradients only: neither jvp nor a second derivative goes through it
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
    constexpr symbol<"dx", any, 8> dx;
#ifdef RIGHT
    constexpr auto slope = vjp(apply<halve>(x), wrt(x), dx);
#else
    constexpr auto slope = jvp(apply<halve>(x), wrt(x), along(dx));
#endif
    (void)slope, (void)w;
}
