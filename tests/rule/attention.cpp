// SPDX-License-Identifier: Apache-2.0
// Attention's weights kept from forward to pull, or computed again: the same block, run by the machine.
#include <graft/rule/rules.hpp>

#include <tests/support/bench_top.hpp>
#include <tests/support/grid.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

namespace {

struct block {
    using sizes = transformer_sizes;
    static constexpr stream<width> x{};
    static constexpr auto q = frozen<"q", q_width, width>{}(x);
    static constexpr auto k = frozen<"k", kv_width, width>{}(x);
    static constexpr auto v = frozen<"v", kv_width, width>{}(x);
    static constexpr auto equations = residual(frozen<"o", width, q_width>{}(attend(q, k, v)));
};

constexpr transformer_sizes stored_sizes() {
    transformer_sizes n = bench_sizes;
    n.stored_weights = true;
    return n;
}

/// What the block returns, and the gradient of its input, for the first `rows` rows of a bench.
struct results {
    std::vector<double> exit, gradient;
    index_t reached = 0, planned = 0;
};

template <class Strategy>
results run(bench_top<block>& b, transformer_sizes const& n, Strategy s, index_t rows) {
    using runs = machine<block, double>;
    auto const plan =
        make_plan(runs::code, make_schedule(runs::code, s, n), n, {sizeof(double), 1, answers_of(s).in_place});
    typename runs::packed const packed(plan);
    poisoned_memory const memory(plan.scratch_bytes + plan.kept_bytes + 64);
    auto const count = static_cast<std::size_t>(rows * n.width);
    std::vector<double> entry(b.entry.begin(), b.entry.begin() + rows * n.width);
    results r{std::vector<double>(count), {b.cotangent.begin(), b.cotangent.begin() + rows * n.width}};
    r.planned = plan.scratch_bytes;
    runs::place p{n,
                  b.around,
                  b.weights,
                  b.on,
                  packed.view(),
                  rows,
                  memory.span.data(),
                  memory.span.data() + plan.scratch_bytes,
                  entry.data(),
                  r.exit.data(),
                  r.gradient.data()};
    p.reached = &r.reached;
    runs::forward(p);
    runs::backward(p);
    for (index_t i = 0; i < 64; ++i)
        CHECK(memory.span[static_cast<std::size_t>(plan.scratch_bytes + plan.kept_bytes + i)] == std::byte{0xff});
    return r;
}

double farthest(std::vector<double> const& a, std::vector<double> const& b) {
    double off = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) off += (a[i] - b[i]) * (a[i] - b[i]), size += b[i] * b[i];
    return std::sqrt(off / size);
}

}  // namespace

TEST_CASE("attend: weights kept or computed again, the same values and gradients, in smaller batches too") {
    bench_top<block> b(full{});
    for (index_t const rows : {index_t{1}, index_t{4}, index_t{7}, bench_sizes.tokens}) {
        CAPTURE(rows);
        auto const check = [&](auto s) {
            results const again = run(b, bench_sizes, s, rows), kept = run(b, stored_sizes(), s, rows);
            CHECK(farthest(kept.exit, again.exit) <= 1e-10);
            CHECK(farthest(kept.gradient, again.gradient) <= 1e-10);
            CHECK(kept.reached == kept.planned);
        };
        check(full{});
        check(mesp{0, phases::one});
        check(mesp{4, phases::two});
    }
}

TEST_CASE("attend: kept weights are heads numbers for every pair of planned tokens") {
    using attention = rule<attend_>;
    static_assert(attention::residue(bench_sizes) == bench_sizes.heads);
    static_assert(attention::residue(stored_sizes()) == bench_sizes.heads * bench_sizes.tokens);
    attention_shape const shape{bench_sizes.heads, bench_sizes.kv_heads, bench_sizes.head};
    for (index_t const rows : {index_t{1}, index_t{9}, index_t{300}}) {
        transformer_sizes n = stored_sizes();
        n.cached = 1000;
        index_t const forward = attention::scratch<float>(n, {rows, 2, 0, false});
        CHECK(forward >= attention_stored_scratch<float>(shape, rows, rows, 2));
        CHECK(forward >= attention_scratch<float>(shape, rows, 1000 + rows, 2));  // a cache may be given all the same
        CHECK(attention::scratch<float>(n, {rows, 2, 0, true}) ==
              attention_stored_pull_scratch<float>(shape, rows, rows, 2));
    }
}

TEST_CASE("attend: with a cache, kept weights are not asked for") {
    constexpr index_t rows = 5, width = 24, kv_width = 12;
    grid<double> q(rows, width, 1, 1.0), k(rows, kv_width, 2, 1.0), v(rows, kv_width, 3, 1.0);
    grid<double> all(rows, width), residue(rows, stored_sizes().heads * stored_sizes().tokens);
    surroundings<double> around;
    std::vector<double> past(static_cast<std::size_t>(2 * rows * kv_width));
    struct none {} const no_weights;
    workers const on;
    transformer_sizes n = stored_sizes();
    n.cached = rows;
    auto space = scratch<double>(rule<attend_>::scratch<double>(n, {rows, 1, 0, false}) + 1);
    auto const forward = [&](grid<double>& to, index_t first, index_t count) {
        rule<attend_>::forward(here<double, transformer_sizes, none>{n, around, no_weights, {space.data(), &on}, on, {},
                                                                     residue.view().slice(0, count), 0},
                               to.view().slice(first, count), q.view().slice(first, count),
                               k.view().slice(first, count), v.view().slice(first, count));
    };
    forward(all, 0, rows);
    grid<double> steps(rows, width);
    residue = grid<double>(rows, residue.columns);
    for (index_t i = 0; i < rows; i += 2) {
        around.cache = {past.data(), past.data() + rows * kv_width, i, rows};
        forward(steps, i, std::min<index_t>(2, rows - i));
    }
    CHECK(distance(steps, all, 1e-12, 1e-12) <= 1);
    CHECK(std::isnan(space.back()));
    bool untouched = true;
    for (index_t i = 0; i < rows; ++i)
        for (index_t j = n.heads; j < residue.columns; ++j) untouched = untouched && std::isnan(residue(i, j));
    CHECK(untouched);
}
