// SPDX-License-Identifier: Apache-2.0
// A sum of two values with different columns, in a block: the mistake is one error, although more is built on it.
// expects: the two sides of + have different columns
// expects: hidden
// expects: width
#include <graft/expression/chain.hpp>
#include <graft/expression/linear.hpp>
#include <graft/expression/operators.hpp>

using namespace graft;

struct wrong_block {
    static constexpr frozen<"mlp.gate_proj", hidden, width> G{};
    static constexpr frozen<"mlp.down_proj", width, hidden> D{};
    static constexpr stream<width> x{};
#ifdef RIGHT
    static constexpr auto sum = G(x) + G(x);
#else
    static constexpr auto sum = G(x) + x;
#endif
    static constexpr auto equations = residual(D(silu(sum)));
};
