// SPDX-License-Identifier: Apache-2.0
// What each strategy schedules, read as text: r = run, c = close, p = pull, h = hold, | = a new scene, ! = the backward begins.
#include <graft/block/llama.hpp>
#include <graft/rule/rules.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace graft;

namespace {

constexpr auto code = flatten<llama<lora>>();

constexpr transformer_sizes tiny{
    .tokens = 64, .width = 64, .heads = 4, .kv_heads = 2, .head = 16, .hidden = 176, .rank = 4};

std::string schedule_of(auto strategy, block_role role = {}, transformer_sizes const& n = tiny) {
    auto const s = make_schedule(code, strategy, n, role);
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

TEST_CASE("strategies: inference has no backward") { CHECK(schedule_of(inference{}) == "rrrrrrrrc | rrrrrc"); }
