// SPDX-License-Identifier: Apache-2.0
// DoRA's rule alone and inside small blocks: both modes against differences, norms without forming W + s B A, plans.
#include <graft/block/llama.hpp>
#include <graft/strategy/checkpoint.hpp>
#include <graft/strategy/mesp_published.hpp>
#include <graft/strategy/zeroth_order.hpp>

#include <tests/support/adapted_map.hpp>
#include <tests/support/bench_top.hpp>

using namespace graft_test;

namespace {

using map_in_double = adapted_map<dora_map, double>;
using enum adapter_norm;

double norm_of_row(auto const& r, index_t o) {
    double sum = 0;
    for (index_t i = 0; i < r.is.in; ++i) sum += r.dense(o, i) * r.dense(o, i);
    return std::sqrt(sum);
}

}  // namespace

TEST_CASE("dora: the pull agrees with differences in both modes, with bias, dropout, offset, in f32 and q4_0") {
    for (map_case const& c : map_cases({detached, attached})) {
        INFO(c.text());
        map_in_double r(c);
        r.forward(), r.pull();
        auto const loss = [&] { return r.loss(); };
        CHECK(agree(r.dx, differences(r.x, loss)));
        CHECK(agree(r.dA, differences(r.A, loss)));
        CHECK(agree(r.dB, differences(r.B, loss)));
        CHECK(agree(r.dm, differences(r.m, loss)));
    }
}

TEST_CASE_TEMPLATE("dora: norms are those of the dense rows, which are never formed", T, float, double) {
    for (map_case const& c : map_cases({detached})) {
        INFO(c.text());
        adapted_map<dora_map, T> r(c);
        for (index_t o = 0; o < c.out; ++o)
            CHECK(static_cast<double>(r.k[static_cast<std::size_t>(o)]) ==
                  doctest::Approx(static_cast<double>(r.m(o, 0)) / norm_of_row(r, o))
                      .epsilon(std::is_same_v<T, float> ? 1e-6 : 1e-13));
    }
}

TEST_CASE_TEMPLATE("dora: factors in the packing are factors of the result, for every format", T, float, double) {
    double const off = std::is_same_v<T, float> ? 1e-5 : 1e-13;
    for (auto const& f : formats) {
        if (!encodes(*f.how)) continue;
        INFO(f.how->name);
        map_case const c{.how = f.how, .bias = true, .norm = detached, .rows = 9, .in = 288, .out = 53};
        adapted_map<dora_map, T> r(c);
        adapted_map<lora_map, T> plain(c);
        r.forward(), r.pull();
        plain.w.b = nullptr;
        plain.forward();
        grid<T> expected(c.rows, c.out), scaled = r.g;
        for (index_t i = 0; i < c.rows; ++i)
            for (index_t o = 0; o < c.out; ++o) {
                T const k = r.k[static_cast<std::size_t>(o)];
                expected(i, o) = k * plain.y(i, o) + static_cast<T>(r.bias[static_cast<std::size_t>(o)]);
                scaled(i, o) *= k;
            }
        plain.g = scaled, plain.pull();
        CHECK(distance(r.y, expected, off, off) <= 1);
        CHECK(distance(r.dx, plain.dx, off, off) <= 1);
        CHECK(distance(r.dA, plain.dA, 10 * off, off) <= 1);
        CHECK(distance(r.dB, plain.dB, 10 * off, off) <= 1);
    }
}

