// SPDX-License-Identifier: Apache-2.0
// Attention over keys and values of different widths: here the value map is declared with the queries' axis.
// expects: attend: keys and values have different columns
// expects: kv_width
// expects: q_width
#include <graft/expression/linear.hpp>
#include <graft/expression/operators.hpp>

using namespace graft;

constexpr stream<width> x{};
constexpr frozen<"self_attn.q_proj", q_width, width> Q{};
constexpr frozen<"self_attn.k_proj", kv_width, width> K{};
#ifdef RIGHT
constexpr frozen<"self_attn.v_proj", kv_width, width> V{};
#else
constexpr frozen<"self_attn.v_proj", q_width, width> V{};
#endif

constexpr auto y = attend(rope(Q(x)), rope(K(x)), V(x));
