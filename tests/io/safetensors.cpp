// SPDX-License-Identifier: Apache-2.0
#include <graft/io/safetensors.hpp>
#include <graft/io/safetensors_writer.hpp>

#include <tests/support/data.hpp>
#include <tests/support/malformed.hpp>

#include <cstring>

using namespace graft;
using namespace graft_test;

namespace {

std::vector<std::byte> file_of(std::string const& header, std::size_t data) {
    auto const n = static_cast<std::uint64_t>(header.size());
    std::vector<std::byte> all(8 + header.size() + data);
    std::memcpy(all.data(), &n, 8);
    std::memcpy(all.data() + 8, header.data(), header.size());
    return all;
}
problem bad(std::string const& header, std::size_t data = 0) {
    auto const bytes = file_of(header, data);
    auto const r = parse_safetensors(bytes, "f");
    REQUIRE_FALSE(r.ok());
    CHECK(r.error().why == cause::bad_file);
    return r.error();
}
bool good(std::string const& header, std::size_t data = 0) {
    auto const bytes = file_of(header, data);
    auto const r = parse_safetensors(bytes, "f");
    if (!r) MESSAGE(describe(r.error()));
    return r.ok();
}

}  // namespace

TEST_CASE("safetensors: a file made by hand is read") {
    auto const bytes = file_of(
        R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,1],"data_offsets":[8,12]},)"
        R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
        R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]},"one":{"dtype":"I64","shape":[],)"
        R"("data_offsets":[12,20]}}  )",
        20);
    auto const s = parse_safetensors(bytes, "f");
    REQUIRE(s.ok());
    CHECK(s->metadata.at("format") == "pt");
    REQUIRE(s->tensors.size() == 4);
    CHECK(s->find("a")->data.data() == bytes.data() + bytes.size() - 20);
    CHECK(s->find("b")->shape == std::vector<std::uint64_t>{2, 1});
    CHECK(s->find("b")->type->weight == weight_type::f16);
    CHECK(s->find("one")->data.size() == 8);
    CHECK(s->find("none")->data.empty());
    CHECK(s->find("c") == nullptr);
}

TEST_CASE("safetensors: every malformed header of the catalogue is refused with the reason") {
    auto const one = [](std::string const& entry) { return "{\"t\":" + entry + "}"; };
    CHECK(good("{}"));
    CHECK(good("  {} \n"));
    CHECK(good(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), 4));
    CHECK(bad(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), 5).what ==
          "has bytes that belong to no tensor");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), 3).what == "does not lie in the file");
    CHECK(bad(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), 4).expected == "8 bytes");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"), 4).what ==
          "has a shape that is not a list of whole numbers");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1e0],"data_offsets":[0,4]})"), 4).what ==
          "has a shape that is not a list of whole numbers");
    CHECK(bad(one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), 4).what ==
          "has a shape that is not a list of whole numbers");
    CHECK(bad(one(R"({"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]})"), 4).what ==
          "has more numbers than can be counted");
    CHECK(bad(one(R"({"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]})"), 4).what ==
          "has more numbers than can be counted");
    CHECK(bad(one(R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]})"), 4).what ==
          "has a shape that is not a list of whole numbers");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), 4).what == "does not lie in the file");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]})"), 4).what ==
          "does not lie in the file");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), 4).what ==
          "has data_offsets that are not two whole numbers");
    CHECK(bad(one(R"({"dtype":"F4","shape":[1],"data_offsets":[0,4]})"), 4).got == "F4");
    CHECK(bad(one(R"({"dtype":5,"shape":[1],"data_offsets":[0,4]})"), 4).what == "has a dtype that is not a string");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1]})"), 4).what == "is not described by dtype, shape and data_offsets");
    CHECK(bad(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})"), 4).what ==
          "is not described by dtype, shape and data_offsets");
    CHECK(bad(one("7"), 0).what == "is not described by dtype, shape and data_offsets");
    CHECK(
        bad(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],)"
            R"("data_offsets":[4,12]}})",
            12)
            .what == "overlaps another tensor");
    CHECK(
        bad(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],)"
            R"("data_offsets":[0,4]}})",
            4)
            .what == "overlaps another tensor");
    CHECK(
        bad(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],)"
            R"("data_offsets":[8,12]}})",
            12)
            .what == "leaves a hole before it");
    CHECK(
        bad(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],)"
            R"("data_offsets":[0,0]}})")
            .what == "the key is there twice");
    CHECK(bad(R"({"__metadata__":{"a":1}})").what == "has metadata that is not text");
    CHECK(bad(R"({"__metadata__":[]})").what == "has metadata that is not an object");
    CHECK(bad("[]").got == "of an unknown kind");
    CHECK(bad("{").where.substr(0, 4) == "line");
    CHECK(bad("{} x").where.substr(0, 4) == "line");
    CHECK(bad("").why == cause::bad_file);
    auto long_header = file_of("{}", 0);
    long_header[7] = std::byte{0xFF};
    CHECK_FALSE(parse_safetensors(long_header, "f").ok());
    long_header[7] = std::byte{0}, long_header[0] = std::byte{200};
    CHECK(parse_safetensors(long_header, "f").error().what == "has a header longer than the file");
    CHECK(parse_safetensors(as_bytes("GGUF\3\0\0\0"), "f").error().got == "a GGUF file");
    CHECK(parse_safetensors(as_bytes("PK\x03\x04 and more bytes"), "f").error().got.find("zip") != std::string::npos);
}

