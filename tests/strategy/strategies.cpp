// SPDX-License-Identifier: Apache-2.0
// What each strategy schedules, read as text: r = run, c = close, p = pull, h = hold (capitals: by tiles), | = a new
// scene, ! = the backward begins.
#include <graft/block/llama.hpp>
#include <graft/rule/rules.hpp>
#include <graft/strategy/checkpoint.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/lcsb.hpp>
#include <graft/strategy/mesp_published.hpp>
#include <graft/strategy/rematerialised.hpp>
#include <graft/strategy/zeroth_order.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace graft;

namespace {

constexpr auto code = flatten<llama<lora>>();

constexpr transformer_sizes tiny{
    .tokens = 64, .width = 64, .heads = 4, .kv_heads = 2, .head = 16, .hidden = 176, .rank = 4};

std::string schedule_of(auto strategy, block_role role = {}, index_t variant = 0) {
    auto const s = make_schedule(code, strategy, tiny, role, variant);
    std::string out;
    index_t scene = s.size ? s.at(0).scene : 0;
    for (index_t e = 0; e < s.size; ++e) {
        if (e == s.backward) out += " ! ";
        else if (s.at(e).scene != scene) out += " | ";
        scene = s.at(e).scene;
        char const c = "rcph"[static_cast<int>(s.at(e).what)];
        out += s.at(e).tiled ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return out;
}

}  // namespace

TEST_CASE("strategies: full runs once and pulls once") {
    CHECK(schedule_of(full{}) == "rrrrrrrrc | rrrrrc ! ppppp | pppppppp");
}

TEST_CASE("strategies: mesp in one phase runs each stage again, without its last operation where no pull reads it") {
    CHECK(schedule_of(mesp{}) == "rrrrrrrrc | rrrrrc ! rrrrrrrrc | rrrrppppp | pppppppp");
    CHECK(schedule_of(mesp{.tile = 8}) == "rrrrrrrrc | RRRRRC ! rrrrrrrrc | RRRRPPPPP | pppppppp");
}

TEST_CASE("strategies: mesp in two phases pulls each stage from the stream that enters it") {
    CHECK(schedule_of(mesp{.tile = 8, .pulled = phases::two}) ==
          "rrrrrrrrc | RRRRRC ! rrrrrrrrc | RRRRPPPPP | rrrrrrrpppppppp");
}

TEST_CASE("strategies: mesp runs norms once more before the first pull that reads them, where it is told to") {
    CHECK(schedule_of(mesp{.tile = 8, .pulled = phases::two, .renews = true}) ==
          "rrrrrrrrc | RRRRRC ! rrrrrrrrc | RRRRPPRPPP | rrrrrrrpprpppppp");
}

TEST_CASE("strategies: inference has no backward") { CHECK(schedule_of(inference{}) == "rrrrrrrrc | rrrrrc"); }

TEST_CASE("strategies: zeroth order runs forward, by tiles if asked") {
    CHECK(schedule_of(zeroth_order{}) == schedule_of(inference{}));
    CHECK(schedule_of(zeroth_order{.tile = 8}) == "rrrrrrrrc | RRRRRC");
    CHECK(!answers_of(zeroth_order{}).pulls());
    CHECK(answers_of(zeroth_order{3, 0.1, true}).estimate.samples == 3);
}

TEST_CASE("strategies: checkpoint runs a block again as a whole") {
    CHECK(schedule_of(checkpoint{}) == "rrrrrrrrc | rrrrrc ! rrrrrrrrc | rrrrrc | ppppp | pppppppp");
    CHECK(!answers_of(checkpoint{}).in_place);
    CHECK(answers_of(checkpoint{true}).stored_weights);
}

TEST_CASE("strategies: the published one runs five values a second time, and holds the others to the end") {
    CHECK(schedule_of(mesp_published{}) ==
          "rrrrrrrrc | rrrrrc ! rrrrrrrrc | rrrrrc | rppppp | rrrrrpppppppp | hhhhhhh");
    CHECK(answers_of(mesp_published{}).stored_weights);
}

TEST_CASE("strategies: what is kept is not run again, whichever layer's way it is") {
    mesp gate{.kept = step_set{1} << 11 | step_set{1} << 12};
    CHECK(schedule_of(gate) == "rrrrrrrrc | rrrrrc ! rrrrrrrrc | rrppppp | pppppppp");
    mesp all{.kept = ~step_set{0}};
    CHECK(schedule_of(all) == "rrrrrrrrc | rrrrrc ! ppppp | pppppppp");
    rematerialised const two{mesp{}, all, 3, 4};
    CHECK(schedule_of(two, {}, 0) == schedule_of(mesp{}));
    CHECK(schedule_of(two, {}, 1) == schedule_of(all));
    CHECK(two.variant_of(2, 5) == 0);
    CHECK(two.variant_of(3, 5) == 1);
    CHECK(answers_of(two).variants == 2);
    CHECK(answers_of(two).every == 4);
}

TEST_CASE("strategies: a selection schedules as the strategy inside, and answers for both") {
    lcsb<random_layers> const s{
        {3}, {.tile = 8, .every = 2}, unselected_gradient::exact, unselected_update::none};
    CHECK(schedule_of(s) == schedule_of(s.inner));
    CHECK(schedule_of(s, {true, false}) == schedule_of(s.inner, {true, false}));
    CHECK(schedule_of(s, {false, false}) == "rrrrrrrrc | RRRRRC");
    CHECK(s.tile == 8);
    auto const a = answers_of(s);
    CHECK((a.selects && a.every == 2 && a.gradient == unselected_gradient::exact));
    CHECK(a.update == unselected_update::none);
    CHECK(most_trained(s, 5) == 3);
    CHECK(most_trained(mesp{}, 5) == 5);
    CHECK_THROWS_AS(most_trained(s, 2), failure);
}
