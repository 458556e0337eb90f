// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/attention.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

struct problem_size {
    index_t heads, kv_heads, head, rows, past = 0;
    std::vector<index_t> lengths = {};  // of packed sequences
    index_t tile = 64;
};

/// Operands of one attention, and its results by the kernel.
template <class T>
struct attention_case {
    attention_shape shape;
    std::vector<index_t> first_key;
    index_t keys;
    grid<T> q, k, v, dy, o, lse, dq, dk, dv;

    explicit attention_case(problem_size const& n, double size = 1)
        : shape{.heads = n.heads, .kv_heads = n.kv_heads, .head = n.head, .past = n.past, .tile = n.tile},
          keys(n.past + n.rows),
          q(n.rows, n.heads * n.head, 1, size),
          k(keys, n.kv_heads * n.head, 2, size),
          v(keys, n.kv_heads * n.head, 3, 1),
          dy(n.rows, n.heads * n.head, 4, 1),
          o(n.rows, n.heads * n.head),
          lse(n.rows, n.heads),
          dq(n.rows, n.heads * n.head),
          dk(keys, n.kv_heads * n.head),
          dv(keys, n.kv_heads * n.head) {
        index_t start = 0;
        for (index_t length : n.lengths)
            first_key.insert(first_key.end(), static_cast<std::size_t>(length), start), start += length;
        if (!first_key.empty()) shape.first_key = first_key.data();
    }
    attention_case(attention_case const&) = delete;

    void forward(workers const* on = nullptr) {
        auto s = scratch<T>(attention_scratch<T>(shape, q.rows, keys, on ? on->count : 1) + 1);
        attention(o.view(on), lse.view(), q.view(), k.view(), v.view(), shape, s.data());
        CHECK(std::isnan(s.back()));
    }
    void pull(workers const* on = nullptr) {
        auto s = scratch<T>(attention_pull_scratch<T>(shape, q.rows, keys, on ? on->count : 1) + 1);
        attention_pull(dq.fresh(), dk.fresh(), dv.fresh(), dy.view(on), q.view(), k.view(), v.view(), o.view(),
                       lse.view(), shape, s.data());
        CHECK(std::isnan(s.back()));
    }
    bool gaps_untouched() const {
        return o.gaps_untouched() && lse.gaps_untouched() && dq.gaps_untouched() && dk.gaps_untouched() &&
               dv.gaps_untouched();
    }
};

/// The textbook formulas, a row and a head at a time in double, from the numbers of a case.
struct textbook {
    grid<double> o, lse, dq, dk, dv;

    template <class T>
    explicit textbook(attention_case<T> const& c)
        : o(c.q.rows, c.q.columns), lse(c.q.rows, c.shape.heads), dq(o), dk(c.k.rows, c.k.columns), dv(dk) {
        for (auto* m : {&dq, &dk, &dv})
            for (index_t i = 0; i < m->rows; ++i)
                for (index_t j = 0; j < m->columns; ++j) (*m)(i, j) = 0;
        index_t const d = c.shape.head, group = c.shape.heads / c.shape.kv_heads;
        auto const number = [](T x) { return static_cast<double>(x); };
        for (index_t i = 0; i < c.q.rows; ++i)
            for (index_t h = 0; h < c.shape.heads; ++h) {
                index_t const first = c.shape.first_key ? c.shape.first_key[i] : 0, last = c.shape.past + i;
                index_t const qo = h * d, ko = h / group * d;
                std::vector<double> s, p, dp;
                double most = -1e300, total = 0, mean = 0;
                for (index_t u = first; u <= last; ++u) {
                    double dot = 0, grad = 0;
                    for (index_t j = 0; j < d; ++j) {
                        dot += number(c.q(i, qo + j)) * number(c.k(u, ko + j));
                        grad += number(c.dy(i, qo + j)) * number(c.v(u, ko + j));
                    }
                    s.push_back(dot / std::sqrt(static_cast<double>(d))), dp.push_back(grad);
                    most = std::max(most, s.back());
                }
                for (double x : s) p.push_back(std::exp(x - most)), total += p.back();
                lse(i, h) = most + std::log(total);
                for (std::size_t u = 0; u < p.size(); ++u) p[u] /= total, mean += p[u] * dp[u];
                for (index_t j = 0; j < d; ++j) {
                    o(i, qo + j) = 0;
                    for (index_t u = first; u <= last; ++u)
                        o(i, qo + j) += p[static_cast<std::size_t>(u - first)] * number(c.v(u, ko + j));
                }
                for (index_t u = first; u <= last; ++u) {
                    std::size_t const at = static_cast<std::size_t>(u - first);
                    double const ds = p[at] * (dp[at] - mean) / std::sqrt(static_cast<double>(d));
                    for (index_t j = 0; j < d; ++j) {
                        dv(u, ko + j) += p[at] * number(c.dy(i, qo + j));
                        dq(i, qo + j) += ds * number(c.k(u, ko + j));
                        dk(u, ko + j) += ds * number(c.q(i, qo + j));
                    }
                }
            }
    }
};

