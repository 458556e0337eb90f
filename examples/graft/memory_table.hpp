// SPDX-License-Identifier: Apache-2.0
// The plan of a training run: bytes by what they are for, as a table and as JSON; and whether it fits.
#pragma once

#include "process_memory.hpp"
#include "run_options.hpp"
#include "session.hpp"

#include <graft/base/result.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <string>

namespace tool {

/// 12.3 MiB
inline std::string in_mebibytes(double bytes) {
    char room[48];
    std::snprintf(room, sizeof room, "%.1f MiB", bytes / 0x1p20);
    return room;
}
inline std::string in_mebibytes(index_t bytes) { return in_mebibytes(static_cast<double>(bytes)); }

struct memory_table {
    tuner_memory plan;
    index_t weights_mapped = 0;

    nlohmann::json json() const {
        auto const& m = plan.arena;
        return {{"peak_bytes", m.total()},
                {"weights_mapped_bytes", weights_mapped},
                {"weights_private_bytes", plan.weights},
                {"checkpoints_bytes", m.checkpoints},
                {"block_bytes", m.block},
                {"head_bytes", m.head},
                {"adapters_bytes", m.adapters},
                {"gradients_bytes", m.gradients},
                {"optimizer_bytes", m.optimizer},
                {"panels_bytes", m.panels},
                {"batch_bytes", m.batch},
                {"kept_bytes", m.kept},
                {"gradient_bytes", m.gradient}};
    }

    std::string text() const {
        auto const& m = plan.arena;
        std::string s;
        auto const line = [&](char const* what, index_t bytes) {
            char room[160];
            std::snprintf(room, sizeof room, "  %-58s %12s\n", what, in_mebibytes(bytes).c_str());
            s += room;
        };
        line("checkpoints: the stream between blocks", m.checkpoints);
        if (m.kept > 0) line("kept: values that wait for the backward", m.kept);
        line("block that runs or loss, whichever is larger", std::max(m.block, m.head));
        line("gradient of the stream", m.gradient);
        line("adapters", m.adapters);
        line("their gradients", m.gradients);
        if (m.optimizer > 0) line("optimizer", m.optimizer);
        line("panels of decoded weights", m.panels);
        line("batch: positions, angles, targets", m.batch);
        line("= peak of a step", m.total());
        if (plan.weights > 0) line("norms and biases, decoded", plan.weights);
        if (weights_mapped > 0) line("weights, mapped from the file (the system may drop them)", weights_mapped);
        return s;
    }
};

inline memory_table table_of(model_config const& c, any_training const& s, std::uint64_t mapped) {
    return {memory_of(c, s), static_cast<index_t>(mapped)};
}

/// Refuses a plan that does not fit the budget, or what the system has left, before any of it is taken. Names what
/// would fit.
inline result<void> check_budget(model_config const& c, run_options const& run, any_training const& s,
                                 memory_table const& table) {
    std::uint64_t const limit = run.memory_budget ? run.memory_budget : available_bytes();
    if (static_cast<std::uint64_t>(table.plan.total()) <= limit) return {};
    auto const fits = [&](index_t tokens, any_strategy strategy) {
        any_training other = s;
        other.tokens = tokens, other.strategy = strategy;
        return static_cast<std::uint64_t>(memory_of(c, other).total()) <= limit;
    };
    std::string hint;
    auto const propose = [&](std::string const& what) { hint += (hint.empty() ? "" : ", or ") + what; };
    index_t low = 0, high = run.pass_tokens;
    while (high - low > 1) (fits((low + high) / 2, s.strategy) ? low : high) = (low + high) / 2;
    if (low >= 2)
        propose("--seq-len " + std::to_string(low) +
                (run.pass_tokens > run.seq_len ? " --pass-tokens " + std::to_string(low) : ""));
    if (s.strategy.is<full>() && fits(s.tokens, mesp{})) propose("--strategy mesp");
    if (fits(s.tokens, mesp{64, phases::two})) propose("--strategy mesp --tile 64 --phases two");
    if (hint.empty()) hint = "a smaller --rank, --optimizer sgd, or a smaller model";
    return problem{cause::memory,
                   {},
                   "the plan does not fit",
                   {},
                   "at most " + std::to_string(limit) + " bytes (" +
                       (run.memory_budget ? "--memory-budget" : "what the system has left") + ")",
                   std::to_string(table.plan.total()),
                   hint};
}

}  // namespace tool
