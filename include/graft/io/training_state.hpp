// SPDX-License-Identifier: Apache-2.0
// What a run needs to go on as if it had never stopped, as a checkpoint.                 (layer 16: io)
#pragma once

#include <graft/io/checkpoint.hpp>
#include <graft/quant/stored.hpp>
#include <graft/train/fit.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <utility>

namespace graft {

namespace detail {

inline bool all_finite(std::span<std::byte const> numbers, resting how) {
    constexpr index_t run = 256;
    float some[run];
    auto const each = bytes_of<float>(how), count = static_cast<index_t>(numbers.size()) / each;
    for (index_t i = 0; i < count; i += run) {
        index_t const n = std::min(run, count - i);
        take_up(how, numbers.data() + i * each, n, some);
        if (!std::all_of(some, some + n, [](float x) { return std::isfinite(x); })) return false;
    }
    return true;
}

inline problem not_finite(std::string const& what, index_t step) {
    return {cause::diverged,
            {},
            what + " numbers that are not finite, which are not saved",
            "step " + std::to_string(step),
            {},
            {},
            "a smaller --lr; earlier checkpoints are kept"};
}

/// What a run's state is made of.
struct state_part {
    char const* name;
    std::span<std::byte> bytes;
    bool checked;  // numbers that must be finite; the optimizer knows what its own bytes are
    resting how;
};
template <class Trainer>
std::array<state_part, 3> state_parts(Trainer& t) {
    resting const how = t.parameters_rest();
    return {{{how == resting::same  ? "adapters.f32"
              : how == resting::half ? "adapters.f16"
                                    : "adapters.bf16",
              t.parameter_bytes(), true, how},
             {"optimizer.state", t.optimizer_state(), false, resting::same},
             {"strategy.f64", std::as_writable_bytes(t.strategy_memory()), false, resting::same}}};
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
    auto const parts = detail::state_parts(t);
    for (auto const& p : parts)
        if (p.checked && !detail::all_finite(p.bytes, p.how))
            return detail::not_finite("the adapter has", progress.step);
    if (!t.optimizer_is_sound()) return detail::not_finite("the optimizer remembers", progress.step);
    named_blob const blobs[] = {
        {parts[0].name, parts[0].bytes}, {parts[1].name, parts[1].bytes}, {parts[2].name, parts[2].bytes}};
    for (auto const& [key, member] : detail::progress_keys) manifest["state"][key] = progress.*member;
    return save_checkpoint(directory, static_cast<std::uint64_t>(progress.step), manifest, blobs);
}

/// Puts a checkpoint back into the trainer; what to go `from` in `fit_settings`.
template <class Trainer>
result<fit_progress> load_training(stored_checkpoint const& c, Trainer& t) {
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
    auto const parts = detail::state_parts(t);
    for (auto const& p : parts) {
        blob const* const b = c.find(p.name);
        if (!b || b->bytes.size() != p.bytes.size())
            return problem{cause::mismatch,
                           c.path,
                           "does not fit the model and the options",
                           "file '" + std::string(p.name) + "'",
                           std::to_string(p.bytes.size()) + " bytes",
                           b ? std::to_string(b->bytes.size()) : "none",
                           {}};
    }
    for (auto const& p : parts) {
        blob const& b = *c.find(p.name);
        std::copy(b.bytes.begin(), b.bytes.end(), p.bytes.begin());
        if (p.checked && !detail::all_finite(p.bytes, p.how))
            return problem{
                cause::bad_file, c.path, "a number is not finite", "file '" + std::string(p.name) + "'", {}, {}, {}};
    }
    if (!t.optimizer_is_sound())
        return problem{cause::bad_file, c.path, "a number is not finite", "file 'optimizer.state'", {}, {}, {}};
    t.resume_at(progress.updates);
    return progress;
}

}  // namespace graft
