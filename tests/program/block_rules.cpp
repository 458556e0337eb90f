// SPDX-License-Identifier: Apache-2.0
// The structured and fused rules of blocks against the gradient that general expressions derive for the same map.
#include <tests/support/operation.hpp>

#include <graft/block/head.hpp>
#include <graft/quant/formats.hpp>
#include <graft/rule/rules.hpp>

using namespace graft_test;

namespace {

/// What a rule of a block is called with: no adapter, positions or cache unless a test says so.
struct bench {
    surroundings<double> around{};
    std::vector<double> space = scratch<double>(1 << 14);
    std::vector<std::byte> panel = std::vector<std::byte>(static_cast<std::size_t>(product_panel_bytes<double>) + 64);
    workers on;

    bench() {
        auto const at = reinterpret_cast<std::uintptr_t>(panel.data());
        on.panels = panel.data() + (64 - at % 64) % 64, on.panel_bytes = product_panel_bytes<double>;
    }
    template <class Sizes, class Weights>
    here<double, Sizes, Weights> at(Sizes const& n, Weights const& w, matrix<double> value = {},
                                    matrix<double> residue = {}) {
        return {n, around, w, {space.data(), &on}, on, value, residue, 0};
    }
    matrix<double> of(box& b) { return {b.at.data(), b.rows(), b.columns(), &on}; }
    matrix<double> fresh(box& b) { return of(b).as_fresh(); }
};
box random(std::initializer_list<index_t> n, std::uint64_t seed) { return domain{}.made(sized(n), seed); }
/// The same numbers in single precision, and, after it, exactly those.
std::vector<float> rounded(box& b) {
    std::vector<float> f;
    for (double& x : b.at) f.push_back(static_cast<float>(x)), x = static_cast<double>(f.back());
    return f;
}
box like(box const& b) { return box(b.sizes); }

/// Norm-wise, the project's tolerance for a rule against the gradient derived from elementary operations.
void agree(box const& rule, box const& general) {
    REQUIRE(rule.size() == general.size());
    double off = 0, size = 0;
    for (index_t k = 0; k < rule.size(); ++k)
        off += (rule[k] - general[k]) * (rule[k] - general[k]), size += general[k] * general[k];
    CHECK(std::sqrt(off) <= 1e-10 * std::sqrt(size));
    CHECK(size > 0);
}

constexpr symbol<"x", any, any> x{};
constexpr symbol<"u", any, any> u{};
constexpr symbol<"dy", any, any> dy{};

/// Rule and expression of two operands (or one) of 5 × 7 numbers, both as general expressions.
template <class Rule, class Written, class... S>
void alike_in(Rule const& rule, Written const& written, S const&... s) {
    std::vector<box> arguments;
    for (std::uint64_t k = 0; k <= sizeof...(S); ++k) arguments.push_back(random({5, 7}, 5 + k));
    auto const a = outputs_of<double>(vjp(function(rule), wrt(s...), dy), arguments, 0, s..., dy);
    auto const b = outputs_of<double>(vjp(function(written), wrt(s...), dy), arguments, 0, s..., dy);
    for (std::size_t k = 0; k < a.size(); ++k) agree(a[k], b[k]);
}

}  // namespace

TEST_CASE("block rules: sum, product, silu and the fused gate are the expressions they stand for") {
    alike_in(apply<add_>(x, u), x + u, x, u);
    alike_in(apply<mul_>(x, u), x * u, x, u);
    alike_in(apply<silu_>(x), x * sigmoid(x), x);
    alike_in(apply<swiglu_>(x, u), x * sigmoid(x) * u, x, u);
}

TEST_CASE("block rules: rms_norm is its equation") {
    bench b;
    box X = random({5, 7}, 1), W = random({7}, 2), c = random({5, 7}, 3), y = like(X), dx = like(X);
    auto const w = rounded(W);
    rule<rms_norm_map>::weights<double> const weights{w.data()};
    auto const here = b.at(0, weights);
    rule<rms_norm_map>::forward(here, b.of(y), b.of(X));
    rule<rms_norm_map>::pull(here, b.of(c), b.of(X), b.fresh(dx));

    constexpr symbol<"w", any> ws{};
    auto const f = x / sqrt(mean<-1>(x * x, keep) + 1e-5) * ws;
    auto const general = outputs_of<double>(vjp(f, wrt(x), dy), {X, W, c}, 0, x, ws, dy);
    agree(y, general[0]), agree(dx, general[1]);
}

