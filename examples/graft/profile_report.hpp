// SPDX-License-Identifier: Apache-2.0
// What a profile of steps says, as a table and as an object.
#pragma once

#include <graft/memory/profile.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

namespace tool {

/// The clock of a process, and a table of its own for each lane.
struct timed_steps {
    explicit timed_steps(std::ptrdiff_t lanes)
        : times(static_cast<std::size_t>(lanes)), table([](void*) { return now(); }, nullptr, times) {}

    static double now() {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }

    std::vector<graft::lane_time> times;
    graft::step_profile table;
};

/// A profile of `steps` steps that took `seconds` by another clock: what they took beside the trainer is `outside`.
class profile_report {
public:
    profile_report(graft::step_profile const& p, std::ptrdiff_t steps, double seconds)
        : table(p), count(std::max<std::ptrdiff_t>(steps, 1)), took(std::max(seconds, p.total().seconds)) {
        for (std::ptrdiff_t k = 0; k < graft::work_kinds; ++k)
            for (std::ptrdiff_t i = 0; i < graft::step_parts; ++i) {
                auto const kind = static_cast<graft::work_kind>(k);
                auto const part = static_cast<graft::step_part>(i);
                if (auto const& e = p.of(kind, part); e.calls > 0) rows.push_back({name_of(kind), name_of(part), e});
            }
        graft::profile_entry outside;
        outside.seconds = took - p.total().seconds;
        rows.push_back({"outside", "-", outside});
        std::stable_sort(rows.begin(), rows.end(),
                         [](row const& a, row const& b) { return a.what.seconds > b.what.seconds; });
    }

    /// Per step, the largest first.
    std::string text() const {
        std::string s =
            "profile         share   seconds     calls   GFLOP/s      GB/s   packing   (of a step; mean of " +
            std::to_string(count) + ")\n";
        for (row const& r : rows) s += line(r.kind + std::string(", ") + r.part, r.what);
        for (std::ptrdiff_t i = 0; i < graft::step_parts; ++i) {
            auto const part = static_cast<graft::step_part>(i);
            s += line(std::string("all of ") + name_of(part), table.total(part));
        }
        graft::profile_entry whole = table.total();
        whole.seconds = took;
        s += line("whole step", whole);
        char decoding[160];
        std::snprintf(
            decoding, sizeof decoding,
            "decoding stored weights: %.2f %% of the backward, %.2f %% with what it recomputes, %.2f %% of the "
            "step\n",
            100 * decoded({graft::step_part::backward}),
            100 * decoded({graft::step_part::backward, graft::step_part::recomputed}),
            100 * decoded({graft::step_part::forward, graft::step_part::recomputed, graft::step_part::backward,
                           graft::step_part::head, graft::step_part::update}));
        return s + decoding;
    }

    /// Sums over all steps.
    nlohmann::json json() const {
        nlohmann::json entries = nlohmann::json::array(), parts = nlohmann::json::object();
        for (row const& r : rows) {
            auto e = object(r.what);
            e["kind"] = r.kind, e["part"] = r.part;
            entries.push_back(e);
        }
        for (std::ptrdiff_t i = 0; i < graft::step_parts; ++i) {
            auto const part = static_cast<graft::step_part>(i);
            parts[name_of(part)] = object(table.total(part));
            parts[name_of(part)]["decoding_share"] = decoded({part});
        }
        return {{"steps", count},           {"seconds", took},
                {"threads", table.lanes()}, {"profiled_seconds", table.total().seconds},
                {"entries", entries},       {"parts", parts}};
    }

private:
    struct row {
        char const *kind, *part;
        graft::profile_entry what;
    };

    double share(double seconds) const { return took > 0 ? seconds / took : 0; }
    /// Of the time of all lanes.
    double packed(graft::profile_entry const& e) const {
        return e.seconds > 0 ? e.packing / (e.seconds * static_cast<double>(table.lanes())) : 0;
    }

    /// The share of decoding in the time that all lanes had for these parts.
    double decoded(std::initializer_list<graft::step_part> parts) const {
        double seconds = 0, packing = 0;
        for (auto const part : parts) {
            seconds += table.total(part).seconds;
            packing += table.of(graft::work_kind::frozen, part).packing;
        }
        return seconds > 0 ? packing / (seconds * static_cast<double>(table.lanes())) : 0;
    }

    nlohmann::json object(graft::profile_entry const& e) const {
        return {{"calls", e.calls},           {"seconds", e.seconds},
                {"share", share(e.seconds)},  {"multiply_adds", e.multiply_adds},
                {"bytes", e.bytes},           {"packing_lane_seconds", e.packing},
                {"packing_share", packed(e)}};
    }
    std::string line(std::string const& name, graft::profile_entry const& e) const {
        auto const number = [](char const* how, double x, bool known) {
            char s[32];
            if (!known) return std::string(10, ' ');
            std::snprintf(s, sizeof s, how, x);
            return std::string(s);
        };
        bool const timed = e.seconds > 0;
        char begin[96];
        std::snprintf(begin, sizeof begin, "  %-26s %5.1f %% %9.4f %9.1f", name.c_str(), 100 * share(e.seconds),
                      e.seconds / static_cast<double>(count),
                      static_cast<double>(e.calls) / static_cast<double>(count));
        return begin + number("%10.1f", 2e-9 * e.multiply_adds / e.seconds, timed && e.multiply_adds > 0) +
               number("%10.2f", 1e-9 * e.bytes / e.seconds, timed && e.bytes > 0) +
               number("%8.2f %%", 100 * packed(e), timed && e.packing > 0) + "\n";
    }

    graft::step_profile const& table;
    std::ptrdiff_t count;
    double took;
    std::vector<row> rows;
};

}  // namespace tool
