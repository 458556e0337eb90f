// SPDX-License-Identifier: Apache-2.0
// A block is a chain of residual stages: x ← x + F(x), one after another.                (layer 7: expression)
#pragma once

#include <graft/expression/node.hpp>

namespace graft {

template <Expression F> struct residual_ {};
template <class... Stages> struct chain {};

/// x + F(x) as a stage. The sum is not an operation: its gradient stays where the stream's gradient is.
template <Expression F> consteval auto residual(F) { return chain<residual_<F>>{}; }
/// First the left stages, then the right ones.
template <class... A, class... B> consteval auto operator>>(chain<A...>, chain<B...>) { return chain<A..., B...>{}; }

}  // namespace graft
