// SPDX-License-Identifier: Apache-2.0
// Byte pair encoding of one word: merge neighbours, best rank first, in O(n log n).       (layer 15: text)
#pragma once

#include <graft/base/index.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

/// (left, right) -> what they merge to and how early, in an open hash table.
class merge_table {
public:
    struct merge {
        int rank = -1;  // -1: these two do not merge
        int id = -1;
    };

    void reserve(std::size_t merges) {
        std::size_t size = 64;
        while (size < 2 * merges) size *= 2;
        slots.assign(size, {});
    }

    /// False if the pair is there already. needs: reserve() for all of them.
    bool insert(int left, int right, merge m) {
        slot& s = slots[place(left, right)];
        if (s.what.rank >= 0) return false;
        s = {key(left, right), m};
        return true;
    }

    merge find(int left, int right) const { return slots[place(left, right)].what; }

private:
    struct slot {
        std::uint64_t pair = 0;
        merge what;
    };
    static std::uint64_t key(int left, int right) {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32U | static_cast<std::uint32_t>(right);
    }
    std::size_t place(int left, int right) const {
        std::uint64_t const wanted = key(left, right);
        std::size_t const mask = slots.size() - 1;
        std::uint64_t const mixed = wanted * 0x9E3779B97F4A7C15U;
        std::size_t at = static_cast<std::size_t>(mixed ^ mixed >> 32U) & mask;
        while (slots[at].what.rank >= 0 && slots[at].pair != wanted) at = (at + 1) & mask;
        return at;
    }
    std::vector<slot> slots = std::vector<slot>(1);  // the empty table finds nothing
};

/// Merges the bytes of a word into tokens. Keeps its lists between words.
class byte_pair_encoder {
public:
    /// ids: the token of each byte, -1 where the vocabulary has none (such a byte is dropped, as Hugging Face does).
    void encode(std::string_view word, std::array<int, 256> const& ids, merge_table const& merges, std::vector<int>& out) {
        symbols.clear();
        for (char const c : word) {
            auto const at = static_cast<index_t>(symbols.size());
            if (int const id = ids[static_cast<unsigned char>(c)]; id >= 0) symbols.push_back({at - 1, at + 1, id});
        }
        if (symbols.empty()) return;
        symbols.back().next = -1;
        candidates.clear();
        for (index_t at = 0; at + 1 < static_cast<index_t>(symbols.size()); ++at)
            if (auto const c = pair_at(merges, at); c.rank >= 0) candidates.push_back(c);
        std::make_heap(candidates.begin(), candidates.end(), later);
        while (!candidates.empty()) {
            std::pop_heap(candidates.begin(), candidates.end(), later);
            candidate const best = candidates.back();
            candidates.pop_back();
            symbol& left = symbol_at(best.at);
            if (left.id != best.left || left.next < 0 || symbol_at(left.next).id != best.right) continue;  // merged since
            symbol& right = symbol_at(left.next);
            left.id = best.id;
            left.next = right.next;
            right.id = -1;
            if (right.next >= 0) symbol_at(right.next).previous = best.at;
            if (left.next >= 0) offer(merges, best.at);
            if (left.previous >= 0) offer(merges, left.previous);
        }
        for (index_t at = 0; at >= 0; at = symbol_at(at).next) out.push_back(symbol_at(at).id);
    }

private:
    struct symbol {
        index_t previous, next;  // -1: none
        int id;                  // -1: now part of the symbol to its left
    };
    struct candidate {
        int rank;
        index_t at;
        int left, right, id;
    };
    static bool later(candidate const& a, candidate const& b) { return a.rank != b.rank ? a.rank > b.rank : a.at > b.at; }

    symbol& symbol_at(index_t at) { return symbols[static_cast<std::size_t>(at)]; }
    candidate pair_at(merge_table const& merges, index_t at) {
        int const left = symbol_at(at).id, right = symbol_at(symbol_at(at).next).id;
        auto const m = merges.find(left, right);
        return {m.rank, at, left, right, m.id};
    }
    void offer(merge_table const& merges, index_t at) {
        candidate const c = pair_at(merges, at);
        if (c.rank < 0) return;
        candidates.push_back(c);
        std::push_heap(candidates.begin(), candidates.end(), later);
    }

    std::vector<symbol> symbols;
    std::vector<candidate> candidates;
};

}  // namespace graft
