// SPDX-License-Identifier: Apache-2.0
// A gradient that shall stay the rows that were looked up, by a table that something else reads, too.
// expects: a sparse gradient is by a table that one rows(table, ids) reads and nothing else does
#include <graft/program/prepare.hpp>

using namespace graft;

constexpr symbol<"table", any, 8> table;
constexpr index_symbol<"ids", any> ids;

#ifdef RIGHT
constexpr auto loss = sum(rows(table, ids));
#else
constexpr auto loss = sum(rows(table, ids)) + sum(table * table);
#endif

constexpr auto d = gradient(loss, wrt(sparse(table)));
