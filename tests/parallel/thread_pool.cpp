// SPDX-License-Identifier: Apache-2.0
#include <graft/parallel/thread_pool.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <mutex>
#include <set>
#include <vector>

using namespace graft;

TEST_CASE("thread_pool: every task runs once, on a lane that exists and that no two threads share") {
    for (index_t const lanes : {1, 2, 3, 5}) {
        thread_pool pool(lanes);
        CHECK(pool.lanes() == lanes);
        std::vector<std::byte> panels(static_cast<std::size_t>(64 * lanes));
        workers const on = pool.handle(panels.data(), 64);
        CHECK(on.count == lanes);
        CHECK(on.panel(lanes - 1) == panels.data() + 64 * (lanes - 1));
        std::vector<std::set<std::thread::id>> threads(static_cast<std::size_t>(lanes));
        std::mutex guard;
        for (index_t const tasks : {0, 1, 2, 7, 1000}) {
            std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
            on.each(tasks, [&](index_t i, index_t lane) {
                ++runs[static_cast<std::size_t>(i)];
                std::lock_guard const lock(guard);
                threads[static_cast<std::size_t>(lane)].insert(std::this_thread::get_id());
            });
            for (auto& r : runs) REQUIRE(r == 1);
        }
        for (auto const& t : threads) CHECK(t.size() <= 1);
        CHECK(threads[0].count(std::this_thread::get_id()) == 1);
    }
}

TEST_CASE("thread_pool: other lanes take part, also after they went to sleep") {
    thread_pool pool(2);
    workers const on = pool.handle(nullptr, 0);
    for (int round = 0; round < 3; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        // Each task waits for the other: only two lanes at once can finish them.
        std::atomic<int> arrived{0};
        on.each(2, [&](index_t, index_t) {
            ++arrived;
            while (arrived < 2) std::this_thread::yield();
        });
        CHECK(arrived == 2);
    }
}

TEST_CASE("thread_pool: many short runs see what the run before wrote") {
    thread_pool pool(3);
    workers const on = pool.handle(nullptr, 0);
    std::vector<int> numbers(17, 0);
    for (int run = 0; run < 20000; ++run) {
        // Each task reads what another task, perhaps on another lane, wrote in the run before.
        std::vector<int>& n = numbers;
        std::size_t const shift = static_cast<std::size_t>(run % 17);
        on.each(17, [&n, shift](index_t i, index_t) { ++n[(static_cast<std::size_t>(i) + shift) % 17]; });
    }
    for (int n : numbers) REQUIRE(n == 20000);
}

TEST_CASE("thread_pool: a run inside a task is done in order by the lane that starts it") {
    thread_pool pool(2);
    workers const on = pool.handle(nullptr, 0);
    std::atomic<int> inner{0}, wrong{0};
    on.each(40, [&](index_t, index_t lane) {
        index_t expected = 0;
        on.each(5, [&](index_t j, index_t inner_lane) {
            if (inner_lane != lane || j != expected++) ++wrong;
            ++inner;
        });
    });
    CHECK(inner == 200);
    CHECK(wrong == 0);
}

TEST_CASE("thread_pool: threads outside take turns") {
    thread_pool pool(2);
    workers const on = pool.handle(nullptr, 0);
    long sums[2] = {};
    auto const work = [&](std::size_t which) {
        for (int run = 0; run < 300; ++run) {
            std::atomic<long> sum{0};
            on.each(20, [&](index_t i, index_t) { sum += i; });
            sums[which] += sum;
        }
    };
    std::thread other(work, 1);
    work(0);
    other.join();
    CHECK(sums[0] == 300 * 190);
    CHECK(sums[1] == 300 * 190);
}
