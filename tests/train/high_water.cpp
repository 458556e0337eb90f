// SPDX-License-Identifier: Apache-2.0
// The memory of a step is its plan to the byte, for every strategy, precision and way to update; no step allocates.
#include <graft/parallel/thread_pool.hpp>

#include <tests/support/strategy_rig.hpp>

#include <atomic>

using namespace graft;
using namespace graft_test;

namespace graft_test {
extern std::atomic<long> allocations;
}

namespace {

constexpr auto exact = unselected_gradient::exact;

std::vector<any_strategy> all_strategies() {
    mesp some{4, phases::two, 1, 0x1b55};
    std::vector<any_strategy> all{full{}, checkpoint{}, checkpoint{true}, mesp_published{}, mesp_published{false}, some,
                                  rematerialised{{4, phases::two}, {4, phases::two, 1, 0x2a}, 3, 1, 4},
                                  rematerialised{{}, {0, phases::one, 1, 0x1555}, 2, 2},
                                  zeroth_order{2, 1e-3}, zeroth_order{1, 1e-3, true, 4}, inference{},
                                  lcsb<cyclic_strided>{{2}}, lcsb<cyclic_contiguous, full>{{2}},
                                  lcsb<random_layers>{{2}, {4, phases::two, 2}}, lcsb<by_importance, checkpoint>{{2}},
                                  lcsb<top_layers, mesp_published>{{3}}, lcsb<cyclic_strided, full>{{2}, {}, exact},
                                  lcsb<random_layers>{{3}, some, exact}};
    for (phases p : {phases::one, phases::two})
        for (index_t tile : {0, 4})
            for (index_t every : {1, 2, 3}) all.push_back(mesp{tile, p, every});
    return all;
}

/// Every combination of what a step's memory depends on: what(name, settings).
void for_all_settings(auto&& what) {
    int number = 0;
    for (any_strategy const& s : all_strategies()) {
        for (auto [checkpoints, adapters] :
             {std::pair{resting::same, resting::same}, {resting::brain, resting::half},
              {resting::same, resting::brain}})
            for (updating when : {updating::deferred, updating::fused}) {
                auto how = any_settings(s);
                how.checkpoints = checkpoints, how.adapters = adapters, how.updates = when;
                if ((when == updating::fused) != (adapters == resting::half)) how.optimizer = sgd{};
                what(number, how);
            }
        ++number;
    }
}

void step(auto& r, sample const& b) {
    if (r.how.strategy.trains()) r.t.update(b.view(), b.scale, 1e-3);
    else r.t.evaluate(b.view());
}

/// Bytes of an arena, in lines of 64, that nothing was ever written to; without the panels, which lie first, and the
/// place that block and head share, which lies last.
index_t untouched(poisoned_memory const& m, training_memory const& plan) {
    index_t count = 0;
    for (index_t at = plan.panels; at < plan.total() - std::max(plan.block, plan.head); at += 64) {
        bool any = false;
        for (index_t i = 0; i < 64; ++i) any |= m.span[static_cast<std::size_t>(at + i)] != std::byte{0xff};
        count += any ? 0 : 64;
    }
    return count;
}

}  // namespace

TEST_CASE_TEMPLATE("high_water: the plan is what a step uses, to the byte, and nothing beyond", T, float, double) {
    auto const b = sample::of(12, 7);
    index_t by_block = 0;
    for (index_t hidden : {64, 320}) {  // the head needs more than a block, or the block more
        auto c = deep_config();
        c.hidden = hidden;
        for_all_settings([&](int number, any_training const& how) {
            CAPTURE(number);
            rig<T> r(how, c);
            auto const& plan = r.t.memory();
            bool const selects = how.strategy.answer().selects;
            for (int i = 0; i < (selects ? 9 : 3); ++i) step(r, b);  // every duty of a layer occurs
            REQUIRE(r.t.high_water() == plan.total());
            REQUIRE(static_cast<index_t>(r.memory.span.size()) == plan.total());
            for (auto const* p = r.memory.bytes.data(); p < r.memory.span.data(); ++p) REQUIRE(*p == std::byte{0xff});
            auto const* const end = r.memory.bytes.data() + r.memory.bytes.size();
            for (auto const* p = r.memory.span.data() + plan.total(); p < end; ++p) REQUIRE(*p == std::byte{0xff});
            // Of two streams that are computed with, some orders of kept ones leave one to spare. And a line of a
            // packed plan that says −1 throughout looks like one that was never written.
            index_t const spare = how.strategy.answer().every == 2 || selects ? plan.stream / 2 : 0;
            REQUIRE(untouched(r.memory, plan) <= spare + 3 * 64);
            by_block += plan.block > plan.head;
        });
    }
    CHECK(by_block > 60);
}

TEST_CASE("high_water: less memory than the plan is refused") {
    for (any_strategy const& s : all_strategies()) {
        auto const how = any_settings(s);
        random_model<llama<lora>, float> m(deep_config(), f32);
        poisoned_memory memory(rig<float>::trainer_type::memory_plan(deep_config(), how).total() - 64);
        CHECK_THROWS_AS(rig<float>::trainer_type(m.net, how, memory.span), failure);
    }
}

TEST_CASE("high_water: a smaller batch stays below the plan") {
    for (any_strategy const& s : {any_strategy(mesp{}), any_strategy(full{}), any_strategy(lcsb<cyclic_strided>{})}) {
        rig<float> r(any_settings(s, 100));
        step(r, sample::of(3, 3));
        CHECK(r.t.high_water() <= r.t.memory().total());
    }
}

TEST_CASE("high_water: no step of any strategy takes memory from the heap") {
    thread_pool pool(2);
    auto const b = sample::of(12, 7), other = sample::of(5, 2, 2);
    for_all_settings([&](int number, any_training how) {
        CAPTURE(number);
        how.lanes = 2;
        rig<float> r(how, deep_config(), pool.handle(nullptr, 0));
        auto const batch = b.view(), shorter = other.view();
        step(r, b);
        long const before = allocations;
        for (int i = 0; i < 3; ++i) {
            step(r, b), step(r, other);
            if (how.updates == updating::deferred && how.strategy.trains()) {
                r.t.accumulate(batch, b.scale), r.t.accumulate(shorter, b.scale);
                r.t.apply(1e-3);
            }
            r.t.evaluate(batch);
            r.t.start(9);
        }
        REQUIRE(allocations == before);
    });
}

TEST_CASE("high_water: two lanes give the bits of one, whatever the strategy") {
    thread_pool pool(2);
    auto const b = sample::of(12, 7);
    for (any_strategy const& s : all_strategies()) {
        auto how = any_settings(s);
        rig<float> one(how);
        how.lanes = 2;
        rig<float> two(how, deep_config(), pool.handle(nullptr, 0));
        for (int i = 0; i < 3; ++i) step(one, b), step(two, b);
        CHECK(one.stored() == two.stored());
    }
}
