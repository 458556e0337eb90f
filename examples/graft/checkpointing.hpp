// SPDX-License-Identifier: Apache-2.0
// What a run needs to go on as if it had never stopped; and whether it is still the same run.
#pragma once

#include "command.hpp"

#include <graft/io/checkpoint.hpp>
#include <graft/text/json.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>

namespace tool {

/// How far a run is. `step` counts windows of data, `updates` those that moved the adapter.
struct run_state {
    index_t step = 0, updates = 0, tokens = 0, skipped = 0, skipped_in_a_row = 0;
    double seconds = 0, step_seconds = 0;
    std::optional<double> loss_before;

    nlohmann::json json() const {
        return {{"step", step},
                {"updates", updates},
                {"tokens", tokens},
                {"skipped", skipped},
                {"skipped_in_a_row", skipped_in_a_row},
                {"seconds", seconds},
                {"step_seconds", step_seconds},
                {"loss_before", loss_before ? nlohmann::json(*loss_before) : nlohmann::json()}};
    }
    static result<run_state> from(nlohmann::json const& j, std::string const& file) {
        run_state s;
        for (auto [key, to] : {std::pair{"step", &s.step},
                               {"updates", &s.updates},
                               {"tokens", &s.tokens},
                               {"skipped", &s.skipped},
                               {"skipped_in_a_row", &s.skipped_in_a_row}}) {
            auto const n = json_get<index_t>(j, key, file);
            if (!n) return n.error();
            if (*n < 0)
                return problem{
                    cause::bad_file, file, "a count is negative", "key '" + std::string(key) + "'", {}, {}, {}};
            *to = *n;
        }
        for (auto [key, to] : {std::pair{"seconds", &s.seconds}, {"step_seconds", &s.step_seconds}}) {
            auto const x = json_get<double>(j, key, file);
            if (!x) return x.error();
            *to = *x;
        }
        auto const nan = std::numeric_limits<double>::quiet_NaN();
        auto const before = json_get_or<double>(j, "loss_before", nan, file);
        if (!before) return before.error();
        if (!std::isnan(*before)) s.loss_before = *before;
        return s;
    }
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

template <class T>
bool all_finite(std::span<T> numbers) {
    for (auto const x : numbers)
        if (!std::isfinite(x)) return false;
    return true;
}

/// Saves adapters, optimizer memory and position under `directory`/step-N.
template <class Trainer>
result<void> save_run(std::string const& directory, Trainer& t, run_state const& state, run_identity const& identity) {
    if (!all_finite(t.parameters()) || !all_finite(t.optimizer_state()))
        return problem{cause::diverged,
                       {},
                       "the adapter has numbers that are not finite and is not saved",
                       "step " + std::to_string(state.step),
                       {},
                       {},
                       "a smaller --lr; earlier checkpoints are kept"};
    named_blob const blobs[] = {{"adapters.f32", std::as_bytes(t.parameters())},
                                {"optimizer.f32", std::as_bytes(t.optimizer_state())}};
    return save_checkpoint(directory, static_cast<std::uint64_t>(state.step),
                           {{"run", identity}, {"state", state.json()}}, blobs);
}

/// Puts the newest checkpoint that verifies back into the trainer. Broken ones are told and passed over; a checkpoint
/// of another run is refused with what differs.
template <class Trainer>
result<run_state> load_run(std::string const& directory, Trainer& t, run_identity const& identity) {
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
    auto state = run_state::from(**saved, file);
    if (!state) return state.error();
    for (auto [name, to] : {std::pair{"adapters.f32", t.parameters()}, {"optimizer.f32", t.optimizer_state()}}) {
        blob const* const b = c.find(name);
        if (!b || b->bytes.size() != to.size_bytes())
            return problem{cause::mismatch,
                           c.path,
                           "does not fit the model and the options",
                           "file '" + std::string(name) + "'",
                           std::to_string(to.size_bytes()) + " bytes",
                           b ? std::to_string(b->bytes.size()) : "none",
                           {}};
        std::copy(b->bytes.begin(), b->bytes.end(), std::as_writable_bytes(to).begin());
        if (!all_finite(to))
            return problem{
                cause::bad_file, c.path, "a number is not finite", "file '" + std::string(name) + "'", {}, {}, {}};
    }
    t.resume_at(state->updates);
    return state;
}

}  // namespace tool
