// SPDX-License-Identifier: Apache-2.0
// Attention that is not causal, with added scores, and with fewer keys than rows: against the textbook, in double.
#include <graft/kernel/attention.hpp>

#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

struct problem {
    index_t heads, kv_heads, head, rows, keys;
    bool causal = false;
    index_t bias_rows = 0;  // 0: none, 1: one row for all
    index_t tile = 64;
};

template <class T>
struct operands {
    problem n;
    attention_shape shape;
    grid<T> q, k, v, dy, o, lse, dq, dk, dv;
    grid<T> bias;

    explicit operands(problem const& p)
        : n(p),
          shape{.heads = p.heads, .kv_heads = p.kv_heads, .head = p.head, .tile = p.tile, .causal = p.causal},
          q(p.rows, p.heads * p.head, 1, 1),
          k(p.keys, p.kv_heads * p.head, 2, 1),
          v(p.keys, p.kv_heads * p.head, 3, 1),
          dy(p.rows, p.heads * p.head, 4, 1),
          o(p.rows, p.heads * p.head),
          lse(p.rows, p.heads),
          dq(p.rows, p.heads * p.head),
          dk(p.keys, p.kv_heads * p.head),
          dv(p.keys, p.kv_heads * p.head),
          bias(std::max(p.bias_rows, index_t{1}), p.keys, 5, 2) {}
    score_bias<T> added() {
        if (n.bias_rows == 0) return {};
        return {bias.numbers.data(), n.bias_rows > 1 ? bias.stride : 0};
    }
    void run() {
        auto forward = scratch<T>(attention_scratch<T>(shape, n.rows, n.keys, 1) + 1);
        attention(o.view(), lse.view(), q.view(), k.view(), v.view(), shape, forward.data(), added());
        auto pull = scratch<T>(attention_pull_scratch<T>(shape, n.rows, n.keys, 1) + 1);
        attention_pull(dq.fresh(), dk.fresh(), dv.fresh(), dy.view(), q.view(), k.view(), v.view(), o.view(),
                       lse.view(), shape, pull.data(), added());
        CHECK(std::isnan(forward.back()));
        CHECK(std::isnan(pull.back()));
        for (auto* g : {&o, &lse, &dq, &dk, &dv}) CHECK(g->gaps_untouched());
    }
};

/// One row and one head at a time.
struct textbook {
    grid<double> o, lse, dq, dk, dv;
    template <class T>
    explicit textbook(operands<T>& c)
        : o(c.n.rows, c.q.columns), lse(c.n.rows, c.n.heads), dq(c.n.rows, c.q.columns), dk(c.n.keys, c.k.columns),
          dv(c.n.keys, c.k.columns) {
        for (auto* m : {&o, &dq, &dk, &dv})
            for (index_t i = 0; i < m->rows; ++i)
                for (index_t j = 0; j < m->columns; ++j) (*m)(i, j) = 0;
        index_t const d = c.n.head;
        double const scale = 1 / std::sqrt(static_cast<double>(d));
        for (index_t i = 0; i < c.n.rows; ++i)
            for (index_t h = 0; h < c.n.heads; ++h) {
                index_t const a = h * d, b = h * c.n.kv_heads / c.n.heads * d;
                index_t const seen = c.n.causal ? std::min(i + 1, c.n.keys) : c.n.keys;
                std::vector<double> p(static_cast<std::size_t>(seen)), dp(p);
                double total = 0, mean = 0;
                for (index_t u = 0; u < seen; ++u) {
                    auto const at = static_cast<std::size_t>(u);
                    for (index_t j = 0; j < d; ++j) {
                        p[at] += static_cast<double>(c.q(i, a + j)) * static_cast<double>(c.k(u, b + j)) * scale;
                        dp[at] += static_cast<double>(c.dy(i, a + j)) * static_cast<double>(c.v(u, b + j));
                    }
                    if (c.n.bias_rows > 0) p[at] += static_cast<double>(c.bias(c.n.bias_rows > 1 ? i : 0, u));
                    total += p[at] = std::exp(p[at]);
                }
                lse(i, h) = std::log(total);
                for (std::size_t u = 0; u < p.size(); ++u) p[u] /= total, mean += p[u] * dp[u];
                for (index_t u = 0; u < seen; ++u) {
                    double const w = p[static_cast<std::size_t>(u)],
                                 ds = w * (dp[static_cast<std::size_t>(u)] - mean) * scale;
                    for (index_t j = 0; j < d; ++j) {
                        o(i, a + j) += w * static_cast<double>(c.v(u, b + j));
                        dv(u, b + j) += w * static_cast<double>(c.dy(i, a + j));
                        dq(i, a + j) += ds * static_cast<double>(c.k(u, b + j));
                        dk(u, b + j) += ds * static_cast<double>(c.q(i, a + j));
                    }
                }
            }
    }
};

problem const problems[] = {
    {.heads = 1, .kv_heads = 1, .head = 5, .rows = 1, .keys = 1},
    {.heads = 4, .kv_heads = 2, .head = 8, .rows = 1, .keys = 70},
    {.heads = 4, .kv_heads = 2, .head = 8, .rows = 1, .keys = 70, .bias_rows = 1},
    {.heads = 2, .kv_heads = 2, .head = 64, .rows = 130, .keys = 65},
    {.heads = 6, .kv_heads = 2, .head = 20, .rows = 67, .keys = 200, .bias_rows = 67},
    {.heads = 3, .kv_heads = 1, .head = 6, .rows = 29, .keys = 31, .bias_rows = 1, .tile = 4},
    {.heads = 2, .kv_heads = 1, .head = 7, .rows = 9, .keys = 30, .tile = 7},
    {.heads = 2, .kv_heads = 1, .head = 7, .rows = 130, .keys = 66, .causal = true},
    {.heads = 2, .kv_heads = 2, .head = 10, .rows = 70, .keys = 70, .causal = true, .bias_rows = 70},
    {.heads = 1, .kv_heads = 1, .head = 3, .rows = 20, .keys = 6, .causal = true, .bias_rows = 1, .tile = 4},
};

}  // namespace

TEST_CASE("attention: not causal, with added scores, with fewer keys than rows") {
    for (auto const& n : problems) {
        operands<double> exact(n);
        exact.run();
        textbook const d(exact);
        CHECK(distance(exact.o, d.o, 1e-13, 1e-13) <= 1);
        CHECK(distance(exact.lse, d.lse, 1e-13, 1e-13) <= 1);
        CHECK(distance(exact.dq, d.dq, 1e-12, 1e-12) <= 1);
        CHECK(distance(exact.dk, d.dk, 1e-12, 1e-12) <= 1);
        CHECK(distance(exact.dv, d.dv, 1e-12, 1e-12) <= 1);
        operands<float> single(n);
        single.run();
        textbook const f(single);
        CHECK(distance(single.o, f.o, 1e-5, 1e-5) <= 1);
        CHECK(distance(single.dq, f.dq, 3e-5, 1e-5) <= 1);
        CHECK(distance(single.dk, f.dk, 3e-5, 1e-5) <= 1);
        CHECK(distance(single.dv, f.dv, 3e-5, 1e-5) <= 1);
    }
}
