// SPDX-License-Identifier: Apache-2.0
// A packed plan says what the plan says, in the bytes it announces.
#include <graft/block/llama.hpp>
#include <graft/program/packed_plan.hpp>
#include <graft/rule/rules.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/strategy/mesp_published.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using namespace graft;

namespace {

constexpr auto code = flatten<llama<lora>>();
constexpr transformer_sizes sizes{
    .tokens = 256, .width = 896, .heads = 14, .kv_heads = 2, .head = 64, .hidden = 4864, .rank = 8};

template <class S>
constexpr auto plan_of(S s, block_role role = {}) {
    return make_plan(code, make_schedule(code, s, sizes, role), sizes, {4, 2, answers_of(s).in_place});
}

template <class P>
void check_same(P const& p, plan_view const& v) {
    CHECK(v.size == p.size);
    CHECK(v.backward == p.backward);
    CHECK(v.tile == p.tile);
    CHECK(v.kept_bytes == p.kept_bytes);
    CHECK(v.scratch_bytes == p.scratch_bytes);
    for (index_t e = 0; e < p.size; ++e) {
        auto const& a = p.at(e);
        auto const& b = v.at(e);
        CAPTURE(e);
        REQUIRE(a.what == b.what);
        REQUIRE(a.tiled == b.tiled);
        REQUIRE(a.fresh == b.fresh);
        REQUIRE(a.step == b.step);
        REQUIRE(a.scene == b.scene);
        REQUIRE(a.value == b.value);
        REQUIRE(a.residue == b.residue);
        REQUIRE(a.scratch == b.scratch);
        REQUIRE(a.dy == b.dy);
        for (std::size_t k = 0; k < most_operands; ++k) REQUIRE((a.in[k] == b.in[k] && a.din[k] == b.din[k]));
    }
    for (index_t i = 0; i < p.count; ++i) {
        auto const& a = p.of(i);
        auto const& b = v.of(i);
        CAPTURE(i);
        REQUIRE(a.offset == b.offset);
        REQUIRE(a.bytes == b.bytes);
        REQUIRE(a.end() == b.end());
        REQUIRE(a.columns == b.columns);
        REQUIRE(a.full == b.full);
        REQUIRE(a.where == b.where);
    }
}

template <class P>
void check_packing(P const& p) {
    std::vector<packed_event> events(static_cast<std::size_t>(p.size));
    std::vector<packed_buffer> buffers(static_cast<std::size_t>(p.count));
    check_same(p, pack_plan(p, events.data(), buffers.data()));
    auto const each = [](std::size_t bytes) { return round_up(static_cast<index_t>(bytes), buffer_alignment); };
    CHECK(packed_bytes(p) == each(events.size() * sizeof(packed_event)) + each(buffers.size() * sizeof(packed_buffer)));
    CHECK(packed_bytes(p) < static_cast<index_t>(sizeof p) / 4);
    auto const own = std::make_unique<packed_plan<code.steps.size(), 2>>(p);
    check_same(p, own->view());
    auto const copy = std::make_unique<packed_plan<code.steps.size(), 2>>(*own);
    check_same(p, copy->view());
    CHECK(copy->view().events != own->view().events);
}

}  // namespace

TEST_CASE("packed_plan: says what the plan says") {
    check_packing(plan_of(full{})), check_packing(plan_of(mesp{64, phases::two})), check_packing(plan_of(inference{}));
    check_packing(plan_of(mesp_published{}, {true, false})), check_packing(plan_of(mesp{}, {false, true}));
}

TEST_CASE("packed_plan: a constant like the plan it is made of") {
    static constexpr packed_plan<code.steps.size(), 2> packed(plan_of(mesp{64, phases::two}));
    static_assert(packed.view().scratch_bytes == plan_of(mesp{64, phases::two}).scratch_bytes);
    static_assert(packed.view().size > 20 && packed.view().at(0).what == act::run);
    check_same(plan_of(mesp{64, phases::two}), packed.view());
}
