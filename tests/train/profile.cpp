// SPDX-License-Identifier: Apache-2.0
#include <graft/block/qwen2.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/step_work.hpp>

#include <tests/support/strategy_rig.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>

using namespace graft;
using namespace graft_test;

namespace {

/// Every look at it takes a second.
struct counting_clock {
    std::atomic<int> looks{0};
    std::array<lane_time, 2> lanes{};
    step_profile table{[](void* self) { return static_cast<double>(static_cast<counting_clock*>(self)->looks++); },
                       this, lanes};
    double of(work_kind k, step_part p) const { return table.of(k, p).seconds; }
};

void step(auto& t, sample const& s) {
    t.accumulate(s.view(), s.scale);
    t.apply(1e-2);
}

}  // namespace

TEST_CASE("profile: the entries add up to every tick of a step, and to the multiply-adds that the schedules say") {
    auto c = deep_config();
    c.vocabulary = 64;
    struct trial {
        any_strategy strategy;
        bool recomputes;
    };
    for (trial const& each : {trial{mesp{}, true}, trial{mesp{4, phases::two}, true}, trial{mesp{.every = 2}, true},
                              trial{full{}, false}}) {
        auto how = any_settings(each.strategy);
        how.max_grad_norm = 1;
        rig<float> r(how, c, {}, q4_0);
        counting_clock clock;
        r.t.watch(&clock.table);
        auto const data = sample::of(12, 12);
        step(r.t, data);
        auto const all = clock.table.total();
        CHECK(all.seconds + 2 == clock.looks);  // all but the first look, and the one between the two calls
        auto const work = step_work<llama<lora>>(c, how);
        CHECK(clock.table.total(step_part::head).multiply_adds == work.head);
        CHECK(all.multiply_adds == doctest::Approx(work.total()).epsilon(1e-12));
        for (auto const kind : {work_kind::frozen, work_kind::adapters, work_kind::attention, work_kind::norms,
                                work_kind::rope, work_kind::swiglu})
            for (auto const part : {step_part::forward, step_part::backward}) {
                CAPTURE(name_of(kind));
                CHECK(clock.of(kind, part) > 0);
                CHECK(clock.table.of(kind, part).calls > 0);
            }
        CHECK((clock.table.total(step_part::recomputed).multiply_adds > 0) == each.recomputes);
        CHECK(clock.of(work_kind::sums, step_part::forward) > 0);
        CHECK(clock.of(work_kind::cross_entropy, step_part::head) > 0);
        CHECK(clock.of(work_kind::frozen, step_part::head) > 0);
        CHECK(clock.table.of(work_kind::optimizer, step_part::update).calls == c.layers);
        CHECK(clock.table.of(work_kind::gradient_norm, step_part::update).calls == c.layers);
        CHECK(clock.table.of(work_kind::frozen, step_part::backward).packing > 0);
        CHECK(clock.table.of(work_kind::norms, step_part::forward).bytes >= 5 * 2 * 12 * 2 * 32 * 4);
    }
}

TEST_CASE("profile: it changes no bit, records no evaluation, and can be taken away") {
    thread_pool pool(2);
    auto how = any_settings(mesp{});
    how.lanes = 2;
    rig<float> plain(how, deep_config(), pool.handle(nullptr, 0), q4_0);
    rig<float> watched(how, deep_config(), pool.handle(nullptr, 0), q4_0);
    counting_clock clock;
    watched.t.watch(&clock.table);
    watched.t.evaluate(sample{}.view());
    CHECK(clock.table.total().calls == 0);
    CHECK(clock.table.total().seconds == 0);
    for (int i = 0; i < 2; ++i) step(plain.t, {}), step(watched.t, {});
    CHECK(clock.table.total(work_kind::other).packing == 0);
    CHECK(plain.parameters() == watched.parameters());
    CHECK(clock.table.total().calls > 0);
    watched.t.watch(static_cast<step_profile*>(nullptr));
    int const looks = clock.looks;
    step(watched.t, {});
    CHECK(clock.looks == looks);
}

TEST_CASE("profile: fused updates, estimates and DoRA are counted too") {
    counting_clock clock;
    SUBCASE("fused") {
        auto how = any_settings(mesp{});
        how.updates = updating::fused;
        rig<float> r(how);
        r.t.watch(&clock.table);
        sample const s;
        r.t.update(s.view(), s.scale, 1e-2);
        CHECK(clock.table.of(work_kind::optimizer, step_part::update).calls == 5);
        CHECK(clock.table.of(work_kind::gradient_norm, step_part::update).calls == 5);
    }
    SUBCASE("estimates") {
        rig<float> r(any_settings(zeroth_order{}));
        r.t.watch(&clock.table);
        step(r.t, {});
        CHECK(clock.table.total(step_part::backward).calls == 0);
        CHECK(clock.table.of(work_kind::optimizer, step_part::update).calls == 5);
    }
    SUBCASE("dora with biases") {
        auto how = any_settings(mesp{});
        how.norm = adapter_norm::detached;
        auto c = deep_config();
        c.arch = architecture::qwen2, c.qkv_bias = true;
        rig<float, qwen2<dora>> r(how, c);
        r.t.watch(&clock.table);
        step(r.t, {});
        CHECK(clock.table.of(work_kind::sums, step_part::forward).calls == 5 * 5);  // two streams, three biases
    }
    CHECK(clock.table.total().seconds > 0);
}
