// SPDX-License-Identifier: Apache-2.0
// The search for the least arithmetic in a number of bytes: budgets are kept, more bytes never cost more work, its ends
// are mesp and full, and nothing it tells is anything but what the plan and the schedules say.
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/block/shapes.hpp>
#include <graft/train/any.hpp>
#include <graft/train/budget.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;
using namespace graft_test;

namespace {

model_config deep() {
    auto c = tiny_config();
    c.layers = 5;
    return c;
}
any_training settings(index_t tokens = 12, index_t rank = 3) {
    any_training how;
    how.tokens = tokens, how.rank = rank, how.updates = updating::fused, how.max_grad_norm = 0, how.optimizer = sgd{};
    return how;
}
template <class Block>
index_t total(model_config const& c, any_training how, any_strategy s) {
    how.strategy = s;
    return step_layout<Block, any_strategy, any_optimizer, float>{c, how}.memory().total();
}
template <class Block>
double work(model_config const& c, any_training how, any_strategy s) {
    how.strategy = s;
    return step_work<Block>(c, how).blocks;
}

/// Budgets from below the least to above the most, each searched: what must hold of every one of them.
template <class Block>
void check_frontier(model_config const& c, any_training const& how, int budgets) {
    index_t const most = total<Block>(c, how, full{});
    auto const at = [&](index_t bytes) { return cheapest_within<Block>(c, how, bytes); };
    auto const least = at(0);
    CHECK(!least.fits);  // and the smallest there is, told beside it
    CHECK(least.total() <= total<Block>(c, how, mesp{}));
    auto const just = at(least.total()), below = at(least.total() - 1);
    CHECK(just.fits);
    CHECK(just.total() == least.total());
    CHECK(!below.fits);
    CHECK(below.total() == least.total());
    double last = 1e300;
    index_t points = 0;
    for (int i = 0; i <= budgets; ++i) {
        index_t const bytes = least.total() + (most + most / 50 - least.total()) * i / budgets;
        auto const b = at(bytes);
        CAPTURE(bytes);
        REQUIRE(b.fits);
        REQUIRE(b.total() <= bytes);
        REQUIRE(b.work <= last);
        REQUIRE(b.total() == total<Block>(c, how, b.strategy));  // the plan's own word
        double const counted = work<Block>(c, how, b.strategy);
        double const rows = static_cast<double>(b.strategy.tile);  // a tile decodes every weight anew
        REQUIRE(b.work == doctest::Approx(rows > 0 ? counted * (1 + 8 / rows) : counted));
        points += b.work < last, last = b.work;
    }
    CHECK(points > budgets / 4);
    CHECK(last == work<Block>(c, how, full{}));  // the upper end
    // At the bytes of each known strategy it costs no more than that one.
    for (any_strategy s : {any_strategy(full{}), any_strategy(checkpoint{}), any_strategy(mesp_published{}),
                           any_strategy(mesp{}), any_strategy(mesp{0, phases::two})})
        CHECK(at(total<Block>(c, how, s)).work <= work<Block>(c, how, s));
}

}  // namespace

TEST_CASE("budget: every budget is kept, and more bytes never mean more work") {
    SUBCASE("a tiny model") { check_frontier<llama<lora>>(deep(), settings(), 60); }
    SUBCASE("Adam, deferred") {
        auto how = settings();
        how.updates = updating::deferred, how.optimizer = adamw{};
        check_frontier<llama<lora>>(deep(), how, 20);
    }
    SUBCASE("16 bits") {
        auto how = settings();
        how.checkpoints = how.adapters = resting::brain;
        check_frontier<llama<lora>>(deep(), how, 20);
    }
    SUBCASE("a few adapters only") {
        auto how = settings();
        how.targets = target_bit("q_proj") | target_bit("v_proj");
        check_frontier<llama<lora>>(deep(), how, 20);
    }
    SUBCASE("Qwen2.5-0.5B") { check_frontier<qwen2<lora>>(*find_shape("qwen2.5-0.5b"), settings(256, 8), 12); }
}

