// SPDX-License-Identifier: Apache-2.0
#include <graft/memory/visitor.hpp>
#include <graft/quant/formats.hpp>

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace graft;

TEST_CASE("visitor: is told of runs and of whole weights, of nothing that is empty; null, it does nothing") {
    using told = std::vector<std::pair<std::byte const*, index_t>>;
    told seen;
    memory_visitor const none, some{[](void* self, std::byte const* first, index_t bytes) {
                                        static_cast<told*>(self)->emplace_back(first, bytes);
                                    },
                                    &seen};
    std::byte bytes[18 * 6]{};
    weight const w(bytes, 3, 64, q4_0);
    CHECK_FALSE(none);
    CHECK(some);
    for (memory_visitor const v : {none, some}) v(bytes, 7), v(bytes, 0), v(w), v(w.slice(1, 2)), v(weight{});
    CHECK(seen == told{{bytes, 7}, {bytes, 108}, {bytes + 36, 72}});
}
