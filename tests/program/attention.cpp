// SPDX-License-Identifier: Apache-2.0
// Attention of general expressions: against softmax(q kᵀ / √head + m) v written out, and central differences.
#include <graft/parallel/thread_pool.hpp>
#include <graft/program/attention.hpp>

#include <tests/support/prepared.hpp>

#include <limits>

using namespace graft_test;

namespace {

constexpr index_t head = 5;
constexpr double scale = 0.44721359549995794;  // 1 / √5
constexpr symbol<"q", any, any, any, head> q;
constexpr symbol<"k", any, any, any, head> k;
constexpr symbol<"v", any, any, any, head> v;
constexpr symbol<"dy", any, any, any, head> dy;
constexpr symbol<"m", any, any, any, any> m;
constexpr index_symbol<"n", any> lengths;

/// The generic map; what is not seen has −10³⁰ in m.
constexpr auto written_out = formula(
    [](auto a, auto b, auto c, auto mask) { return matmul(softmax(matmul(a, transpose(b)) * scale + mask), c); }, q, k,
    v, m);

struct sizes_of_case { index_t sequences, heads, rows, keys; };

struct operands {
    sizes_of_case n;
    tensor<double, any, any, any, head> q, k, v, dy;
    tensor<double, any, any, any, any> mask;  // full, for what is written out
    explicit operands(sizes_of_case s)
        : n(s), q(s.sequences, s.heads, s.rows), k(s.sequences, s.heads, s.keys), v(s.sequences, s.heads, s.keys),
          dy(s.sequences, s.heads, s.rows), mask(s.sequences, s.heads, s.rows, s.keys) {
        filled{}(q, k, v, dy);
        mask = 0.0;
    }
    template <class Hides> void hide(Hides const& hidden) {
        for (index_t b = 0; b < n.sequences; ++b)
            for (index_t h = 0; h < n.heads; ++h)
                for (index_t i = 0; i < n.rows; ++i)
                    for (index_t j = 0; j < n.keys; ++j)
                        if (hidden(b, i, j)) mask(b, h, i, j) = -1e30;
    }
};

std::vector<double> results(auto const& run) {
    return all_numbers(run.template output<0>(), run.gradient(q), run.gradient(k), run.gradient(v));
}
std::vector<double> expected(operands const& o) {
    auto run = prepare<double>(vjp(written_out, wrt(q, k, v), dy), q = o.q, k = o.k, v = o.v, dy = o.dy, m = o.mask);
    run();
    return results(run);
}

sizes_of_case const all_sizes[] = {{1, 1, 1, 1}, {2, 3, 7, 7}, {2, 2, 1, 70}, {1, 2, 130, 65}, {3, 1, 65, 129}};

}  // namespace

TEST_CASE("attention: every key seen, the value and gradients are those of the map written out") {
    for (auto const& n : all_sizes) {
        operands o(n);
        auto run = prepare<double>(vjp(attention(q, k, v), wrt(q, k, v), dy), q = o.q, k = o.k, v = o.v, dy = o.dy);
        run();
        CHECK(distance(results(run), expected(o)) < 1e-13);
    }
}

TEST_CASE("attention: causal") {
    for (auto const& n : all_sizes) {
        if (n.rows != n.keys) continue;
        operands o(n);
        o.hide([](index_t, index_t i, index_t j) { return j > i; });
        auto run =
            prepare<double>(vjp(attention<causal>(q, k, v), wrt(q, k, v), dy), q = o.q, k = o.k, v = o.v, dy = o.dy);
        run();
        CHECK(distance(results(run), expected(o)) < 1e-13);
    }
    operands square({2, 2, 100, 100});
    square.hide([](index_t, index_t i, index_t j) { return j > i; });
    auto run = prepare<double>(vjp(attention<causal>(q, k, v), wrt(q, k, v), dy), q = square.q, k = square.k,
                               v = square.v, dy = square.dy);
    run();
    CHECK(distance(results(run), expected(square)) < 1e-13);
}

TEST_CASE("attention: sequences of different lengths see their own keys, and those behind get exactly nothing") {
    operands o({3, 2, 70, 70});
    tensor<std::int32_t, any> n(3);
    n = {70, 3, 66};
    o.hide([&](index_t b, index_t, index_t j) { return j >= n(b); });
    auto both = [&](auto const& f, double tolerance) {
        auto const want = expected(o);
        for (index_t b = 0; b < 3; ++b)  // nothing is read behind a sequence
            for (index_t h = 0; h < 2; ++h)
                for (index_t j = n(b); j < 70; ++j)
                    for (index_t d = 0; d < head; ++d) o.k(b, h, j, d) = o.v(b, h, j, d) = NAN;
        auto run = prepare<double>(vjp(f, wrt(q, k, v), dy), q = o.q, k = o.k, v = o.v, dy = o.dy, lengths = n);
        run();
        CHECK(distance(results(run), want) < tolerance);
        CHECK(run.gradient(k)(1, 0, 3, 0) == 0);
        CHECK(run.gradient(v)(1, 1, 69, 4) == 0);
        filled{}(o.q, o.k, o.v, o.dy);
    };
    both(attention(q, k, v, key_lengths(lengths)), 1e-13);
    o.hide([](index_t, index_t i, index_t j) { return j > i; });
    both(attention<causal>(q, k, v, key_lengths(lengths)), 1e-13);
}