TEST_CASE("dora: it starts as the frozen map, with B = 0 or with an offset that is the adapter") {
    for (bool const offset : {false, true}) {
        map_case const c{.how = &q4_0, .bias = true, .offset = offset, .norm = detached, .rows = 9};
        map_in_double r(c), frozen(c);
        for (index_t o = 0; o < c.out; ++o)
            for (index_t j = 0; j < c.rank; ++j) offset ? r.B0(o, j) = r.B(o, j) : r.B(o, j) = 0;
        if (offset) r.A0 = r.A, r.w.A0 = r.A0.view(), r.w.B0 = r.B0.view();
        r.measure();
        auto space = scratch<double>(norm_scratch<double>(c.in, c.out, c.rank));
        start_magnitudes(r.w, r.n, workspace<double>{space.data(), &r.on}, r.on);
        for (index_t o = 0; o < c.out; ++o) {
            CHECK(r.k[static_cast<std::size_t>(o)] == 1);
            CHECK(r.m(o, 0) == doctest::Approx(norm_of_row(r, o)).epsilon(1e-13));
        }
        frozen.w.A = frozen.w.B = {};
        r.forward(), frozen.forward();
        CHECK(distance(r.y, frozen.y, 1e-12, 1e-12) <= 1);
    }
}

TEST_CASE("dora: without a norm it is LoRA, bit for bit") {
    for (map_case const& c : map_cases({none})) {
        INFO(c.text());
        adapted_map<dora_map, float> d(c);
        adapted_map<lora_map, float> l(c);
        d.forward(), d.pull(), l.forward(), l.pull();
        CHECK(same_bits(d.y, l.y));
        CHECK(same_bits(d.dx, l.dx));
        CHECK(same_bits(d.dA, l.dA));
        CHECK(same_bits(d.dB, l.dB));
    }
}

TEST_CASE("dora: magnitudes of 0 and rows of zeros divide nothing") {
    for (adapter_norm const norm : {detached, attached}) {
        map_case const c{.bias = true, .norm = norm};
        map_in_double r(c);
        r.m(1, 0) = 0;
        for (index_t j = 0; j < c.rank; ++j) r.B(2, j) = 0;
        std::fill_n(r.stored.begin() + 2 * r.w.W.row_bytes, r.w.W.row_bytes, std::byte{0});
        r.measure();
        CHECK(r.k[1] == 0);
        CHECK(r.k[2] == 0);
        r.forward(), r.pull();
        CHECK(r.dm(1, 0) == 0);
        for (auto const* g : {&r.y, &r.dx, &r.dA, &r.dB, &r.dm})
            for (index_t i = 0; i < g->rows; ++i)
                for (index_t j = 0; j < g->columns; ++j) REQUIRE(std::isfinite((*g)(i, j)));
        CHECK(std::abs(r.dm(0, 0)) > 0);
    }
}

TEST_CASE("dora: tiles of 64 rows give the bits of all rows at once; attached, the same but for rounding") {
    for (map_case c : map_cases({detached, attached})) {
        INFO(c.text());
        c.rows = 150;
        map_in_double whole(c), tiles(c);
        whole.forward(), whole.pull();
        tiles.forward(64), tiles.pull(64);
        CHECK(same_bits(tiles.y, whole.y));
        CHECK(same_bits(tiles.dx, whole.dx));
        CHECK(same_bits(tiles.dm, whole.dm));
        CHECK((c.norm == attached || same_bits(tiles.dA, whole.dA)));
        CHECK((c.norm == attached || same_bits(tiles.dB, whole.dB)));
        CHECK(distance(tiles.dA, whole.dA, 1e-11, 1e-11) <= 1);
        CHECK(distance(tiles.dB, whole.dB, 1e-11, 1e-11) <= 1);
    }
}

