// SPDX-License-Identifier: Apache-2.0
// A symbol of −3 columns.
// expects: an extent is a size from 0 on, up_to(n) or any
#include <graft/program/symbol.hpp>

using namespace graft;

#ifdef RIGHT
constexpr symbol<"x", any, 3> x;
#else
constexpr symbol<"x", any, -3> x;
#endif
constexpr auto y = 2 * x;
