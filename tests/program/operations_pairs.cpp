// SPDX-License-Identifier: Apache-2.0
// The table of operations, second part: functions of several operands that stretch.
#include <tests/support/operation_table.hpp>

TEST_CASE("operations: functions of several operands, everything that is true of each") { graft_test::pairs::check(); }
