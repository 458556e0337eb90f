// SPDX-License-Identifier: Apache-2.0
// The streams between blocks: those that are computed with, those that wait for a backward.  (layer 13: train)
#pragma once

#include <graft/memory/visitor.hpp>
#include <graft/quant/stored.hpp>
#include <graft/train/layer_table.hpp>

#include <algorithm>
#include <array>

namespace graft {

/// How the streams of a model lie, as its plan has decided.
struct stream_layout {
    index_t layers = 0, every = 1;  // blocks, and from one kept stream to the next
    index_t numbers = 0;            // of one stream
    index_t slot_bytes = 0;         // of a kept one
    resting how = resting::same;
    bool in_slots = false;  // every block reads its input where it is kept: none is ever copied
    bool embeds_again = false;  // the first stream is not kept; for its pull it takes the place of the second
};

/// Kept streams lie in slots, as T or in 16 bits; up to three others are computed with. Where numbers rest as they are,
/// a block reads its input from the slot and writes its output into the next one's.
template <class T>
class kept_streams {
public:
    kept_streams() = default;
    kept_streams(stream_layout const& l, std::byte* slots_at, std::array<T*, 3> working, layer_table const& t)
        : lay(l), slots(slots_at), streams(working), table(&t) {
        if (lay.in_slots) streams[1] = reinterpret_cast<T*>(slots);  // evaluation keeps nothing: the first slot is free
    }

    /// A stream to compute with that is neither of these.
    T* other(T const* in_use, T const* also = nullptr) const {
        for (T* s : streams)
            if (s && s != in_use && s != also) return s;
        return nullptr;
    }
    bool rests() const { return lay.how != resting::same; }
    /// Is the stream that enters layer l kept by a pass from the embedding on?
    bool keeps(index_t l) const {
        return l < lay.layers && (*table)[l].slot >= 0 && l % lay.every == 0 && !made_again(l);
    }
    /// Is the stream that enters layer l embedded again for the pull?
    bool made_again(index_t l) const { return lay.embeds_again && l == 0; }
    /// Where such a pass writes the stream that enters layer l, while `in_use` is read.
    T* place_of(index_t l, T const* in_use, bool keeping) const {
        return keeping && keeps(l) && !rests() ? in_place(l) : other(in_use);
    }

    /// Lays the stream that enters layer l down, if it is not there already.
    void keep(index_t l, T const* x, index_t count, memory_visitor const& told) const {
        if (!rests()) return;
        lay_down(lay.how, x, count, slot(l));
        told(slot(l), lay.slot_bytes);
    }
    /// The stream that enters layer l, to be read while `in_use` is.
    T* get(index_t l, index_t count, T const* in_use) const {
        if (!rests()) return in_place(l);
        T* const x = other(in_use);
        take_up(lay.how, slot(l), count, x);
        return x;
    }
    /// That stream will not be read for a while.
    void leave(index_t l, memory_visitor const& told) const { told(slot(l), lay.slot_bytes); }
    /// Where the stream that enters layer l is computed once more, from one that is kept.
    T* again(index_t l, T const* gradient, T const* in_use) const {
        return rests() ? other(gradient, in_use) : in_place(l);
    }

private:
    /// A run of `every` blocks shares the slots of its inner streams, behind those of the runs' first.
    std::byte* slot(index_t l) const {
        if (lay.embeds_again) l = std::max(l, index_t{1});
        index_t const inner = l % lay.every, runs = (lay.layers + lay.every - 1) / lay.every;
        return slots + (inner == 0 ? (*table)[l].slot - (lay.embeds_again ? 1 : 0) : runs + inner - 1) * lay.slot_bytes;
    }
    T* in_place(index_t l) const { return reinterpret_cast<T*>(slot(l)); }

    stream_layout lay{};
    std::byte* slots = nullptr;
    std::array<T*, 3> streams{};
    layer_table const* table = nullptr;
};

}  // namespace graft
