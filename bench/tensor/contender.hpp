// SPDX-License-Identifier: Apache-2.0
// What a library brings to the comparison of bench/tensor: one function per cell, each in its own shared object.
#pragma once

#include <functional>
#include <string>

namespace bench {

/// What one row_norm adds to the mean square before the root.
inline constexpr float epsilon = 1e-5f;

/// The arrays of a cell, 64-byte aligned, row-major and dense; nothing overlaps.
struct operands {
    long rows, columns;
    float const *a, *b, *c;  // rows × columns
    float const* row;        // columns
    float const* column;     // rows
    float* out;              // rows × columns, or what a sum leaves: rows, columns
};

/// Computes the cell once. Views of the operands and scratch are made outside of it, and are not timed.
using turn = std::function<void()>;
using cell = turn (*)(operands const&);

struct contender {
    std::string name, version;
    cell silu_multiply_add;  // silu(a) * b + c
    cell softmax;            // softmax over each row of a
    cell rms_norm;           // a / sqrt(mean(a²) + epsilon) * row, over each row
    cell chain;              // c / max(tanh(sqrt(log(exp(a * b + c) + 1))) - a, 0.25): ten operations
    cell add_row;            // a + row, for each row
    cell add_column;         // a + column, for each column
    cell row_sums;           // out(i) = sum over j of a(i, j)
    cell column_sums;        // out(j) = sum over i of a(i, j)
};

}  // namespace bench

/// Each contender's shared object defines its own; cells.cpp knows which were built.
[[gnu::visibility("default")]] bench::contender bench_contender_eigen();
[[gnu::visibility("default")]] bench::contender bench_contender_graft();
[[gnu::visibility("default")]] bench::contender bench_contender_loop();
[[gnu::visibility("default")]] bench::contender bench_contender_torch();
[[gnu::visibility("default")]] bench::contender bench_contender_xtensor();
