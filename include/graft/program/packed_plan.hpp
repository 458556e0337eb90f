// SPDX-License-Identifier: Apache-2.0
// A plan as it is carried through a run: what the machine reads, in few bytes.           (layer 9: program)
#pragma once

#include <graft/program/plan.hpp>

#include <cstdint>

namespace graft {

/// An event and the buffers it touches, −1 for none.
struct packed_event {
    act what = act::run;
    bool tiled = false;
    unsigned char fresh = 0;
    std::int16_t step = -1, scene = -1, value = -1, residue = -1, scratch = -1, dy = -1;
    std::array<std::int16_t, most_operands> in{}, din{};
};

struct packed_buffer {
    index_t offset = 0, bytes = 0;
    std::int32_t columns = 0;
    bool full = true;
    region where = region::scratch;
    constexpr index_t end() const { return offset + bytes; }
};

/// A packed plan that lies somewhere: events, then the buffers they name.
struct plan_view {
    packed_event const* events = nullptr;
    packed_buffer const* buffers = nullptr;
    index_t size = 0, backward = 0, tile = 0, kept_bytes = 0, scratch_bytes = 0;
    constexpr packed_event const& at(index_t e) const { return events[e]; }
    constexpr packed_buffer const& of(index_t b) const { return buffers[b]; }
};

/// Bytes of a plan that is packed into memory.
template <std::size_t N, std::size_t S>
constexpr index_t packed_bytes(block_plan<N, S> const& p) {
    auto const bytes = [](index_t count, std::size_t each) {
        return round_up(count * static_cast<index_t>(each), buffer_alignment);
    };
    return bytes(p.size, sizeof(packed_event)) + bytes(p.count, sizeof(packed_buffer));
}

/// Writes what a run reads of a plan to arrays with room for p.size events and p.count buffers.
template <std::size_t N, std::size_t S>
constexpr plan_view pack_plan(block_plan<N, S> const& p, packed_event* events, packed_buffer* buffers) {
    auto const small = [](index_t i) { return static_cast<std::int16_t>(i); };
    for (index_t e = 0; e < p.size; ++e) {
        placed_event const& v = p.at(e);
        events[e] = {v.what,          v.tiled,          static_cast<unsigned char>(v.fresh), small(v.step),
                     small(v.scene),  small(v.value),   small(v.residue),                    small(v.scratch),
                     small(v.dy),     {},               {}};
        for (std::size_t k = 0; k < most_operands; ++k)
            events[e].in[k] = small(v.in[k]), events[e].din[k] = small(v.din[k]);
    }
    for (index_t b = 0; b < p.count; ++b) {
        placed_buffer const& x = p.of(b);
        buffers[b] = {x.offset, x.bytes, static_cast<std::int32_t>(x.columns), x.full, x.where};
    }
    return {events, buffers, p.size, p.backward, p.tile, p.kept_bytes, p.scratch_bytes};
}

/// A packed plan that owns its arrays.
template <std::size_t N, std::size_t S>
class packed_plan {
public:
    constexpr packed_plan() = default;
    constexpr explicit packed_plan(block_plan<N, S> const& p) {
        view_of = pack_plan(p, events.data(), buffers.data());
    }
    constexpr plan_view view() const {
        plan_view v = view_of;
        v.events = events.data(), v.buffers = buffers.data();
        return v;
    }

private:
    std::array<packed_event, block_plan<N, S>::capacity> events{};
    std::array<packed_buffer, 3 * block_plan<N, S>::capacity> buffers{};
    plan_view view_of{};
};

}  // namespace graft
