// SPDX-License-Identifier: Apache-2.0
#include <graft/io/atomic_directory.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/io/byte_reader.hpp>
#include <graft/io/checked.hpp>
#include <graft/io/crc32.hpp>
#include <graft/io/file_calls.hpp>
#include <graft/io/identify.hpp>
#include <graft/io/in_quotes.hpp>
#include <graft/io/json_file.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/io/output_folder.hpp>

#include <tests/support/data.hpp>
#include <tests/support/failing_calls.hpp>

#include <limits>

using namespace graft;
using namespace graft_test;

namespace {

std::vector<std::string> names(std::filesystem::path const& folder) { return names_in(folder.string()); }

}  // namespace

TEST_CASE("checked: sums, products and paddings that do not fit are refused") {
    auto const max = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t out = 0;
    CHECK((checked_add(max - 1, 1, out) && out == max));
    CHECK_FALSE(checked_add(max, 1, out));
    CHECK((checked_mul(1ULL << 32, (1ULL << 32) - 1, out) && out == 0xFFFFFFFF00000000));
    CHECK_FALSE(checked_mul(1ULL << 32, 1ULL << 32, out));
    CHECK((checked_align(33, 32, out) && out == 64));
    CHECK((checked_align(64, 32, out) && out == 64));
    CHECK_FALSE(checked_align(max - 3, 32, out));
    CHECK((checked_product(std::vector<std::uint64_t>{3, 0, max}, out) && out == 0));
    CHECK_FALSE(checked_product(std::vector<std::uint64_t>{3, max}, out));
}

TEST_CASE("byte reader: takes what is there and not a byte more") {
    std::vector<std::byte> const bytes{std::byte{1}, std::byte{2}, std::byte{0}, std::byte{9}};
    byte_reader r(bytes);
    std::uint16_t two = 0;
    std::uint32_t four = 0;
    std::span<std::byte const> run;
    CHECK((r.take(two) && two == 513));
    CHECK_FALSE(r.take(four));
    CHECK_FALSE(r.take(3, run));
    CHECK_FALSE(r.take(std::numeric_limits<std::uint64_t>::max(), run));
    CHECK(r.left() == 2);
    CHECK((r.take(2, run) && run[1] == std::byte{9}));
    CHECK(r.position() == 4);
}

TEST_CASE("crc32: the check value of the standard, in one piece and in two") {
    CHECK(crc32(as_bytes("123456789")) == 0xCBF43926);
    CHECK(crc32(as_bytes("6789"), crc32(as_bytes("12345"))) == 0xCBF43926);
    CHECK(crc32({}) == 0);
}

TEST_CASE("in quotes: names are fit for a terminal") { CHECK(in_quotes("a\x1b[31m\n") == "'a\\x1B[31m\\n'"); }

TEST_CASE("json file: one object, or the reason") {
    scratch_folder folder;
    auto const path = (folder.path / "x.json").string();
    CHECK(write_file(path, "{\"a\": 1}", {true, {}, {}}).ok());
    CHECK((*read_json_object(path))["a"] == 1);
    CHECK(write_file(path, "[1]", {true, {}, {}}).ok());
    CHECK(read_json_object(path).error().got == "array");
    CHECK(write_file(path, "{\"a\": 1, \"a\": 2}", {true, {}, {}}).ok());
    CHECK(read_json_object(path).error().where == "line 1:10");
}

