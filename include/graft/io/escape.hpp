// SPDX-License-Identifier: Apache-2.0
// A name from a file, made safe to print.                                                (layer 16: io)
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace graft {

namespace detail {

/// Length of the well-formed UTF-8 sequence at the start of `s` (no surrogates, nothing overlong), 0 where there is
/// none.
constexpr std::size_t utf8_length(std::string_view s) {
    auto const at = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
    auto const tail = [&](std::size_t i) { return (at(i) & 0xC0u) == 0x80u; };
    unsigned const c = at(0);
    if (s.empty()) return 0;
    if (c < 0x80) return 1;
    if (c >= 0xC2 && c <= 0xDF) return tail(1) ? 2 : 0;
    if (c >= 0xE0 && c <= 0xEF) {
        if ((c == 0xE0 && at(1) < 0xA0) || (c == 0xED && at(1) > 0x9F)) return 0;
        return tail(1) && tail(2) ? 3 : 0;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        if ((c == 0xF0 && at(1) < 0x90) || (c == 0xF4 && at(1) > 0x8F)) return 0;
        return tail(1) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace detail

/// True where all of `s` is well-formed UTF-8.
constexpr bool is_utf8(std::string_view s) {
    while (!s.empty()) {
        std::size_t const n = detail::utf8_length(s);
        if (n == 0) return false;
        s.remove_prefix(n);
    }
    return true;
}

/// `s` with control bytes and bytes that are not UTF-8 written as \xNN, cut after 120 characters: fit for a terminal.
inline std::string escaped(std::string_view s) {
    constexpr char const* digit = "0123456789abcdef";
    std::string out;
    for (std::size_t shown = 0; !s.empty(); ++shown) {
        if (shown == 120) return out + "...";
        std::size_t const n = detail::utf8_length(s);
        auto const c = static_cast<unsigned char>(s[0]);
        bool const c1_control = n == 2 && c == 0xC2 && static_cast<unsigned char>(s[1]) < 0xA0;  // U+0080 … U+009F
        if (n == 0 || c < 0x20 || c == 0x7F) {
            out += "\\x", out += digit[c >> 4], out += digit[c & 15];
            s.remove_prefix(1);
        } else if (c1_control) {
            auto const d = static_cast<unsigned char>(s[1]);
            out += "\\xc2\\x", out += digit[d >> 4], out += digit[d & 15];
            s.remove_prefix(2);
        } else {
            out += s.substr(0, n);
            s.remove_prefix(n);
        }
    }
    return out;
}

/// `'name'`, escaped: how problems quote a name.
inline std::string quoted(std::string_view s) { return "'" + escaped(s) + "'"; }

}  // namespace graft
