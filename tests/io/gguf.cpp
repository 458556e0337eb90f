// SPDX-License-Identifier: Apache-2.0
#include <graft/io/gguf.hpp>
#include <graft/io/gguf_reader.hpp>
#include <graft/io/gguf_types.hpp>
#include <graft/io/gguf_writer.hpp>

#include <tests/support/data.hpp>
#include <tests/support/malformed.hpp>

#include <chrono>
#include <cstring>
#include <limits>

using namespace graft;
using namespace graft_test;

namespace {

/// Little-endian bytes of a GGUF file, put together by hand: the reader is tested against the format, not the writer.
struct bytes {
    std::vector<std::byte> all;
    template <class T>
    bytes& n(T value) {
        auto const* const raw = reinterpret_cast<std::byte const*>(&value);
        all.insert(all.end(), raw, raw + sizeof(T));
        return *this;
    }
    bytes& raw(std::string_view s) { return all.insert(all.end(), as_bytes(s).begin(), as_bytes(s).end()), *this; }
    bytes& s(std::string_view text) { return n(std::uint64_t{text.size()}).raw(text); }
    bytes& head(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
        return raw("GGUF").n(version).n(tensors).n(keys);
    }
    bytes& key(std::string_view name, std::uint32_t type) { return s(name).n(type); }
    bytes& tensor(std::string_view name, std::vector<std::uint64_t> const& dims, std::uint32_t type,
                  std::uint64_t offset) {
        s(name).n(static_cast<std::uint32_t>(dims.size()));
        for (std::uint64_t const d : dims) n(d);
        return n(type).n(offset);
    }
    bytes& pad(std::size_t to = 32) { return all.resize((all.size() + to - 1) / to * to), *this; }
    bytes& zeros(std::size_t count) { return all.resize(all.size() + count), *this; }
};

gguf good(bytes const& b) {
    auto r = parse_gguf(b.all, "f");
    if (!r) FAIL(describe(r.error()));
    return std::move(*r);
}
problem bad(bytes const& b) {
    auto const r = parse_gguf(b.all, "f");
    REQUIRE_FALSE(r.ok());
    CHECK(r.error().file == "f");
    CHECK(r.error().why == cause::bad_file);
    return r.error();
}

/// About 300 bytes with one value of each kind and two tensors.
bytes small_file() {
    bytes b;
    b.head(2, 6);
    b.key("general.alignment", 4).n(std::uint32_t{16});
    b.key("text", 8).s("hello");
    b.key("flag", 7).n(std::uint8_t{1});
    b.key("list", 9).n(std::uint32_t{8}).n(std::uint64_t{2}).s("a").s("bc");
    b.key("ids", 9).n(std::uint32_t{5}).n(std::uint64_t{2}).n(std::int32_t{-1}).n(std::int32_t{7});
    b.key("real", 6).n(0.5f);
    b.tensor("w", {4, 2}, 0, 0).tensor("q", {32}, 8, 32).pad(16).zeros(32).zeros(34);
    return b;
}

}  // namespace

TEST_CASE("gguf: keys and tensors of a file made by hand") {
    bytes const b = small_file();
    gguf const g = good(b);
    CHECK(g.alignment == 16);
    CHECK(*g.text("text") == "hello");
    CHECK(*g.flag("flag") == true);
    CHECK(*g.texts("list") == std::vector<std::string>{"a", "bc"});
    CHECK(*g.integers("ids") == std::vector<int>{-1, 7});
    CHECK(*g.number("real") == 0.5);
    CHECK(*g.number("absent", 2.5) == 2.5);
    CHECK(*g.text("absent", "x") == "x");
    CHECK(g.text("absent").error().where == "key 'absent'");
    CHECK(g.text("real").error().got == "f32");
    CHECK(g.flag("text").error().expected == "bool");
    CHECK(g.count("ids").error().expected == "a whole number of at least 0");
    CHECK(g.texts("ids").error().got == "array of i32");
    CHECK(g.integers("list").error().got == "array of string");
    REQUIRE(g.tensor("w"));
    CHECK(g.tensor("w")->dims[1] == 2);
    CHECK(g.tensor("w")->data.size() == 32);
    CHECK(g.tensor("q")->data.data() == b.all.data() + b.all.size() - 34);
    CHECK(g.tensor("v") == nullptr);
    CHECK(g.warnings.empty());
}

