// SPDX-License-Identifier: Apache-2.0
#include <graft/base/result.hpp>

#include <doctest/doctest.h>

#include <memory>

using namespace graft;

TEST_CASE("result: a value or a problem, never both") {
    result<std::unique_ptr<int>> good(std::make_unique<int>(3));
    REQUIRE(good.ok());
    CHECK(**good == 3);
    auto const taken = std::move(good).value();
    CHECK(*taken == 3);
    result<int> const bad(problem{.what = "no"});
    CHECK(!bad);
    CHECK(bad.error().what == "no");
    CHECK_THROWS_AS((void)bad.value(), failure);
    CHECK(result<void>{}.ok());
    CHECK(!result<void>{problem{}}.ok());
}

TEST_CASE("result: a problem is one line that leaves out what is absent") {
    CHECK(describe({cause::bad_file, "m.gguf", "the key is longer than the file", "at byte 24", "at most 8 bytes", "99",
                    "downloading it again"}) ==
          "m.gguf: the key is longer than the file (at byte 24): expected at most 8 bytes, got 99. Try: downloading it "
          "again");
    CHECK(describe({.what = "no rows"}) == "no rows");
}
