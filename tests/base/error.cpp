// SPDX-License-Identifier: Apache-2.0
#include <graft/base/error.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace graft;

TEST_CASE("error: require says what, how much, and where in the caller") {
    require(true, fault::shape, "fine", 0, 0);
    int line = 0;
    try {
        line = __LINE__ + 1;
        require(false, fault::bounds, "rows", 7, 5);
        CHECK(false);
    } catch (failure const& f) {
        CHECK(std::string(f.what()) == "rows");
        CHECK(f.details.given == 7);
        CHECK(f.details.wanted == 5);
        CHECK(f.details.kind == fault::bounds);
        CHECK(f.details.line == line);
        CHECK(std::string(f.details.file).find("error.cpp") != std::string::npos);
    }
}
