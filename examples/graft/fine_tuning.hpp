// SPDX-License-Identifier: Apache-2.0
// The loop of a run: windows of data, updates, validations, checkpoints, and when to stop.
#pragma once

#include "checkpointing.hpp"
#include "finetune_options.hpp"
#include "metrics.hpp"
#include "packing.hpp"
#include "process_memory.hpp"
#include "progress.hpp"
#include "signals.hpp"
#include "spelling.hpp"

#include <graft/train/trainer.hpp>

#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace tool {

/// Why the loop ended.
struct run_end {
    std::optional<double> loss_after;
    bool complete = false;  // all steps are done
    int signal = 0;         // that asked to stop
};

template <class Trainer>
class fine_tuning {
public:
    fine_tuning(Trainer& t, finetune_options const& options, dataset const& d, data_split const& split,
                index_t all_steps, run_identity id)
        : trains(t),
          o(options),
          data(d),
          order(split.train, options.batch_size * options.grad_accum, options.seed),
          steps(all_steps),
          rates(options.rates(all_steps)),
          identity(std::move(id)),
          checkpoints(options.output + "/checkpoints") {
        held_out = pack(d.examples, split.validation, options.run.pass_tokens);
    }

    /// From state.step to the last step, or to a signal. Every checkpoint is of a whole step.
    result<run_end> run(metrics_log& log) {
        auto const began = now();
        double const before = state.seconds;
        index_t const first = state.step;
        run_end end;
        if (!state.loss_before && !asked_to_stop) state.loss_before = validate();
        if (state.loss_before && state.step == 0) {
            log.add({{"step", 0}, {"validation_loss", *state.loss_before}});
            bar.note("held-out loss before training: " + formatted("%.4f", *state.loss_before));
        }
        auto const stop = [&] {
            return asked_to_stop != 0 || (o.stop_after > 0 && state.step - first >= o.stop_after);
        };
        while (state.step < steps && !stop()) {
            if (auto r = step(log); !r) return r.error();
            state.seconds = before + now() - began;
            bool const last = state.step == steps;
            index_t const every = o.eval_every > 0 ? o.eval_every : order.updates_per_epoch();
            if ((last || state.step % every == 0) && !asked_to_stop) {
                end.loss_after = validate();
                if (end.loss_after) {
                    log.add({{"step", state.step}, {"validation_loss", *end.loss_after}});
                    if (!last)
                        bar.note(formatted("step %td/%td: held-out loss %.4f", state.step, steps, *end.loss_after));
                }
            }
            state.seconds = before + now() - began;
            if (o.save_every > 0 && state.step % o.save_every == 0 && !last && !stop())
                if (auto r = save(); !r) return r.error();
        }
        bar.clear();
        end.complete = state.step == steps;
        end.signal = end.complete && end.loss_after ? 0 : asked_to_stop;
        if (end.complete && !end.loss_after && !end.signal) {  // resumed when all steps were done
            end.loss_after = validate();
            bool const told = !log.validation.empty() && log.validation.back().step == state.step;
            if (end.loss_after && !told) log.add({{"step", state.step}, {"validation_loss", *end.loss_after}});
        }
        if (end.loss_after && !std::isfinite(*end.loss_after))
            return diverged("the held-out loss is not finite at the end", "step " + std::to_string(state.step));
        if (auto r = save(); !r) return r.error();
        state.seconds = before + now() - began;
        return end;
    }

    run_state state;
    std::uint64_t peak_memory = 0;

private:
    static double now() {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
    result<void> save() { return save_run(checkpoints, trains, state, identity); }

    /// The mean loss of the held-out rows; nothing without any, or when asked to stop.
    std::optional<double> validate() {
        double sum = 0;
        for (auto const& pass : held_out.passes) {
            if (asked_to_stop) return {};
            sum += trains.evaluate(pass.view());
        }
        note_memory();
        if (held_out.targets == 0) return {};
        return sum / static_cast<double>(held_out.targets);
    }

    void note_memory() { peak_memory = std::max(peak_memory, memory = anonymous_bytes()); }

    /// One window: its mean loss over tokens, whatever the passes, and an update unless something is not finite.
    result<void> step(metrics_log& log) {
        double const began = now();
        ++state.step;
        packed_update const window = pack(data.examples, order.of(state.step), o.run.pass_tokens);
        double const scale = 1 / static_cast<double>(window.targets);
        double loss = 0;
        for (auto const& pass : window.passes) loss += trains.accumulate(pass.view(), scale);
        loss *= scale;

        double const rate = rates.at(state.step);
        update_report report{0, false};
        if (std::isfinite(loss))
            report = trains.apply(rate);
        else
            trains.discard();
        if (report.finite) {
            ++state.updates, state.skipped_in_a_row = 0;
        } else {
            ++state.skipped, ++state.skipped_in_a_row;
            std::string const what = std::isfinite(loss) ? "gradient" : "loss";
            bar.note(
                formatted("warning: step %td: the %s is not finite; the step is skipped", state.step, what.c_str()));
            if (state.skipped_in_a_row >= 3)
                return diverged("the " + what + " was not finite three times in a row",
                                "step " + std::to_string(state.step));
        }
        note_memory();
        double const spent = now() - began;
        state.step_seconds += spent, state.tokens += window.rows;
        step_figures f{state.step,
                       steps,
                       loss,
                       rate,
                       report.grad_norm,
                       static_cast<double>(window.rows) / spent,
                       state.step_seconds / static_cast<double>(state.step) * static_cast<double>(steps - state.step),
                       memory};
        log.add({{"step", state.step},
                 {"epoch", static_cast<double>(state.step) / static_cast<double>(order.updates_per_epoch())},
                 {"loss", loss},
                 {"lr", rate},
                 {"grad_norm", report.grad_norm},
                 {"skipped", !report.finite},
                 {"tokens", window.rows},
                 {"targets", window.targets},
                 {"tokens_per_second", f.tokens_per_second},
                 {"rss_anon_bytes", memory}});
        bar.show(f);
        return {};
    }

    problem diverged(std::string what, std::string where) const {
        return {cause::diverged,
                {},
                "training diverged: " + what,
                std::move(where),
                {},
                {},
                std::string("a smaller --lr") +
                    (newest_valid(checkpoints).found ? "; the last good checkpoint is kept in " + checkpoints : "")};
    }

    Trainer& trains;
    finetune_options const& o;
    dataset const& data;
    data_order order;
    index_t steps;
    rate_schedule rates;
    run_identity identity;
    std::string checkpoints;
    packed_update held_out;
    progress bar;
    std::uint64_t memory = 0;
};

}  // namespace tool
