// SPDX-License-Identifier: Apache-2.0
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/strategy_rig.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>

using namespace graft;
using namespace graft_test;

namespace graft_test {
extern std::atomic<long> allocations;
}

namespace {

constexpr double scale = 1.0 / 9;  // one over the targets of a sample

/// The rig of a strategy and a block that are types.
template <class Block, class Strategy, class T>
struct fixed_rig : rig<T, Block, Strategy, adamw> {
    using base = rig<T, Block, Strategy, adamw>;

    static typename base::trainer_type::settings settings(Strategy s, index_t lanes, unsigned targets) {
        typename base::trainer_type::settings how;
        how.tokens = 12, how.rank = 3, how.alpha = 5, how.lanes = lanes, how.strategy = s, how.targets = targets;
        return how;
    }
    explicit fixed_rig(Strategy s, format const& f = f32, model_config c = tiny_config(), workers on = {},
                       unsigned targets = all_targets)
        : base(settings(s, on.count, targets), c, on, f) {}
};

template <class Block, class Strategy>
void check_differences(Strategy s, format const& f, model_config c) {
    fixed_rig<Block, Strategy, double> r(s, f, c);
    sample const data;
    std::vector<double> g;
    r.gradients(g);
    auto const p = r.t.parameters();
    double worst = 0;
    for (std::size_t i = 0; i < p.size(); i += 7) {
        double const w = p[i], e = 1e-5;
        p[i] = w + e;
        double const above = r.t.evaluate(data.view()) * scale;
        p[i] = w - e;
        double const below = r.t.evaluate(data.view()) * scale;
        p[i] = w;
        double const numeric = (above - below) / (2 * e);
        worst = std::max(worst, std::abs(numeric - g[i]) / (1e-8 + 1e-6 * std::abs(g[i])));
    }
    CHECK(worst <= 1);
}

}  // namespace

TEST_CASE("trainer: gradients of a two-block model agree with central differences") {
    auto c = tiny_config();
    SUBCASE("llama, full") { check_differences<llama<lora>>(full{}, f32, c); }
    SUBCASE("llama, mesp in one phase") { check_differences<llama<lora>>(mesp{}, f32, c); }
    SUBCASE("llama, mesp in two phases by tiles") { check_differences<llama<lora>>(mesp{4, phases::two}, f32, c); }
    SUBCASE("llama, interleaved pairs, q4_0 weights") {
        c.pairing = rope_pairing::interleaved;
        check_differences<llama<lora>>(mesp{4}, q4_0, c);
    }
    SUBCASE("qwen2, untied head, q8_0 weights") {
        c.tied_head = false, c.qkv_bias = true, c.arch = architecture::qwen2;
        check_differences<qwen2<lora>>(mesp{5}, q8_0, c);
    }
}

TEST_CASE_TEMPLATE("trainer: every schedule gives the gradients of full", T, double, float) {
    double const tolerance = sizeof(T) == 8 ? 1e-10 : 1e-5;
    std::vector<T> expected, got;
    double const loss = fixed_rig<llama<lora>, full, T>(full{}).gradients(expected);
    for (phases p : {phases::one, phases::two})
        for (index_t tile : {0, 1, 4, 5, 12}) {
            CAPTURE(tile);
            CHECK(fixed_rig<llama<lora>, mesp, T>(mesp{tile, p}).gradients(got) == doctest::Approx(loss).epsilon(1e-6));
            CHECK(distance(got, expected) <= tolerance);
        }
    fixed_rig<llama<lora>, mesp, T>(mesp{0, phases::one}).gradients(expected);
    fixed_rig<llama<lora>, mesp, T>(mesp{0, phases::two}).gradients(got);
    CHECK(got == expected);  // the same sums in the same order
}

TEST_CASE("trainer: the order of the sequences in a batch does not matter") {
    fixed_rig<llama<lora>, mesp, double> r(mesp{});
    sample s;
    std::vector<double> together, apart;
    r.gradients(together);
    double loss = 0;
    for (std::size_t k : {1u, 0u}) {  // each alone, the second first
        std::size_t const first = k ? 7 : 0, count = k ? 5 : 7;
        index_t const start = 0;
        loss += r.t.accumulate(
            {std::span(s.ids).subspan(first, count), std::span(s.targets).subspan(first, count), {&start, 1}},
            scale);
    }
    apart.assign(r.t.accumulated().begin(), r.t.accumulated().end());
    CHECK(loss == doctest::Approx(r.t.evaluate(s.view())).epsilon(1e-12));
    CHECK(distance(apart, together) <= 1e-12);
}

TEST_CASE("trainer: results do not depend on the number of lanes") {
    thread_pool pool(2);
    std::vector<float> one, two;
    double const a = fixed_rig<llama<lora>, mesp, float>(mesp{4}).gradients(one);
    double const b =
        fixed_rig<llama<lora>, mesp, float>(mesp{4}, f32, tiny_config(), pool.handle(nullptr, 0)).gradients(two);
    CHECK(a == b);
    CHECK(one == two);
}

TEST_CASE("trainer: only chosen maps carry adapters, and the others change nothing") {
    fixed_rig<llama<lora>, mesp, double> some(mesp{}, f32, tiny_config(), {},
                                              target_bit("q_proj") | target_bit("v_proj"));
    fixed_rig<llama<lora>, full, double> same(full{}, f32, tiny_config(), {},
                                              target_bit("q_proj") | target_bit("v_proj"));
    std::vector<double> a, b;
    some.gradients(a), same.gradients(b);
    CHECK(a.size() == 2 * 3 * ((32 + 32) + (32 + 16)));
    CHECK(distance(a, b) <= 1e-10);
}

