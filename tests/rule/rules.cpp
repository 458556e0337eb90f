// SPDX-License-Identifier: Apache-2.0
// Every rule, run by the machine inside a small block, against central differences in double.
#include <graft/program/machine.hpp>
#include <graft/rule/rules.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>

#include <tests/support/random_model.hpp>

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
struct with_swiglu_written_out : block { static constexpr auto equations = residual(F<"b">(F<"c">(x) * silu(F<"a">(x)))); };
struct with_rope : block { static constexpr auto equations = residual(from_heads(rope(to_heads<"a">(x)))); };
struct with_attention : block {
    static constexpr auto equations = residual(from_heads(attend(to_heads<"a">(x), to_kv_heads<"k">(x), to_kv_heads<"v">(x))));
};
struct with_lora : block {
    static constexpr lora<"q_proj", width, width, bias::present> L{};
    static constexpr auto equations = residual(L(F<"a">(x)));
};
struct with_shared_value : block {  // n is read three times, once by the sum of two others
    static constexpr auto n = silu(F<"a">(x));
    static constexpr auto equations = residual(F<"b">(n * F<"c">(n) + rms_norm<"n">(n))) >> residual(F<"d">(silu(F<"e">(x))));
};

inline constexpr transformer_sizes n{.tokens = 9, .width = 12, .heads = 4, .kv_heads = 2, .head = 6, .hidden = 8, .rank = 2};

template <class Block>
struct bench_top {
    using runs = machine<Block, double>;
    typename runs::plan plan;
    layer_weights<Block, double> weights;
    std::deque<std::vector<std::byte>> matrices;
    std::deque<std::vector<float>> vectors;
    std::vector<double> adapters, gradients, cosines, sines, entry, exit, gradient, cotangent;
    std::vector<index_t> first_key{0, 0, 0, 0, 0, 5, 5, 5, 5};
    surroundings<double> around;
    workers on;
    std::vector<std::byte> panel;
    poisoned_memory memory;

    template <class Strategy>
    explicit bench_top(Strategy s)
        : plan(make_plan(runs::code, make_schedule(runs::code, s), n, {sizeof(double), s.tile, 1})),
          panel(static_cast<std::size_t>(product_panel_bytes<double>) + 64), memory(plan.scratch_bytes + plan.kept_bytes + 64) {
        std::uint64_t seed = 100;
        auto const fill = [&](std::vector<double>& v, index_t count, double size) {
            ++seed;
            for (index_t i = 0; i < count; ++i) v.push_back(size * noise(seed, static_cast<std::uint64_t>(i)));
        };
        fill(entry, n.tokens * n.width, 1), fill(cotangent, n.tokens * n.width, 1);
        exit.resize(entry.size()), gradient.resize(entry.size());
        weights.visit([&](auto op, auto& w) {
            using Op = decltype(op);
            if constexpr (requires { w.W; }) {
                index_t const out = Op::out_axis::of(n), in = Op::in_axis::of(n);
                auto& m = matrices.emplace_back(static_cast<std::size_t>(out * in) * sizeof(float));
                ++seed;
                for (index_t i = 0; i < out * in; ++i)
                    reinterpret_cast<float*>(m.data())[i] = static_cast<float>(0.5 * noise(seed, static_cast<std::uint64_t>(i)));
                w.W = {m.data(), out, in, f32};
                if constexpr (Op::has_bias) w.b = vector(out, seed);
            } else if constexpr (requires { w.w; }) {
                w.w = vector(n.width, seed);
            }
            if constexpr (requires { w.A; }) {
                fill(adapters, n.rank * 2 * n.width, 0.5);
                gradients.resize(adapters.size());
                w.A = {adapters.data(), n.rank, n.width}, w.B = {adapters.data() + n.rank * n.width, n.width, n.rank};
                w.dA = {gradients.data(), n.rank, n.width}, w.dB = {gradients.data() + n.rank * n.width, n.width, n.rank};
                w.s = 0.7;
            }
        });
        index_t const half = n.head / 2;
        cosines.resize(static_cast<std::size_t>(n.tokens * half)), sines.resize(cosines.size());
        std::vector<index_t> positions;
        for (index_t i = 0; i < n.tokens; ++i) positions.push_back(i - first_key[static_cast<std::size_t>(i)]);
        rope_table(matrix<double>{cosines.data(), n.tokens, half}, matrix<double>{sines.data(), n.tokens, half},
                   std::span<index_t const>(positions), 50.0);
        around = {1e-5, rope_pairing::interleaved, cosines.data(), sines.data(), first_key.data(), {}};
        auto const at = reinterpret_cast<std::uintptr_t>(panel.data());
        on.panels = panel.data() + (64 - at % 64) % 64, on.panel_bytes = product_panel_bytes<double>;
    }
    float const* vector(index_t count, std::uint64_t& seed) {
        auto& v = vectors.emplace_back();
        ++seed;
        for (index_t i = 0; i < count; ++i) v.push_back(static_cast<float>(1 + 0.4 * noise(seed, static_cast<std::uint64_t>(i))));
        return v.data();
    }
    typename runs::place place() {
        std::byte* const at = memory.span.data();
        return {n, around, weights, on, plan, n.tokens, at, at + plan.scratch_bytes, entry.data(), exit.data(), gradient.data(), true, nullptr};
    }
    /// <cotangent, block(entry)>
    double value() {
        runs::forward(place());
        double s = 0;
        for (std::size_t i = 0; i < exit.size(); ++i) s += cotangent[i] * exit[i];
        return s;
    }
    void pull() {
        runs::forward(place());
        gradient = cotangent;
        runs::backward(place());
    }
    double worst(std::vector<double>& of, std::vector<double> const& given) {
        double w = 0;
        for (std::size_t i = 0; i < of.size(); ++i) {
            double const keep = of[i], e = 1e-6;
            of[i] = keep + e;
            double const above = value();
            of[i] = keep - e;
            double const below = value();
            of[i] = keep;
            double const numeric = (above - below) / (2 * e);
            double const error = std::abs(numeric - given[i]) / (1e-8 + 1e-6 * std::abs(given[i]));
            w = std::isnan(error) ? 1e9 : std::max(w, error);
        }
        return w;
    }
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
        for (std::size_t i = 0; i < gradient.size(); ++i) CHECK(again.gradient[i] == doctest::Approx(gradient[i]).epsilon(1e-11));
        for (std::size_t i = 0; i < trained.size(); ++i) CHECK(again.gradients[i] == doctest::Approx(trained[i]).epsilon(1e-11));
    }
}

}  // namespace

TEST_CASE_TEMPLATE("rules: the pull agrees with central differences, whatever is kept", Block, with_norm, with_silu, with_sum,
                   with_product, with_swiglu, with_swiglu_written_out, with_rope, with_attention, with_lora, with_shared_value) {
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
    std::vector<float> const before(W, W + n.width * n.width);
    for (index_t o = 0; o < n.width; ++o)
        for (index_t i = 0; i < n.width; ++i) {
            double d = 0;
            for (index_t k = 0; k < n.rank; ++k) d += w.B(o, k) * w.A(k, i);
            W[o * n.width + i] = static_cast<float>(static_cast<double>(W[o * n.width + i]) + 0.7 * d);
        }
    w.A = w.B = {};
    CHECK(r.value() == doctest::Approx(with).epsilon(1e-6));
}