TEST_CASE("mapped file: both ways give the bytes; what is not a regular file is named") {
    scratch_folder folder;
    auto const path = (folder.path / "file \xC3\xA9\nname").string();
    REQUIRE(write_file(path, "content").ok());
    for (file_access const access : {file_access::map, file_access::read}) {
        auto f = mapped_file::open(path, access);
        REQUIRE(f.ok());
        CHECK(as_text(f->bytes()) == "content");
        mapped_file moved = std::move(*f);
        CHECK(as_text(moved.bytes()) == "content");
        moved = mapped_file();
        CHECK(moved.bytes().empty());
        auto const empty = (folder.path / "empty").string();
        CHECK(write_file(empty, "", {true, {}, {}}).ok());
        CHECK(mapped_file::open(empty, access)->bytes().empty());
        auto const got = [&](std::string const& p) {
            auto const r = mapped_file::open(p, access);
            REQUIRE_FALSE(r.ok());
            CHECK(r.error().why == cause::io);
            return r.error().got;
        };
        CHECK(got(folder.path.string()) == "a directory");
        CHECK(got("/dev/zero") == "a character device");
        CHECK(got((folder.path / "absent").string()) == "No such file or directory");
        auto const pipe = (folder.path / "pipe").string(), loop = (folder.path / "loop").string();
        ::mkfifo(pipe.c_str(), 0600);
        CHECK(got(pipe) == "a named pipe");
        ::symlink("loop", loop.c_str());
        CHECK(got(loop) == "Too many levels of symbolic links");
        CHECK(got(std::string(5000, 'a')) == "File name too long");
        if (::geteuid() != 0) {  // root reads everything
            ::chmod(path.c_str(), 0);
            CHECK(got(path) == "Permission denied");
            ::chmod(path.c_str(), 0600);
        }
    }
}

TEST_CASE("mapped file: bytes beyond 4 GiB of a sparse file") {
    scratch_folder folder;
    auto const path = (folder.path / "sparse").string();
    int const handle = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
    off_t const place = (off_t{5} << 30) + 7;
    bool const made = ::pwrite(handle, "!", 1, place) == 1;
    ::close(handle);
    if (!made) {
        MESSAGE("skipped: no sparse files here");
        return;
    }
    auto const f = mapped_file::open(path);
    REQUIRE(f.ok());
    CHECK(f->bytes().size() == static_cast<std::size_t>(place) + 1);
    CHECK(f->bytes().back() == std::byte{'!'});
}

TEST_CASE("atomic file: appears with its commit, and leaves nothing behind without one") {
    scratch_folder folder;
    auto const path = (folder.path / "out").string();
    {
        auto f = atomic_file::create(path);
        REQUIRE(f.ok());
        REQUIRE(f->write(as_bytes("abc")).ok());
        CHECK(names(folder.path).size() == 1);
        CHECK_FALSE(path_exists(path));
    }
    CHECK(names(folder.path).empty());
    std::string large(300000, 'x');
    {
        auto f = atomic_file::create(path);
        REQUIRE(f->write(as_bytes("abc")).ok());
        REQUIRE(f->write(as_bytes(large)).ok());
        REQUIRE(f->write(as_bytes("def")).ok());
        CHECK(f->size() == 300006);
        REQUIRE(f->commit().ok());
        CHECK_FALSE(f->write(as_bytes(large)).ok());
    }
    CHECK(read_file(path) == "abc" + large + "def");
    CHECK(names(folder.path) == std::vector<std::string>{"out"});
}

TEST_CASE("atomic file: nothing is replaced that should stay") {
    scratch_folder folder;
    auto const path = (folder.path / "out").string(), link = (folder.path / "link").string();
    REQUIRE(write_file(path, "old").ok());
    CHECK(write_file(path, "new").error().what == "is already there and is not replaced");
    CHECK(write_file(path, "new", {true, {path}, {}}).error().why == cause::usage);
    ::symlink("out", link.c_str());
    CHECK(write_file(link, "new", {true, {path}, {}}).error().why == cause::usage);
    CHECK(write_file((folder.path / "sub").string(), "new", {true, {folder.path.string()}, {}}).error().what ==
          "lies inside one of the inputs");
    CHECK(write_file(folder.path.string(), "new", {true, {}, {}}).error().what == "is a directory");
    CHECK(write_file((folder.path / "no/such/place").string(), "new").error().why == cause::io);
    CHECK(read_file(path) == "old");
    CHECK(write_file(path, "new", {true, {}, {}}).ok());
    CHECK(read_file(path) == "new");

    auto late = atomic_file::create((folder.path / "late").string());
    REQUIRE(write_file((folder.path / "late").string(), "first").ok());
    CHECK_FALSE(late->commit().ok());
    CHECK(read_file(folder.path / "late") == "first");
}