std::vector<problem_size> const sizes = {
    {.heads = 4, .kv_heads = 4, .head = 8, .rows = 1},
    {.heads = 9, .kv_heads = 3, .head = 64, .rows = 1, .past = 200},
    {.heads = 9, .kv_heads = 3, .head = 64, .rows = 130},
    {.heads = 4, .kv_heads = 4, .head = 80, .rows = 67},
    {.heads = 4, .kv_heads = 2, .head = 8, .rows = 72, .lengths = {1, 7, 64}},
    {.heads = 2, .kv_heads = 1, .head = 20, .rows = 200, .lengths = {64, 1, 7, 128}},
    {.heads = 3, .kv_heads = 1, .head = 10, .rows = 37, .past = 70},
    {.heads = 3, .kv_heads = 1, .head = 6, .rows = 29, .lengths = {3, 11, 15}, .tile = 4},
    {.heads = 2, .kv_heads = 2, .head = 5, .rows = 30, .past = 9, .tile = 7},
};

}  // namespace

TEST_CASE_TEMPLATE("attention: forward and pull agree with the textbook's formulas", T, float, double) {
    double const tolerance = sizeof(T) == 4 ? 5e-6 : 1e-12;
    for (auto const& n : sizes) {
        CAPTURE(n.rows);
        CAPTURE(n.head);
        attention_case<T> c(n, 2);
        c.forward();
        c.pull();
        textbook const expected(c);
        CHECK(distance(c.o, expected.o, tolerance, tolerance) <= 1);
        CHECK(distance(c.lse, expected.lse, tolerance, tolerance) <= 1);
        CHECK(distance(c.dq, expected.dq, tolerance, tolerance) <= 1);
        CHECK(distance(c.dk, expected.dk, 2 * tolerance, tolerance) <= 1);
        CHECK(distance(c.dv, expected.dv, 2 * tolerance, tolerance) <= 1);
        CHECK(c.gaps_untouched());
    }
}

TEST_CASE("attention: no rows are allowed") {
    attention_case<float> c({.heads = 2, .kv_heads = 1, .head = 8, .rows = 0});
    c.forward();
    c.pull();
    CHECK(c.gaps_untouched());
}

TEST_CASE("attention: pull agrees with central differences") {
    for (auto const& n :
         {problem_size{.heads = 4, .kv_heads = 2, .head = 6, .rows = 9, .tile = 4},
          problem_size{.heads = 2, .kv_heads = 1, .head = 4, .rows = 11, .lengths = {1, 7, 3}, .tile = 3},
          problem_size{.heads = 2, .kv_heads = 2, .head = 4, .rows = 5, .past = 4}}) {
        attention_case<double> c(n);
        auto const loss = [&] { return c.forward(), inner(c.o, c.dy); };
        auto const dq = differences(c.q, loss), dk = differences(c.k, loss), dv = differences(c.v, loss);
        c.forward();
        c.pull();
        CHECK(agree(c.dq, dq));
        CHECK(agree(c.dk, dk));
        CHECK(agree(c.dv, dv));
    }
}

TEST_CASE("attention: gradients are added, left out, or put in the place of what is no longer read") {
    attention_case<double> c({.heads = 4, .kv_heads = 2, .head = 10, .rows = 23, .tile = 8});
    c.forward();
    c.pull();
    auto s = scratch<double>(attention_pull_scratch<double>(c.shape, 23, 23, 1));
    grid<double> const q0(23, 40, 5, 1.0), k0(23, 20, 6, 1.0);
    grid<double> dq = q0, dk = k0, dv = k0;
    matrix<double> const none;
    attention_pull(dq.view(), dk.view(), dv.view(), c.dy.view(), c.q.view(), c.k.view(), c.v.view(), c.o.view(),
                   c.lse.view(), c.shape, s.data());
    CHECK(same_bits(dq, sum_of(q0, c.dq)));
    CHECK(same_bits(dk, sum_of(k0, c.dk)));
    CHECK(same_bits(dv, sum_of(k0, c.dv)));
    for (auto const place : {&attention_case<double>::q, &attention_case<double>::dy, &attention_case<double>::o}) {
        grid<double> const kept = c.*place;
        auto t = scratch<double>(attention_pull_scratch<double>(c.shape, 23, 23, 1));
        dk = dv = grid<double>(23, 20);
        attention_pull((c.*place).fresh(), dk.fresh(), dv.fresh(), c.dy.view(), c.q.view(), c.k.view(), c.v.view(),
                       c.o.view(), c.lse.view(), c.shape, t.data());
        CHECK(same_bits(c.*place, c.dq));
        CHECK(same_bits(dk, c.dk));
        CHECK(same_bits(dv, c.dv));
        c.*place = kept;
    }
    dk = dv = grid<double>(23, 20), dq = grid<double>(23, 40);
    attention_pull(none, none, dv.fresh(), c.dy.view(), c.q.view(), c.k.view(), c.v.view(), c.o.view(), c.lse.view(),
                   c.shape, s.data());
    attention_pull(none, dk.fresh(), none, c.dy.view(), c.q.view(), c.k.view(), c.v.view(), c.o.view(), c.lse.view(),
                   c.shape, s.data());
    attention_pull(dq.fresh(), none, none, c.dy.view(), c.q.view(), c.k.view(), c.v.view(), c.o.view(), c.lse.view(),
                   c.shape, s.data());
    CHECK(same_bits(dq, c.dq));
    CHECK(same_bits(dk, c.dk));
    CHECK(same_bits(dv, c.dv));
    // o may take q's place, and the log-sum-exp need not be wanted.
    auto f = scratch<double>(attention_scratch<double>(c.shape, 23, 23, 1));
    attention(c.q.view(), none, c.q.view(), c.k.view(), c.v.view(), c.shape, f.data());
    CHECK(same_bits(c.q, c.o));
}

