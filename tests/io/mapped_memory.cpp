// SPDX-License-Identifier: Apache-2.0
#include <graft/io/mapped_memory.hpp>

#include <tests/support/data.hpp>
#include <tests/support/failing_calls.hpp>
#include <tests/support/resident.hpp>

using namespace graft;
using namespace graft_test;

namespace {

/// False where temporary files lie in memory: one line, the test skips.
bool on_a_disk(scratch_folder const& folder) {
    auto const m = mapped_memory::make(1, folder.path.string());
    if (m.ok() || m.error().expected != "a directory on a disk") return true;
    MESSAGE("skipped: temporary files lie in memory here (set TMPDIR to a directory on a disk)");
    return false;
}

std::byte pattern(std::size_t i) { return static_cast<std::byte>(i * 2654435761u >> 23); }

bool holds_pattern(std::span<std::byte const> s) {
    for (std::size_t i = 0; i < s.size(); ++i)
        if (s[i] != pattern(i)) return false;
    return true;
}

}  // namespace

TEST_CASE("mapped memory: aligned zeros in a file that has no name") {
    scratch_folder folder;
    if (!on_a_disk(folder)) return;
    auto a = mapped_memory::make(100001, folder.path.string()), b = mapped_memory::make(5, folder.path.string());
    REQUIRE(a.ok());
    REQUIRE(b.ok());
    CHECK(std::filesystem::is_empty(folder.path));
    CHECK(a->bytes().size() >= 100001);
    CHECK(a->bytes().size() % page_bytes() == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(a->bytes().data()) % 64 == 0);
    for (std::byte const x : a->bytes()) REQUIRE(x == std::byte{0});
    std::byte* const place = a->bytes().data();
    place[100000] = std::byte{7}, b->bytes()[0] = std::byte{9};
    mapped_memory moved = std::move(*a);
    CHECK(moved.bytes().data() == place);
    CHECK(place[100000] == std::byte{7});
    CHECK(mapped_memory::make(0, folder.path.string())->bytes().empty());
    CHECK(mapped_memory{}.bytes().empty());
    CHECK_FALSE(mapped_memory{}.visitor());
}

TEST_CASE("mapped memory: what is written leaves memory and is there again") {
    scratch_folder folder;
    if (!knows_residency() || !on_a_disk(folder)) return;
    auto const page = static_cast<index_t>(page_bytes()), pages = index_t{256};
    auto m = mapped_memory::make(pages * page, folder.path.string());
    REQUIRE(m.ok());
    auto const all = m->bytes();
    auto const resident = [&](index_t first, index_t count) {
        return resident_bytes(all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
    };
    for (int round = 0; round < 2; ++round) {
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = pattern(i);
        CHECK(resident(0, pages * page) == pages * page);
        CHECK(m->written(64 * page + 1, 64 * page).ok());  // parts of pages 64 and 128
        CHECK(resident(65 * page, 63 * page) == 0);
        CHECK(resident(0, 65 * page) == 65 * page);
        CHECK(resident(128 * page, 128 * page) == 128 * page);
        CHECK(m->written(0, pages * page).ok());
        CHECK(resident(0, pages * page) == 0);
        CHECK(holds_pattern(all));
    }
    m->visitor()(all.data() + 3 * page, 2 * page);
    CHECK(resident(3 * page, 2 * page) == 0);
    std::vector<std::byte> other(static_cast<std::size_t>(4 * page), std::byte{1});
    m->visitor()(other.data(), 4 * page);  // not of this memory
    CHECK(other == std::vector<std::byte>(other.size(), std::byte{1}));
    CHECK_FALSE(m->trouble());
    CHECK(holds_pattern(all));
}

TEST_CASE("mapped memory: a full disk is an error when it is made, and nothing is left behind") {
    scratch_folder folder;
    if (!on_a_disk(folder)) return;
    std::vector<std::string> said;
    for (int good = 0; good < 5; ++good) {
        failing_calls fail{good};
        auto const m = mapped_memory::make(1 << 20, folder.path.string(), fail.calls());
        CHECK(std::filesystem::is_empty(folder.path));
        CHECK(m.ok() == (good == 4));
        if (m) break;
        CHECK(m.error().why == cause::io);
        CHECK(m.error().got == "No space left on device");
        CHECK_FALSE(m.error().hint.empty());
        said.push_back(m.error().what);
    }
    CHECK(said == std::vector<std::string>{"cannot hold scratch memory", "cannot be removed",
                                           "has no room for scratch memory", "scratch memory cannot be mapped"});
    failing_calls full{2};
    CHECK(describe(mapped_memory::make(1 << 20, folder.path.string(), full.calls()).error()) ==
          folder.path.string() + ": has no room for scratch memory: expected 1048576 bytes, got No space left on "
                                 "device. Try: another directory, or doing without a file");
    auto const huge = mapped_memory::make(index_t{1} << 50, folder.path.string());  // of a real disk
    REQUIRE_FALSE(huge.ok());
    CHECK(huge.error().what == "has no room for scratch memory");
    CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("mapped memory: a disk that fails later is told of, and the data stay whole") {
    scratch_folder folder;
    if (!on_a_disk(folder)) return;
    failing_calls fail{4, true, EIO};
    auto m = mapped_memory::make(1 << 20, folder.path.string(), fail.calls());
    REQUIRE(m.ok());
    auto const all = m->bytes();
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = pattern(i);
    auto const r = m->written(4096, 65536);
    REQUIRE_FALSE(r.ok());
    CHECK(r.error().why == cause::io);
    CHECK(r.error().where == "at byte 4096");
    CHECK(r.error().got == "Input/output error");
    CHECK_FALSE(m->trouble());
    m->visitor()(all.data() + 8192, 100);
    m->visitor()(all.data(), 100);
    REQUIRE(m->trouble());
    CHECK(m->trouble()->where == "at byte 8192");  // the first
    CHECK(holds_pattern(all));
}

TEST_CASE("mapped memory: a directory that cannot be used, and bytes of somewhere else, are refused") {
    scratch_folder folder;
    auto const absent = mapped_memory::make(1, (folder.path / "absent").string());
    REQUIRE_FALSE(absent.ok());
    CHECK(absent.error().got == "No such file or directory");
    if (auto const shared = mapped_memory::make(1, "/dev/shm"); !shared)
        CHECK(shared.error().expected == "a directory on a disk");
    else
        MESSAGE("skipped: /dev/shm is no tmpfs");
    CHECK(mapped_memory::make(-1, folder.path.string()).error().why == cause::usage);
    if (!on_a_disk(folder)) return;
    auto m = mapped_memory::make(8192, folder.path.string());
    REQUIRE(m.ok());
    index_t const size = static_cast<index_t>(m->bytes().size());
    for (auto const& [first, count] : {std::pair<index_t, index_t>{-1, 1}, {0, size + 1}, {size, 1}, {1, -1}})
        CHECK(m->written(first, count).error().why == cause::usage);
    CHECK(m->written(size, 0).ok());
    CHECK(mapped_memory{}.written(0, 1).error().why == cause::usage);
    if (auto const temporary = mapped_memory::make(1); temporary.ok()) CHECK(temporary->bytes().size() > 0);
}
