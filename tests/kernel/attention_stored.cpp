// SPDX-License-Identifier: Apache-2.0
// Attention with kept weights: against `attention` in double, the definition of its weights, and central differences.
#include <graft/kernel/attention.hpp>
#include <graft/kernel/attention_stored.hpp>
#include <graft/parallel/thread_pool.hpp>

#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

struct problem {
    index_t heads, kv_heads, head, rows, past = 0;
    std::vector<index_t> lengths = {};  // of packed sequences
    index_t tile = 64, keys = past + rows;
    bool causal = true;
};

/// Operands of one attention, and its results by the kernel that keeps the weights.
template <class T>
struct stored_case {
    problem n;
    std::vector<index_t> first_key;
    attention_shape shape;
    grid<T> q, k, v, dy, o, P, dq, dk, dv;

    explicit stored_case(problem const& p, double size = 1)
        : n(p),
          shape{.heads = p.heads, .kv_heads = p.kv_heads, .head = p.head, .past = p.past, .tile = p.tile,
                .causal = p.causal},
          q(p.rows, p.heads * p.head, 1, size),
          k(p.keys, p.kv_heads * p.head, 2, size),
          v(p.keys, p.kv_heads * p.head, 3, 1),
          dy(p.rows, p.heads * p.head, 4, 1),
          o(p.rows, p.heads * p.head),
          P(p.rows, p.heads * p.keys),
          dq(p.rows, p.heads * p.head),
          dk(p.keys, p.kv_heads * p.head),
          dv(p.keys, p.kv_heads * p.head) {
        index_t start = 0;
        for (index_t length : n.lengths)
            first_key.insert(first_key.end(), static_cast<std::size_t>(length), start), start += length;
        if (!first_key.empty()) shape.first_key = first_key.data();
    }
    stored_case(stored_case const&) = delete;

    void forward(workers const* on = nullptr) {
        auto s = scratch<T>(attention_stored_scratch<T>(shape, n.rows, n.keys, on ? on->count : 1) + 1);
        attention_stored(o.view(on), P.view(), q.view(), k.view(), v.view(), shape, s.data());
        CHECK(std::isnan(s.back()));
    }
    void pull(matrix<T> to_q, matrix<T> to_k, matrix<T> to_v, workers const* on = nullptr) {
        auto s = scratch<T>(attention_stored_pull_scratch<T>(shape, n.rows, n.keys, on ? on->count : 1) + 1);
        grid<T> used = P;  // the pull uses the weights up
        attention_stored_pull(to_q, to_k, to_v, dy.view(on), q.view(), k.view(), v.view(), used.view(), shape,
                              s.data());
        CHECK(std::isnan(s.back()));
        CHECK(used.gaps_untouched());
    }
    void pull(workers const* on = nullptr) { pull(dq.fresh(), dk.fresh(), dv.fresh(), on); }
    bool gaps_untouched() const {
        return o.gaps_untouched() && P.gaps_untouched() && dq.gaps_untouched() && dk.gaps_untouched() &&
               dv.gaps_untouched();
    }
};

/// The same by `attention` in double; the weights from its log-sum-exp, a number at a time.
struct recomputed {
    grid<double> o, lse, P, dq, dk, dv;

    template <class T>
    explicit recomputed(stored_case<T>& c)
        : o(c.n.rows, c.q.columns), lse(c.n.rows, c.n.heads), P(c.n.rows, c.P.columns), dq(o),
          dk(c.n.keys, c.k.columns), dv(dk) {
        grid<double> q(c.q), k(c.k), v(c.v), dy(c.dy);
        auto s = scratch<double>(attention_scratch<double>(c.shape, c.n.rows, c.n.keys, 1));
        attention(o.view(), lse.view(), q.view(), k.view(), v.view(), c.shape, s.data());
        s = scratch<double>(attention_pull_scratch<double>(c.shape, c.n.rows, c.n.keys, 1));
        attention_pull(dq.fresh(), dk.fresh(), dv.fresh(), dy.view(), q.view(), k.view(), v.view(), o.view(),
                       lse.view(), c.shape, s.data());
        for (index_t i = 0; i < c.n.rows; ++i)
            for (index_t h = 0; h < c.n.heads; ++h)
                for (index_t u = 0; u < c.n.keys; ++u) {
                    bool const seen = (!c.n.causal || u <= c.n.past + i) &&
                                      (c.first_key.empty() || u >= c.first_key[static_cast<std::size_t>(i)]);
                    double score = 0;
                    for (index_t j = 0; j < c.n.head; ++j)
                        score += q(i, h * c.n.head + j) * k(u, h * c.n.kv_heads / c.n.heads * c.n.head + j);
                    P(i, h * c.n.keys + u) =
                        seen ? std::exp(score / std::sqrt(static_cast<double>(c.n.head)) - lse(i, h)) : 0.0;
                }
    }
};

