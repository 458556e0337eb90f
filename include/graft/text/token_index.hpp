// SPDX-License-Identifier: Apache-2.0
// Finding tokens: by spelling, and as the longest one that stands at a place of a text.   (layer 15: text)
#pragma once

#include <graft/base/index.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace graft {

/// id of a token by its spelling. Holds numbers only, so that it may be copied and moved with the list it was made for.
class token_index {
public:
    /// Enters list[id] unless it is there; returns the id that has the spelling then.
    int insert(std::vector<std::string> const& list, int id) {
        if (2 * (used + 1) > slots.size()) grow(list);
        std::size_t const at = place(list, list[static_cast<std::size_t>(id)]);
        if (slots[at] < 0) {
            slots[at] = id;
            ++used;
        }
        return slots[at];
    }

    /// -1: none. `list` is the one given to insert.
    int find(std::vector<std::string> const& list, std::string_view spelling) const {
        return slots.empty() ? -1 : slots[place(list, spelling)];
    }
    index_t memory_bytes() const { return static_cast<index_t>(slots.capacity() * sizeof(int)); }

private:
    std::size_t place(std::vector<std::string> const& list, std::string_view spelling) const {
        std::size_t const mask = slots.size() - 1;
        std::size_t at = std::hash<std::string_view>{}(spelling)&mask;
        while (slots[at] >= 0 && list[static_cast<std::size_t>(slots[at])] != spelling) at = (at + 1) & mask;
        return at;
    }
    void grow(std::vector<std::string> const& list) {
        std::vector<int> const old(std::exchange(slots, std::vector<int>(slots.empty() ? 64 : slots.size() * 2, -1)));
        for (int const id : old)
            if (id >= 0) slots[place(list, list[static_cast<std::size_t>(id)])] = id;
    }

    std::vector<int> slots;  // a power of two, at most half full; -1: free
    std::size_t used = 0;
};

/// Added tokens (control and user-defined ones), which stand for themselves in a text and are found before it is cut.
class added_tokens {
public:
    struct found {
        int id = -1;  // -1: none
        index_t bytes = 0;
    };

    void insert(std::string_view spelling, int id, bool control) {
        std::uint32_t node = 0;
        for (char const c : spelling)
            node = edges.try_emplace(key(node, c), static_cast<std::uint32_t>(edges.size() + 1)).first->second;
        ends[node] = {id, control};
        starts[static_cast<unsigned char>(spelling.front())] = true;
    }

    /// The longest added token that begins at `at`; control tokens only where asked for.
    found match(std::string_view text, std::size_t at, bool with_control) const {
        found best;
        if (!starts[static_cast<unsigned char>(text[at])]) return best;
        std::uint32_t node = 0;
        for (std::size_t i = at; i < text.size(); ++i) {
            auto const edge = edges.find(key(node, text[i]));
            if (edge == edges.end()) break;
            node = edge->second;
            auto const end = ends.find(node);
            if (end != ends.end() && (with_control || !end->second.control))
                best = {end->second.id, static_cast<index_t>(i + 1 - at)};
        }
        return best;
    }

private:
    struct leaf {
        int id;
        bool control;
    };
    static std::uint64_t key(std::uint32_t node, char c) {
        return std::uint64_t{node} << 8U | static_cast<unsigned char>(c);
    }

    std::unordered_map<std::uint64_t, std::uint32_t> edges;  // a trie: (node, byte) -> node
    std::unordered_map<std::uint32_t, leaf> ends;
    std::vector<bool> starts = std::vector<bool>(256);
};

}  // namespace graft