TEST_CASE("gguf: a count is any integer, or an array of equal ones") {
    bytes b;
    b.head(0, 5);
    b.key("u64", 10).n(std::uint64_t{1} << 63);
    b.key("i8", 1).n(std::int8_t{-3});
    b.key("u16", 2).n(std::uint16_t{9});
    b.key("same", 9).n(std::uint32_t{4}).n(std::uint64_t{2}).n(std::uint32_t{6}).n(std::uint32_t{6});
    b.key("other", 9).n(std::uint32_t{4}).n(std::uint64_t{2}).n(std::uint32_t{6}).n(std::uint32_t{7});
    gguf const g = good(b);
    CHECK(*g.count("u64") == std::uint64_t{1} << 63);
    CHECK(g.count("i8").error().got == "-3");
    CHECK(*g.count("u16") == 9);
    CHECK(*g.count("same") == 6);
    CHECK(g.count("other").error().got == "different ones");
    CHECK(g.integers("u64").error().where == "key 'u64'");
}

TEST_CASE("gguf: tensors in any order and with gaps are read; bytes behind the last are mentioned") {
    bytes b;
    b.head(2, 0).tensor("late", {8}, 0, 96).tensor("early", {8}, 0, 0).pad().zeros(128 + 40);
    gguf const g = good(b);
    CHECK(g.tensor("late")->data.data() == g.tensor("early")->data.data() + 96);
    REQUIRE(g.warnings.size() == 1);
    CHECK(g.warnings[0] == "40 bytes follow the last tensor");
}

TEST_CASE("gguf: every malformed file of the catalogue is refused with the reason") {
    auto const max = std::numeric_limits<std::uint64_t>::max();
    auto const one = [](std::vector<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset,
                        std::size_t data = 64) {
        return bytes().head(1, 0).tensor("t", dims, type, offset).pad().zeros(data);
    };
    CHECK(bad(bytes().head(0, 0, 1)).got == "1");
    CHECK(bad(bytes().head(0, 0, 4)).expected == "2 or 3");
    CHECK(bad(bytes().head(0, 0, 0)).got == "0");
    CHECK(bad(bytes().head(0, 0, 0x03000000)).what == "is big-endian");
    CHECK(bad(bytes().head(max, 0)).what == "counts more tensors than it can hold");
    CHECK(bad(bytes().head(0, max)).what == "counts more keys than it can hold");
    CHECK(bad(bytes().head(0, 1)).what == "counts more keys than it can hold");
    CHECK(bad(bytes().head(0, 1).n(max).zeros(40)).what == "a key is longer than the file");
    CHECK(bad(bytes().head(0, 1).s("").zeros(40)).what == "has an empty key");
    CHECK(bad(bytes().head(0, 1).s(std::string(65536, 'k')).zeros(8)).what == "a key is too long");
    CHECK(bad(bytes().head(0, 1).key("k", 13).zeros(8)).got == "13");
    CHECK(bad(bytes().head(0, 1).key("k", 8).n(max)).what == "the value of 'k' is longer than the file");
    CHECK(bad(bytes().head(0, 1).key("k", 9).n(std::uint32_t{4}).n(max / 4 + 2).zeros(16)).what ==
          "the array 'k' is longer than the file");
    CHECK(bad(bytes().head(0, 1).key("k", 9).n(std::uint32_t{8}).n(max / 8 + 1).zeros(16)).what ==
          "the array 'k' is longer than the file");
    CHECK(bad(bytes().head(0, 1).key("k", 9).n(std::uint32_t{9}).n(std::uint64_t{1}).zeros(16)).what ==
          "has an array of arrays");
    CHECK(bad(bytes().head(0, 1).key("k", 9).n(std::uint32_t{13}).n(std::uint64_t{0})).what ==
          "has a value of an unknown type");
    CHECK(bad(bytes().head(0, 2).key("k", 7).n(char{0}).key("k", 7).n(char{0}).zeros(8)).what == "has a key twice");
    CHECK(bad(bytes().head(0, 1).key("general.alignment", 4).n(0u)).got == "0");
    CHECK(bad(bytes().head(0, 1).key("general.alignment", 4).n(48u)).got == "48");
    CHECK(bad(bytes().head(0, 1).key("general.alignment", 4).n(1u << 21)).expected == "a power of two up to 1048576");
    CHECK(bad(bytes().head(0, 1).key("general.alignment", 5).n(32)).got == "i32");
    CHECK(bad(one({}, 0, 0)).got == "0");
    CHECK(bad(one({1, 1, 1, 1, 1}, 0, 0)).got == "5");
    CHECK(bad(one({1}, 4, 0)).what == "has an unknown type");
    CHECK(bad(one({1}, 0xFFFFFFFF, 0)).what == "has an unknown type");
    CHECK(bad(one({33}, 2, 0)).expected == "a multiple of 32");
    CHECK(bad(one({max}, 0, 0)).what == "has an impossible dimension");
    CHECK(bad(one({1ULL << 32, 1ULL << 32}, 0, 0)).what == "has more numbers than can be counted");
    CHECK(bad(one({1ULL << 62}, 0, 0)).what == "has more numbers than can be counted");
    CHECK(bad(one({(1ULL << 62) + 8}, 24, 0)).what == "does not lie in the file");
    CHECK(bad(one({17}, 0, 0)).what == "does not lie in the file");
    CHECK(bad(one({1}, 0, 96)).what == "does not lie in the file");
    CHECK(bad(one({1}, 0, max - 31)).what == "does not lie in the file");
    CHECK(bad(one({1}, 0, 4)).what == "is not aligned");
    CHECK(bad(bytes().head(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32).pad().zeros(64)).what ==
          "overlaps another tensor");
    CHECK(bad(bytes().head(2, 0).tensor("a", {8}, 0, 0).tensor("a", {8}, 0, 32).pad().zeros(64)).what ==
          "has a tensor twice");
    CHECK(bad(bytes().head(1, 0).tensor(std::string(65, 't'), {8}, 0, 0).pad().zeros(64)).what ==
          "a tensor's name is too long");
    CHECK(bad(bytes().head(1, 0).tensor("", {8}, 0, 0).pad().zeros(64)).what ==
          "has a tensor whose name is empty or has a zero byte");
    CHECK(bad(bytes().head(1, 0).tensor(std::string_view("a\0b", 3), {8}, 0, 0).pad().zeros(64)).got == "'a\\x00b'");
    CHECK(good(one({0}, 0, 0)).tensor("t")->data.empty());
    CHECK(good(one({16}, 0, 0)).tensor("t")->data.size() == 64);
    CHECK(bad(one({16}, 0, 0, 63)).what == "does not lie in the file");
}

