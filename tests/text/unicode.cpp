// SPDX-License-Identifier: Apache-2.0
#include <graft/text/byte_alphabet.hpp>
#include <graft/text/unicode.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace graft;

namespace {

std::string utf8(std::initializer_list<char32_t> points) {
    std::string s;
    for (char32_t const c : points) append_utf8(s, c);
    return s;
}

}  // namespace

TEST_CASE("utf8: every code point comes back from its bytes, and nothing else is accepted") {
    for (char32_t c = 0; c < 0x110000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string s;
        append_utf8(s, c);
        code_point const back = decode_utf8(s, 0);
        REQUIRE((back.valid && back.value == c && back.bytes == static_cast<index_t>(s.size())));
        for (std::size_t n = 1; n < s.size(); ++n) REQUIRE(!decode_utf8(std::string_view(s).substr(0, n), 0).valid);
    }
    for (std::string const bad :
         {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3(", "\xE2\x82("}) {
        code_point const c = decode_utf8(bad, 0);
        CHECK(!c.valid);
        CHECK(c.bytes == 1);
        CHECK(c.value == static_cast<unsigned char>(bad[0]));
        CHECK(!valid_utf8(bad));
    }
    CHECK(decode_utf8("", 0).bytes == 0);
    CHECK(valid_utf8("aé€😀"));
}

TEST_CASE("utf8: a text is complete up to a character that more bytes could finish") {
    std::string const s = "é€😀";
    index_t const ends[] = {0, 0, 2, 2, 2, 5, 5, 5, 5, 9};
    for (std::size_t n = 0; n <= s.size(); ++n) CHECK(complete_utf8(std::string_view(s).substr(0, n)) == ends[n]);
    CHECK(complete_utf8("a\xFF") == 2);  // can never be completed: not held back
    CHECK(complete_utf8("\x80\x80\x80\x80") == 4);
    CHECK(complete_utf8("\xC0") == 1);
}

TEST_CASE("utf8: messages show no control characters, no bad bytes and no turned text") {
    CHECK(printable("a\n\t\x1b[31m\x7fz") == "a\\n\\t\\x1B[31m\\x7Fz");
    CHECK(printable("é\xFF") == "é\\xFF");
    CHECK(printable("\u202e\u0085") == "\\xE2\\x80\\xAE\\xC2\\x85");
    CHECK(printable(std::string(500, 'x')) == std::string(120, 'x') + "…");
    CHECK(printable("abc", 2) == "ab…");
}

TEST_CASE("unicode: classes of chosen characters") {
    for (char32_t const c : {U'a', U'Z', U'é', U'ß', U'я', U'中', U'ا', U'\u02B0', U'\U0001D400', U'\U00020000'})
        CHECK(classify(c) == char_class::letter);
    for (char32_t const c : {U'0', U'9', U'²', U'½', U'٣', U'Ⅻ', U'①', U'\U0001D7D8'})
        CHECK(classify(c) == char_class::number);
    for (char32_t const c : {U' ', U'\t', U'\v', U'\r', U'\x85', U'\xA0', U'\u2003', U'\u2028', U'\u3000'})
        CHECK(classify(c) == char_class::space);
    for (char32_t const c : {U'\0', U'_', U'\x1c', U'\u200b', U'\u0301', U'\ufeff', U'😀', U'\U000E0001'})
        CHECK(classify(c) == char_class::other);
    int letters = 0, numbers = 0, spaces = 0, digits = 0;
    for (char32_t c = 0; c < 0x110000; ++c) {
        letters += classify(c) == char_class::letter;
        numbers += classify(c) == char_class::number;
        spaces += classify(c) == char_class::space;
        digits += is_rust_numeric(c);
    }
    CHECK(letters == 141028);  // counts of Unicode 16.0
    CHECK(numbers == 1911);
    CHECK(spaces == 25);
    CHECK(digits == 1911 + 13);  // Unicode 17.0 added thirteen
}

TEST_CASE("unicode: normal form C") {
    CHECK(nfc("e\u0301") == "é");
    CHECK(nfc("\u212B") == "\u00C5");                // singleton: the ångström sign
    CHECK(nfc("o\u0323\u0302") == "\u1ED9");         // two marks, in order
    CHECK(nfc("o\u0302\u0323") == "\u1ED9");         // and not
    CHECK(nfc("a\u0315\u0300") == "\u00E0\u0315");   // reordered by class, then composed
    CHECK(nfc("a\u0301\u0300") == "\u00E1\u0300");   // of one class: in their order
    CHECK(nfc("x\u0315\u0301\u0300\u0323") == "x\u0323\u0301\u0300\u0315");
    CHECK(nfc("a\u0301\u0301") == "á\u0301");        // a second mark of the same class is blocked
    CHECK(nfc("a\u0305\u0301") == "a\u0305\u0301");  // blocked by one that does not compose
    CHECK(nfc("\u0958") == "\u0915\u093C");          // excluded from composition
    CHECK(nfc("\u1112\u1161\u11AB") == "한");
    CHECK(nfc("\uD558\u11AB") == "한");
    CHECK(nfc("\uF900") == "\u8C48");
    CHECK(nfc(utf8({0x2FA1D})) == utf8({0x2A600}));
    CHECK(nfc("plain ASCII and é") == "plain ASCII and é");
    CHECK(nfc("e\xFF\u0301") == "e\xFF\u0301");  // a bad byte stands between them
    CHECK(nfc("\xCC") == "\xCC");
}

TEST_CASE("unicode: normal form C leaves itself alone, for every code point") {
    for (char32_t c = 0; c < 0x30000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string s = "a";
        append_utf8(s, c);
        std::string const once = nfc(s);
        REQUIRE(nfc(once) == once);
        REQUIRE(valid_utf8(once));
    }
}

TEST_CASE("unicode: tables are sorted and do not overlap") {
    auto const sorted = [](auto const& ranges) {
        return std::is_sorted(ranges.begin(), ranges.end(),
                              [](auto const& a, auto const& b) { return a.last < b.first; }) &&
               std::all_of(ranges.begin(), ranges.end(), [](auto const& r) { return r.first <= r.last; });
    };
    CHECK(sorted(letter_ranges));
    CHECK(sorted(number_ranges));
    CHECK(sorted(late_digit_ranges));
    CHECK(sorted(combining_ranges));
    CHECK(sorted(singleton_runs));
}

TEST_CASE("byte alphabet: 256 characters, each of which says its byte") {
    CHECK(spell_bytes(" a\n") == "ĠaĊ");
    CHECK(spell_bytes(std::string_view("\0\xAD\xFF", 3)) == "ĀŃÿ");
    for (int b = 0; b < 256; ++b) {
        std::string const one(1, static_cast<char>(static_cast<unsigned char>(b)));
        CHECK(read_spelling(spell_bytes(one)) == one);
    }
    CHECK(!read_spelling(" "));       // not in the alphabet
    CHECK(!read_spelling("\u0144"));  // one after its last
    CHECK(!read_spelling("\xFF"));
}
