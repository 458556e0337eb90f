// SPDX-License-Identifier: Apache-2.0
// The table of operations, third part: reductions and functions of rows.
#include <tests/support/operation_table.hpp>

TEST_CASE("operations: reductions and functions of rows, everything that is true of each") {
    graft_test::reductions::check();
}
