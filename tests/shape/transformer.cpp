// SPDX-License-Identifier: Apache-2.0
#include <graft/shape/transformer.hpp>

#include <doctest/doctest.h>

using namespace graft;

namespace {

constexpr transformer_shape tiny{
    .tokens = up_to(64), .width = 32, .heads = 4, .kv_heads = 2, .head = 8, .hidden = 48, .rank = up_to(4)};
static_assert(!tiny.tokens.exact && tiny.width.exact);
static_assert(bounds(tiny).tokens == 64 && bounds(tiny).rank == 4 && bounds(tiny).targets == all_targets);
static_assert(q_width::of(bounds(tiny)) == 32 && kv_width::of(bounds(tiny)) == 16 && hidden::of(bounds(tiny)) == 48);
static_assert(!bounds(tiny).stored_weights && bounds([] {
                  auto n = tiny;
                  n.stored_weights = true;
                  return n;
              }()).stored_weights);
// An axis fits itself; after a mistake everything fits.
static_assert(fits<width, width> && !fits<width, hidden> && fits<unknown, hidden> && fits<width, unknown>);
static_assert(std::is_same_v<agreed<width, width>, width> && std::is_same_v<agreed<width, hidden>, unknown>);
static_assert(Axis<q_width> && !Axis<int>);

}  // namespace

TEST_CASE("transformer: every map has its own bit, and only maps have one") {
    unsigned all = 0;
    for (auto name : target_names) {
        CHECK((all & target_bit(name)) == 0);
        all |= target_bit(name);
    }
    CHECK(all == all_targets);
    CHECK(target_bit("model.layers.3.mlp.up_proj") == target_bit("up_proj"));
    CHECK(target_bit("embed_tokens") == 0);
    CHECK(target_bit("") == 0);
}
