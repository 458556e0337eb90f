// SPDX-License-Identifier: Apache-2.0
// UTF-8 that keeps what is not UTF-8: a bad byte is a code unit of its own, never lost.   (layer 15: text)
#pragma once

#include <graft/base/index.hpp>

#include <string>
#include <string_view>

namespace graft {

/// One code point of a text, or one byte that belongs to none.
struct code_point {
    char32_t value;  // of a bad byte: the byte
    index_t bytes;   // how many it takes in the text; 0 at its end
    bool valid;
};

/// The code point that begins at byte `at`; shortest forms only, no surrogates, at most U+10FFFF.
constexpr code_point decode_utf8(std::string_view text, index_t at) {
    auto const left = static_cast<index_t>(text.size()) - at;
    if (left <= 0) return {0, 0, false};
    auto const byte = [&](index_t i) { return static_cast<unsigned char>(text[static_cast<std::size_t>(at + i)]); };
    char32_t const lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    index_t const size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    code_point const bad{lead, 1, false};
    if (lead < 0xC2 || lead > 0xF4 || left < size) return bad;
    char32_t value = lead & (0xFFU >> (size + 1));
    for (index_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return bad;
        value = value << 6 | (byte(i) & 0x3FU);
    }
    bool const shortest = size == 2 || (size == 3 ? value >= 0x800 : value >= 0x10000);
    if (!shortest || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return bad;
    return {value, size, true};
}

/// `out` followed by the code point c (at most U+10FFFF).
inline void append_utf8(std::string& out, char32_t c) {
    auto const put = [&](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (c < 0x80) return put(c);
    if (c < 0x800) return put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
    if (c < 0x10000) return put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
}

constexpr bool valid_utf8(std::string_view text) {
    for (index_t at = 0; at < static_cast<index_t>(text.size());) {
        code_point const c = decode_utf8(text, at);
        if (!c.valid) return false;
        at += c.bytes;
    }
    return true;
}

/// The largest n such that text[0, n) does not end inside a code point that more bytes could complete.
constexpr index_t complete_utf8(std::string_view text) {
    auto const size = static_cast<index_t>(text.size());
    for (index_t back = 1; back <= 3 && back <= size; ++back) {
        auto const lead = static_cast<unsigned char>(text[static_cast<std::size_t>(size - back)]);
        if ((lead & 0xC0U) == 0x80U) continue;
        index_t const needs = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
        return lead <= 0xF4 && needs > back ? size - back : size;
    }
    return size;
}

/// For messages: control characters and bad bytes as \n, \t or \xNN, cut with … after about `limit` bytes.
inline std::string printable(std::string_view text, index_t limit = 120) {
    std::string out;
    auto const hex = [](char32_t digit) { return "0123456789ABCDEF"[digit & 15]; };
    for (index_t at = 0; at < static_cast<index_t>(text.size());) {
        if (static_cast<index_t>(out.size()) >= limit) return out + "…";
        code_point const c = decode_utf8(text, at);
        bool const control = c.value < 0x20 || (c.value >= 0x7F && c.value < 0xA0);
        // U+2028 … U+202E and U+2066 … U+2069 break lines or turn the direction of a terminal's text.
        bool const turns = (c.value >= 0x2028 && c.value <= 0x202E) || (c.value >= 0x2066 && c.value <= 0x2069);
        if (c.valid && c.value == '\n') {
            out += "\\n";
        } else if (c.valid && c.value == '\t') {
            out += "\\t";
        } else if (c.valid && !control && !turns) {
            out += text.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(c.bytes));
        } else {
            for (char const raw : text.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(c.bytes))) {
                auto const byte = static_cast<unsigned char>(raw);
                out += {'\\', 'x', hex(byte >> 4U), hex(byte)};
            }
        }
        at += c.bytes;
    }
    return out;
}

}  // namespace graft
