// SPDX-License-Identifier: Apache-2.0
// SentencePiece's merging: join the neighbours whose token scores best, in O(n log n).    (layer 15: text)
#pragma once

#include <graft/text/utf8.hpp>

#include <algorithm>
#include <string_view>
#include <vector>

namespace graft {

/// Joins the characters of a text into pieces. Keeps its lists between texts.
class score_merger {
public:
    /// A piece of the vocabulary, or id -1.
    struct piece {
        int id = -1;
        float score = 0;
    };

    /// find(std::string_view) -> piece; emit(std::string_view, piece) for each part of the text in order, id -1 where
    /// a character is in no token. No token is longer than `longest` bytes.
    template <class Find, class Emit>
    void encode(std::string_view text, std::size_t longest, Find&& find, Emit&& emit) {
        if (text.empty()) return;
        symbols.clear();
        candidates.clear();
        for (index_t at = 0; at < static_cast<index_t>(text.size());) {
            auto const number = static_cast<index_t>(symbols.size());
            code_point const c = decode_utf8(text, at);
            symbols.push_back(
                {number - 1, number + 1, static_cast<std::size_t>(at), static_cast<std::size_t>(c.bytes)});
            at += c.bytes;
        }
        symbols.back().next = -1;
        auto const offer = [&](index_t at) {
            symbol const& left = symbol_at(at);
            std::size_t const size = left.size + symbol_at(left.next).size;
            if (size > longest) return;
            piece const p = find(text.substr(left.at, size));
            if (p.id < 0) return;
            candidates.push_back({p.score, at, size});
            std::push_heap(candidates.begin(), candidates.end(), worse);
        };
        for (index_t at = 0; at + 1 < static_cast<index_t>(symbols.size()); ++at) offer(at);
        while (!candidates.empty()) {
            std::pop_heap(candidates.begin(), candidates.end(), worse);
            candidate const best = candidates.back();
            candidates.pop_back();
            symbol& left = symbol_at(best.at);
            if (left.size == 0 || left.next < 0 || left.size + symbol_at(left.next).size != best.size)
                continue;  // merged since
            symbol& right = symbol_at(left.next);
            left.size = best.size;
            right.size = 0;
            left.next = right.next;
            if (left.next >= 0) {
                symbol_at(left.next).previous = best.at;
                offer(best.at);
            }
            if (left.previous >= 0) offer(left.previous);
        }
        for (index_t at = 0; at >= 0; at = symbol_at(at).next) {
            auto const part = text.substr(symbol_at(at).at, symbol_at(at).size);
            emit(part, find(part));
        }
    }

private:
    struct symbol {
        index_t previous, next;  // -1: none
        std::size_t at, size;    // size 0: now part of the symbol to its left
    };
    struct candidate {
        float score;
        index_t at;
        std::size_t size;  // of both together when they were offered
    };
    static bool worse(candidate const& a, candidate const& b) {
        return a.score != b.score ? a.score < b.score : a.at > b.at;
    }
    symbol& symbol_at(index_t at) { return symbols[static_cast<std::size_t>(at)]; }

    std::vector<symbol> symbols;
    std::vector<candidate> candidates;
};

}  // namespace graft
