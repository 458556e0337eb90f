// SPDX-License-Identifier: Apache-2.0
// The plan of a training run: bytes by what they are for, as a table and as JSON; and whether it fits.
#pragma once

#include "process_memory.hpp"
#include "run_options.hpp"

#include <graft/base/result.hpp>
#include <graft/train/trainer.hpp>

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
    training_memory arena;
    index_t weights_mapped = 0, weights_private = 0;

    /// What the run asks the system for: the arena, and the norms and biases that are decoded when a model is opened.
    index_t needed() const { return arena.total() + weights_private; }

    nlohmann::json json() const {
        auto const& m = arena;
        return {{"peak_bytes", m.total()},
                {"weights_mapped_bytes", weights_mapped},
                {"weights_private_bytes", weights_private},
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
        auto const& m = arena;
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
        if (weights_private > 0) line("norms and biases, decoded", weights_private);
        if (weights_mapped > 0) line("weights, mapped from the file (the system may drop them)", weights_mapped);
        return s;
    }
};

/// Norms and biases of a model as floats, and the views of its layers.
inline index_t private_weight_bytes(model_config const& c, index_t layer_bytes) {
    index_t const norms = (2 * c.layers + 1) * c.width;
    index_t const biases = c.qkv_bias ? c.layers * (c.heads + 2 * c.kv_heads) * c.head : 0;
    return (norms + biases) * static_cast<index_t>(sizeof(float)) + c.layers * layer_bytes;
}

template <class Block, Optimizer Rule>
memory_table table_of(model_config const& c, training<chosen_strategy, Rule> const& s, std::uint64_t mapped) {
    return {trainer<Block, chosen_strategy, Rule>::memory_plan(c, s), static_cast<index_t>(mapped),
            private_weight_bytes(c, static_cast<index_t>(sizeof(layer_weights<Block, float>)))};
}

/// Refuses a plan that does not fit the budget, or what the system has left, before any of it is taken. Names what
/// would fit.
template <class Block, Optimizer Rule>
result<void> check_budget(model_config const& c, run_options const& run, training<chosen_strategy, Rule> const& s,
                          memory_table const& table) {
    std::uint64_t const limit = run.memory_budget ? run.memory_budget : available_bytes();
    if (static_cast<std::uint64_t>(table.needed()) <= limit) return {};
    auto const fits = [&](index_t tokens, chosen_strategy strategy) {
        auto other = s;
        other.tokens = tokens, other.strategy = strategy;
        return static_cast<std::uint64_t>(table_of<Block>(c, other, 0).needed()) <= limit;
    };
    std::string hint;
    auto const propose = [&](std::string const& what) { hint += (hint.empty() ? "" : ", or ") + what; };
    index_t low = 0, high = run.pass_tokens;
    while (high - low > 1) (fits((low + high) / 2, s.strategy) ? low : high) = (low + high) / 2;
    if (low >= 2)
        propose("--seq-len " + std::to_string(low) +
                (run.pass_tokens > run.seq_len ? " --pass-tokens " + std::to_string(low) : ""));
    if (s.strategy.keeps_all && fits(s.tokens, {})) propose("--strategy mesp");
    chosen_strategy const leanest{false, 64, phases::two};
    if (fits(s.tokens, leanest)) propose("--strategy mesp --tile 64 --phases two");
    if (hint.empty()) hint = "a smaller --rank, --optimizer sgd, or a smaller model";
    return problem{cause::memory,
                   {},
                   "the plan does not fit",
                   {},
                   "at most " + std::to_string(limit) + " bytes (" +
                       (run.memory_budget ? "--memory-budget" : "what the system has left") + ")",
                   std::to_string(table.needed()),
                   hint};
}

}  // namespace tool
