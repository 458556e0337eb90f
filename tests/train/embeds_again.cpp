// SPDX-License-Identifier: Apache-2.0
// The first stream, embedded again for the lowest pull: the bits of a step that keeps it, in one stream less.
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

model_config deep(index_t layers) {
    auto c = tiny_config();
    c.layers = layers;
    return c;
}
tuner::settings settings(updating updates, bool again) {
    tuner::settings s;
    s.tokens = 12, s.rank = 3, s.updates = updates, s.max_grad_norm = 0, s.embeds_again = again;
    return s;
}

/// The losses of three updates and of an evaluation between them, and the adapters at the end.
std::vector<double> train(index_t layers, tuner::settings const& how) {
    random_model<llama<lora>, float> m(deep(layers), q8_0);
    poisoned_memory memory(tuner::memory_plan(m.net.config, how).total());
    tuner t(m.net, how, memory.span);
    t.start(5);
    int const ids[]{1, 2, 3, 4, 5, 6, 7, 8, 9}, targets[]{2, 3, 4, 5, 6, 7, 8, 9, -1};
    batch const b{ids, targets, {}};
    std::vector<double> seen;
    for (int k = 0; k < 3; ++k) {
        if (t.fuses()) seen.push_back(t.update(b, 1.0 / 8, 0.01).loss);
        else seen.push_back(t.accumulate(b, 1.0 / 8)), t.apply(0.01);
        seen.push_back(t.evaluate(b));
    }
    auto const p = t.parameters();
    seen.insert(seen.end(), p.begin(), p.end());
    return seen;
}

}  // namespace

TEST_CASE("embeds_again: the bits of a step that keeps the first stream, whatever the depth and the update") {
    for (index_t const layers : {2, 3, 5})
        for (updating const u : {updating::deferred, updating::fused})
            CHECK(train(layers, settings(u, true)) == train(layers, settings(u, false)));
}

TEST_CASE("embeds_again: one stream less is planned") {
    auto const plan = [](bool again) { return tuner::memory_plan(deep(5), settings(updating::fused, again)); };
    CHECK(plan(false).total() - plan(true).total() == 12 * 32 * 4);
    CHECK(plan(true).checkpoints == 4 * 12 * 32 * 4);
    CHECK(plan(true).stream == 12 * 32 * 4);
}

TEST_CASE("embeds_again: refused where it would save nothing") {
    auto const refused = [](index_t layers, tuner::settings const& how) {
        random_model<llama<lora>, float> m(deep(layers), q8_0);
        poisoned_memory memory(tuner::memory_plan(m.net.config, how).total());
        CHECK_THROWS_AS(tuner(m.net, how, memory.span), failure);
    };
    refused(1, settings(updating::deferred, true));
    auto how = settings(updating::deferred, true);
    how.strategy.every = 2;
    refused(4, how);
    how = settings(updating::deferred, true);
    how.checkpoints = resting::brain;
    refused(4, how);
}
