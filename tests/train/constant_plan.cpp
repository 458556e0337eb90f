// SPDX-License-Identifier: Apache-2.0
// A plan that is a constant: the steps of a trainer that plans for itself, bit for bit, in less of the arena.
#include <graft/block/llama.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

namespace {

using tuner = trainer<llama<lora>, mesp, adamw>;
constexpr model_config small = [] {
    model_config c;
    c.layers = 2, c.width = 32, c.heads = 4, c.kv_heads = 2, c.head = 8, c.hidden = 64, c.vocabulary = 37;
    return c;
}();
constexpr tuner::settings how = [] {
    tuner::settings s;
    s.tokens = 12, s.rank = 3, s.strategy = {4, phases::two};
    return s;
}();
using planned = constant_plan<tuner, small, how>;

/// The losses of four updates, and the adapters after them.
std::vector<float> train(tuner& t) {
    t.start(3);
    std::vector<float> seen;
    int const ids[]{1, 2, 3, 4, 5, 6, 7, 8, 9}, targets[]{2, 3, 4, 5, 6, 7, 8, 9, -1};
    for (int k = 0; k < 4; ++k) {
        seen.push_back(static_cast<float>(t.accumulate({ids, targets, {}}, 1.0 / 8)));
        t.apply(0.01);
    }
    auto const p = t.parameters();
    seen.insert(seen.end(), p.begin(), p.end());
    return seen;
}

}  // namespace

TEST_CASE("constant_plan: what it leaves out of the arena are the schedules") {
    constexpr training_memory own = tuner::memory_plan(small, how), there = planned::memory_plan();
    CHECK(there.tables < own.tables);
    CHECK(own.total() - there.total() == own.tables - there.tables);
    CHECK(there.block == own.block);
}

TEST_CASE("constant_plan: the bits of a trainer that plans for itself") {
    random_model<llama<lora>, float> own(small, q8_0), there(small, q8_0);
    poisoned_memory a(tuner::memory_plan(small, how).total()), b(planned::total());
    tuner first(own.net, how, a.span), second(there.net, planned{}, b.span);
    auto const expected = train(first);
    CHECK(train(second) == expected);
    CHECK(expected[3] < expected[0]);
    CHECK(second.high_water() <= planned::total());
}

TEST_CASE("constant_plan: a model of another shape is refused") {
    model_config wider = small;
    wider.hidden = 96;
    random_model<llama<lora>, float> other(wider, q8_0);
    poisoned_memory memory(planned::total());
    CHECK_THROWS_AS(tuner(other.net, planned{}, memory.span), failure);
}
