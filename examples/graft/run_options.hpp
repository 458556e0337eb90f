// SPDX-License-Identifier: Apache-2.0
// The options of a training run that its memory and its numbers depend on: those of `finetune` and of `plan`.
#pragma once

#include "adapter_options.hpp"
#include "optimizer_options.hpp"
#include "strategy_options.hpp"

#include <graft/io/any_model.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

extern template struct graft::every_block<float>;  // compiled in blocks.cpp

namespace tool {

/// What memory depends on.
struct run_options {
    strategy_options gradients;
    adapter_options adapters;
    optimizer_options moved;
    index_t seq_len = 512, pass_tokens = 0, threads = 0;
    std::uint64_t memory_budget = 0, resident_limit = 0;
    bool any_schedule = false;         // the budget picks one
    std::optional<budgeted> picked{};  // which it did

    void declare(options& o) {
        gradients.declare(o);
        moved.declare(o);
        adapters.declare(o);
        o.count("seq-len", seq_len, 2, 1 << 20, "tokens of a row of data; longer ones are cut")
            .also({"max-seq-length", "max-seq-len", "cutoff-len", "sequence-len"});
        o.count("pass-tokens", pass_tokens, 0, 1 << 20,
                "rows that run at once, 0: as seq-len; short examples share a pass");
        o.count("threads", threads, 0, 256, "0: as many as the machine has; results do not depend on it")
            .short_form("t")
            .outside();
        o.size("memory-budget", memory_budget,
               "the process's own memory: picks the schedule of least arithmetic that fits, or refuses the named one")
            .also({"memory-limit"})
            .outside();
        o.size("resident-limit", resident_limit, "of the model file at most so many bytes are in memory at once")
            .outside();
    }

    /// Combinations that have no meaning.
    result<void> check(options const& o) {
        any_schedule = memory_budget > 0 && !strategy_options::named(o);
        if (pass_tokens > 0 && pass_tokens < seq_len)
            return usage("--pass-tokens is smaller than --seq-len", "at least " + std::to_string(seq_len),
                         std::to_string(pass_tokens), "a smaller --seq-len");
        if (auto r = moved.check(o, gradients.adapter_type); !r) return r;
        if (auto r = adapters.check(o, gradients, moved.name); !r) return r;
        return gradients.check(o);
    }

    /// Fits what was not given to the model; a problem where something given is more than it has.
    result<void> settle(options const& o, model_config const& c) {
        if (!o.given("seq-len")) seq_len = std::min(seq_len, c.context);
        if (seq_len > c.context)
            return usage("--seq-len is longer than the model's context", "at most " + std::to_string(c.context),
                         std::to_string(seq_len), "--seq-len " + std::to_string(c.context));
        if (pass_tokens == 0) pass_tokens = seq_len;
        if (auto r = adapters.settle(o, c, moved.name); !r) return r;
        return gradients.settle(c.layers);
    }

    /// Reads from this object as long as it is used.
    any_training settings(double max_grad_norm = 0, std::uint64_t seed = 0) const {
        any_training s;
        adapters.put(s);
        s.tokens = pass_tokens, s.max_grad_norm = max_grad_norm, s.lanes = lanes_of(threads), s.seed = seed;
        s.strategy = picked ? any_strategy(picked->strategy) : gradients.make();
        s.optimizer = moved.make(), s.rates.lora_b = moved.ratio_b;
        s.updates = gradients.fused() ? updating::fused : updating::deferred;
        s.checkpoints = strategy_options::rest_of(gradients.checkpoint_type);
        s.adapters = strategy_options::rest_of(gradients.adapter_type);
        s.checkpoints_apart = gradients.apart;
        return s;
    }

    /// The strategy in words, with how its numbers rest and move.
    std::string strategy_text(model_config const& c) const {
        std::string s = picked ? describe(picked->strategy, c.layers) : gradients.text();
        if (gradients.checkpoint_type != "f32") s += ", inputs in " + gradients.checkpoint_type;
        if (gradients.apart) s += ", inputs in a file";
        if (gradients.adapter_type != "f32") s += ", adapters in " + gradients.adapter_type;
        return s + (gradients.fused() ? ", fused update" : "");
    }
    /// Its name: "budget" where the budget picked the schedule.
    std::string strategy_name() const { return picked ? "budget" : gradients.name; }
};

}  // namespace tool