TEST_CASE("budget: work is what schedules count, layer by layer") {
    auto const c = deep();
    auto how = settings();
    auto const n = sizes_of(c, how.tokens, how.rank);
    auto const code = flatten<llama<lora>>();
    auto const one = [&](auto s, block_role role) { return work_of(code, make_schedule(code, s, n, role), n, role); };
    block_role const all{}, lowest{true, false}, passes{false, true};
    CHECK(work<llama<lora>>(c, how, full{}) == one(full{}, lowest).total() + 4 * one(full{}, all).total());
    CHECK(work<llama<lora>>(c, how, mesp{}) == one(mesp{}, lowest).total() + 4 * one(mesp{}, all).total());
    // Every second stream: the inputs of layers 1 and 3 are computed once more, through layers 0 and 2.
    CHECK(work<llama<lora>>(c, how, mesp{0, phases::one, 2}) ==
          work<llama<lora>>(c, how, mesp{}) + 2 * one(mesp{}, all).forward);
    CHECK(work<llama<lora>>(c, how, mesp{0, phases::one, 5}) ==
          work<llama<lora>>(c, how, mesp{}) + 4 * one(mesp{}, all).forward);
    CHECK(work<llama<lora>>(c, how, zeroth_order{3, 1e-3}) == 6 * 5 * one(inference{}, all).forward);
    CHECK(work<llama<lora>>(c, how, zeroth_order{3, 1e-3, true}) == 3 * 5 * one(inference{}, all).forward);
    CHECK(work<llama<lora>>(c, how, inference{}) == 5 * one(inference{}, all).forward);
    // Selections: forward all; of the two upper blocks one is trained and the other the lowest.
    double const forward = 5 * one(mesp{}, all).forward;
    CHECK(work<llama<lora>>(c, how, lcsb<top_layers>{{2}}) ==
          doctest::Approx(forward + one(mesp{}, all).backward + one(mesp{}, lowest).backward));
    auto const backward = [&](block_role r) { return one(mesp{}, r).backward; };
    // Layers 0, 2, 4 and 1, 3 by turns: around the others, or through them.
    CHECK(work<llama<lora>>(c, how, lcsb<cyclic_strided>{}) ==
          doctest::Approx(forward + (3 * backward(all) + 2 * backward(lowest)) / 2));
    CHECK(work<llama<lora>>(c, how, lcsb<cyclic_strided>{{}, {}, unselected_gradient::exact}) ==
          doctest::Approx(forward + (3 * backward(all) + 2 * backward(lowest) + 4 * backward(passes)) / 2));
}

TEST_CASE("budget: what is kept is chosen by what it saves, and upper layers keep more where only some can") {
    auto const c = *find_shape("qwen2.5-0.5b");
    auto const how = settings(256, 8);
    auto const megabytes = [&](index_t n) { return cheapest_within<qwen2<lora>>(c, how, n * 1'000'000); };
    CHECK(!megabytes(20).fits);
    CHECK(megabytes(20).total() < 40'000'000);
    auto const small = megabytes(47);
    CHECK(small.fits);
    CHECK(small.strategy.tile > 0);
    CHECK(small.strategy.tile % 64 == 0);
    auto const middle = megabytes(200);
    CHECK(middle.fits);
    CHECK(middle.strategy.low.kept != 0);
    CHECK(middle.strategy.tile == 0);
    CHECK(middle.work < 0.95 * work<qwen2<lora>>(c, how, mesp{}));
    auto const between = megabytes(90);
    CHECK(between.strategy.from < c.layers);
    CHECK((between.strategy.low.kept & ~between.strategy.high.kept) == 0);
}

TEST_CASE("budget: no set of kept values, the same in all layers, is cheaper by more than a little") {
    auto const c = *find_shape("qwen2.5-0.5b");
    auto how = settings(256, 8);
    struct point { index_t bytes; double work; };
    std::vector<point> all;
    for (step_set kept = 0; kept < 1 << 14; kept += 2) {  // all sets but of the stream, which lies elsewhere
        if (has(kept, 8)) continue;                       // attention's last value becomes the stream (9)
        mesp m;
        m.kept = kept;
        all.push_back({total<qwen2<lora>>(c, how, m), work<qwen2<lora>>(c, how, m)});
    }
    double worst = 1;
    for (index_t bytes = 62'000'000; bytes < 520'000'000; bytes += 18'000'000) {
        double least = 1e300;
        for (auto const& p : all)
            if (p.bytes <= bytes) least = std::min(least, p.work);
        worst = std::max(worst, cheapest_within<qwen2<lora>>(c, how, bytes).work / least);
    }
    CHECK(worst < 1.005);
}

TEST_CASE("budget: found when compiling, the same as when running") {
    constexpr model_config c{.layers = 2, .width = 32, .heads = 4, .kv_heads = 2, .head = 8, .hidden = 64,
                             .vocabulary = 128, .context = 64};
    constexpr training<mesp, sgd> how{.tokens = 16, .rank = 2, .max_grad_norm = 0, .updates = updating::fused};
    for (index_t bytes : {60'000, 90'000, 120'000, 200'000}) {
        auto const b = cheapest_within<llama<lora>>(c, how, bytes);
        if (b.fits) CHECK(b.total() <= bytes);
        CHECK(b.total() == cheapest_within<llama<lora>>(c, settings(16, 2), bytes).total());
    }
}
