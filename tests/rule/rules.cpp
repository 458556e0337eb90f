// SPDX-License-Identifier: Apache-2.0
// Every rule, run by the machine inside a small block, against central differences in double.
#include <graft/rule/rules.hpp>

#include <tests/support/bench_top.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

namespace {

// One block per rule: the operation between two frozen maps, since a stage's last operation must not read the stream.
template <label N> inline constexpr frozen<N, width, width> F{};
template <label N> inline constexpr frozen<N, q_width, width> to_heads{};
template <label N> inline constexpr frozen<N, kv_width, width> to_kv_heads{};
inline constexpr frozen<"from_heads", width, q_width> from_heads{};
inline constexpr stream<width> x{};

struct block { using sizes = transformer_sizes; };
struct with_norm : block { static constexpr auto equations = residual(F<"b">(rms_norm<"n">(x))); };
struct with_silu : block { static constexpr auto equations = residual(F<"b">(silu(F<"a">(x)))); };
struct with_sum : block { static constexpr auto equations = residual(F<"b">(F<"a">(x) + F<"c">(x))); };
struct with_product : block { static constexpr auto equations = residual(F<"b">(F<"a">(x) * F<"c">(x))); };
struct with_swiglu : block { static constexpr auto equations = residual(F<"b">(silu(F<"a">(x)) * F<"c">(x))); };
struct with_swiglu_written_out : block {
    static constexpr auto equations = residual(F<"b">(F<"c">(x) * silu(F<"a">(x))));
};
struct with_rope : block { static constexpr auto equations = residual(from_heads(rope(to_heads<"a">(x)))); };
struct with_attention : block {
    static constexpr auto equations =
        residual(from_heads(attend(to_heads<"a">(x), to_kv_heads<"k">(x), to_kv_heads<"v">(x))));
};
struct with_lora : block {
    static constexpr lora<"q_proj", width, width, bias::present> L{};
    static constexpr auto equations = residual(L(F<"a">(x)));
};
struct with_shared_value : block {  // n is read three times, once by the sum of two others
    static constexpr auto n = silu(F<"a">(x));
    static constexpr auto equations = residual(F<"b">(n * F<"c">(n) + rms_norm<"n">(n))) >>
                                      residual(F<"d">(silu(F<"e">(x))));
};

template <class Block>
void check() {
    bench_top<Block> kept(full{});
    kept.pull();
    auto const gradient = kept.gradient, trained = kept.gradients;
    CHECK(kept.worst(kept.entry, gradient) <= 1);
    if (!kept.adapters.empty()) CHECK(kept.worst(kept.adapters, trained) <= 1);
    for (mesp s : {mesp{0, phases::one}, mesp{0, phases::two}, mesp{2, phases::one}, mesp{4, phases::two}}) {
        bench_top<Block> again(s);
        again.pull();
        for (std::size_t i = 0; i < gradient.size(); ++i)
            CHECK(again.gradient[i] == doctest::Approx(gradient[i]).epsilon(1e-11));
        for (std::size_t i = 0; i < trained.size(); ++i)
            CHECK(again.gradients[i] == doctest::Approx(trained[i]).epsilon(1e-11));
    }
}

}  // namespace

TEST_CASE_TEMPLATE("rules: the pull agrees with central differences, whatever is kept", Block, with_norm, with_silu,
                   with_sum, with_product, with_swiglu, with_swiglu_written_out, with_rope, with_attention, with_lora,
                   with_shared_value) {
    check<Block>();
}

TEST_CASE("rules: the fused gate is the product it replaces") {
    static_assert(machine<with_swiglu, double>::steps + 1 == machine<with_swiglu_written_out, double>::steps);
    bench_top<with_swiglu> fused(full{});
    bench_top<with_swiglu_written_out> apart(full{});
    apart.weights.of<frozen<"a", width, width>>() = fused.weights.of<frozen<"a", width, width>>();
    apart.weights.of<frozen<"b", width, width>>() = fused.weights.of<frozen<"b", width, width>>();
    apart.weights.of<frozen<"c", width, width>>() = fused.weights.of<frozen<"c", width, width>>();
    fused.pull(), apart.pull();
    for (std::size_t i = 0; i < fused.exit.size(); ++i) {
        CHECK(fused.exit[i] == doctest::Approx(apart.exit[i]).epsilon(1e-13));
        CHECK(fused.gradient[i] == doctest::Approx(apart.gradient[i]).epsilon(1e-11));
    }
}

TEST_CASE("rules: LoRA is the map it stands for, written out") {
    bench_top<with_lora> r(full{});
    auto& w = r.weights.of<decltype(with_lora::L)>();
    double const with = r.value();
    // The same with W + s B A as one dense matrix and no adapter.
    auto* const W = reinterpret_cast<float*>(r.matrices.back().data());
    std::vector<float> const before(W, W + bench_sizes.width * bench_sizes.width);
    for (index_t o = 0; o < bench_sizes.width; ++o)
        for (index_t i = 0; i < bench_sizes.width; ++i) {
            double d = 0;
            for (index_t k = 0; k < bench_sizes.rank; ++k) d += w.B(o, k) * w.A(k, i);
            W[o * bench_sizes.width + i] =
                static_cast<float>(static_cast<double>(W[o * bench_sizes.width + i]) + 0.7 * d);
        }
    w.A = w.B = {};
    CHECK(r.value() == doctest::Approx(with).epsilon(1e-6));
}