TEST_CASE("attention: two lanes give the same bits as one") {
    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    for (auto const& n : sizes) {
        attention_case<float> one(n), other(n);
        one.forward(), one.pull();
        other.forward(&two), other.pull(&two);
        CHECK(same_bits(one.o, other.o));
        CHECK(same_bits(one.lse, other.lse));
        CHECK(same_bits(one.dq, other.dq));
        CHECK(same_bits(one.dk, other.dk));
        CHECK(same_bits(one.dv, other.dv));
    }
}

TEST_CASE("attention: a packed sequence gives the same bits as the sequence alone, whatever lies in the others") {
    // Tiles of keys start at multiples of 64, so the second sequence is placed at one.
    attention_case<float> packed({.heads = 4, .kv_heads = 2, .head = 16, .rows = 64 + 90, .lengths = {64, 90}});
    attention_case<float> alone({.heads = 4, .kv_heads = 2, .head = 16, .rows = 90});
    for (auto const member :
         {&attention_case<float>::q, &attention_case<float>::k, &attention_case<float>::v, &attention_case<float>::dy})
        for (index_t i = 0; i < 90; ++i)
            for (index_t j = 0; j < (packed.*member).columns; ++j) (packed.*member)(64 + i, j) = (alone.*member)(i, j);
    for (index_t i = 0; i < 64; ++i) packed.k(i, 0) = 1e6f, packed.v(i, 0) = -1e6f;
    packed.forward(), packed.pull();
    alone.forward(), alone.pull();
    bool same = true;
    for (auto const member : {&attention_case<float>::o, &attention_case<float>::dq, &attention_case<float>::dk,
                              &attention_case<float>::dv})
        for (index_t i = 0; i < 90; ++i)
            for (index_t j = 0; j < (packed.*member).columns; ++j)
                same = same && (packed.*member)(64 + i, j) == (alone.*member)(i, j);
    CHECK(same);
}

TEST_CASE("attention: a row at a time over cached keys agrees with all rows at once") {
    attention_case<double> all({.heads = 6, .kv_heads = 2, .head = 12, .rows = 150});
    all.forward();
    grid<double> o(150, 72), lse(150, 6);
    for (index_t i = 0; i < 150; ++i) {
        attention_shape shape = all.shape;
        shape.past = i;
        auto s = scratch<double>(attention_scratch<double>(shape, 1, 150, 1));
        attention(o.view().slice(i, 1), lse.view().slice(i, 1), all.q.view().slice(i, 1), all.k.view(), all.v.view(),
                  shape, s.data());
    }
    CHECK(distance(o, all.o, 1e-13, 1e-13) <= 1);
    CHECK(distance(lse, all.lse, 1e-13, 1e-13) <= 1);
}

TEST_CASE("attention: scores of ±10000 overflow nothing") {
    for (index_t const rows : {1, 40}) {
        attention_case<float> c({.heads = 2, .kv_heads = 1, .head = 16, .rows = rows, .past = 30}, 120);
        c.forward();
        c.pull();
        textbook const expected(c);
        CHECK(distance(c.o, expected.o, 1e-2, 1e-2) <= 1);
        CHECK(distance(c.dv, expected.dv, 2e-2, 1e-2) <= 1);
        for (auto const* m : {&c.dq, &c.dk})
            for (index_t i = 0; i < m->rows; ++i)
                for (index_t j = 0; j < m->columns; ++j) CHECK(std::isfinite((*m)(i, j)));
    }
}
