// SPDX-License-Identifier: Apache-2.0
// The options of a training run that its memory and its numbers depend on: those of `finetune` and of `plan`.
#pragma once

#include "options.hpp"
#include "spelling.hpp"

#include <graft/io/tuner.hpp>
#include <graft/train/any.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace tool {

/// What memory depends on.
struct run_options {
    std::string strategy = "mesp", optimizer = "adamw", method = "lora", phases = "one";
    index_t tile = 0, rank = 8, seq_len = 512, pass_tokens = 0, threads = 0;
    double alpha = 16;
    unsigned targets = all_targets;
    std::uint64_t memory_budget = 0;

    void declare(options& o) {
        o.choice("strategy", strategy, {"mesp", "full"}, "what is kept for the gradients; all are exact",
                 {{"checkpoint", "comes with a later version; mesp keeps less"},
                  {"lcsb", "comes with a later version"},
                  {"zeroth_order", "comes with a later version"}})
            .also({"grad"});
        o.count("tile", tile, 0, 1 << 20, "mesp: rows of the feed-forward half at a time, 0: all");
        o.choice("phases", phases, {"one", "two"}, "mesp: two takes less memory and runs attention once more");
        o.choice("optimizer", optimizer, {"adamw", "sgd"}, "how adapters are moved",
                 {{"stiefel", "comes with a later version"}})
            .also({"optim"});
        o.choice("method", method, {"lora", "rslora"}, "scale is alpha / rank, or alpha / sqrt(rank) of rslora",
                 {{"dora", "comes with a later version"}, {"stiefel", "comes with a later version"}})
            .also({"fine-tune-type", "finetuning-type"});
        o.count("rank", rank, 1, 4096, "columns of the low-rank maps").short_form("r").also({"lora-rank", "lora-r"});
        o.number("alpha", alpha, 0, 1e6, "numerator of the adapter's scale", true).also({"lora-alpha"});
        o.custom(
             "targets", "NAMES", "maps that get an adapter: all, or some of q_proj,k_proj,v_proj,o_proj,...",
             [this](std::string const& v) { return read_targets(v); }, [this] { return nlohmann::json(target_text()); })
            .also({"target-modules", "lora-modules", "lora-target"});
        o.count("seq-len", seq_len, 2, 1 << 20, "tokens of a row of data; longer ones are cut")
            .also({"max-seq-length", "max-seq-len", "cutoff-len", "sequence-len"});
        o.count("pass-tokens", pass_tokens, 0, 1 << 20,
                "rows that run at once, 0: as seq-len; short examples share a pass");
        o.count("threads", threads, 0, 256, "0: as many as the machine has; results do not depend on it")
            .short_form("t")
            .outside();
        o.size("memory-budget", memory_budget, "refuse a run whose plan is larger; else what the system has left")
            .also({"memory-limit"})
            .outside();
    }

    /// Combinations that have no meaning.
    result<void> check(options const& o) const {
        if (strategy == "full" && (o.given("tile") || o.given("phases")))
            return usage("--tile and --phases belong to --strategy mesp", "--strategy mesp", "full");
        if (pass_tokens > 0 && pass_tokens < seq_len)
            return usage("--pass-tokens is smaller than --seq-len", "at least " + std::to_string(seq_len),
                         std::to_string(pass_tokens), "a smaller --seq-len");
        return {};
    }

    /// Fits the lengths that were not given to the model's context; a problem where a given one is too long.
    result<void> settle(options const& o, index_t context) {
        if (!o.given("seq-len")) seq_len = std::min(seq_len, context);
        if (seq_len > context)
            return usage("--seq-len is longer than the model's context", "at most " + std::to_string(context),
                         std::to_string(seq_len));
        if (pass_tokens == 0) pass_tokens = seq_len;
        return {};
    }

    any_training settings(double max_grad_norm = 1, double weight_decay = 0.01) const {
        any_training s;
        s.tokens = pass_tokens, s.rank = rank, s.alpha = alpha, s.rank_stabilised = method == "rslora",
        s.targets = targets, s.max_grad_norm = max_grad_norm, s.lanes = lanes_of(threads);
        if (strategy == "full")
            s.strategy = full{};
        else
            s.strategy = mesp{tile, phases == "two" ? graft::phases::two : graft::phases::one};
        if (optimizer == "sgd") {
            s.optimizer = sgd{weight_decay};
        } else {
            adamw how;
            how.weight_decay = weight_decay;
            s.optimizer = how;
        }
        return s;
    }

    std::string target_text() const {
        if (targets == all_targets) return "all";
        std::string s;
        for (auto const name : target_names)
            if (targets & target_bit(name)) s += (s.empty() ? "" : ",") + std::string(name);
        return s;
    }

private:
    std::string read_targets(std::string const& v) {
        std::vector<std::string> const known(target_names.begin(), target_names.end());
        std::string const expected = "all, or names from " + listed(known, "and") + " with commas between them";
        unsigned bits = v == "all" ? all_targets : 0;
        for (std::size_t at = 0; v != "all" && at <= v.size();) {
            std::size_t const comma = std::min(v.find(',', at), v.size());
            std::string const name = v.substr(at, comma - at);
            unsigned const bit = name.find('.') == name.npos ? target_bit(name) : 0;
            if (bit == 0) {
                std::string const close = nearest(name, known);
                return expected + (close.empty() ? "" : " (did you mean " + close + "?)");
            }
            if (bits & bit) return "each name once";
            bits |= bit, at = comma + 1;
        }
        return targets = bits, "";
    }
};

}  // namespace tool
