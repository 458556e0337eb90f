// SPDX-License-Identifier: Apache-2.0
#include <graft/text/json.hpp>

#include <doctest/doctest.h>

using namespace graft;

namespace {

/// "" if the text is accepted, else what is said about it.
std::string refusal(std::string_view text) {
    auto const r = parse_json(text, "f.json");
    return r ? "" : describe(r.error());
}

bool has(std::string const& text, char const* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("json: what is legal is read as it is said") {
    auto const r = parse_json(" {\"a\": [1, -2, 2.5, true, null, \"\\u00e9\\n\"], \"b\": {}} \n", "f.json");
    REQUIRE(r.ok());
    CHECK(json_text(*r) == "{\"a\":[1,-2,2.5,true,null,\"é\\n\"],\"b\":{}}");
    CHECK(parse_json("3", "")->get<int>() == 3);
    CHECK((*parse_json("18446744073709551615", "")).is_number_unsigned());
}

TEST_CASE("json: each refusal says where and why") {
    CHECK(refusal("") == "f.json: not valid JSON (line 1:1): expected a value, got nothing");
    CHECK(refusal("{\n \"a\": [1,\n 2,,]}") ==
          "f.json: not valid JSON: unexpected ',' (line 3:4): expected '[', '{', or a literal, got '2,,'");
    CHECK(has(refusal("{\"k\":1,\"k\":2}"), "the key is there twice (line 1:8): expected each key once, got 'k'"));
    CHECK(has(refusal("{\"k\\\"\":1,\n \"\\u006b\\u0022\":2}"),
              "the key is there twice (line 2:2)"));  // after unescaping
    CHECK(has(refusal("{\"x\":{\"y\":1,\"z\":2,\"y\":3}}"), "twice"));
    CHECK(has(refusal(std::string_view("123\0", 4)), "a zero byte"));
    CHECK(has(refusal("1 2"), "expected end of input"));
    for (char const* bad :
         {"[1,]", "{\"a\":1,}", "[01]", "[1e]", "['a']", "[\"\t\"]", "[nan]", "\"\\ud800\"", "\"\xff\"", "\"\xc3\"",
          "[1e999]", "{a:1}", "[1", "\"", "-", "{\"a\"}", "tru", "// c\n1", "\"\\x41\""})
        CHECK_MESSAGE(!refusal(bad).empty(), bad);
}

TEST_CASE("json: depth 64 is read and 65 refused, also a million deep") {
    auto const nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    CHECK(refusal(nested(64)).empty());
    CHECK(has(refusal(nested(65)), "nested too deep (line 1:65): expected at most 64 levels"));
    CHECK(has(refusal(std::string(1000000, '[')), "nested too deep"));
    std::string objects;
    for (int i = 0; i < 65; ++i) objects += "{\"a\":";
    CHECK(has(refusal(objects + "1"), "nested too deep"));
}

TEST_CASE("json: every truncation and every changed byte is read or refused, never worse") {
    std::string const good = "{\"a\\u0041\": [1, -2.5e3, {\"b\": null}], \"é\": \"x\\n\\\"\", \"t\": [true, false]}";
    REQUIRE(refusal(good).empty());
    for (std::size_t n = 0; n < good.size(); ++n) CHECK(!refusal(std::string_view(good).substr(0, n)).empty());
    int accepted = 0;
    for (std::size_t i = 0; i < good.size(); ++i)
        for (int b = 0; b < 256; ++b) {
            std::string bad = good;
            bad[i] = static_cast<char>(static_cast<unsigned char>(b));
            auto const said = refusal(bad);
            accepted += said.empty();
            CHECK(said.find('\n') == std::string::npos);
        }
    CHECK(accepted > 500);    // letters may change within strings
    CHECK(accepted < 15000);  // most changes are noticed
}

TEST_CASE("json: typed getters name the key, what it should be and what it is") {
    auto const r = parse_json(
        "{\"i\":-3,\"f\":2.0,\"s\":\"x\",\"b\":true,\"l\":[1,2],\"m\":[1,\"a\"],\"o\":{},\"n\":null,\"big\":"
        "5000000000}",
        "f.json");
    REQUIRE(r.ok());
    auto const& j = *r;
    CHECK(*json_get<int>(j, "i", "f.json") == -3);
    CHECK(*json_get<double>(j, "f", "f.json") == 2.0);
    CHECK(*json_get<double>(j, "i", "f.json") == -3.0);
    CHECK(*json_get<std::string>(j, "s", "f.json") == "x");
    CHECK(*json_get<bool>(j, "b", "f.json"));
    CHECK(*json_get<std::vector<int>>(j, "l", "f.json") == std::vector<int>{1, 2});
    CHECK(*json_get<std::int64_t>(j, "big", "f.json") == 5000000000);
    CHECK(!json_get<int>(j, "big", "f.json").ok());
    CHECK(!json_get<unsigned>(j, "i", "f.json").ok());
    CHECK(!json_get<std::vector<int>>(j, "m", "f.json").ok());
    CHECK(!json_get<bool>(j, "i", "f.json").ok());
    CHECK(describe(json_get<int>(j, "f", "f.json").error()) ==
          "f.json: a value of the wrong type (key 'f'): expected an integer in range, got 2.0");
    CHECK(describe(json_get<int>(j, "zz", "f.json").error()) ==
          "f.json: a key is missing (key 'zz'): expected an integer in range, got nothing");
    CHECK(*json_get_or<int>(j, "zz", 7, "f.json") == 7);
    CHECK(*json_get_or<int>(j, "n", 7, "f.json") == 7);
    CHECK(!json_get_or<int>(j, "s", 7, "f.json").ok());
    CHECK((*json_object(j, "o", "f.json"))->empty());
    CHECK((*json_array(j, "l", "f.json"))->size() == 2);
    CHECK(!json_object(j, "l", "f.json").ok());
    CHECK(!json_array(j, "o", "f.json").ok());
    CHECK(!json_get<int>(*parse_json("[]", ""), "a", "f.json").ok());  // not even an object
}
