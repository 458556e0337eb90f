// SPDX-License-Identifier: Apache-2.0
#include <graft/block/llama.hpp>
#include <graft/program/plan.hpp>
#include <graft/rule/rules.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>

#include <doctest/doctest.h>

using namespace graft;

namespace {

using block = llama<lora>;
constexpr auto code = flatten<block>();
constexpr transformer_sizes qwen{
    .tokens = 256, .width = 896, .heads = 14, .kv_heads = 2, .head = 64, .hidden = 4864, .rank = 8};
constexpr transformer_sizes tiny{
    .tokens = 64, .width = 64, .heads = 4, .kv_heads = 2, .head = 16, .hidden = 176, .rank = 4};

template <class S>
constexpr auto plan_of(transformer_sizes const& n, S s) {
    return make_plan(code, make_schedule(code, s, n), n, {4, 1, answers_of(s).in_place});
}

// The program: streams, norms, seven maps, two rotations, attention, the fused gate; shared values once.
static_assert(code.steps.size() == 15 && code.stages == 2);
static_assert(!code.tiles(0) && code.tiles(1));
// The plan is a constant.
static_assert(plan_of(tiny, mesp{16, phases::two}).scratch_bytes < 200 * 1024);
static_assert(plan_of(tiny, full{}).kept_bytes > 0 && plan_of(tiny, mesp{}).kept_bytes == 0);

/// What each byte of scratch holds is what was last written for the value an event reads: replays a schedule on tags.
template <class P>
void check_no_value_is_lost(P const& p) {
    struct owner { index_t buffer, writer; };
    auto const overlap = [&](index_t a, index_t b) {
        auto const &x = p.of(a), &y = p.of(b);
        return x.where == y.where && (x.where == region::scratch || x.where == region::kept) ? x.covers(y) : a == b;
    };
    for (index_t e = 0; e < p.size; ++e) {
        auto const& v = p.at(e);
        auto const reads = [&](index_t b) {
            if (b < 0 || p.of(b).where == region::entry || p.of(b).where == region::gradient) return;
            // Between the last event that wrote b and this one, nobody wrote memory that b covers.
            index_t written = -1;
            for (index_t f = e - 1; f >= 0 && written < 0; --f) {
                auto const& w = p.at(f);
                bool mine = w.what == act::pull ? false : w.value == b || w.residue == b;
                for (index_t d : w.din) mine |= d == b;
                if (mine) written = f;
            }
            CAPTURE(e);
            CAPTURE(b);
            REQUIRE(written >= 0);
            for (index_t f = written; f < e; ++f) {
                auto const& w = p.at(f);
                auto const clean = [&](index_t o) { if (o >= 0 && o != b) CHECK(!overlap(o, b)); };
                if (f > written) {
                    if (w.what != act::pull) clean(w.value), clean(w.residue);
                    for (index_t d : w.din) clean(d);
                }
                clean(w.scratch);
            }
        };
        for (index_t b : v.in) reads(b);
        if (v.what == act::pull) reads(v.value), reads(v.residue), reads(v.dy);
    }
}

}  // namespace

TEST_CASE("plan: no living buffer is overwritten by another") {
    for (auto const& n : {qwen, tiny}) {
        check_no_value_is_lost(plan_of(n, full{}));
        check_no_value_is_lost(plan_of(n, inference{}));
        for (phases ph : {phases::one, phases::two})
            for (index_t tile : {0, 16, 64}) check_no_value_is_lost(plan_of(n, mesp{tile, ph}));
    }
}

TEST_CASE("plan: buffers are aligned, inside the peak, and the peak is reached") {
    auto const p = plan_of(qwen, mesp{64, phases::two});
    index_t end = 0;
    for (index_t b = 0; b < p.count; ++b) {
        if (p.of(b).where != region::scratch) continue;
        CHECK(p.of(b).offset % buffer_alignment == 0);
        end = std::max(end, p.of(b).end());
    }
    CHECK(end == p.scratch_bytes);
}

TEST_CASE("plan: what no pull reads is not computed again") {
    auto const s = make_schedule(code, mesp{}, qwen);
    index_t down = 0;
    for (index_t e = s.backward; e < s.size; ++e) down += s.at(e).what == act::run && s.at(e).step == code.last(1);
    CHECK(down == 0);
}

TEST_CASE("plan: tiles, two phases and kept values order the strategies") {
    auto const scratch = [](auto s) { return plan_of(qwen, s).scratch_bytes; };
    CHECK(plan_of(qwen, mesp{}).kept_bytes == 0);
    CHECK(scratch(mesp{0, phases::two}) < scratch(mesp{0, phases::one}));
    CHECK(scratch(mesp{8, phases::two, 1, 0, true}) < scratch(mesp{8, phases::two}));
    CHECK(scratch(mesp{64, phases::two}) < scratch(mesp{128, phases::two}));
    CHECK(scratch(mesp{64, phases::two}) < 7 << 20);
}

TEST_CASE("plan: the rotation runs in place, and gradients take the place of values") {
    auto const p = plan_of(qwen, mesp{});
    for (index_t e = 0; e < p.size; ++e) {
        auto const& v = p.at(e);
        if (v.step != 3) continue;  // rope(q)
        if (v.what == act::run) CHECK(v.value == v.in[0]);
        if (v.what == act::pull) CHECK(v.din[0] == v.dy);
    }
}
