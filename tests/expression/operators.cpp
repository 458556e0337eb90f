// SPDX-License-Identifier: Apache-2.0
// What is written is what is meant: checked when compiling.
#include <graft/expression/chain.hpp>
#include <graft/expression/linear.hpp>
#include <graft/expression/operators.hpp>

#include <doctest/doctest.h>

#include <type_traits>

using namespace graft;

namespace {

constexpr stream<width> x{};
constexpr frozen<"q_proj", q_width, width> Q{};
constexpr lora<"gate_proj", hidden, width> G{};
constexpr lora<"up_proj", hidden, width> U{};

template <class A, class B> constexpr bool same(A, B) { return std::is_same_v<A, B>; }

// Equal equations are equal types; a map's name is part of it.
static_assert(same(Q(x), Q(x)) && !same(G(x), U(x)));
static_assert(std::is_same_v<axis_of<decltype(Q(x))>, q_width> &&
              std::is_same_v<axis_of<decltype(silu(G(x)))>, hidden>);
// The gate of a SwiGLU is recognised as it is written, and only so.
static_assert(same(silu(G(x)) * U(x), node<swiglu_, hidden, decltype(G(x)), decltype(U(x))>{}));
static_assert(same(U(x) * silu(G(x)), node<mul_, hidden, decltype(U(x)), decltype(silu(G(x)))>{}));
// A chain is flat however it is grouped.
static_assert(same((residual(Q(x)) >> residual(x)) >> residual(x), residual(Q(x)) >> (residual(x) >> residual(x))));
// Expressions are empty: a block costs nothing at run time.
static_assert(std::is_empty_v<decltype(attend(rope(Q(x)), x, x))>);
static_assert(target_bit("self_attn.q_proj") == 1 && target_bit("down_proj") == 64 && target_bit("lm_head") == 0);

}  // namespace

TEST_CASE("operators: names and equations are compile-time facts") { CHECK(decltype(Q)::text == "q_proj"); }
