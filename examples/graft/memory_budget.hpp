// SPDX-License-Identifier: Apache-2.0
// What fits a number of bytes: the schedule a budget picks, the largest run of a kind, and what to say where none does.
#pragma once

#include "memory_table.hpp"
#include "process_memory.hpp"

#include <algorithm>
#include <string>

namespace tool {

/// Runs of one model against a limit, in bytes, of all the process takes for itself.
struct memory_budget {
    model_config const& c;
    run_options const& run;
    any_training how;
    index_t limit, reader;

    bool fits(any_training const& s) const { return memory_of(c, s).total() + reader <= limit; }
    bool fits(any_training s, any_strategy const& other) const { return s.strategy = other, fits(s); }
    /// With the run's strategy; where the budget picks it, with any.
    bool can_run(any_training const& s) const {
        return fits(s) || (run.any_schedule && graft::cheapest_within(c, s, limit - reader).fits);
    }
    /// The largest value up to `most` with which it fits, as `put` puts it; 0: none.
    template <class Put>
    index_t largest(index_t most, Put&& put) const {
        auto const ok = [&](index_t value) {
            any_training s = how;
            put(s, value);
            return can_run(s);
        };
        index_t low = 0, high = 1;
        while (high <= most && ok(high)) low = high, high *= 2;
        high = std::min(high, most + 1);
        while (high - low > 1) {
            index_t const middle = low + (high - low) / 2;
            (ok(middle) ? low : high) = middle;
        }
        return low;
    }
    index_t largest_pass(index_t most) const {
        return largest(most, [](any_training& s, index_t n) { s.tokens = n; });
    }
    index_t largest_rank() const {
        return largest(run.adapters.highest_rank(c), [](any_training& s, index_t n) { s.rank = n; });
    }

    /// The largest sequence length, rows of a pass, and rank that would fit; what is given otherwise stays.
    nlohmann::json largest_json() const {
        index_t const rows = largest_pass(index_t{1} << 20);
        return {{"seq_len", std::min(rows, c.context)},
                {"pass_tokens", rows},
                {"batch", rows / std::max<index_t>(run.seq_len, 1)},
                {"rank", largest_rank()}};
    }

    /// What would fit in place of a run that does not.
    std::string proposals() const {
        std::string hint;
        auto const propose = [&](std::string const& what) { hint += (hint.empty() ? "" : ", or ") + what; };
        bool const passes = run.pass_tokens > run.seq_len;
        if (index_t const rows = largest_pass(run.pass_tokens - 1); rows >= 2)
            propose(rows >= run.seq_len ? "--pass-tokens " + std::to_string(rows)
                                        : "--seq-len " + std::to_string(rows) +
                                              (passes ? " --pass-tokens " + std::to_string(rows) : ""));
        if (index_t const rank = largest_rank(); rank > 0 && rank < how.rank) propose("--rank " + std::to_string(rank));
        if (!run.any_schedule && graft::cheapest_within(c, how, limit - reader).fits)
            propose("no --strategy, so that --memory-budget picks the schedule");
        if (how.strategy.answer().pulls()) {
            if (run.gradients.checkpoint_type == "f32") {
                any_training s = how;
                s.checkpoints = resting::brain;
                if (can_run(s)) propose("--checkpoint-type bf16");
            }
            if (!run.gradients.apart) {
                any_training s = how;
                s.checkpoints_apart = true;
                if (can_run(s)) propose("--checkpoint-file");
            }
            if (how.updates == updating::deferred) {
                any_training s = how;
                s.updates = updating::fused, s.max_grad_norm = 0;
                if (can_run(s))
                    propose("--update fused");
                else if (graft::cheapest_within(c, s, limit - reader).fits)
                    propose("--update fused and no --strategy");
            }
            if (fits(how, zeroth_order{})) propose("--strategy zeroth-order, which only runs forward");
        }
        auto const with_optimizer = [&](any_optimizer const& other) {
            any_training s = how;
            return s.optimizer = other, can_run(s);
        };
        if (run.moved.is("adamw") && with_optimizer(adamw8{}))
            propose("--optimizer adamw8");
        else if (!run.moved.is("sgd") && with_optimizer(sgd{}))
            propose("--optimizer sgd");
        if (any_training s = how; run.adapters.is_pissa() && (s.start = adapter_start::kaiming, can_run(s)))
            propose("--init kaiming");
        if (any_training s = how; run.adapters.is_dora() && (s.norm = adapter_norm::none, can_run(s)))
            propose("--method lora");
        if (run.memory_budget > 0) propose("--memory-budget " + std::to_string(memory_of(c, how).total() + reader));
        return hint.empty() ? "a smaller model" : hint;
    }
};

/// Where --memory-budget is to pick a schedule, the run has it from now on, if one fits.
inline void pick_schedule(model_config const& c, run_options& run, any_training const& how, index_t reader) {
    if (!run.any_schedule) return;
    run.picked = graft::cheapest_within(c, how, static_cast<index_t>(run.memory_budget) - reader);
}

/// Refuses a plan that does not fit the budget, or what the system has left, before any of it is taken. Names what
/// would fit.
inline result<void> check_budget(model_config const& c, run_options const& run, any_training const& s,
                                 memory_table const& table) {
    // What the system has left is what it has beside the reader, which is there already.
    index_t const most =
        run.memory_budget ? static_cast<index_t>(run.memory_budget)
                          : static_cast<index_t>(std::min<std::uint64_t>(available_bytes(), 1ULL << 62)) + table.reader;
    if (table.total() <= most) return {};
    memory_budget const budget{c, run, s, most, table.reader};
    return problem{cause::memory,
                   {},
                   run.any_schedule ? "the plan does not fit, whatever is computed again" : "the plan does not fit",
                   {},
                   "at most " + std::to_string(most) + " bytes (" +
                       (run.memory_budget ? "--memory-budget" : "what the system has left") + ")",
                   std::to_string(table.total()),
                   budget.proposals()};
}

}  // namespace tool
