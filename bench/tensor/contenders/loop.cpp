// SPDX-License-Identifier: Apache-2.0
// Plain loops, for a compiler told -Ofast -march=native: it vectorises them, exp, log and tanh by its own library.
#include <algorithm>
#include <cmath>

#include "../contender.hpp"

using bench::operands;
using bench::turn;

namespace {

turn silu_multiply_add(operands const& o) {
    return [=, n = o.rows * o.columns] {
        float const* __restrict a = o.a, * __restrict b = o.b, * __restrict c = o.c;
        float* __restrict out = o.out;
        for (long i = 0; i < n; ++i) out[i] = a[i] / (1 + std::exp(-a[i])) * b[i] + c[i];
    };
}

turn softmax(operands const& o) {
    return [=, n = o.columns] {
        for (long i = 0; i < o.rows; ++i) {
            float const* __restrict a = o.a + i * n;
            float* __restrict out = o.out + i * n;
            float most = a[0], sum = 0;
            for (long j = 0; j < n; ++j) most = most < a[j] ? a[j] : most;
            for (long j = 0; j < n; ++j) sum += out[j] = std::exp(a[j] - most);
            float const scale = 1 / sum;
            for (long j = 0; j < n; ++j) out[j] *= scale;
        }
    };
}

turn rms_norm(operands const& o) {
    return [=, n = o.columns] {
        float const* __restrict row = o.row;
        for (long i = 0; i < o.rows; ++i) {
            float const* __restrict a = o.a + i * n;
            float* __restrict out = o.out + i * n;
            float squares = 0;
            for (long j = 0; j < n; ++j) squares += a[j] * a[j];
            float const scale = 1 / std::sqrt(squares / static_cast<float>(n) + bench::epsilon);
            for (long j = 0; j < n; ++j) out[j] = a[j] * scale * row[j];
        }
    };
}

turn chain(operands const& o) {
    return [=, n = o.rows * o.columns] {
        float const* __restrict a = o.a, * __restrict b = o.b, * __restrict c = o.c;
        float* __restrict out = o.out;
        for (long i = 0; i < n; ++i)
            out[i] = c[i] / std::max(std::tanh(std::sqrt(std::log(std::exp(a[i] * b[i] + c[i]) + 1))) - a[i], 0.25f);
    };
}

turn add_row(operands const& o) {
    return [=, n = o.columns] {
        float const* __restrict row = o.row;
        for (long i = 0; i < o.rows; ++i) {
            float const* __restrict a = o.a + i * n;
            float* __restrict out = o.out + i * n;
            for (long j = 0; j < n; ++j) out[j] = a[j] + row[j];
        }
    };
}

turn add_column(operands const& o) {
    return [=, n = o.columns] {
        for (long i = 0; i < o.rows; ++i) {
            float const* __restrict a = o.a + i * n;
            float* __restrict out = o.out + i * n;
            float const column = o.column[i];
            for (long j = 0; j < n; ++j) out[j] = a[j] + column;
        }
    };
}

turn row_sums(operands const& o) {
    return [=, n = o.columns] {
        for (long i = 0; i < o.rows; ++i) {
            float const* __restrict a = o.a + i * n;
            float sum = 0;
            for (long j = 0; j < n; ++j) sum += a[j];
            o.out[i] = sum;
        }
    };
}

turn column_sums(operands const& o) {
    return [=, n = o.columns] {
        float* __restrict out = o.out;
        std::fill(out, out + n, 0.0f);
        for (long i = 0; i < o.rows; ++i) {
            float const* __restrict a = o.a + i * n;
            for (long j = 0; j < n; ++j) out[j] += a[j];
        }
    };
}

}  // namespace

bench::contender bench_contender_loop() {
    return {"loop", __VERSION__, silu_multiply_add, softmax,  rms_norm,
            chain,  add_row,     add_column,        row_sums, column_sums};
}
