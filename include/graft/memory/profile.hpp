// SPDX-License-Identifier: Apache-2.0
// Where the time of a training step goes: a table by kind of operation and part of the step.  (layer 2: memory)
#pragma once

#include <graft/base/config.hpp>
#include <graft/base/index.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace graft {

/// What time is spent on.
enum class work_kind : unsigned char {
    other,
    frozen,         // products with stored weights, decoding included
    adapters,       // products with adapters, dropout, what is kept beside them
    attention,
    norms,
    rope,
    swiglu,
    sums,           // residual streams, biases
    cross_entropy,  // all of the head but its products
    embedding,      // rows of it, and what is made once per batch
    memory,         // kept streams, bytes given back
    gradient_norm,
    optimizer
};
/// Which part of a step.
enum class step_part : unsigned char { forward, recomputed, backward, head, update };

inline constexpr index_t work_kinds = 13, step_parts = 5;

constexpr char const* name_of(work_kind k) {
    constexpr std::array<char const*, work_kinds> names{
        "other", "frozen weights", "adapters",  "attention", "norms",         "rope",     "swiglu",
        "sums",  "cross-entropy",  "embedding", "memory",    "gradient norm", "optimizer"};
    return names[static_cast<std::size_t>(k)];
}
constexpr char const* name_of(step_part p) {
    constexpr std::array<char const*, step_parts> names{"forward", "recomputed", "backward", "head", "update"};
    return names[static_cast<std::size_t>(p)];
}

/// A row of the table. Bytes: of products with stored weights those of the weights, else those of operands and results.
struct profile_entry {
    index_t calls = 0;
    double seconds = 0, packing = 0;  // packing: what all lanes together spent on it, decoding included
    double multiply_adds = 0, bytes = 0;
};

/// What one lane spent on packing since the table last took it.
struct alignas(64) lane_time {
    double packing = 0;
};

/// The table, and the clock that fills it. Time goes from one entry to the next without a gap, so the entries of a step
/// add up to the whole of it. A handle (`workers::profile`) leads to it; null, it costs a comparison per operation. It
/// and its lanes' times must outlive whoever is given it; it is for one thread that starts steps.
class step_profile {
public:
    /// Seconds since any moment; called by all lanes.
    using clock = double (*)(void* self);

    step_profile(clock c, void* self, std::span<lane_time> lanes) : reads(c), whose(self), times(lanes) {}
    step_profile(step_profile const&) = delete;
    step_profile& operator=(step_profile const&) = delete;

    profile_entry const& of(work_kind k, step_part p) const { return table[number(k, p)]; }
    /// The sum of all entries, of one part, or of one kind.
    profile_entry total() const {
        return sum([](index_t, index_t) { return true; });
    }
    profile_entry total(step_part part) const {
        return sum([=](index_t, index_t p) { return p == static_cast<index_t>(part); });
    }
    profile_entry total(work_kind kind) const {
        return sum([=](index_t k, index_t) { return k == static_cast<index_t>(kind); });
    }
    step_part part() const { return here.part; }  // that runs
    index_t lanes() const { return static_cast<index_t>(times.size()); }
    void clear() {
        table.fill({});
        for (lane_time& t : times) t = {};
    }

    double now() const { return reads(whose); }
    lane_time* lane(index_t i) const { return times.data() + i; }

private:
    friend class profiled;
    struct place {
        work_kind kind = work_kind::other;
        step_part part = step_part::forward;
        bool runs = false;  // within a step
    };

    static std::size_t number(work_kind k, step_part p) {
        return static_cast<std::size_t>(k) * static_cast<std::size_t>(step_parts) + static_cast<std::size_t>(p);
    }
    template <class Which>
    profile_entry sum(Which which) const {
        profile_entry all;
        for (index_t k = 0; k < work_kinds; ++k)
            for (index_t p = 0; p < step_parts; ++p) {
                profile_entry const& e = of(static_cast<work_kind>(k), static_cast<step_part>(p));
                if (!which(k, p)) continue;
                all.calls += e.calls, all.seconds += e.seconds, all.packing += e.packing;
                all.multiply_adds += e.multiply_adds, all.bytes += e.bytes;
            }
        return all;
    }

    /// What passed since the last turn belongs to the place that is left.
    place turn_to(place to) {
        double const t = now();
        double packing = 0;
        for (lane_time& l : times) packing += std::exchange(l.packing, 0.0);
        if (here.runs) {
            profile_entry& e = table[number(here.kind, here.part)];
            e.seconds += t - last, e.packing += packing;
        }
        last = t;
        return std::exchange(here, to);
    }

    clock reads;
    void* whose;
    std::span<lane_time> times;
    std::array<profile_entry, static_cast<std::size_t>(work_kinds * step_parts)> table{};
    place here{};
    double last = 0;
};

/// While it lives, time belongs to an entry; then again to the one before. Outside of a step nothing is recorded.
class profiled {
public:
    /// A step begins, or goes on, with this part.
    profiled(step_profile* p, step_part part) : watched(wanted(p)) {
        if (watched) enter(work_kind::other, part);
    }
    profiled(step_profile* p, work_kind kind, step_part part) : watched(wanted(p) && p->here.runs ? p : nullptr) {
        if (watched) enter(kind, part);
    }
    /// In the part that runs.
    profiled(step_profile* p, work_kind kind) : watched(wanted(p) && p->here.runs ? p : nullptr) {
        if (watched) enter(kind, p->here.part);
    }
    ~profiled() {
        if (watched) watched->turn_to(before);
    }
    profiled(profiled const&) = delete;
    profiled& operator=(profiled const&) = delete;

    /// Who is told: nobody in programs without profiles.
    static constexpr step_profile* wanted(step_profile* p) { return GRAFT_EXTRAS ? p : nullptr; }

    /// Adds to the entry that runs, of which this call is a part.
    static void count(step_profile* p, double multiply_adds, double bytes) {
        if (!wanted(p) || !p->here.runs) return;
        profile_entry& e = p->table[step_profile::number(p->here.kind, p->here.part)];
        e.multiply_adds += multiply_adds, e.bytes += bytes;
    }

private:
    void enter(work_kind kind, step_part part) {
        before = watched->turn_to({kind, part, true});
        ++watched->table[step_profile::number(kind, part)].calls;
    }

    step_profile* watched;
    step_profile::place before{};
};

}  // namespace graft
