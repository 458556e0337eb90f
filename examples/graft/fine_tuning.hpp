// SPDX-License-Identifier: Apache-2.0
// What a run of `graft finetune` tells and keeps while it goes: metrics, progress, checkpoints, and when to stop.
#pragma once

#include "checkpointing.hpp"
#include "finetune_options.hpp"
#include "metrics.hpp"
#include "process_memory.hpp"
#include "progress.hpp"
#include "signals.hpp"
#include "spelling.hpp"

#include <chrono>
#include <cmath>
#include <optional>
#include <string>

namespace tool {

/// Why a run ended.
struct run_end {
    std::optional<double> loss_after;
    bool complete = false;  // all steps are done
    int signal = 0;         // that asked to stop
};

/// The callback of `fit`.
class fine_tuning {
public:
    fine_tuning(any_tuner& t, finetune_options const& options, index_t steps_per_epoch, run_identity id,
                metrics_log& metrics)
        : tuner(t),
          o(options),
          epoch(steps_per_epoch),
          identity(std::move(id)),
          log(metrics),
          checkpoints(options.output + "/checkpoints") {}

    /// From state.progress to the last step, or to a signal. Every checkpoint is of a whole step.
    result<run_end> run(packed_data& data, index_t steps) {
        began = marked = now(), before = state.seconds, skipped = state.progress.skipped;
        auto how = o.schedule();
        how.steps = steps, how.from = state.progress;
        auto const report = tuner.fit(data, how, *this);
        bar.clear();
        state.progress = report.progress;
        std::string const where = "step " + std::to_string(report.progress.step);
        if (failed) return *failed;
        if (too_many)
            return diverged(std::to_string(report.progress.skipped) + " steps of " + std::to_string(steps) +
                                " were not finite, more than 1 in 100",
                            where);
        if (report.end == fit_end::diverged)
            return diverged("the " + not_finite + " was not finite three times in a row", where);
        run_end end;
        if (report.after.any()) end.loss_after = report.after.mean();
        end.complete = report.progress.step == steps;
        end.signal = report.end == fit_end::complete ? 0 : asked_to_stop;
        if (end.loss_after && !std::isfinite(*end.loss_after))
            return diverged("the held-out loss is not finite at the end", where);
        if (auto r = save(report.progress); !r) return r.error();
        return end;
    }

    verdict operator()(fit_pass const&) const { return asked_to_stop ? verdict::stop : verdict::go_on; }

    void operator()(fit_evaluation const& e) {
        note_memory();
        bool const told = !log.validation.empty() && log.validation.back().step == e.step;
        if (!told) log.add({{"step", e.step}, {"validation_loss", e.loss}});
        if (e.step == 0) {
            state.loss_before = e.loss;
            bar.note("held-out loss before training: " + formatted("%.4f", e.loss));
        } else if (e.step < e.steps) {
            bar.note(formatted("step %td/%td: held-out loss %.4f", e.step, e.steps, e.loss));
        }
        marked = now();
    }

    verdict operator()(fit_step const& s) {
        if (!s.finite) {
            ++skipped;
            not_finite = std::isfinite(s.loss) ? "gradient" : "loss";
            bar.note(
                formatted("warning: step %td: the %s is not finite; the step is skipped", s.step, not_finite.c_str()));
        }
        note_memory();
        if (auto const wrong = tuner->trouble(); wrong && !troubled) {
            troubled = true;
            bar.note("warning: " + describe(*wrong) + "; training goes on, with more of its pages in memory");
        }
        double const spent = now() - marked, speed = static_cast<double>(s.rows) / spent;
        state.step_seconds += spent;
        log.add({{"step", s.step},
                 {"epoch", static_cast<double>(s.step) / static_cast<double>(epoch)},
                 {"loss", s.loss},
                 {"lr", s.rate},
                 {"grad_norm", s.grad_norm},
                 {"skipped", !s.finite},
                 {"tokens", s.rows},
                 {"targets", s.targets},
                 {"tokens_per_second", speed},
                 {"rss_anon_bytes", memory},
                 {"peak_rss_bytes", peak_resident_bytes()}});
        bar.show({s.step, s.steps, s.loss, s.rate, s.grad_norm, speed,
                  state.step_seconds / static_cast<double>(s.step) * static_cast<double>(s.steps - s.step), memory});
        marked = now();
        too_many = skipped > std::max<index_t>(3, s.steps / 100);
        bool const enough = o.stop_after > 0 && ++steps_here >= o.stop_after;
        return asked_to_stop || enough || too_many ? verdict::stop : verdict::go_on;
    }

    verdict operator()(fit_save const& s) {
        auto const r = save(s.progress);
        if (!r) failed = r.error();
        marked = now();
        return r ? verdict::go_on : verdict::stop;
    }

    run_state state;
    std::uint64_t peak_memory = 0;

private:
    static double now() {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
    result<void> save(fit_progress const& progress) {
        state.progress = progress, state.seconds = before + now() - began;
        return save_run(checkpoints, *tuner, state, identity);
    }
    void note_memory() { peak_memory = std::max(peak_memory, memory = anonymous_bytes()); }

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

    any_tuner& tuner;
    finetune_options const& o;
    index_t epoch, steps_here = 0, skipped = 0;
    run_identity identity;
    metrics_log& log;
    std::string checkpoints, not_finite;
    std::optional<problem> failed;
    progress bar;
    bool troubled = false, too_many = false;
    double began = 0, marked = 0, before = 0;  // of this call; of the last event; what earlier calls took
    std::uint64_t memory = 0;
};

}  // namespace tool