TEST_CASE("attention: a sequence without keys gives 0 and pulls 0") {
    operands o({2, 1, 4, 6});
    tensor<std::int32_t, any> n(2);
    n = {0, 6};
    auto run = prepare<double>(vjp(attention(q, k, v, key_lengths(lengths)), wrt(q, k, v), dy), q = o.q, k = o.k,
                               v = o.v, dy = o.dy, lengths = n);
    run();
    auto const zero = [](auto const& x) {
        for (double d : x[0].span()) CHECK(d == 0);
    };
    zero(run.output<0>()), zero(run.gradient(q)), zero(run.gradient(k)), zero(run.gradient(v));
    CHECK(run.gradient(q)(1, 0, 0, 0) != 0);
    n = {7, 6};
    CHECK_THROWS_AS(run(), failure);
}

TEST_CASE("attention: added scores of any stretched shape") {
    struct shape_of_mask { index_t sequences, heads, rows; };
    for (auto const& s : {shape_of_mask{2, 3, 67}, {1, 1, 1}, {2, 1, 1}, {1, 3, 67}, {1, 3, 1}, {2, 1, 67}}) {
        operands o({2, 3, 67, 70});
        tensor<double, any, any, any, any> M(s.sequences, s.heads, s.rows, 70);
        filled{}(M);
        M(0, 0, 0, 2) = -std::numeric_limits<double>::infinity();
        for (index_t b = 0; b < 2; ++b)
            for (index_t h = 0; h < 3; ++h)
                for (index_t i = 0; i < 67; ++i)
                    for (index_t j = 0; j < 70; ++j)
                        o.mask(b, h, i, j) = std::max(M(std::min(b, s.sequences - 1), std::min(h, s.heads - 1),
                                                        std::min(i, s.rows - 1), j), -1e30);
        auto run = prepare<double>(vjp(attention(q, k, v, added_scores(m)), wrt(q, k, v), dy), q = o.q, k = o.k,
                                   v = o.v, dy = o.dy, m = M);
        run();
        CHECK(distance(results(run), expected(o)) < 1e-13);
    }
}

TEST_CASE("attention: with lengths, added scores and causality at once") {
    operands o({2, 2, 66, 66});
    tensor<double, any, any, any, any> M(1, 2, 66, 66);
    tensor<std::int32_t, any> n(2);
    filled{}(M), n = {65, 40};
    for (index_t b = 0; b < 2; ++b) o.mask.all()[b] = M.all()[0];
    o.hide([&](index_t b, index_t i, index_t j) { return j > i || j >= n(b); });
    auto run = prepare<double>(vjp(attention<causal>(q, k, v, key_lengths(lengths), added_scores(m)), wrt(q, k, v), dy),
                               q = o.q, k = o.k, v = o.v, dy = o.dy, lengths = n, m = M);
    run();
    CHECK(distance(results(run), expected(o)) < 1e-13);
}

TEST_CASE("attention: gradients agree with central differences, also where q is k is v") {
    operands o({1, 2, 6, 6});
    constexpr auto loss = mean(square(attention(q, k, v) - 0.1));
    auto one = prepare<double>(loss, q = o.q, k = o.k, v = o.v);
    auto run = prepare<double>(gradient(loss, wrt(q, k, v)), q = o.q, k = o.k, v = o.v);
    run();
    CHECK(off_differences(one, o.q, run.gradient(q)) <= 1);
    CHECK(off_differences(one, o.k, run.gradient(k)) <= 1);
    CHECK(off_differences(one, o.v, run.gradient(v)) <= 1);
    constexpr auto self = mean(square(attention<causal>(q, q, q) - 0.1));
    auto two = prepare<double>(self, q = o.q);
    auto pull = prepare<double>(gradient(self, wrt(q)), q = o.q);
    pull();
    CHECK(off_differences(two, o.q, pull.gradient(q)) <= 1);
}

TEST_CASE("attention: memory does not grow with the square of the rows; threads change no bit") {
    constexpr auto planned = [](index_t rows) {
        return bytes<double>(function(vjp(attention(q, k, v), wrt(q, k, v), dy)), q = sizes_t{4, {2, 2, rows, head}},
                             k = sizes_t{4, {2, 2, rows, head}}, v = sizes_t{4, {2, 2, rows, head}},
                             dy = sizes_t{4, {2, 2, rows, head}});
    };
    static_assert(planned(2000) < 11 * planned(200));
    operands o({2, 3, 70, 90});
    thread_pool pool(3);
    auto one = prepare<double>(vjp(attention(q, k, v), wrt(q, k, v), dy), q = o.q, k = o.k, v = o.v, dy = o.dy);
    auto many = prepare_on<double>(pool.handle(nullptr, 0), vjp(attention(q, k, v), wrt(q, k, v), dy), q = o.q, k = o.k,
                                   v = o.v, dy = o.dy);
    one(), many();
    CHECK(results(one) == results(many));
}
