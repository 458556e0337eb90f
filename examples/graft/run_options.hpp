// SPDX-License-Identifier: Apache-2.0
// The options of a training run that its memory and its numbers depend on: those of `finetune` and of `plan`.
#pragma once

#include "strategy_options.hpp"

#include <graft/io/any_model.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

extern template struct graft::every_block<float>;  // compiled in blocks.cpp

namespace tool {

/// The smaller dimension of a linear map: no low-rank map of it has more columns.
inline index_t smaller_side(model_config const& c, std::string_view map) {
    index_t const queries = c.heads * c.head, keys = c.kv_heads * c.head;
    if (map == "k_proj" || map == "v_proj") return std::min(c.width, keys);
    return std::min(c.width, map == "q_proj" || map == "o_proj" ? queries : c.hidden);
}
/// The highest rank that all of these maps can have.
inline index_t highest_rank(model_config const& c, unsigned targets) {
    index_t most = c.width;
    for (auto const name : target_names)
        if (targets & target_bit(name)) most = std::min(most, smaller_side(c, name));
    return most;
}

/// What memory depends on.
struct run_options {
    strategy_options gradients;
    std::string optimizer = "adamw", method = "lora";
    index_t rank = 8, seq_len = 512, pass_tokens = 0, threads = 0;
    double alpha = 16;
    unsigned targets = all_targets;
    std::uint64_t memory_budget = 0, resident_limit = 0;
    bool any_schedule = false;         // the budget picks one
    std::optional<budgeted> picked{};  // which it did

    void declare(options& o) {
        gradients.declare(o);
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
        return gradients.check(o);
    }

    /// Fits what was not given to the model; a problem where something given is more than it has.
    result<void> settle(options const& o, model_config const& c) {
        if (!o.given("seq-len")) seq_len = std::min(seq_len, c.context);
        if (seq_len > c.context)
            return usage("--seq-len is longer than the model's context", "at most " + std::to_string(c.context),
                         std::to_string(seq_len), "--seq-len " + std::to_string(c.context));
        if (pass_tokens == 0) pass_tokens = seq_len;
        if (index_t const most = highest_rank(c, targets); rank > most) {
            std::string narrow;
            for (auto const name : target_names)
                if ((targets & target_bit(name)) && smaller_side(c, name) == most)
                    narrow += (narrow.empty() ? "" : ", ") + std::string(name);
            return usage("--rank is above a dimension of " + narrow, "at most " + std::to_string(most),
                         std::to_string(rank), "--rank " + std::to_string(most) + ", or --targets without " + narrow);
        }
        return gradients.settle(c.layers);
    }

    any_training settings(double max_grad_norm = 0, double weight_decay = 0.01, std::uint64_t seed = 0) const {
        any_training s;
        s.tokens = pass_tokens, s.rank = rank, s.alpha = alpha, s.rank_stabilised = method == "rslora",
        s.targets = targets, s.max_grad_norm = max_grad_norm, s.lanes = lanes_of(threads), s.seed = seed;
        s.strategy = picked ? any_strategy(picked->strategy) : gradients.make();
        s.updates = gradients.fused() ? updating::fused : updating::deferred;
        s.checkpoints = strategy_options::rest_of(gradients.checkpoint_type);
        s.adapters = strategy_options::rest_of(gradients.adapter_type);
        s.checkpoints_apart = gradients.apart;
        if (optimizer == "sgd") {
            s.optimizer = sgd{weight_decay};
        } else {
            adamw how;
            how.weight_decay = weight_decay;
            s.optimizer = how;
        }
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