TEST_CASE("gguf: what another file is instead is named") {
    auto const got = [](std::string_view s) { return bad(bytes().raw(s)).got; };
    CHECK(got("") == "an empty file");
    CHECK(got("tjgg....").find("GGJT") != std::string::npos);
    CHECK(got("PK\x03\x04....").find("zip") != std::string::npos);
    CHECK(got("<!DOCTYPE html>").find("HTML") != std::string::npos);
    CHECK(got("version https://git-lfs.github.com/spec/v1\n").find("Git-LFS") != std::string::npos);
    CHECK(got(std::string_view("\x40\0\0\0\0\0\0\0{\"a", 11)) == "a safetensors file");
    CHECK(got("\x1f\x8b....").find("gzip") != std::string::npos);
    CHECK(got("\x80\x04....").find("pickle") != std::string::npos);
    CHECK(got(std::string(64, '\0')).find("zeros") != std::string::npos);
    CHECK(got("FUGG....").find("big-endian") != std::string::npos);
    CHECK(got("{\"a\": 1}") == "JSON text");
    CHECK(got("whatever") == "of an unknown kind");
    CHECK(got("GGU") == "of an unknown kind");
}

TEST_CASE("gguf: every truncation and every value of every byte is parsed or refused") {
    bytes const b = small_file();
    CHECK(b.all.size() > 250);
    std::size_t parsed = 0, refused = 0;
    every_damage(b.all, [&](std::span<std::byte const> damaged) {
        auto const r = parse_gguf(damaged, "f");
        if (!r) {
            ++refused;
            if (describe(r.error()).size() > 1000) FAIL("a long message");
            return;
        }
        ++parsed;
        std::size_t sum = 0;  // everything a reader may touch
        for (auto const& e : r->entries) {
            sum += r->find(e.key) == &e;
            (void)r->text(e.key), (void)r->texts(e.key), (void)r->integers(e.key), (void)r->numbers(e.key),
                (void)r->count(e.key), (void)r->flag(e.key), (void)r->number(e.key);
        }
        CHECK(sum == r->entries.size());
        for (auto const& t : r->tensors)
            for (std::byte const x : t.data) sum += std::to_integer<std::size_t>(x);
    });
    MESSAGE(parsed << " parsed, " << refused << " refused");
    CHECK(parsed > 1000);
    CHECK(refused > 10000);
}

