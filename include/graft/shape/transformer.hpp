// SPDX-License-Identifier: Apache-2.0
// The sizes of a decoder-only transformer, and the axes that read them.                  (layer 1: shape)
#pragma once

#include <graft/shape/axis.hpp>
#include <graft/shape/extent.hpp>

#include <array>
#include <string_view>

namespace graft {

/// The linear maps of a block that may carry an adapter, by the last part of their names; bit i stands for name i.
inline constexpr std::array<std::string_view, 7> target_names{"q_proj", "k_proj",  "v_proj",   "o_proj",
                                                              "gate_proj", "up_proj", "down_proj"};
inline constexpr unsigned all_targets = 127;

/// The bit of "q_proj" or of "self_attn.q_proj"; 0 for a name that is none of these.
constexpr unsigned target_bit(std::string_view name) {
    std::string_view const last = name.substr(name.rfind('.') + 1);  // npos + 1 is 0: the whole name
    for (std::size_t i = 0; i < target_names.size(); ++i)
        if (last == target_names[i]) return 1u << i;
    return 0;
}

/// Whether adapted maps keep the lengths of their rows as trained numbers (DoRA), and whether gradients know that a
/// row's length depends on the adapter.
enum class adapter_norm : unsigned char { none, detached, attached };

template <class N>
struct transformer {
    N tokens, width, heads, kv_heads, head, hidden, rank;
    unsigned targets = all_targets;  // which maps carry an adapter
    N cached{};                      // past rows whose keys and values generation keeps
    bool stored_weights = false;     // keep attention's weights from forward to pull, as the published methods do
    adapter_norm norm = adapter_norm::none;
    bool adapter_dropout = false;  // what adapters read may be dropped out
    bool adapter_offset = false;   // adapters start from a part of W that is taken off the map (PiSSA)
};
using transformer_shape = transformer<extent>;   // what is known when compiling
using transformer_sizes = transformer<index_t>;  // what is known when running

/// The largest sizes `s` admits: the numbers a static plan must fit.
constexpr transformer_sizes bounds(transformer_shape const& s) {
    return {s.tokens.bound, s.width.bound, s.heads.bound, s.kv_heads.bound, s.head.bound,
            s.hidden.bound, s.rank.bound,  s.targets,     s.cached.bound,   s.stored_weights,
            s.norm,         s.adapter_dropout, s.adapter_offset};
}

struct width : axis { static constexpr index_t of(auto const& n) { return n.width; } };
struct hidden : axis { static constexpr index_t of(auto const& n) { return n.hidden; } };
struct q_width : axis { static constexpr index_t of(auto const& n) { return n.heads * n.head; } };
struct kv_width : axis { static constexpr index_t of(auto const& n) { return n.kv_heads * n.head; } };

}  // namespace graft
