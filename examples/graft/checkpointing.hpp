// SPDX-License-Identifier: Apache-2.0
// What a run needs to go on as if it had never stopped; and whether it is still the same run.
#pragma once

#include "command.hpp"

#include <graft/io/tuner.hpp>
#include <graft/text/json.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace tool {

/// How far a run is, and what it has found so far.
struct run_state {
    fit_progress progress;
    double seconds = 0, step_seconds = 0;
    std::optional<double> loss_before;
};

/// Everything a run's numbers follow from: its options, its base and its data. Another identity is another run.
using run_identity = nlohmann::json;

/// "lr: 0.001 there, 0.002 here; …"
inline std::string differences(run_identity const& there, run_identity const& here, std::string const& prefix = {}) {
    std::string s;
    auto const add = [&](std::string const& part) { s += (s.empty() || part.empty() ? "" : "; ") + part; };
    auto const empty = nlohmann::json::object();
    auto const& a = there.is_object() ? there : empty;
    for (auto const& [key, value] : here.items()) {
        auto const other = a.find(key);
        if (other == a.end())
            add(prefix + key + ": nothing there, " + json_text(value) + " here");
        else if (value.is_object() && other->is_object())
            add(differences(*other, value, prefix + key + "."));
        else if (*other != value)
            add(prefix + key + ": " + json_text(*other) + " there, " + json_text(value) + " here");
    }
    for (auto const& [key, value] : a.items())
        if (!here.contains(key)) add(prefix + key + ": " + json_text(value) + " there, nothing here");
    return s;
}

/// Saves adapters, optimizer memory and position under `directory`/step-N.
inline result<void> save_run(std::string const& directory, tuner_core& t, run_state const& s, run_identity const& id) {
    return save_training(
        directory, t, s.progress,
        {{"run", id},
         {"state",
          {{"seconds", s.seconds},
           {"step_seconds", s.step_seconds},
           {"loss_before", s.loss_before ? nlohmann::json(*s.loss_before) : nlohmann::json()}}}});
}

/// Puts the newest checkpoint that verifies back into the trainer. Broken ones are told and passed over; a checkpoint
/// of another run is refused with what differs.
inline result<run_state> load_run(std::string const& directory, tuner_core& t, run_identity const& identity) {
    auto const search = newest_valid(directory);
    for (auto const& p : search.skipped) warn(describe(p) + "; this checkpoint is passed over");
    if (!search.found)
        return problem{search.skipped.empty() ? cause::io : cause::bad_file,
                       directory,
                       "no checkpoint to resume from",
                       {},
                       {},
                       {},
                       "the same command without --resume"};
    auto const& c = *search.found;
    std::string const file = c.path + "/manifest.json";
    auto const run = json_object(c.manifest, "run", file), saved = json_object(c.manifest, "state", file);
    if (!run) return run.error();
    if (!saved) return saved.error();
    if (std::string const different = differences(**run, identity); !different.empty())
        return problem{cause::mismatch,
                       c.path,
                       "was saved by another run",
                       {},
                       "the same options, base and data",
                       different,
                       "the options of that run, or --overwrite to start anew"};
    auto const progress = load_training(c, t);
    if (!progress) return progress.error();
    run_state state{*progress, 0, 0, {}};
    for (auto [key, to] : {std::pair{"seconds", &state.seconds}, {"step_seconds", &state.step_seconds}}) {
        auto const x = json_get<double>(**saved, key, file);
        if (!x) return x.error();
        *to = *x;
    }
    auto const nan = std::numeric_limits<double>::quiet_NaN();
    auto const before = json_get_or<double>(**saved, "loss_before", nan, file);
    if (!before) return before.error();
    if (!std::isnan(*before)) state.loss_before = *before;
    return state;
}

}  // namespace tool
