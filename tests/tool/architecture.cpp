// SPDX-License-Identifier: Apache-2.0
// The launcher of the portable build: which build it becomes, and what it says when there is none.
#include "process.hpp"

#include <examples/graft/launch/architectures.hpp>

#include <doctest/doctest.h>

using namespace graft_test;

namespace {

// A folder as the portable build leaves it, with `builds` in it, all of them the tool of this build.
struct portable {
    scratch_folder folder;
    explicit portable(std::vector<std::string> const& builds) {
        std::filesystem::copy_file(GRAFT_LAUNCHER, folder.path / "graft");
        for (auto const& name : builds) std::filesystem::create_symlink(GRAFT_TOOL, folder.path / ("graft-" + name));
    }
    ended run(std::vector<std::string> arguments, char const* asked = nullptr) const {
        if (asked) ::setenv("GRAFT_ARCHITECTURE", asked, 1);
        ended e = process(std::move(arguments), "", (folder.path / "graft").string()).wait();
        ::unsetenv("GRAFT_ARCHITECTURE");
        return e;
    }
};

}  // namespace

TEST_CASE("architecture: the best that runs is tried first, the one asked for alone") {
    std::vector<launch::architecture> const all{{"wide", false}, {"middle", true}, {"narrow", true}};
    CHECK(launch::to_try(all, "") == std::vector<std::string_view>{"middle", "narrow"});
    CHECK(launch::to_try(all, "narrow") == std::vector<std::string_view>{"narrow"});
    CHECK(launch::to_try(all, "wide").empty());
    CHECK(launch::to_try(all, "other").empty());
    CHECK(launch::listed(all, false) == "wide, middle, narrow");
    CHECK(launch::listed(all, true) == "middle, narrow");
}

TEST_CASE("architecture: each is part of the next better one") {
    auto const all = launch::architectures();
    REQUIRE(!all.empty());
    CHECK(all.back().runs);
    for (std::size_t i = 1; i < all.size(); ++i) CHECK((!all[i - 1].runs || all[i].runs));
}

TEST_CASE("architecture: the launcher hands over arguments and exit codes, whichever builds are there") {
    auto const all = launch::architectures();
    portable const one({std::string(all.back().name)});
    CHECK(one.run({"--version"}).out == tool({"--version"}).out);
    CHECK(one.run({"--version"}, "sse2").out == tool({"--version"}).out);
    CHECK(one.run({"finetun", "--json"}).code == 2);
}

TEST_CASE("architecture: a name that is unknown, a folder without builds, a build that cannot start") {
    portable const none({});
    auto const unknown = none.run({"--version"}, "neon\x1b[2J");
    CHECK(unknown.code == 2);
    CHECK(unknown.says("expected one of"));
    CHECK(unknown.says("got 'neon?[2J'"));
    auto const missing = none.run({"--version"});
    CHECK(missing.code == 6);
    CHECK(missing.says("graft-sse2: No such file"));
    std::ofstream(none.folder.path / "graft-sse2") << "no program";
    auto const broken = none.run({"--version"}, "sse2");
    CHECK(broken.code == 6);
    CHECK(broken.says("Permission denied"));
}