std::vector<problem> const problems = {
    {.heads = 1, .kv_heads = 1, .head = 1, .rows = 1},
    {.heads = 4, .kv_heads = 4, .head = 8, .rows = 7},
    {.heads = 9, .kv_heads = 3, .head = 64, .rows = 130},
    {.heads = 4, .kv_heads = 4, .head = 80, .rows = 67},
    {.heads = 14, .kv_heads = 2, .head = 16, .rows = 64},
    {.heads = 4, .kv_heads = 2, .head = 8, .rows = 72, .lengths = {1, 7, 64}},
    {.heads = 2, .kv_heads = 1, .head = 20, .rows = 200, .lengths = {64, 1, 7, 128}},
    {.heads = 3, .kv_heads = 1, .head = 6, .rows = 29, .lengths = {3, 11, 15}, .tile = 4},
    {.heads = 2, .kv_heads = 2, .head = 5, .rows = 30, .tile = 7},
    {.heads = 2, .kv_heads = 1, .head = 10, .rows = 37, .past = 70, .tile = 13},
    {.heads = 2, .kv_heads = 1, .head = 7, .rows = 9, .tile = 7, .keys = 30, .causal = false},
};

}  // namespace

TEST_CASE_TEMPLATE("attention_stored: forward and pull agree with attention in double", T, float, double) {
    double const tolerance = sizeof(T) == 4 ? 5e-6 : 1e-12;
    for (auto const& n : problems) {
        CAPTURE(n.rows);
        CAPTURE(n.head);
        stored_case<T> c(n, 2);
        c.forward();
        c.pull();
        recomputed const expected(c);
        CHECK(distance(c.o, expected.o, tolerance, tolerance) <= 1);
        CHECK(distance(c.P, expected.P, tolerance, tolerance) <= 1);
        CHECK(distance(c.dq, expected.dq, tolerance, tolerance) <= 1);
        CHECK(distance(c.dk, expected.dk, 2 * tolerance, tolerance) <= 1);
        CHECK(distance(c.dv, expected.dv, 2 * tolerance, tolerance) <= 1);
        CHECK(c.gaps_untouched());
        bool zero = true;  // exactly 0, not only small, where a row sees nothing
        for (index_t i = 0; i < c.n.rows; ++i)
            for (index_t j = 0; j < c.P.columns; ++j) zero = zero && (expected.P(i, j) != 0 || c.P(i, j) == T(0));
        CHECK(zero);
    }
}

TEST_CASE("attention_stored: no rows are allowed") {
    stored_case<float> c({.heads = 2, .kv_heads = 1, .head = 8, .rows = 0});
    c.forward();
    c.pull();
    CHECK(c.gaps_untouched());
}

TEST_CASE("attention_stored: pull agrees with central differences") {
    for (auto const& n :
         {problem{.heads = 4, .kv_heads = 2, .head = 6, .rows = 9, .tile = 4},
          problem{.heads = 2, .kv_heads = 1, .head = 4, .rows = 11, .lengths = {1, 7, 3}, .tile = 3}}) {
        stored_case<double> c(n);
        auto const loss = [&] { return c.forward(), inner(c.o, c.dy); };
        auto const dq = differences(c.q, loss), dk = differences(c.k, loss), dv = differences(c.v, loss);
        c.forward();
        c.pull();
        CHECK(agree(c.dq, dq));
        CHECK(agree(c.dk, dk));
        CHECK(agree(c.dv, dv));
    }
}

