// SPDX-License-Identifier: Apache-2.0
#include <graft/io/packed_data.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace graft;

namespace {

/// Example e: `length` ids that begin with e · 100; the last third is learnt but for `unlearnt` ids at its end.
training_example example(int e, int length, int unlearnt = 0) {
    training_example x;
    for (int i = 0; i < length; ++i) {
        x.ids.push_back(e * 100 + i);
        x.target.push_back(i >= 2 * length / 3 && i < length - unlearnt);
    }
    return x;
}
dataset numbered(int count) {
    dataset d;
    for (int e = 0; e < count; ++e) d.examples.push_back(example(e, 6 + e % 4));
    return d;
}
/// Which examples a list of passes holds.
std::vector<int> held(packed_update const& u) {
    std::vector<int> all;
    for (auto const& p : u.passes)
        for (index_t const start : p.starts) all.push_back(p.ids[static_cast<std::size_t>(start)] / 100);
    return all;
}

}  // namespace

TEST_CASE("packed data: every row predicts the next id, and rows behind the last target are left out") {
    std::vector<training_example> const all{example(0, 9), example(1, 9, 2), example(2, 6, 6), example(3, 4)};
    index_t const chosen[] = {0, 1, 2, 3};
    auto const u = pack_examples(all, chosen, 12);
    REQUIRE(u.size() == 2);
    CHECK(rows_of(all[0]) == 8);
    CHECK(rows_of(all[1]) == 6);  // of ids 6, 7 and 8 only the first counts
    CHECK(rows_of(all[2]) == 0);
    CHECK(rows_of(training_example{}) <= 0);
    CHECK(u[0].ids == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 300, 301, 302});
    CHECK(u[0].targets == std::vector<int>{-1, -1, -1, -1, -1, 6, 7, 8, -1, 302, 303});
    CHECK(u[0].starts == std::vector<index_t>{0, 8});
    CHECK(u[1].starts == std::vector<index_t>{0});
    CHECK(u[1].targets == std::vector<int>{-1, -1, -1, -1, -1, 106});
    CHECK(u.rows == 17);
    CHECK(u.targets == 6);
    batch const b = u[0];
    CHECK(b.ids.size() == 11);
}

TEST_CASE("packed data: an epoch takes every example once, in an order of its own that is a function of the step") {
    auto made = packed_data::make(numbered(11), {.seq_len = 20, .examples = 4, .validation = 0, .seed = 3});
    auto again = packed_data::make(numbered(11), {.seq_len = 20, .examples = 4, .validation = 0, .seed = 3});
    auto other = packed_data::make(numbered(11), {.seq_len = 20, .examples = 4, .validation = 0, .seed = 4});
    REQUIRE(made);
    REQUIRE(again);
    REQUIRE(other);
    CHECK(made->updates_per_epoch() == 3);
    CHECK(made->held_out().size() == 0);
    std::vector<std::vector<int>> orders;
    for (index_t epoch = 0; epoch < 3; ++epoch) {
        std::vector<int> order;
        for (index_t u = 1; u <= 3; ++u) {
            auto const some = held(made->update(3 * epoch + u));
            CHECK(some.size() == (u < 3 ? 4 : 3));
            order.insert(order.end(), some.begin(), some.end());
        }
        CHECK(std::set<int>(order.begin(), order.end()).size() == 11);
        orders.push_back(std::move(order));
    }
    CHECK(orders[0] != orders[1]);
    CHECK(orders[1] != orders[2]);
    for (index_t const step : {8, 2, 5}) CHECK(held(again->update(step)) == held(made->update(step)));  // in any order
    CHECK(held(other->update(1)) != held(made->update(1)));
}

TEST_CASE("packed data: passes have at most so many rows, and what is held out is not trained on") {
    auto made = packed_data::make(numbered(20), {.seq_len = 10, .pass_tokens = 17, .examples = 20, .validation = 0.25});
    REQUIRE(made);
    CHECK(made->split().validation.size() == 5);
    auto const train = held(made->update(1)), held_out = held(made->held_out());
    CHECK(train.size() == 15);
    CHECK(held_out.size() == 5);
    for (int const e : held_out) CHECK(std::find(train.begin(), train.end(), e) == train.end());
    bool shared = false;
    for (auto const& p : made->update(1).passes) {
        CHECK(p.ids.size() <= 17);
        shared |= p.starts.size() > 1;
    }
    CHECK(shared);

    dataset all_held_out = numbered(3);
    for (auto& e : all_held_out.examples) e.held_out = true;
    auto const none = packed_data::make(std::move(all_held_out), {}, "rows.jsonl");
    REQUIRE_FALSE(none);
    CHECK(none.error().why == cause::bad_file);
    CHECK(none.error().file == "rows.jsonl");
}
