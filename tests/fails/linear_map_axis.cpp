// SPDX-License-Identifier: Apache-2.0
// A linear map given an operand with other columns than its own.
// expects: this linear map does not take an operand with these columns
// expects: q_width
// expects: hidden
#include <graft/expression/linear.hpp>

using namespace graft;

constexpr stream<hidden> x{};
constexpr lora<"self_attn.o_proj", width, q_width> O{};

#ifdef RIGHT
constexpr auto y = O(stream<q_width>{});
#else
constexpr auto y = O(x);
#endif
