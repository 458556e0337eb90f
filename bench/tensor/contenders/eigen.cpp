// SPDX-License-Identifier: Apache-2.0
// Eigen: row-major arrays mapped at the operands' memory, its own vectorised exp, log, tanh and logistic.
#include <Eigen/Core>

#include "../contender.hpp"

using bench::operands;
using bench::turn;

namespace {

using matrix = Eigen::Map<Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, Eigen::Aligned64>;
using constant_matrix =
    Eigen::Map<Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> const, Eigen::Aligned64>;
using flat = Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>, Eigen::Aligned64>;
using constant_flat = Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic> const, Eigen::Aligned64>;

turn silu_multiply_add(operands const& o) {
    auto const n = o.rows * o.columns;
    return [a = constant_flat(o.a, n), b = constant_flat(o.b, n), c = constant_flat(o.c, n),
            out = flat(o.out, n)]() mutable { out = a * a.logistic() * b + c; };
}

turn softmax(operands const& o) {
    return [a = constant_matrix(o.a, o.rows, o.columns), out = matrix(o.out, o.rows, o.columns)]() mutable {
        for (Eigen::Index i = 0; i < a.rows(); ++i) {
            auto to = out.row(i);
            to = (a.row(i) - a.row(i).maxCoeff()).exp();
            to *= 1 / to.sum();
        }
    };
}

turn rms_norm(operands const& o) {
    return [a = constant_matrix(o.a, o.rows, o.columns), w = constant_flat(o.row, o.columns),
            out = matrix(o.out, o.rows, o.columns)]() mutable {
        for (Eigen::Index i = 0; i < a.rows(); ++i) {
            float const mean = a.row(i).matrix().squaredNorm() / static_cast<float>(a.cols());
            out.row(i) = a.row(i) * (1 / std::sqrt(mean + bench::epsilon)) * w;
        }
    };
}

turn chain(operands const& o) {
    auto const n = o.rows * o.columns;
    return [a = constant_flat(o.a, n), b = constant_flat(o.b, n), c = constant_flat(o.c, n),
            out = flat(o.out, n)]() mutable { out = c / (((a * b + c).exp() + 1).log().sqrt().tanh() - a).max(0.25f); };
}

turn add_row(operands const& o) {
    return [a = constant_matrix(o.a, o.rows, o.columns), w = constant_flat(o.row, o.columns),
            out = matrix(o.out, o.rows, o.columns)]() mutable { out = a.rowwise() + w; };
}

turn add_column(operands const& o) {  // a.colwise() + column is not vectorised over a row
    return [a = constant_matrix(o.a, o.rows, o.columns), v = constant_flat(o.column, o.rows),
            out = matrix(o.out, o.rows, o.columns)]() mutable {
        for (Eigen::Index i = 0; i < a.rows(); ++i) out.row(i) = a.row(i) + v(i);
    };
}

turn row_sums(operands const& o) {  // a.rowwise().sum() gives the same loop
    return [a = constant_matrix(o.a, o.rows, o.columns), out = flat(o.out, o.rows)]() mutable {
        for (Eigen::Index i = 0; i < a.rows(); ++i) out(i) = a.row(i).sum();
    };
}

turn column_sums(
    operands const& o) {  // a.colwise().sum() goes down the columns, three times as slow where they are long
    return [a = constant_matrix(o.a, o.rows, o.columns), out = flat(o.out, o.columns)]() mutable {
        out.setZero();
        for (Eigen::Index i = 0; i < a.rows(); ++i) out += a.row(i);
    };
}

}  // namespace

bench::contender bench_contender_eigen() {
    auto const part = [](int n) { return std::to_string(n); };
    return {"eigen",
            part(EIGEN_WORLD_VERSION) + "." + part(EIGEN_MAJOR_VERSION) + "." + part(EIGEN_MINOR_VERSION) + ", " +
                Eigen::SimdInstructionSetsInUse(),
            silu_multiply_add,
            softmax,
            rms_norm,
            chain,
            add_row,
            add_column,
            row_sums,
            column_sums};
}
