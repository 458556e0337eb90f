// SPDX-License-Identifier: Apache-2.0
// GPT-2's spelling of bytes as visible characters, in which byte-level vocabularies are stored. (layer 15: text)
#pragma once

#include <graft/text/utf8.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace graft {

/// The character that spells each byte: itself where it is visible in Latin-1 (0x21–7E, A1–AC, AE–FF), else U+0100, …
constexpr std::array<char32_t, 256> make_byte_alphabet() {
    std::array<char32_t, 256> spelling{};
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) {
        bool const visible = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        spelling[b] = visible ? b : next++;
    }
    return spelling;
}
inline constexpr std::array<char32_t, 256> byte_alphabet = make_byte_alphabet();

/// Bytes as the vocabulary spells them: " a" is "Ġa".
inline std::string spell_bytes(std::string_view bytes) {
    std::string out;
    for (char const b : bytes) append_utf8(out, byte_alphabet[static_cast<unsigned char>(b)]);
    return out;
}

/// The bytes a spelling stands for; nothing if a character of it is not in the alphabet.
inline std::optional<std::string> read_spelling(std::string_view spelling) {
    std::string out;
    for (index_t at = 0; at < static_cast<index_t>(spelling.size());) {
        code_point const c = decode_utf8(spelling, at);
        at += c.bytes;
        if (!c.valid) return std::nullopt;
        char32_t byte = c.value;
        if (byte >= 0x100 || byte_alphabet[byte] != byte) {  // one of the 68 that are moved: search them
            byte = 0;
            while (byte < 256 && byte_alphabet[byte] != c.value) ++byte;
            if (byte == 256) return std::nullopt;
        }
        out += static_cast<char>(static_cast<unsigned char>(byte));
    }
    return out;
}

}  // namespace graft
