// SPDX-License-Identifier: Apache-2.0
// Indices that a cell computes with.
// expects: indices (index_symbol, std::int32_t, argmax) select rows or numbers, they do not compute
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr index_symbol<"x", any> x;
constexpr symbol<"h", any, 4> h;
constexpr symbol<"table", 9, 4> table;
#ifdef RIGHT
constexpr auto words =
    cell(x, states(h), parameters(table), [](auto id, auto was, auto t) { return tanh(was + rows(t, id)); });
#else
constexpr auto words =
    cell(x, states(h), parameters(table), [](auto id, auto was, auto t) { return tanh(was + id + sum(t)); });
#endif
