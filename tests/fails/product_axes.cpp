// SPDX-License-Identifier: Apache-2.0
// An element-wise product of two values with different columns.
// expects: the two sides of * have different columns
// expects: hidden
// expects: kv_width
#include <graft/expression/linear.hpp>
#include <graft/expression/operators.hpp>

using namespace graft;

constexpr stream<width> x{};
constexpr frozen<"mlp.gate_proj", hidden, width> G{};
constexpr frozen<"self_attn.v_proj", kv_width, width> V{};

#ifdef RIGHT
constexpr auto y = silu(G(x)) * G(x);
#else
constexpr auto y = silu(G(x)) * V(x);
#endif
