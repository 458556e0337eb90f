// SPDX-License-Identifier: Apache-2.0
// Byte pair encoding of one word: merge neighbours, best rank first, in O(n log n).       (layer 15: text)
#pragma once

#include <graft/base/index.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
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
    index_t memory_bytes() const { return static_cast<index_t>(slots.capacity() * sizeof(slot)); }

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

/// Ranks fit 24 bits and places in a word 39, so that both are one number.
inline constexpr std::size_t most_merges = std::size_t{1} << 24U;
inline constexpr std::uint64_t most_symbols = std::uint64_t{1} << 39U;

/// Merges the bytes of a word into tokens. Keeps its lists between words.
class byte_pair_encoder {
public:
    /// needs: the word shorter than `most_symbols`, fewer merges than `most_merges`.
    /// ids: the token of each byte, -1 where the vocabulary has none (such a byte is dropped, as Hugging Face does).
    void encode(std::string_view word, std::array<int, 256> const& ids, merge_table const& merges,
                std::vector<int>& out) {
        symbols.clear();
        for (char const c : word) {
            auto const at = static_cast<index_t>(symbols.size());
            if (int const id = ids[static_cast<unsigned char>(c)]; id >= 0) symbols.push_back({at - 1, at + 1, id});
        }
        if (symbols.empty()) return;
        symbols.back().next = -1;
        candidates.clear();
        for (index_t at = 0; at + 1 < static_cast<index_t>(symbols.size()); ++at)
            if (auto const m = pair_at(merges, at); m.rank >= 0) candidates.push_back(candidate(m.rank, at));
        std::make_heap(candidates.begin(), candidates.end(), std::greater{});
        while (!candidates.empty()) {
            std::pop_heap(candidates.begin(), candidates.end(), std::greater{});
            auto const best = candidates.back();
            auto const at = static_cast<index_t>(best & (most_symbols - 1));
            candidates.pop_back();
            symbol& left = symbol_at(at);
            if (left.id < 0 || left.next < 0) continue;  // merged since
            auto const m = pair_at(merges, at);
            if (m.rank < 0 || candidate(m.rank, at) != best) continue;
            symbol& right = symbol_at(left.next);
            left.id = m.id;
            left.next = right.next;
            right.id = -1;
            if (right.next >= 0) symbol_at(right.next).previous = at;
            if (left.next >= 0) offer(merges, at);
            if (left.previous >= 0) offer(merges, left.previous);
        }
        for (index_t at = 0; at >= 0; at = symbol_at(at).next) out.push_back(symbol_at(at).id);
    }

private:
    struct symbol {
        index_t previous, next;  // -1: none
        int id;                  // -1: now part of the symbol to its left
    };
    /// Rank above place: the smallest is the next merge, the leftmost of its rank.
    static std::uint64_t candidate(int rank, index_t at) {
        return static_cast<std::uint64_t>(rank) * most_symbols + static_cast<std::uint64_t>(at);
    }

    symbol& symbol_at(index_t at) { return symbols[static_cast<std::size_t>(at)]; }
    merge_table::merge pair_at(merge_table const& merges, index_t at) {
        symbol const& left = symbol_at(at);
        return merges.find(left.id, symbol_at(left.next).id);
    }
    void offer(merge_table const& merges, index_t at) {
        auto const m = pair_at(merges, at);
        if (m.rank < 0) return;
        candidates.push_back(candidate(m.rank, at));
        std::push_heap(candidates.begin(), candidates.end(), std::greater{});
    }

    std::vector<symbol> symbols;
    std::vector<std::uint64_t> candidates;
};

}  // namespace graft