TEST_CASE("attention_stored: gradients are added, left out, or put in the place of what is no longer read") {
    stored_case<double> c({.heads = 4, .kv_heads = 2, .head = 10, .rows = 23, .tile = 8});
    c.forward();
    c.pull();
    grid<double> const q0(23, 40, 5, 1.0), k0(23, 20, 6, 1.0);
    grid<double> dq = q0, dk = k0, dv = k0;
    c.pull(dq.view(), dk.view(), dv.view());
    CHECK(same_bits(dq, sum_of(q0, c.dq)));
    CHECK(same_bits(dk, sum_of(k0, c.dk)));
    CHECK(same_bits(dv, sum_of(k0, c.dv)));
    for (auto const place : {&stored_case<double>::q, &stored_case<double>::dy}) {
        grid<double> const kept = c.*place;
        dk = dv = grid<double>(23, 20);
        c.pull((c.*place).fresh(), dk.fresh(), dv.fresh());
        CHECK(same_bits(c.*place, c.dq));
        CHECK(same_bits(dk, c.dk));
        CHECK(same_bits(dv, c.dv));
        c.*place = kept;
    }
    dk = dv = grid<double>(23, 20), dq = grid<double>(23, 40);
    c.pull({}, {}, dv.fresh());
    c.pull({}, dk.fresh(), {});
    c.pull(dq.fresh(), {}, {});
    CHECK(same_bits(dq, c.dq));
    CHECK(same_bits(dk, c.dk));
    CHECK(same_bits(dv, c.dv));
}

TEST_CASE("attention_stored: what a gradient does not need is not read") {
    stored_case<double> c({.heads = 4, .kv_heads = 2, .head = 10, .rows = 23, .tile = 8});
    c.forward();
    c.pull();
    grid<double> const nothing_q(23, 40), nothing_k(23, 20), q = c.q, k = c.k, v = c.v;
    grid<double> dq = nothing_q, dk = nothing_k, dv = nothing_k;
    c.q = nothing_q, c.k = nothing_k;
    c.v = nothing_k, c.pull({}, {}, dv.fresh());
    c.v = v, c.q = q, c.pull({}, dk.fresh(), {});
    c.q = nothing_q, c.k = k, c.pull(dq.fresh(), {}, {});
    CHECK(same_bits(dq, c.dq));
    CHECK(same_bits(dk, c.dk));
    CHECK(same_bits(dv, c.dv));
}

TEST_CASE("attention_stored: two lanes give the same bits as one") {
    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    for (auto const& n : problems) {
        stored_case<float> one(n), other(n);
        one.forward(), one.pull();
        other.forward(&two), other.pull(&two);
        CHECK(same_bits(one.o, other.o));
        CHECK(same_bits(one.P, other.P));
        CHECK(same_bits(one.dq, other.dq));
        CHECK(same_bits(one.dk, other.dk));
        CHECK(same_bits(one.dv, other.dv));
    }
}

TEST_CASE("attention_stored: scores of ±10000 overflow nothing") {
    stored_case<float> c({.heads = 2, .kv_heads = 1, .head = 16, .rows = 40}, 120);
    c.forward();
    c.pull();
    recomputed const expected(c);
    CHECK(distance(c.o, expected.o, 1e-2, 1e-2) <= 1);
    CHECK(distance(c.dv, expected.dv, 2e-2, 1e-2) <= 1);
    for (auto const* m : {&c.dq, &c.dk})
        for (index_t i = 0; i < m->rows; ++i)
            for (index_t j = 0; j < m->columns; ++j) CHECK(std::isfinite((*m)(i, j)));
}

TEST_CASE("attention_stored: more rows or keys never need less scratch") {
    attention_shape const shape{.heads = 9, .kv_heads = 3, .head = 20};
    for (index_t const rows : {1, 7, 64, 300})
        for (index_t const keys : {1, 65, 300})
            for (index_t const more : {1, 8, 100}) {
                CHECK(attention_stored_scratch<float>(shape, rows + more, keys + more, 2) >=
                      attention_stored_scratch<float>(shape, rows, keys, 2));
                CHECK(attention_stored_pull_scratch<float>(shape, rows + more, keys + more, 2) >=
                      attention_stored_pull_scratch<float>(shape, rows, keys, 2));
            }
    static_assert(attention_stored_scratch<float>({}, 9, 99, 2) == 2 * attention_stored_scratch<float>({}, 9, 99, 1));
}
