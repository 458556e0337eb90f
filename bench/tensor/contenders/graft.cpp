// SPDX-License-Identifier: Apache-2.0
// graft: views of the operands' memory, one assignment a cell.
#include <graft/program/assign.hpp>

#include "../contender.hpp"

using bench::operands;
using bench::turn;
using graft::any;

namespace {

using matrix = graft::view<float, any, any>;
using constant_matrix = graft::view<float const, any, any>;
using vector = graft::view<float, any>;
using constant_vector = graft::view<float const, any>;
using constant_column = graft::view<float const, any, 1>;

matrix out_of(operands const& o) { return {o.out, {{o.rows, o.columns}}}; }
constant_matrix of(operands const& o, float const* x) { return {x, {{o.rows, o.columns}}}; }
constant_vector row_of(operands const& o) { return {o.row, {{o.columns}}}; }

turn silu_multiply_add(operands const& o) {
    return [a = of(o, o.a), b = of(o, o.b), c = of(o, o.c), out = out_of(o)] { out = silu(a) * b + c; };
}
turn softmax(operands const& o) {
    return [a = of(o, o.a), out = out_of(o)] { out = softmax(a); };
}
turn rms_norm(operands const& o) {
    return [a = of(o, o.a), w = row_of(o), out = out_of(o)] {
        out = rms_norm(a, w, static_cast<double>(bench::epsilon));
    };
}
turn chain(operands const& o) {
    return [a = of(o, o.a), b = of(o, o.b), c = of(o, o.c), out = out_of(o)] {
        out = c / max(tanh(sqrt(log(exp(a * b + c) + 1.0f))) - a, 0.25f);
    };
}
turn add_row(operands const& o) {
    return [a = of(o, o.a), w = row_of(o), out = out_of(o)] { out = a + w; };
}
turn add_column(operands const& o) {
    return [a = of(o, o.a), v = constant_column(o.column, {{o.rows, 1}}), out = out_of(o)] { out = a + v; };
}
turn row_sums(operands const& o) {
    return [a = of(o, o.a), out = vector(o.out, {{o.rows}})] { out = graft::sum<-1>(a); };
}
turn column_sums(operands const& o) {
    return [a = of(o, o.a), out = vector(o.out, {{o.columns}})] { out = graft::sum<0>(a); };
}

}  // namespace

bench::contender bench_contender_graft() {
    return {"graft", "", silu_multiply_add, softmax, rms_norm, chain, add_row, add_column, row_sums, column_sums};
}