TEST_CASE("gguf writer: what is written is read back, offsets being running sums of padded sizes") {
    scratch_folder folder;
    auto const path = (folder.path / "w.gguf").string();
    gguf_writer w;
    w.set("u8", std::uint8_t{200}), w.set("i16", std::int16_t{-2}), w.set("u32", 7u), w.set("i64", std::int64_t{-5});
    w.set("f64", 0.1), w.set("b", true), w.set("s", "text"), w.set("list", std::vector<std::string>{"", "x"});
    w.set("floats", std::vector<float>{1, 2.5f});
    std::vector<std::byte> const first(4 * 7, std::byte{1}), second(34, std::byte{2}), third(2, std::byte{3});
    REQUIRE(w.declare("first", 0, {7}).ok());
    REQUIRE(w.declare("none", 0, {0, 5}).ok());
    REQUIRE(w.declare("second", 8, {32, 1}).ok());
    REQUIRE(w.declare("third", 1, {1}).ok());
    CHECK(w.declare("bad", 8, {33}).error().expected == "a multiple of 32");
    CHECK(w.declare(std::string(64, 'x'), 0, {1}).error().got == "64");
    CHECK_FALSE(w.declare("bad", 0, {1ULL << 62, 4}).ok());
    REQUIRE(w.open(path).ok());
    CHECK_FALSE(std::filesystem::exists(path));
    REQUIRE(w.write(std::span(first).first(10)).ok());
    CHECK_FALSE(w.write(first).ok());
    CHECK(w.commit().error().where == "tensor 'first'");
    REQUIRE(w.write(std::span(first).subspan(10)).ok());
    REQUIRE(w.write(second).ok());
    REQUIRE(w.write(third).ok());
    CHECK_FALSE(w.write(third).ok());
    REQUIRE(w.commit().ok());

    auto const file = mapped_file::open(path);
    REQUIRE(file.ok());
    auto const g = parse_gguf(file->bytes(), path);
    REQUIRE(g.ok());
    CHECK(*g->count("u8") == 200);
    CHECK(g->count("i16").error().got == "-2");
    CHECK(*g->count("u32") == 7);
    CHECK(g->count("i64").error().got == "-5");
    CHECK(*g->number("f64") == 0.1);
    CHECK(*g->flag("b"));
    CHECK(*g->texts("list") == std::vector<std::string>{"", "x"});
    CHECK(*g->numbers("floats") == std::vector<float>{1, 2.5f});
    CHECK(g->tensor("first")->offset == 0);
    CHECK(g->tensor("second")->offset == 32);
    CHECK(g->tensor("third")->offset == 96);
    CHECK(std::equal(second.begin(), second.end(), g->tensor("second")->data.begin()));
    CHECK(g->tensor("third")->data[0] == std::byte{3});
    CHECK(file->bytes().size() % 32 == 0);

    gguf_writer copy;
    for (auto const& e : g->entries) copy.copy(e);
    for (auto const& t : g->tensors)
        REQUIRE(copy.declare(t.name, t.type->code, {t.dims.begin(), t.dims.begin() + t.rank}).ok());
    auto const other = (folder.path / "copy.gguf").string();
    REQUIRE(copy.open(other).ok());
    for (auto const& t : g->tensors) REQUIRE(copy.write(t.data).ok());
    REQUIRE(copy.commit().ok());
    CHECK(read_file(other) == read_file(path));
}

TEST_CASE("gguf: 60,000 keys and 60,000 tensors take no longer than they should") {
    bytes b;
    b.head(60000, 60000);
    for (int i = 0; i < 60000; ++i) b.key("some.prefix.key." + std::to_string(i), 4).n(7u);
    for (int i = 0; i < 60000; ++i)
        b.tensor("blk.tensor." + std::to_string(i), {8}, 0, static_cast<std::uint64_t>(i) * 32);
    b.pad().zeros(60000 * 32);
    auto const start = std::chrono::steady_clock::now();
    gguf const g = good(b);
    auto const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    CHECK(g.tensors.size() == 60000);
    CHECK(*g.count("some.prefix.key.59999") == 7);
    MESSAGE(seconds << " s");
    CHECK(seconds < 5);  // quadratic work would take minutes; the figure itself is a bench's business
}

TEST_CASE("gguf: codes of formats are those of the table") {
    for (numbered_format const& f : formats) {
        ggml_type const* const type = find_ggml_type(f.ggml_type);
        REQUIRE(type);
        CHECK(type->block == static_cast<std::uint64_t>(f.how->block));
        CHECK(type->bytes == static_cast<std::uint64_t>(f.how->bytes));
        CHECK(find_format(type->name) == f.how);
    }
}