TEST_CASE("trainer: the plan is the high-water mark to the byte, and nothing is written beyond it") {
    auto const check = [](auto strategy, index_t tile) {
        CAPTURE(tile);
        using R = fixed_rig<llama<lora>, decltype(strategy), float>;
        R r(strategy);
        std::vector<float> g;
        sample s;
        for (int& x : s.targets) x = std::max(x, 0);  // every row has a target: the plan is for the worst batch
        r.t.accumulate(s.view(), scale);
        r.t.apply(1e-3);
        CHECK(r.t.high_water() == r.t.memory().total());
        CHECK(static_cast<index_t>(r.memory.span.size()) == r.t.memory().total());
        index_t last = r.t.memory().total();  // what was really written: the last byte that is no longer poison
        while (last > 0 && r.memory.span[static_cast<std::size_t>(last - 1)] == std::byte{0xff}) --last;
        CHECK(round_up(last, buffer_alignment) == r.t.memory().total());
        for (auto p = r.memory.span.data() + r.memory.span.size(); p < r.memory.bytes.data() + r.memory.bytes.size();
             ++p)
            CHECK(*p == std::byte{0xff});
    };
    check(full{}, 0);
    for (phases p : {phases::one, phases::two})
        for (index_t tile : {0, 4}) check(mesp{tile, p}, tile);
}

TEST_CASE("trainer: no step takes memory from the heap") {
    thread_pool pool(2);
    fixed_rig<qwen2<lora>, mesp, float> r(mesp{4}, q4_0, [] {
        auto c = tiny_config();
        c.qkv_bias = true, c.arch = architecture::qwen2;
        return c;
    }(), pool.handle(nullptr, 0));
    sample const s;
    r.t.accumulate(s.view(), scale), r.t.apply(1e-3);
    long const before = allocations;
    for (int k = 0; k < 3; ++k) {
        r.t.accumulate(s.view(), scale);
        r.t.accumulate(s.view(), scale);
        r.t.apply(1e-3);
        r.t.evaluate(s.view());
    }
    CHECK(allocations == before);
}

TEST_CASE("trainer: accumulated batches are one large batch, and training lowers the loss") {
    fixed_rig<llama<lora>, mesp, double> r(mesp{});
    sample const s;
    std::vector<double> once;
    r.gradients(once);
    r.t.accumulate(s.view(), scale / 2), r.t.accumulate(s.view(), scale / 2);
    CHECK(distance(std::vector<double>(r.t.accumulated().begin(), r.t.accumulated().end()), once) <= 1e-12);
    r.t.discard();
    double const before = r.t.evaluate(s.view());
    for (int k = 0; k < 30; ++k) {
        r.t.accumulate(s.view(), scale);
        CHECK(r.t.apply(1e-2).finite);
    }
    CHECK(r.t.evaluate(s.view()) < 0.5 * before);
    CHECK(r.t.steps() == 30);
}

TEST_CASE("trainer: a gradient that is not finite changes nothing") {
    fixed_rig<llama<lora>, mesp, float> r(mesp{});
    sample const s;
    r.t.accumulate(s.view(), std::numeric_limits<double>::infinity());
    std::vector<float> const before(r.t.parameters().begin(), r.t.parameters().end());
    CHECK(!r.t.apply(1e-2).finite);
    CHECK(std::vector<float>(r.t.parameters().begin(), r.t.parameters().end()) == before);
    CHECK(r.t.steps() == 0);
    r.t.accumulate(s.view(), scale);
    CHECK(r.t.apply(1e-2).finite);
}

TEST_CASE("trainer: batches that cannot be are refused") {
    fixed_rig<llama<lora>, mesp, double> r(mesp{});
    sample const s;
    std::vector<index_t> const backwards{0, 7, 3}, beyond{0, 12};
    CHECK_THROWS_AS(r.t.accumulate({}, 1), failure);
    CHECK_THROWS_AS(r.t.accumulate({s.ids, s.targets, backwards}, 1), failure);
    CHECK_THROWS_AS(r.t.accumulate({s.ids, s.targets, beyond}, 1), failure);
    CHECK_THROWS_AS(r.t.apply(1e-3), failure);
    using trainer_type = trainer<llama<lora>, mesp, adamw, double>;
    auto small = r.how;
    std::vector<std::byte> few(64);
    CHECK_THROWS_AS(trainer_type(r.m.net, small, few), failure);
}

TEST_CASE("trainer: a fresh adapter leaves the model as it was") {
    fixed_rig<llama<lora>, mesp, double> with(mesp{}), without(mesp{}, f32, tiny_config(), {}, 0);
    with.t.start(1);
    sample const s;
    CHECK(with.t.evaluate(s.view()) == doctest::Approx(without.t.evaluate(s.view())).epsilon(1e-14));
}

TEST_CASE("trainer: the memory of a step is a constant") {
    constexpr auto c = [] {
        model_config m;
        m.layers = 2, m.width = 64, m.heads = 4, m.kv_heads = 2, m.head = 16, m.hidden = 176, m.vocabulary = 512;
        return m;
    }();
    using t = trainer<llama<lora>, mesp, sgd>;
    constexpr auto plan = t::memory_plan(c, [] {
        t::settings s;
        s.tokens = 32, s.rank = 4, s.strategy = {16, phases::two};
        return s;
    }());
    static_assert(plan.optimizer == 0 && plan.kept == 0 && plan.checkpoints == 2 * 32 * 64 * 4);
    static_assert(plan.total() < 400 * 1024);
}
