// SPDX-License-Identifier: Apache-2.0
// The plan of a training run: bytes by what they are for, as a table and as JSON.
#pragma once

#include "run_options.hpp"

#include <graft/base/result.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <string>

namespace tool {

struct memory_table {
    tuner_memory plan;
    step_arithmetic work;
    std::string strategy, strategy_text;
    index_t weights_mapped = 0, reader = 0;
    residency_plan resident{};  // with a limit only

    /// What the process takes for itself: all but mapped files.
    index_t total() const { return plan.total() + reader; }

    nlohmann::json json() const {
        auto const& m = plan.arena;
        nlohmann::json j{{"strategy", strategy},
                         {"strategy_text", strategy_text},
                         {"peak_bytes", m.total()},
                         {"total_bytes", total()},
                         {"weights_mapped_bytes", weights_mapped},
                         {"weights_private_bytes", plan.weights},
                         {"tokenizer_and_reader_bytes", reader},
                         {"checkpoints_bytes", m.checkpoints},
                         {"checkpoints_in_file", m.checkpoints_apart},
                         {"block_bytes", m.block},
                         {"head_bytes", m.head},
                         {"adapters_bytes", m.adapters},
                         {"dora_norms_bytes", m.norms},
                         {"pissa_copy_bytes", m.offsets},
                         {"gradients_bytes", m.gradients},
                         {"optimizer_bytes", m.optimizer},
                         {"kept_bytes", m.kept},
                         {"stream_bytes", m.stream},
                         {"panels_bytes", m.panels},
                         {"batch_bytes", m.batch},
                         {"tables_bytes", m.tables},
                         {"multiply_adds", {{"blocks", work.blocks}, {"head", work.head}}}};
        if (resident.limit > 0) {
            j["weights_resident_bytes"] = resident.peak();
            j["weights_kept_layers"] = resident.kept_layers;
        }
        return j;
    }

    std::string text() const {
        auto const& m = plan.arena;
        std::string s;
        auto const line = [&](std::string const& what, index_t bytes) {
            if (bytes > 0) s += formatted("  %-58s %12s\n", what.c_str(), in_mebibytes(bytes).c_str());
        };
        if (!m.checkpoints_apart) line("checkpoints: the inputs of blocks", m.checkpoints);
        line("kept: values that wait for the backward", m.kept);
        line("block that runs or loss, whichever is larger", std::max(m.block, m.head));
        line("stream that is computed with, and its gradient", m.stream);
        line("adapters", m.adapters);
        line("  of these lengths of rows that DoRA keeps", m.norms);
        line("  of these what PiSSA started from", m.offsets);
        line("their gradients", m.gradients);
        line("optimizer", m.optimizer);
        line("panels of decoded weights", m.panels);
        line("batch: positions, angles, targets", m.batch);
        line("tables: schedules, state of each layer", m.tables);
        line("= peak of a step", m.total());
        line("norms and biases, decoded", plan.weights);
        line("tokenizer and reader", reader);
        line("= the process's own memory", total());
        if (m.checkpoints_apart) line("checkpoints, in a file (the system may drop them)", m.checkpoints);
        line("weights, mapped from the file (the system may drop them)", weights_mapped);
        if (resident.limit > 0) {
            line("of these resident at once, at most", resident.peak());
            s += formatted("  %-58s %12td\n", "layers of them that stay", resident.kept_layers);
        }
        s += formatted("  %-58s %9.2f G\n", "multiply-adds of a step: blocks", work.blocks / 1e9);
        return s + formatted("  %-58s %9.2f G\n", "multiply-adds of a step: head", work.head / 1e9);
    }
};

/// `mapped`, `reader`: bytes of the weights as stored; of tokenizer and reader.
inline memory_table table_of(model_config const& c, run_options const& run, any_training const& s, std::uint64_t mapped,
                             index_t reader) {
    return {memory_of(c, s),
            arithmetic_of(c, s),
            run.strategy_name(),
            run.strategy_text(c),
            static_cast<index_t>(mapped),
            reader,
            {}};
}

}  // namespace tool
