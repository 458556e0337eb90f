// SPDX-License-Identifier: Apache-2.0
#include <graft/memory/workers.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace graft;

namespace {

/// A clock that a test sets.
struct hand_clock {
    double time = 0;
    std::array<lane_time, 2> lanes{};
    step_profile table{[](void* self) { return static_cast<hand_clock*>(self)->time; }, this, lanes};
};

}  // namespace

TEST_CASE("profile: time belongs to the innermost operation, and a step's entries add up to the step") {
    hand_clock c;
    c.time = 5;
    {
        profiled const step(&c.table, step_part::forward);
        c.time += 1;
        {
            profiled const map(&c.table, work_kind::adapters);
            c.time += 2;
            {
                profiled const product(&c.table, work_kind::frozen, step_part::backward);
                profiled::count(&c.table, 10, 20);
                c.time += 4;
            }
            c.time += 8;
        }
        c.time += 16;
    }
    c.time += 32;
    auto const& t = c.table;
    CHECK(t.of(work_kind::other, step_part::forward).seconds == 17);
    CHECK(t.of(work_kind::adapters, step_part::forward).seconds == 10);
    CHECK(t.of(work_kind::frozen, step_part::backward).seconds == 4);
    CHECK(t.of(work_kind::frozen, step_part::backward).calls == 1);
    CHECK(t.total().seconds == 31);
    CHECK(t.total(step_part::forward).seconds == 27);
    CHECK(t.total(work_kind::frozen).multiply_adds == 10);
    CHECK(t.total(work_kind::frozen).bytes == 20);
    CHECK(t.total(work_kind::adapters).multiply_adds == 0);
    c.table.clear();
    CHECK(t.total().calls == 0);
    CHECK(t.total().seconds == 0);
}

TEST_CASE("profile: outside of a step nothing is recorded, and no profile is no trouble") {
    hand_clock c;
    {
        profiled const alone(&c.table, work_kind::attention);
        profiled::count(&c.table, 1, 1);
        c.time += 1;
    }
    {
        profiled const none(nullptr, work_kind::attention), step(nullptr, step_part::head);
        profiled::count(nullptr, 1, 1);
    }
    CHECK(c.table.total().calls == 0);
    CHECK(c.table.total().seconds == 0);
    CHECK(c.table.total().multiply_adds == 0);
}

TEST_CASE("profile: what lanes spend on packing lands where their product is counted") {
    hand_clock c;
    workers on;
    on.count = 2, on.profile = &c.table;
    on.packing(0, [&] { c.time += 16; });  // of no step
    {
        profiled const step(&c.table, step_part::backward);
        {
            profiled const product(&c.table, work_kind::frozen);
            on.packing(0, [&] { c.time += 1; });
            on.packing(1, [&] { c.time += 2; });
            c.time += 4;
        }
        on.packing(1, [&] { c.time += 8; });
    }
    CHECK(c.table.of(work_kind::frozen, step_part::backward).packing == 3);
    CHECK(c.table.of(work_kind::frozen, step_part::backward).seconds == 7);
    CHECK(c.table.of(work_kind::other, step_part::backward).packing == 8);
    CHECK(c.table.total().packing == 11);
    bool ran = false;
    workers{}.packing(0, [&] { ran = true; });
    CHECK(ran);
    CHECK(on.alone(1).profile == nullptr);
}

TEST_CASE("profile: every kind and part has a name of its own") {
    for (index_t a = 0; a < work_kinds; ++a)
        for (index_t b = 0; b < a; ++b)
            CHECK(std::string(name_of(static_cast<work_kind>(a))) != name_of(static_cast<work_kind>(b)));
    CHECK(std::string(name_of(work_kind::optimizer)) == "optimizer");
    CHECK(std::string(name_of(step_part::update)) == "update");
}
