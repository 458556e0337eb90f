// SPDX-License-Identifier: Apache-2.0
// Words for people: lists of them, numbers in a pattern, and which word a misspelt one was meant to be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// printf into a string of at most 511 bytes.
std::string formatted(char const* pattern, auto... values) {
    char room[512];
    std::snprintf(room, sizeof room, pattern, values...);
    return room;
}

/// 12.3 MiB
inline std::string in_mebibytes(double bytes) { return formatted("%.1f MiB", bytes / 0x1p20); }
inline std::string in_mebibytes(std::ptrdiff_t bytes) { return in_mebibytes(static_cast<double>(bytes)); }

/// "a, b or c"
inline std::string listed(std::vector<std::string> const& words, char const* last = "or") {
    std::string s;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0 && i + 1 == words.size())
            s.append(" ").append(last).append(" ");
        else if (i > 0)
            s.append(", ");
        s.append(words[i]);
    }
    return s;
}

/// The known word that is nearest to a misspelt one, or "".
inline std::string nearest(std::string_view word, std::vector<std::string> const& known) {
    auto const distance = [&](std::string_view other) {  // letters to change, insert, drop, or swap with the next
        std::vector<std::size_t> before(other.size() + 1), row(other.size() + 1), next(other.size() + 1);
        for (std::size_t j = 0; j <= other.size(); ++j) row[j] = j;
        for (std::size_t i = 1; i <= word.size(); ++i) {
            next[0] = i;
            for (std::size_t j = 1; j <= other.size(); ++j) {
                bool const same = word[i - 1] == other[j - 1];
                next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (same ? 0 : 1)});
                if (i > 1 && j > 1 && word[i - 1] == other[j - 2] && word[i - 2] == other[j - 1])
                    next[j] = std::min(next[j], before[j - 2] + 1);
            }
            before = row, row = next;
        }
        return row.back();
    };
    std::string best;
    std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (auto const& k : known)
        if (std::size_t const d = distance(k); d < least) best = k, least = d;
    if (best.empty() && word.size() >= 3)
        for (auto const& k : known)
            if (k.starts_with(word)) return k;
    return best;
}

}  // namespace tool
