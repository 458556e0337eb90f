// SPDX-License-Identifier: Apache-2.0
// From a schedule to places in memory: lifetimes, buffers taken over in place, offsets.  (layer 9: program)
#pragma once

#include <graft/memory/buffer.hpp>
#include <graft/program/schedule.hpp>

namespace graft {

/// Whose memory a buffer lies in.
enum class region : unsigned char {
    scratch,   // of the block that is running: shared by all blocks
    kept,      // of one block, from its forward to its backward: one copy a block
    entry,     // the stream that enters the block (its checkpoint)
    exit,      // the stream that leaves it
    gradient   // of the stream, in place: enters as dy, leaves as dx
};

/// What the plan of a block depends on besides its program and schedule.
struct plan_settings {
    index_t element = sizeof(float);  // bytes of a number
    index_t lanes = 1;                // who computes (scratch of some rules is per lane)
    bool in_place = true;             // gradients may take the places of values that nobody reads any more
};

/// An event and the buffers it touches, −1 for none. `fresh`: bit k says that the k-th gradient is born here.
struct placed_event : event {
    index_t value = -1, residue = -1, scratch = -1, dy = -1;
    std::array<index_t, most_operands> in{-1, -1, -1}, din{-1, -1, -1};
    unsigned fresh = 0;
};

struct placed_buffer : buffer {
    index_t columns = 0;
    bool full = true;  // of all rows; else of one tile
    region where = region::scratch;
};

template <std::size_t N, std::size_t S>
struct block_plan {
    static constexpr std::size_t capacity = schedule<N, S>::capacity;
    std::array<placed_event, capacity> events{};
    std::array<placed_buffer, 3 * capacity> buffers{};
    index_t size = 0, backward = 0, count = 0;
    index_t kept_bytes = 0;     // one block's values that wait for its backward
    index_t scratch_bytes = 0;  // the peak of the block that is running
    index_t tile = 0;

    constexpr placed_event const& at(index_t e) const { return events[static_cast<std::size_t>(e)]; }
    constexpr placed_buffer const& of(index_t b) const { return buffers[static_cast<std::size_t>(b)]; }
};

namespace detail {

template <class Sizes, std::size_t N, std::size_t S>
struct planner {
    program<Sizes, N, S> const& code;
    schedule<N, S> const& events;
    Sizes const& n;
    plan_settings how;
    block_plan<N, S> out{};
    std::array<index_t, N> value{}, residue{}, grad{};  // the buffer that holds it now

    constexpr index_t& slot(std::array<index_t, N>& of, index_t step) { return of[static_cast<std::size_t>(step)]; }
    constexpr placed_buffer& buf(index_t b) { return out.buffers[static_cast<std::size_t>(b)]; }

    constexpr index_t make(index_t columns, bool full, index_t now, region where = region::scratch) {
        index_t const rows = full ? n.tokens : std::min(events.tile, n.tokens);
        placed_buffer b;
        b.bytes = round_up(rows * columns * how.element, buffer_alignment), b.born = b.dies = now;
        b.columns = columns, b.full = full, b.where = where;
        buf(out.count) = b;
        return out.count++;
    }

    /// Does event f read the value of a step?
    constexpr bool reads_value(event const& f, index_t v) const {
        if (f.what == act::close) return v == code.begin(f.stage) || v == f.step;
        if (f.what == act::hold) return v == f.step;
        auto const& s = code.at(f.step);
        auto const& r = events.reads_of(f.step);
        if (f.what == act::pull && f.step == v && r.value) return true;
        for (std::size_t k = 0; k < most_operands; ++k)
            if (s.in[k] == v && (f.what == act::run || (r.operands >> k & 1))) return true;
        return false;
    }
    /// Does event f compute the value of a step (anew)?
    constexpr bool defines(event const& f, index_t v) const {
        if (f.what == act::close) return f.stage + 1 < code.stages && v == code.begin(f.stage + 1);
        return f.what == act::run && f.step == v;
    }
    /// Will what the step's buffer holds now be read after event e?
    constexpr bool read_later(index_t e, index_t v) const {
        for (index_t f = e + 1; f < events.size; ++f) {
            if (reads_value(events.at(f), v)) return true;
            if (defines(events.at(f), v)) return false;
        }
        return false;
    }

