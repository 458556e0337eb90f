// SPDX-License-Identifier: Apache-2.0
// An operation that nobody wrote a rule for, in an otherwise sound block.
// expects: no rule says how this operation runs and how its gradient is pulled
// expects: sine
#include <graft/expression/chain.hpp>
#include <graft/expression/linear.hpp>
#include <graft/expression/operators.hpp>
#include <graft/program/program.hpp>
#include <graft/rule/rules.hpp>

using namespace graft;

struct sine { using kind = sine; };
template <Expression X> consteval auto sin(X x) { return apply<axis_of<X>>(sine{}, x); }

struct block {
    using sizes = transformer_sizes;
    static constexpr frozen<"mlp.up_proj", hidden, width> U{};
    static constexpr frozen<"mlp.down_proj", width, hidden> D{};
    static constexpr stream<width> x{};
#ifdef RIGHT
    static constexpr auto equations = residual(D(silu(U(x)) * U(x)));
#else
    static constexpr auto equations = residual(D(sin(U(x))));
#endif
};

constexpr auto code = flatten<block>();
