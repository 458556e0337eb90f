// SPDX-License-Identifier: Apache-2.0
// The table of operations, first part: functions of one operand.
#include <tests/support/operation_table.hpp>

TEST_CASE("operations: functions of one operand, everything that is true of each") { graft_test::curves::check(); }
