// SPDX-License-Identifier: Apache-2.0
// libtorch: one thread, no gradient, results into given tensors, in place where a temporary would be made.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <cstdlib>

#include "../contender.hpp"

using bench::operands;
using bench::turn;

namespace {

at::Tensor view(float const* at, at::IntArrayRef sizes) {
    return at::from_blob(const_cast<float*>(at), sizes, at::dtype(at::kFloat));
}

struct views {
    at::Tensor a, b, c, row, column, out, rows_out, columns_out;
    explicit views(operands const& o)
        : a(view(o.a, {o.rows, o.columns})),
          b(view(o.b, {o.rows, o.columns})),
          c(view(o.c, {o.rows, o.columns})),
          row(view(o.row, {o.columns})),
          column(view(o.column, {o.rows, 1})),
          out(view(o.out, {o.rows, o.columns})),
          rows_out(view(o.out, {o.rows})),
          columns_out(view(o.out, {o.columns})) {}
};

turn prepared(operands const& o, void (*run)(views&)) {
    c10::InferenceMode const guard;
    return [v = views(o), run]() mutable {
        c10::InferenceMode const inside;
        run(v);
    };
}

turn silu_multiply_add(operands const& o) {
    return prepared(o, [](views& v) {
        at::silu_out(v.out, v.a);
        at::addcmul_out(v.out, v.c, v.out, v.b);
    });
}

turn softmax(operands const& o) {
    return prepared(o, [](views& v) { at::_softmax_out(v.out, v.a, 1, false); });
}

turn rms_norm(operands const& o) {
    return prepared(o, [](views& v) {
        auto scale = at::linalg_vector_norm(v.a, 2, at::IntArrayRef{1}, true);
        scale.square_().div_(static_cast<double>(v.a.size(1))).add_(bench::epsilon).rsqrt_();
        at::mul_out(v.out, v.a, scale);
        v.out.mul_(v.row);
    });
}

turn chain(operands const& o) {
    return prepared(o, [](views& v) {
        at::addcmul_out(v.out, v.c, v.a, v.b);
        v.out.exp_().log1p_().sqrt_().tanh_().sub_(v.a).clamp_min_(0.25);
        at::div_out(v.out, v.c, v.out);
    });
}

turn add_row(operands const& o) {
    return prepared(o, [](views& v) { at::add_out(v.out, v.a, v.row); });
}

turn add_column(operands const& o) {
    return prepared(o, [](views& v) { at::add_out(v.out, v.a, v.column); });
}

turn row_sums(operands const& o) {
    return prepared(o, [](views& v) { at::sum_out(v.rows_out, v.a, at::IntArrayRef{1}); });
}

turn column_sums(operands const& o) {
    return prepared(o, [](views& v) { at::sum_out(v.columns_out, v.a, at::IntArrayRef{0}); });
}

}  // namespace

bench::contender bench_contender_torch() {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512vl")) setenv("ATEN_CPU_CAPABILITY", "avx512", 0);  // by itself it takes avx2
#endif
    at::set_num_threads(1);
    std::string kernels = at::show_config(),
                mark = "CPU capability usage: ";  // which kernels it chose for this machine
    auto const at = kernels.find(mark);
    kernels =
        at == kernels.npos ? "" : ", " + kernels.substr(at + mark.size(), kernels.find('\n', at) - at - mark.size());
    return {
        "torch",    TORCH_VERSION + kernels, silu_multiply_add, softmax, rms_norm, chain, add_row, add_column, row_sums,
        column_sums};
}
