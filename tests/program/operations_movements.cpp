// SPDX-License-Identifier: Apache-2.0
// The table of operations, fourth part: products, what moves numbers, a user's rules.
#include <tests/support/operation_table.hpp>

TEST_CASE("operations: products, what moves numbers, rules, everything that is true of each") {
    graft_test::movements::check();
}
