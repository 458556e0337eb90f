// SPDX-License-Identifier: Apache-2.0
// An operation without a rule in a general expression.
// expects: no rule is written for this operation: specialise graft::rule<kind>
// expects: running_sum
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

struct running_sum { using kind = running_sum; };
#ifdef RIGHT
template <> struct graft::rule<running_sum> : careful {
    static constexpr reads pull_reads{};
    template <class T> static void forward(auto const&, matrix<T>, matrix<T>) {}
    template <class T> static void pull(auto const&, matrix<T>, matrix<T>, matrix<T>) {}
};
#endif

void f() {
    constexpr symbol<"x", any, 8> x;
    constexpr auto loss = sum(apply<running_sum>(x));
    (void)loss;
}
