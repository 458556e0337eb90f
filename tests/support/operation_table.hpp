// SPDX-License-Identifier: Apache-2.0
// Every differentiable operation of general expressions in one table, and the proof that none is left out.
#pragma once

#include <tests/support/movement_rows.hpp>

namespace graft_test {

template <class... Row>
struct rows_of {
    template <class Op> static constexpr bool element = (Row::template stands_for<Op> || ...);
    static constexpr bool holds(structure s) { return (Row::holds(s) || ...); }
    static void check() { (graft_test::check(tried<Row>::get()), ...); }
};

// One test program's file checks one of these: together they are the table.
using curves = rows_of<neg_row, inverse_row, exp_row, expm1_row, log_row, log1p_row, sqrt_row, sin_row, cos_row,
                       tanh_row, sigmoid_row, softplus_row, erf_row, abs_row, relu_row, detach_row, square_row,
                       silu_row, gelu_row, gelu_tanh_row, numbers_row>;
using pairs = rows_of<add_row, outer<add_row>, sub_row, mul_row, outer<mul_row>, alike<mul_row>, div_row,
                      outer<div_row>, pow_row, outer<pow_row>, max_row, outer<min_row>, alike<min_row>, less_row,
                      less_equal_row, greater_row, equal_row, not_equal_row, where_row>;
using reductions = rows_of<sum_all_row, sum_middle_row, sum_last_row, sum_outer_row, sum_stretched_row, mean_row,
                           largest_row<0>, largest_row<1>, largest_row<0, 2>, largest_row<>, smallest_row, variance_row,
                           log_sum_exp_row, norm_row, softmax_row, softmax_along_row, log_softmax_row, rms_norm_row,
                           layer_norm_row, dropout_row>;
using movements = rows_of<matmul_row, matmul_turned_row, matmul_a_turned_row, matmul_b_turned_row, matmul_many_row,
                          matmul_one_row, matmul_batch_row, permute_row, transpose_row, reshape_row, rows_row, pick_row,
                          argmax_row, concat_row, part_row, scaled_square_row, slanted_row, dotted_row, remembered_row,
                          rules_inside_row>;

namespace detail {

/// Does the compiler have a name for this value of `structure`?
template <structure S>
constexpr bool has_name() {
    std::string_view const said = __PRETTY_FUNCTION__;
    return said.find("structure)") == std::string_view::npos;  // else "(graft::structure)27"
}
/// Where numbers come from.
constexpr bool without_gradient(structure s) { return s <= structure::element; }

constexpr bool in_table(structure s) {
    return without_gradient(s) || curves::holds(s) || pairs::holds(s) || reductions::holds(s) || movements::holds(s);
}
template <int... S>
constexpr int missing_structure(std::integer_sequence<int, S...>) {
    int found = -1;
    ((has_name<static_cast<structure>(S)>() && !in_table(static_cast<structure>(S)) ? void(found = S) : void()), ...);
    return found;
}
template <class... Op>
constexpr int missing_element(op_list<Op...>) {
    int found = -1, at = 0;
    ((curves::element<Op> || pairs::element<Op> ? void(++at) : void(found = at++)), ...);
    return found;
}

static_assert(missing_element(elementary{}) == -1, "an element-wise function without a row");
static_assert(missing_structure(std::make_integer_sequence<int, 64>{}) == -1, "an operation without a row");
static_assert(has_name<structure::residue>() && !has_name<static_cast<structure>(63)>());

}  // namespace detail
}  // namespace graft_test
