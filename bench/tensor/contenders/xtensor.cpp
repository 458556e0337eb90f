// SPDX-License-Identifier: Apache-2.0
// xtensor with xsimd: adaptors at the operands' memory, noalias, and one-dimensional adaptors for a row's work.
#include <xtensor/xadapt.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xtensor_config.hpp>
#include <xtensor/xview.hpp>

#include <xsimd/stl/algorithms.hpp>

#include "../contender.hpp"

using bench::operands;
using bench::turn;

namespace {

/// A dense matrix or vector at given memory, whose expressions are assigned with SIMD.
template <class T>
auto matrix(T* at, operands const& o) {
    auto const n = static_cast<std::size_t>(o.rows * o.columns);
    return xt::adapt(at, n, xt::no_ownership(),
                     std::array<std::size_t, 2>{static_cast<std::size_t>(o.rows), static_cast<std::size_t>(o.columns)});
}
template <class T>
auto vector(T* at, long n) {
    auto const size = static_cast<std::size_t>(n);
    return xt::adapt(at, size, xt::no_ownership(), std::array<std::size_t, 1>{size});
}

/// xt::sum and xt::amax are scalar loops; xsimd's own reduction of a dense range is not.
template <class V, class F>
float reduced(V const& v, float first, F f) {
    return xsimd::reduce(v.data(), v.data() + v.size(), first, f);
}
struct larger {
    float operator()(float x, float y) const { return x < y ? y : x; }
    template <class A>
    auto operator()(xsimd::batch<float, A> const& x, xsimd::batch<float, A> const& y) const {
        return xsimd::max(x, y);
    }
};
template <class V>
float simd_sum(V const& v) {
    return reduced(v, 0.0f, [](auto x, auto y) { return x + y; });
}

turn silu_multiply_add(operands const& o) {
    return [a = matrix(o.a, o), b = matrix(o.b, o), c = matrix(o.c, o), out = matrix(o.out, o)]() mutable {
        xt::noalias(out) = a / (1.0f + xt::exp(-a)) * b + c;
    };
}

turn softmax(operands const& o) {  // the same over whole matrices, with keep_dims, takes several times as long
    return [=] {
        for (long i = 0; i < o.rows; ++i) {
            auto const a = vector(o.a + i * o.columns, o.columns);
            auto out = vector(o.out + i * o.columns, o.columns);
            xt::noalias(out) = xt::exp(a - reduced(a, a(0), larger()));
            xt::noalias(out) *= 1.0f / simd_sum(out);
        }
    };
}

turn rms_norm(operands const& o) {
    return [=, w = vector(o.row, o.columns)] {
        for (long i = 0; i < o.rows; ++i) {
            auto const a = vector(o.a + i * o.columns, o.columns);
            auto out = vector(o.out + i * o.columns, o.columns);
            xt::noalias(out) = a * a;
            xt::noalias(out) =
                a * (1.0f / std::sqrt(simd_sum(out) / static_cast<float>(o.columns) + bench::epsilon)) * w;
        }
    };
}

turn chain(operands const& o) {
    return [a = matrix(o.a, o), b = matrix(o.b, o), c = matrix(o.c, o), out = matrix(o.out, o)]() mutable {
        xt::noalias(out) = c / xt::maximum(xt::tanh(xt::sqrt(xt::log(xt::exp(a * b + c) + 1.0f))) - a, 0.25f);
    };
}

turn add_row(operands const& o) {
    return [a = matrix(o.a, o), w = vector(o.row, o.columns), out = matrix(o.out, o)]() mutable {
        xt::noalias(out) = a + w;
    };
}

turn add_column(operands const& o) {
    return [=] {
        for (long i = 0; i < o.rows; ++i) {
            auto out = vector(o.out + i * o.columns, o.columns);
            xt::noalias(out) = vector(o.a + i * o.columns, o.columns) + o.column[i];
        }
    };
}

turn row_sums(operands const& o) {
    return [=] {
        for (long i = 0; i < o.rows; ++i) o.out[i] = simd_sum(vector(o.a + i * o.columns, o.columns));
    };
}

turn column_sums(operands const& o) {
    return [=, out = vector(o.out, o.columns)]() mutable {
        out.fill(0.0f);
        for (long i = 0; i < o.rows; ++i) xt::noalias(out) += vector(o.a + i * o.columns, o.columns);
    };
}

}  // namespace

bench::contender bench_contender_xtensor() {
    auto const part = [](int n) { return std::to_string(n); };
    return {"xtensor",
            part(XTENSOR_VERSION_MAJOR) + "." + part(XTENSOR_VERSION_MINOR) + "." + part(XTENSOR_VERSION_PATCH) +
                ", xsimd " + part(XSIMD_VERSION_MAJOR) + "." + part(XSIMD_VERSION_MINOR) + "." +
                part(XSIMD_VERSION_PATCH) + " " + xsimd::default_arch::name(),
            silu_multiply_add,
            softmax,
            rms_norm,
            chain,
            add_row,
            add_column,
            row_sums,
            column_sums};
}