TEST_CASE("block rules: LoRA is x Wᵀ + s (x Aᵀ) Bᵀ") {
    bench b;
    box X = random({5, 6}, 1), W = random({8, 6}, 2), A = random({3, 6}, 3), B = random({8, 3}, 4);
    box bias = random({8}, 5), c = random({5, 8}, 6), y = like(c), dx = like(X), dA = like(A), dB = like(B);
    auto const w = rounded(W), added = rounded(bias);
    weight const frozen_w{reinterpret_cast<std::byte const*>(w.data()), 8, 6, f32};
    rule<lora_map>::weights<double> const weights{frozen_w,    added.data(), b.of(A), b.of(B),
                                                   b.fresh(dA), b.fresh(dB),  0.7};
    auto const here = b.at(0, weights);
    rule<lora_map>::forward(here, b.of(y), b.of(X));
    rule<lora_map>::pull(here, b.of(c), b.of(X), b.fresh(dx));

    constexpr symbol<"W", any, any> ws{};
    constexpr symbol<"A", any, any> as{};
    constexpr symbol<"B", any, any> bs{};
    constexpr symbol<"bias", any> biases{};
    auto const f = matmul(x, transpose(ws)) + biases + 0.7 * matmul(matmul(x, transpose(as)), transpose(bs));
    auto const general =
        outputs_of<double>(vjp(f, wrt(x, as, bs), dy), {X, W, A, B, bias, c}, 0, x, ws, as, bs, biases, dy);
    agree(y, general[0]), agree(dx, general[1]), agree(dA, general[2]), agree(dB, general[3]);
}

TEST_CASE("block rules: attention is softmax(q kᵀ / √head) v of each head, over the keys of the row's own sequence") {
    struct sizes {
        index_t heads = 2, kv_heads = 1, head = 4, cached = 0;
    } const n;
    constexpr index_t rows = 6;
    index_t const first_key[rows]{0, 0, 0, 3, 3, 3};
    bench b;
    b.around.first_key = first_key;
    box q = random({rows, 8}, 1), k = random({rows, 4}, 2), v = random({rows, 4}, 3), c = random({rows, 8}, 4);
    box o = like(q), kept(sized({rows, 2})), dq = like(q), dk = like(k), dv = like(v), mask(sized({rows, rows}));
    for (index_t i = 0; i < rows; ++i)
        for (index_t j = 0; j < rows; ++j) mask[i * rows + j] = j <= i && j >= first_key[i] ? 0 : -1e9;
    struct none {} const no_weights;
    rule<attend_>::forward(b.at(n, no_weights, b.of(o), b.of(kept)), b.of(o), b.of(q), b.of(k), b.of(v));
    rule<attend_>::pull(b.at(n, no_weights, b.of(o), b.of(kept)), b.of(c), b.of(q), b.of(k), b.of(v), b.fresh(dq),
                        b.fresh(dk), b.fresh(dv));

    constexpr symbol<"q", any, 8> qs{};
    constexpr symbol<"k", any, 4> ks{};
    constexpr symbol<"v", any, 4> vs{};
    constexpr symbol<"mask", any, any> masks{};
    constexpr auto f = formula([](auto Q, auto K, auto V, auto M) {
        auto const head = [&](auto of) { return matmul(softmax(matmul(of, transpose(K)) / 2.0 + M), V); };
        return concat<1>(head(part<1, 0, 4>(Q)), head(part<1, 4, 4>(Q)));
    }, qs, ks, vs, masks);
    auto const general = outputs_of<double>(vjp(f, wrt(qs, ks, vs), dy), {q, k, v, mask, c}, 0, qs, ks, vs, masks, dy);
    agree(o, general[0]), agree(dq, general[1]), agree(dk, general[2]), agree(dv, general[3]);
}

TEST_CASE("block rules: the streamed cross-entropy is mean(log_sum_exp(logits) - pick(logits, targets))") {
    bench b;
    constexpr index_t tokens = 6, width = 5, vocabulary = 1030;  // several chunks and a tail
    box X = random({tokens, width}, 1), W = random({vocabulary, width}, 2), norm = random({width}, 3), dx = like(X);
    auto const w = rounded(W), scale = rounded(norm);
    std::vector<index_t> const list{0, 1, 3, 5};
    std::vector<int> const targets{7, 1029, 512, 0};
    loss_head<double> const head{weight{reinterpret_cast<std::byte const*>(w.data()), vocabulary, width, f32},
                                 scale.data(), 1e-5};
    auto space = scratch<double>(loss_head<double>::scratch_bytes(tokens, width) / 8);
    double const loss = head(b.of(X), list, targets, b.fresh(dx), 0.25, space.data());

    constexpr symbol<"W", any, any> ws{};
    constexpr symbol<"norm", any> norms{};
    constexpr index_symbol<"list", any> lists{};
    constexpr index_symbol<"targets", any> goals{};
    constexpr auto f = formula([](auto S, auto M, auto N, auto L, auto G) {
        auto const z = rows(S, L);
        auto const scores = matmul(z / sqrt(mean<-1>(z * z, keep) + 1e-5) * N, transpose(M));
        return mean(log_sum_exp<-1>(scores) - pick(scores, G));
    }, x, ws, norms, lists, goals);
    box which(sized({4})), wanted(sized({4}));
    for (std::size_t k = 0; k < 4; ++k) which.at[k] = static_cast<double>(list[k]), wanted.at[k] = targets[k];
    auto const general = outputs_of<double>(value_and_gradient(f, wrt(x)), {X, W, norm, which, wanted}, 0, x, ws, norms,
                                            lists, goals);
    CHECK(loss * 0.25 == doctest::Approx(general[0][0]).epsilon(1e-12));
    agree(dx, general[1]);
}
