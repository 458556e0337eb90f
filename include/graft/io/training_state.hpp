// SPDX-License-Identifier: Apache-2.0
// What a run needs to go on as if it had never stopped, as a checkpoint.                 (layer 16: io)
#pragma once

#include <graft/io/checkpoint.hpp>
#include <graft/train/fit.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

namespace graft {

namespace detail {

inline bool all_finite(std::span<float const> numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
}

inline constexpr std::pair<char const*, index_t fit_progress::*> progress_keys[] = {
    {"step", &fit_progress::step},
    {"updates", &fit_progress::updates},
    {"tokens", &fit_progress::rows},
    {"skipped", &fit_progress::skipped},
    {"skipped_in_a_row", &fit_progress::skipped_in_a_row}};

}  // namespace detail

/// Saves parameters, optimizer memory and progress under `directory`/step-N. `manifest` is an object that goes along.
template <class Trainer>
result<void> save_training(std::string const& directory, Trainer& t, fit_progress const& progress,
                           nlohmann::json manifest = nlohmann::json::object()) {
    if (!detail::all_finite(t.parameters()) || !detail::all_finite(t.optimizer_state()))
        return problem{cause::diverged,
                       {},
                       "the adapter has numbers that are not finite and is not saved",
                       "step " + std::to_string(progress.step),
                       {},
                       {},
                       "a smaller --lr; earlier checkpoints are kept"};
    named_blob const blobs[] = {{"adapters.f32", std::as_bytes(t.parameters())},
                                {"optimizer.f32", std::as_bytes(t.optimizer_state())}};
    for (auto const& [key, member] : detail::progress_keys) manifest["state"][key] = progress.*member;
    return save_checkpoint(directory, static_cast<std::uint64_t>(progress.step), manifest, blobs);
}

/// Puts a checkpoint back into the trainer; what to go `from` in `fit_settings`.
template <class Trainer>
result<fit_progress> load_training(checkpoint const& c, Trainer& t) {
    std::string const file = c.path + "/manifest.json";
    auto const saved = json_object(c.manifest, "state", file);
    if (!saved) return saved.error();
    fit_progress progress;
    for (auto const& [key, member] : detail::progress_keys) {
        auto const n = json_get<index_t>(**saved, key, file);
        if (!n) return n.error();
        if (*n < 0)
            return problem{cause::bad_file, file, "a count is negative", "key '" + std::string(key) + "'", {}, {}, {}};
        progress.*member = *n;
    }
    std::pair<char const*, std::span<float>> const parts[] = {{"adapters.f32", t.parameters()},
                                                              {"optimizer.f32", t.optimizer_state()}};
    for (auto const& [name, to] : parts) {
        blob const* const b = c.find(name);
        if (!b || b->bytes.size() != to.size_bytes())
            return problem{cause::mismatch,
                           c.path,
                           "does not fit the model and the options",
                           "file '" + std::string(name) + "'",
                           std::to_string(to.size_bytes()) + " bytes",
                           b ? std::to_string(b->bytes.size()) : "none",
                           {}};
    }
    for (auto const& [name, to] : parts) {
        blob const& b = *c.find(name);
        std::copy(b.bytes.begin(), b.bytes.end(), std::as_writable_bytes(to).begin());
        if (!detail::all_finite(to))
            return problem{
                cause::bad_file, c.path, "a number is not finite", "file '" + std::string(name) + "'", {}, {}, {}};
    }
    t.resume_at(progress.updates);
    return progress;
}

}  // namespace graft