// ---------------------------------------------------------------------------------------------------- inside a block
namespace {

template <label N> inline constexpr frozen<N, width, width> F{};
inline constexpr stream<width> x{};

struct block {
    using sizes = transformer_sizes;
    static constexpr dora<"q_proj", width, width, bias::present> L{};
};
struct at_the_end : block { static constexpr auto equations = residual(L(F<"a">(x))); };
struct between : block { static constexpr auto equations = residual(F<"b">(silu(L(F<"a">(x))))); };
struct before_a_stage : block {
    static constexpr auto equations = residual(L(F<"a">(x))) >> residual(F<"b">(silu(F<"c">(x))));
};

constexpr transformer_sizes with_norm(adapter_norm norm, transformer_sizes n = bench_sizes) {
    n.norm = norm;
    return n;
}

template <class Block>
void check_block(auto strategy) {
    for (adapter_norm const norm : {detached, attached}) {
        bench_top<Block> b(strategy, with_norm(norm));
        auto& w = b.weights.template of<decltype(Block::L)>();
        b.pull();
        auto const gradient = b.gradient, trained = b.gradients;
        CHECK(b.worst(b.entry, gradient) <= 1);
        if (norm == attached) CHECK(b.worst(b.adapters, trained) <= 1);
        bench_top<Block> other(full{}, with_norm(norm));
        other.pull();
        for (std::size_t i = 0; i < gradient.size(); ++i)
            CHECK(gradient[i] == doctest::Approx(other.gradient[i]).epsilon(1e-11));
        for (std::size_t i = 0; i < trained.size(); ++i)
            CHECK(trained[i] == doctest::Approx(other.gradients[i]).epsilon(1e-11));
        CHECK(w.dm.data[0] != 0);
    }
}

template <class Strategy>
void check_same_plan(Strategy s) {
    using D = machine<llama<dora>, float>;
    using L = machine<llama<lora>, float>;
    transformer_sizes const n{
        .tokens = 130, .width = 64, .heads = 4, .kv_heads = 2, .head = 16, .hidden = 96, .rank = 4};
    for (block_role const role : {block_role{true, true}, block_role{true, false}, block_role{false, true}}) {
        auto const d = make_plan(D::code, make_schedule(D::code, s, n, role), n, {4, 2});
        auto const l = make_plan(L::code, make_schedule(L::code, s, n, role), n, {4, 2});
        CHECK(d.scratch_bytes == l.scratch_bytes);
        CHECK(d.kept_bytes == l.kept_bytes);
        REQUIRE(d.size == l.size);
        REQUIRE(d.count == l.count);
        for (index_t e = 0; e < d.size; ++e) {
            CHECK(static_cast<event const&>(d.at(e)).what == l.at(e).what);
            CHECK(d.at(e).step == l.at(e).step);
            CHECK(d.at(e).in == l.at(e).in);
            CHECK(d.at(e).din == l.at(e).din);
            CHECK(d.at(e).value == l.at(e).value);
        }
        for (index_t b = 0; b < d.count; ++b) CHECK(d.of(b).offset == l.of(b).offset);
    }
}

}  // namespace

TEST_CASE_TEMPLATE("dora: what the pull reads of a value is there, under every strategy", Block, at_the_end, between,
                   before_a_stage) {
    check_block<Block>(full{});
    check_block<Block>(checkpoint{});
    check_block<Block>(mesp_published{});
    for (mesp s : {mesp{0, phases::one}, mesp{0, phases::two}, mesp{2, phases::one}, mesp{4, phases::two},
                   mesp{0, phases::one, 1, ~step_set{0}}})
        check_block<Block>(s);
}

TEST_CASE("dora: without a norm, a block's schedule and plan are LoRA's") {
    check_same_plan(full{});
    check_same_plan(checkpoint{});
    check_same_plan(mesp_published{});
    check_same_plan(mesp{64, phases::two});
    check_same_plan(mesp{0, phases::one});
    check_same_plan(inference{});
    check_same_plan(zeroth_order{});
}

TEST_CASE("dora: work counts the two products of an attached norm, and not n, which an update finds") {
    using dora_rule = rule<dora_map>;
    task const t{10, 32, 7, 3, true, true, true};
    double const plain = rule<lora_map>::work(transformer_sizes{}, t);
    CHECK(dora_rule::work(with_norm(none), t) == plain);
    CHECK(dora_rule::work(with_norm(detached), t) == plain);
    CHECK(dora_rule::work(with_norm(attached), t) == plain + 2 * 32 * 7 * 3);
    CHECK(dora_rule::work(with_norm(attached), task{10, 32, 7, 3, true, false, true}) ==
          rule<lora_map>::work(transformer_sizes{}, task{10, 32, 7, 3, true, false, true}));
}
