// SPDX-License-Identifier: Apache-2.0
#include <graft/memory/workers.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;

TEST_CASE("workers: every task runs once, in order when alone, by the executor when there is one") {
    std::vector<int> seen;
    workers{}.each(5, [&](index_t i, index_t lane) { seen.push_back(static_cast<int>(i + 10 * lane)); });
    CHECK(seen == std::vector<int>{0, 1, 2, 3, 4});
    workers two;
    two.count = 2;
    two.run = [](void*, index_t tasks, workers::task what, void* context) {
        for (index_t i = tasks; i-- > 0;) what(context, i, i % 2);
    };
    seen.clear();
    two.each(3, [&](index_t i, index_t lane) { seen.push_back(static_cast<int>(i + 10 * lane)); });
    CHECK(seen == std::vector<int>{2, 11, 0});
}