    /// Will another scene read what event e computes?
    constexpr bool read_elsewhere(index_t e, index_t v) const {
        for (index_t f = e + 1; f < events.size; ++f) {
            if (events.at(f).scene != events.at(e).scene && reads_value(events.at(f), v)) return true;
            if (defines(events.at(f), v)) return false;
        }
        return false;
    }

    /// Will a pull read what a step has computed by event e?
    constexpr bool pull_reads_later(index_t e, index_t v) const {
        for (index_t f = e + 1; f < events.size; ++f) {
            event const& later = events.at(f);
            if (later.what == act::pull && later.step == v && events.reads_of(v).value) return true;
            if (defines(later, v)) return false;
        }
        return false;
    }
    /// Where the stream goes on that event e computes.
    constexpr region stream_region(index_t e, placed_event const& v) const {
        return v.stage + 1 == code.stages && e < events.backward ? region::exit : region::scratch;
    }

    constexpr void run(index_t e, placed_event& v) {
        auto const& s = code.at(v.step);
        index_t const columns = s.columns(n);
        bool const full = !v.tiled || read_elsewhere(e, v.step);
        bool const closes = e + 1 < events.size && events.at(e + 1).what == act::close &&
                            v.step == code.last(v.stage) && !pull_reads_later(e, v.step);
        for (std::size_t k = 0; k < most_operands; ++k)
            if (s.in[k] >= 0) v.in[k] = slot(value, s.in[k]);
        if (closes) {  // the last value is written where the stream goes on; `close` adds to it in place
            v.value = make(columns, true, e, stream_region(e, v));
        } else {
            for (std::size_t k = 0; k < most_operands && v.value < 0; ++k) {  // over an operand that dies here
                if (s.in[k] < 0 || !(s.forward_over >> k & 1) || s.in[k] == code.begin(v.stage)) continue;
                auto const& b = buf(v.in[k]);
                if (how.in_place && b.full == full && b.columns == columns && !read_later(e, s.in[k]))
                    v.value = v.in[k];
            }
            if (v.value < 0) v.value = make(columns, full, e);
        }
        slot(value, v.step) = v.value;
        if (index_t const r = s.residue(n); r > 0) v.residue = slot(residue, v.step) = make(r, full, e);
        add_scratch(e, v);
    }

    constexpr void close(index_t e, placed_event& v) {
        v.in[0] = slot(value, code.begin(v.stage));
        v.value = slot(value, v.step);
        if (pull_reads_later(e, v.step)) {  // the sum lies beside the value
            v.in[1] = v.value;
            v.value = make(code.at(v.step).columns(n), true, e, stream_region(e, v));
        }
        if (v.stage + 1 < code.stages) slot(value, code.begin(v.stage + 1)) = v.value;
    }

    constexpr void pull(index_t e, placed_event& v, index_t gradient) {
        auto const& s = code.at(v.step);
        auto const& r = events.reads_of(v.step);
        index_t const stream = code.begin(v.stage);
        if (v.step == code.last(v.stage)) slot(grad, v.step) = slot(grad, stream) = gradient;  // the residual, in place
        v.dy = slot(grad, v.step);
        if (r.value) v.value = slot(value, v.step);
        if (r.residue) v.residue = slot(residue, v.step);
        bool dy_is_free = how.in_place && v.dy != gradient;
        for (std::size_t k = 0; k < most_operands; ++k) {
            index_t const a = s.in[k];
            if (a < 0) continue;
            if (r.operands >> k & 1) v.in[k] = slot(value, a);
            if (!(v.wanted >> k & 1)) continue;
            index_t& g = slot(grad, a);
            auto const fits = [&](index_t b) { return buf(b).full || v.tiled; };  // a part of a full buffer is a tile
            if (g < 0) {
                v.fresh |= 1u << k;
                if (s.pull_takes == static_cast<int>(k) && dy_is_free && fits(v.dy) &&
                    buf(v.dy).columns == code.at(a).columns(n))
                    g = v.dy, dy_is_free = false;
                else if (how.in_place && (s.pull_over >> k & 1) && v.in[k] >= 0 && fits(v.in[k]) &&
                         !read_later(e, a))
                    g = v.in[k];
                else
                    g = make(code.at(a).columns(n), !v.tiled, e);
            }
            v.din[k] = g;
        }
        slot(grad, v.step) = -1;
        add_scratch(e, v);
    }