TEST_CASE("atomic file: whichever call fails, the old file is intact or the new one is whole") {
    for (bool const killed : {false, true}) {
        int tried = 0;
        for (int good = 0;; ++good) {
            scratch_folder folder;
            auto const path = (folder.path / "out").string();
            REQUIRE(write_file(path, "old").ok());
            failing_calls fail{good, killed};
            auto const r = write_file(path, std::string(100000, 'n'), {true, {}, fail.calls()});
            if (!fail.failed()) {
                CHECK(r.ok());
                break;
            }
            ++tried;
            CHECK_FALSE(r.ok());
            CHECK(r.error().why == cause::io);
            auto const now = read_file(path);
            CHECK((now == "old" || now == std::string(100000, 'n')));
            if (!killed) CHECK(names(folder.path).size() == 1);
        }
        CHECK(tried >= 6);  // create, write, sync, close, rename, sync of the directory
    }
}

TEST_CASE("atomic directory: whole or absent; an existing one keeps the files it is not given") {
    int tried = 0;
    for (int good = 0;; ++good) {
        scratch_folder folder;
        auto const path = (folder.path / "out").string();
        failing_calls fail{good, true};
        auto const attempt = [&]() -> result<void> {
            auto d = atomic_directory::create(path + "/", {false, {}, fail.calls()});
            if (!d) return d.error();
            for (char const* name : {"a", "b"})
                if (auto const r = d->write(name, std::string_view("content")); !r) return r;
            return d->commit();
        };
        bool const done = attempt().ok();
        if (path_exists(path)) CHECK(names(path) == std::vector<std::string>{"a", "b"});
        CHECK((!done || path_exists(path)));
        if (!fail.failed()) break;
        ++tried;
    }
    CHECK(tried > 10);

    scratch_folder folder;
    auto const path = folder.path.string();
    REQUIRE(write_file(path + "/mine", "keep").ok());
    CHECK_FALSE(atomic_directory::create(path).ok());
    auto d = atomic_directory::create(path, {true, {}, {}});
    REQUIRE(d.ok());
    REQUIRE(d->write("a", std::string_view("1")).ok());
    REQUIRE(d->commit().ok());
    CHECK(names(path) == std::vector<std::string>{"a", "mine"});
    CHECK_FALSE(atomic_directory::create(path + "/mine", {true, {}, {}}).ok());
    CHECK(atomic_directory::create(path + "/new").ok());
    CHECK(names(path).size() == 2);
}

TEST_CASE("output folder: one run at a time") {
    scratch_folder folder;
    {
        auto first = output_lock::take(folder.path.string());
        REQUIRE(first.ok());
        auto const second = output_lock::take(folder.path.string());
        REQUIRE_FALSE(second.ok());
        CHECK(second.error().why == cause::io);
        CHECK(second.error().what == "is in use by another run");
        output_lock const moved = std::move(*first);
        CHECK_FALSE(output_lock::take(folder.path.string()).ok());
    }
    CHECK(output_lock::take(folder.path.string()).ok());
    CHECK_FALSE(output_lock::take((folder.path / "absent").string()).ok());
}

TEST_CASE("output folder: a trial save finds what would fail later, and leaves nothing") {
    scratch_folder folder;
    auto const path = (folder.path / "run").string();
    REQUIRE(trial_save(path, 200000).ok());
    CHECK(names(path).empty());
    CHECK(trial_save(path, std::uint64_t{1} << 60).error().what == "has not enough room");
    CHECK_FALSE(trial_save((folder.path / "no/such").string(), 1).ok());
    int good = 0;
    for (bool failed = true; failed; ++good) {
        failing_calls fail{good};
        auto const r = trial_save(path, 200000, fail.calls());
        failed = fail.failed();
        if (failed && !r) CHECK(r.error().why == cause::io);
    }
    CHECK(good > 8);
    CHECK(names(path).size() <= 2);  // what could not be removed when removing failed
}
