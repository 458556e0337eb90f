// SPDX-License-Identifier: Apache-2.0
// An axis is a type: what the columns of a value mean, and how many there are.          (layer 1: shape)
#pragma once

#include <graft/base/index.hpp>

#include <type_traits>

namespace graft {

/// Every axis derives from this and has `static constexpr index_t of(sizes const&)` for the sizes it belongs to.
struct axis {};
template <class A> concept Axis = std::is_base_of_v<axis, A>;

/// What an equation has after a mistake: it fits every axis, so that one mistake is one error.
struct unknown : axis {
    static constexpr index_t of(auto const&) { return 0; }
};

template <Axis Given, Axis Wanted>
inline constexpr bool fits =
    std::is_same_v<Given, Wanted> || std::is_same_v<Given, unknown> || std::is_same_v<Wanted, unknown>;
template <Axis A, Axis B> using agreed = std::conditional_t<std::is_same_v<A, B>, A, unknown>;

}  // namespace graft