    constexpr void add_scratch(index_t e, placed_event& v) {
        auto const& s = code.at(v.step);
        index_t const rows = v.tiled ? std::min(events.tile, n.tokens) : n.tokens;
        call const c{rows, how.lanes, s.rank(n), v.what == act::pull};
        index_t const numbers = how.element == sizeof(double) ? s.scratch_double(n, c) : s.scratch_float(n, c);
        if (numbers == 0) return;
        v.scratch = make(0, false, e);  // never outlives its event, also in a loop
        buf(v.scratch).bytes = round_up(numbers * how.element, buffer_alignment);
    }

    /// A buffer lives at least while an event touches it; of full size in a tiled scene, while the scene loops.
    constexpr void touch(index_t b, index_t e) {
        if (b < 0) return;
        index_t first = e, last = e;
        require(buf(b).full || events.at(buf(b).born).scene == events.at(e).scene, fault::bounds,
                "plan: scene of an event that reads a tile of another scene", events.at(e).scene,
                events.at(buf(b).born).scene);
        if (events.at(e).tiled && buf(b).full) {
            while (first > 0 && events.at(first - 1).scene == events.at(e).scene) --first;
            while (last + 1 < events.size && events.at(last + 1).scene == events.at(e).scene) ++last;
        }
        buf(b).born = std::min(buf(b).born, first), buf(b).dies = std::max(buf(b).dies, last);
    }

    constexpr void place_all() {
        std::array<buffer*, 3 * schedule<N, S>::capacity> order{};
        index_t scratch = 0;
        for (index_t b = 0; b < out.count; ++b) {
            auto& x = buf(b);
            if (x.where != region::scratch) continue;
            if (x.born < events.backward && x.dies >= events.backward) {
                x.where = region::kept, x.offset = out.kept_bytes, out.kept_bytes += x.bytes;
            } else {
                order[static_cast<std::size_t>(scratch++)] = &x;
            }
        }
        out.scratch_bytes = place(order.data(), scratch);
    }

    constexpr block_plan<N, S> make_all() {
        value.fill(-1), residue.fill(-1), grad.fill(-1);
        for (index_t e = 0; e < events.size; ++e)
            require(!events.at(e).tiled || events.tile > 0, fault::bounds, "plan: rows of a tile", events.tile, 1);
        out.size = events.size, out.backward = events.backward, out.tile = events.tile;
        index_t const width = code.at(0).columns(n);
        slot(value, 0) = make(width, true, 0, region::entry);
        index_t const gradient = make(width, true, 0, region::gradient);
        for (index_t e = 0; e < events.size; ++e) {
            placed_event v{events.at(e)};
            if (v.what == act::run) run(e, v);
            else if (v.what == act::close) close(e, v);
            else if (v.what == act::pull) pull(e, v, gradient);
            else v.value = slot(value, v.step), v.residue = slot(residue, v.step);
            for (index_t b : {v.value, v.residue, v.scratch, v.dy}) touch(b, e);
            for (index_t b : v.in) touch(b, e);
            for (index_t b : v.din) touch(b, e);
            out.events[static_cast<std::size_t>(e)] = v;
        }
        place_all();
        return out;
    }
};

}  // namespace detail

/// Where everything lies that one block needs under one schedule: a constant when `n` is one, else computed in
/// microseconds when a model is opened. Nothing else decides about memory.
template <class Sizes, std::size_t N, std::size_t S>
constexpr block_plan<N, S> make_plan(program<Sizes, N, S> const& code, schedule<N, S> const& events, Sizes const& n,
                                     plan_settings how) {
    return detail::planner<Sizes, N, S>{code, events, n, how}.make_all();
}

}  // namespace graft
