// SPDX-License-Identifier: Apache-2.0
// Classes of characters as the pre-tokenizers see them, and normal form C.               (layer 15: text)
#pragma once

#include <graft/text/normalization_tables.hpp>
#include <graft/text/unicode_tables.hpp>
#include <graft/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

/// \p{L}, \p{N}, \s of Unicode 16.0 (white space is White_Space), or none of them.
enum class char_class : unsigned char { other, letter, number, space };

namespace detail {

template <class Ranges>
constexpr auto find_range(Ranges const& ranges, char32_t c) {
    auto const after =
        std::upper_bound(ranges.begin(), ranges.end(), c, [](char32_t x, auto const& r) { return x < r.first; });
    return after != ranges.begin() && c <= (after - 1)->last ? after - 1 : ranges.end();
}

template <class Ranges>
constexpr bool in_ranges(Ranges const& ranges, char32_t c) {
    return find_range(ranges, c) != ranges.end();
}

}  // namespace detail

constexpr bool is_white_space(char32_t c) {
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

constexpr char_class classify(char32_t c) {
    if (c < 0x80) {
        char32_t const lower = c | 0x20;
        if (lower >= 'a' && lower <= 'z') return char_class::letter;
        if (c >= '0' && c <= '9') return char_class::number;
        return is_white_space(c) ? char_class::space : char_class::other;
    }
    if (detail::in_ranges(letter_ranges, c)) return char_class::letter;
    if (detail::in_ranges(number_ranges, c)) return char_class::number;
    return is_white_space(c) ? char_class::space : char_class::other;
}

/// What Rust calls numeric, and SmolLM2's tokenizer therefore splits one by one: \p{N} and 13 younger digits.
constexpr bool is_rust_numeric(char32_t c) {
    return classify(c) == char_class::number || (c >= 0x80 && detail::in_ranges(late_digit_ranges, c));
}

namespace detail {

// Hangul syllables (de)compose by arithmetic: The Unicode Standard, section 3.12.
inline constexpr char32_t hangul = 0xAC00, hangul_l = 0x1100, hangul_v = 0x1161, hangul_t = 0x11A7;
inline constexpr char32_t hangul_v_count = 21, hangul_t_count = 28, hangul_count = 11172;

constexpr int combining_class(char32_t c) {
    if (c < 0x300) return 0;
    auto const r = find_range(combining_ranges, c);
    return r == combining_ranges.end() ? 0 : r->combining;
}

inline void append_decomposed(std::vector<char32_t>& out, char32_t c) {
    if (c < 0xC0) return out.push_back(c);
    if (c - hangul < hangul_count) {
        char32_t const s = c - hangul;
        out.push_back(hangul_l + s / (hangul_v_count * hangul_t_count));
        out.push_back(hangul_v + s / hangul_t_count % hangul_v_count);
        if (s % hangul_t_count != 0) out.push_back(hangul_t + s % hangul_t_count);
        return;
    }
    auto const pair = std::lower_bound(pair_decompositions.begin(), pair_decompositions.end(), c,
                                       [](canonical_pair const& p, char32_t x) { return p.whole < x; });
    if (pair != pair_decompositions.end() && pair->whole == c) {
        append_decomposed(out, pair->first);  // at most four deep
        return append_decomposed(out, pair->second);
    }
    auto const run = find_range(singleton_runs, c);
    if (run != singleton_runs.end()) return append_decomposed(out, singleton_targets[run->from + (c - run->first)]);
    out.push_back(c);
}

/// The code point that first, second compose to, or 0.
inline char32_t composed(char32_t first, char32_t second) {
    if (first - hangul_l < 19 && second - hangul_v < hangul_v_count)
        return hangul + ((first - hangul_l) * hangul_v_count + (second - hangul_v)) * hangul_t_count;
    if (first - hangul < hangul_count && (first - hangul) % hangul_t_count == 0 &&
        second - hangul_t - 1 < hangul_t_count - 1)
        return first + (second - hangul_t);
    auto const key = std::pair(first, second);
    auto const at = std::lower_bound(compositions.begin(), compositions.end(), key, [](std::uint16_t i, auto const& k) {
        return std::pair(pair_decompositions[i].first, pair_decompositions[i].second) < k;
    });
    if (at == compositions.end()) return 0;
    canonical_pair const& p = pair_decompositions[*at];
    return p.first == first && p.second == second ? p.whole : 0;
}

/// Sorts marks by combining class; those of one class keep their order. (Not std::stable_sort: the buffer that
/// libstdc++ 12 gives it is deprecated, which newer clangs report to whoever includes this.)
inline void order_marks(std::span<char32_t> marks) {
    if (marks.size() < 2) return;
    std::vector<std::uint64_t> keys(marks.size());  // class, then place, then the code point's 21 bits
    for (std::size_t i = 0; i < marks.size(); ++i)
        keys[i] = static_cast<std::uint64_t>(combining_class(marks[i])) << 54 | std::uint64_t{i} << 21 | marks[i];
    std::sort(keys.begin(), keys.end());
    for (std::size_t i = 0; i < marks.size(); ++i) marks[i] = static_cast<char32_t>(keys[i] & 0x1fffff);
}

/// Canonical order and composition of a decomposed text, in place.
inline void compose(std::vector<char32_t>& s) {
    for (std::size_t at = 0; at < s.size();) {
        std::size_t end = at;
        while (end < s.size() && combining_class(s[end]) != 0) ++end;
        order_marks(std::span(s).subspan(at, end - at));
        at = end + 1;
    }
    std::size_t kept = 0, starter = s.size();  // s.size(): none yet
    int before = -1;                           // class of the last kept mark after the starter; -1: none
    for (char32_t const c : s) {
        int const here = combining_class(c);
        char32_t const joined = starter < kept && before < here ? composed(s[starter], c) : 0;
        if (joined != 0) {
            s[starter] = joined;
            continue;
        }
        if (here == 0) {
            starter = kept;
            before = -1;
        } else {
            before = here;
        }
        s[kept++] = c;
    }
    s.resize(kept);
}

}  // namespace detail

/// Text in normal form C, as Hugging Face's NFC gives it (Unicode 9.0); bytes that are not UTF-8 stay where they are.
/// cost: O(n) where nothing is above U+02FF; such text is returned as it is.
inline std::string nfc(std::string_view text) {
    bool const plain =
        std::none_of(text.begin(), text.end(), [](char b) { return static_cast<unsigned char>(b) >= 0xCC; });
    if (plain) return std::string(text);  // every code point from U+0300 on begins with a byte ≥ 0xCC
    std::string out;
    out.reserve(text.size());
    std::vector<char32_t> run;
    auto const flush = [&] {
        detail::compose(run);
        for (char32_t const c : run) append_utf8(out, c);
        run.clear();
    };
    for (index_t at = 0; at < static_cast<index_t>(text.size());) {
        code_point const c = decode_utf8(text, at);
        if (c.valid) {
            detail::append_decomposed(run, c.value);
        } else {
            flush();
            out += text[static_cast<std::size_t>(at)];
        }
        at += c.bytes;
    }
    flush();
    return out;
}

}  // namespace graft
