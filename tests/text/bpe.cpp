// SPDX-License-Identifier: Apache-2.0
// The fast merging against the definition: merge the best pair of the whole word, again and again.
#include <graft/text/bpe.hpp>
#include <graft/text/score_merge.hpp>
#include <graft/text/token_index.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace graft;

namespace {

struct dice {
    std::uint32_t state = 7;
    std::size_t operator()(std::size_t below) { return state = state * 1664525 + 1013904223, (state >> 8) % below; }
};

/// A vocabulary over few letters, in which every token but the letters is made by one merge.
struct toy {
    std::vector<std::string> tokens;
    merge_table merges;
    std::map<std::pair<int, int>, merge_table::merge> list;
    std::array<int, 256> bytes;

    toy(dice& draw, std::size_t letters, std::size_t count) {
        bytes.fill(-1);
        for (std::size_t i = 0; i < letters; ++i) {
            bytes['a' + i] = static_cast<int>(i);
            tokens.push_back(std::string(1, static_cast<char>('a' + i)));
        }
        merges.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            int const l = static_cast<int>(draw(tokens.size())), r = static_cast<int>(draw(tokens.size()));
            std::string const joined = tokens[static_cast<std::size_t>(l)] + tokens[static_cast<std::size_t>(r)];
            auto const known = std::find(tokens.begin(), tokens.end(), joined);
            int const id = static_cast<int>(known - tokens.begin());
            if (joined.size() > 9) continue;
            // Ranks in any order: a merge may come before the one that makes its left side.
            merge_table::merge const m{static_cast<int>(draw(1000) * 1000 + i), id};
            if (!merges.insert(l, r, m)) continue;
            list[{l, r}] = m;
            if (known == tokens.end()) tokens.push_back(joined);
        }
    }

    std::vector<int> slow(std::string const& word) const {
        std::vector<int> ids;
        for (char const c : word)
            if (int const id = bytes[static_cast<unsigned char>(c)]; id >= 0) ids.push_back(id);
        for (;;) {
            std::optional<std::size_t> best;
            merge_table::merge how;
            for (std::size_t i = 0; i + 1 < ids.size(); ++i)
                if (auto const m = list.find({ids[i], ids[i + 1]});
                    m != list.end() && (!best || m->second.rank < how.rank))
                    best = i, how = m->second;
            if (!best) return ids;
            ids[*best] = how.id;
            ids.erase(ids.begin() + static_cast<index_t>(*best) + 1);
        }
    }
};

}  // namespace

TEST_CASE("bpe: merging by a heap gives what merging by search gives") {
    dice draw;
    byte_pair_encoder encoder;
    int merged = 0;
    for (int trial = 0; trial < 300; ++trial) {
        toy const t(draw, 1 + draw(4), 40);
        for (int w = 0; w < 10; ++w) {
            std::string word;
            for (std::size_t n = draw(60); n > 0; --n)
                word += static_cast<char>('a' + draw(5));  // some letters are not in it
            std::vector<int> ids;
            encoder.encode(word, t.bytes, t.merges, ids);
            auto const want = t.slow(word);
            REQUIRE(ids == want);
            merged += ids.size() < word.size() / 2;
        }
    }
    CHECK(merged > 500);
}

TEST_CASE("bpe: the table finds what was put in, once") {
    merge_table t;
    CHECK(t.find(0, 0).rank == -1);
    t.reserve(1000);
    for (int i = 0; i < 1000; ++i) REQUIRE(t.insert(i, 1000 - i, {i, 2 * i}));
    CHECK(!t.insert(3, 997, {5, 5}));
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(t.find(i, 1000 - i).id == 2 * i);
        REQUIRE(t.find(1000 - i, i + 1).rank == -1);
    }
}

TEST_CASE("score merge: joining by a heap gives what joining by search gives") {
    dice draw;
    score_merger merger;
    for (int trial = 0; trial < 300; ++trial) {
        std::map<std::string, score_merger::piece, std::less<>> pieces;
        std::size_t longest = 0;
        for (int i = 0; i < 40; ++i) {
            std::string s;
            for (std::size_t n = 1 + draw(4); n > 0; --n)
                s += draw(4) ? std::string(1, static_cast<char>('a' + draw(3))) : "é";
            longest = std::max(longest, s.size());
            pieces[s] = {i, static_cast<float>(draw(20))};  // many scores are equal: the leftmost goes first
        }
        auto const find = [&](std::string_view s) {
            auto const at = pieces.find(s);
            return at == pieces.end() ? score_merger::piece{} : at->second;
        };
        for (int w = 0; w < 10; ++w) {
            std::vector<std::string> parts;
            std::string text;
            for (std::size_t n = draw(40); n > 0; --n) {
                parts.push_back(draw(5) ? std::string(1, static_cast<char>('a' + draw(4))) : draw(2) ? "é" : "\xFF");
                text += parts.back();
            }
            for (;;) {
                std::optional<std::size_t> best;
                float score = 0;
                for (std::size_t i = 0; i + 1 < parts.size(); ++i)
                    if (auto const p = find(parts[i] + parts[i + 1]); p.id >= 0 && (!best || p.score > score))
                        best = i, score = p.score;
                if (!best) break;
                parts[*best] += parts[*best + 1];
                parts.erase(parts.begin() + static_cast<index_t>(*best) + 1);
            }
            std::vector<std::string> got;
            merger.encode(text, longest, find, [&](std::string_view part, score_merger::piece p) {
                REQUIRE(p.id == find(part).id);
                got.emplace_back(part);
            });
            REQUIRE(got == parts);
        }
    }
}

TEST_CASE("token index: ids by spelling, the first of two alike") {
    std::vector<std::string> list;
    for (int i = 0; i < 500; ++i) list.push_back("t" + std::to_string(i % 400));
    token_index index;
    CHECK(index.find(list, "t0") == -1);
    for (int i = 0; i < 500; ++i) REQUIRE(index.insert(list, i) == i % 400);
    for (int i = 0; i < 400; ++i) REQUIRE(index.find(list, "t" + std::to_string(i)) == i);
    CHECK(index.find(list, "t400") == -1);
    CHECK(index.find(list, "") == -1);
}

TEST_CASE("added tokens: the longest one at a place, control ones when asked") {
    added_tokens added;
    added.insert("<|a|>", 1, true);
    added.insert("<|a|>b", 2, false);
    added.insert("<|", 3, false);
    CHECK(added.match("x<|a|>bc", 1, true).id == 2);
    CHECK(added.match("x<|a|>bc", 1, true).bytes == 6);
    CHECK(added.match("<|a|>c", 0, true).id == 1);
    CHECK(added.match("<|a|>c", 0, false).id == 3);
    CHECK(added.match("<|a", 0, true).id == 3);
    CHECK(added.match("x<|a|>", 0, true).id == -1);
    CHECK(added.match("<a", 0, true).id == -1);
}