TEST_CASE("safetensors: every truncation and every value of every byte is parsed or refused") {
    auto const whole = file_of(
        R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,1],"data_offsets":[8,12]},)"
        R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
        12);
    std::size_t parsed = 0, refused = 0, sum = 1;
    every_damage(whole, [&](std::span<std::byte const> damaged) {
        auto const r = parse_safetensors(damaged, "f");
        ++(r ? parsed : refused);
        if (r)
            for (auto const& t : r->tensors)
                for (std::byte const x : t.data) sum += std::to_integer<std::size_t>(x);
        if (!r && describe(r.error()).empty()) FAIL("no message");
    });
    MESSAGE(parsed << " parsed, " << refused << " refused");
    CHECK(sum > 0);
    CHECK(parsed > 1000);
    CHECK(refused > 10000);
}

TEST_CASE("safetensors writer: wide types first, then by name, the header padded; and it is read back") {
    scratch_folder folder;
    auto const path = (folder.path / "w.safetensors").string();
    std::vector<float> const f{1, 2, 3};
    std::vector<std::uint16_t> const h{0x3C00};
    std::vector<tensor_to_write> const tensors{{"z", "F32", {1}, std::as_bytes(std::span(f).first(1))},
                                               {"h \"quoted\" \xC3\xA9", "F16", {1}, std::as_bytes(std::span(h))},
                                               {"a", "F32", {3, 1}, std::as_bytes(std::span(f))}};
    REQUIRE(write_safetensors(path, tensors, {{"format", "pt"}}).ok());
    auto const text = read_file(path);
    std::uint64_t n = 0;
    std::memcpy(&n, text.data(), 8);
    CHECK(n % 8 == 0);
    CHECK(text.substr(8, 31) == R"({"__metadata__":{"format":"pt"})");
    auto const file = mapped_file::open(path);
    auto const s = parse_safetensors(file->bytes(), path);
    REQUIRE(s.ok());
    CHECK(s->find("a")->data.data() == file->bytes().data() + 8 + n);
    CHECK(std::memcmp(s->find("a")->data.data(), f.data(), 12) == 0);
    CHECK(s->find("z")->data.data() == s->find("a")->data.data() + 12);
    CHECK(s->find("h \"quoted\" \xC3\xA9")->data.data() == s->find("a")->data.data() + 16);

    auto const refused = [&](tensor_to_write t) {
        return !write_safetensors((folder.path / "x").string(), std::span(&t, 1), {}).ok();
    };
    CHECK(refused({"a", "F32", {2}, std::as_bytes(std::span(f))}));
    CHECK(refused({"a", "F33", {3}, std::as_bytes(std::span(f))}));
    CHECK(refused({"__metadata__", "F32", {3}, std::as_bytes(std::span(f))}));
    CHECK(refused({"\xFF", "F32", {3}, std::as_bytes(std::span(f))}));
    CHECK_FALSE(std::filesystem::exists(folder.path / "x"));
}
