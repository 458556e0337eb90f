// SPDX-License-Identifier: Apache-2.0
// The loop of a training run: updates, held-out losses, and callbacks that hear of them.  (layer 13: train)
#pragma once

#include <graft/optimizer/schedule.hpp>
#include <graft/train/batch.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <span>
#include <type_traits>

namespace graft {

/// What a callback may answer: `stop` ends the run once its step is whole.
enum class verdict : unsigned char { go_on, stop };

/// How far a run is, which is all that going on with it takes beside the trainer's own numbers.
struct fit_progress {
    index_t step = 0;     // windows of data that were run
    index_t updates = 0;  // those of them that moved the parameters
    index_t skipped = 0, skipped_in_a_row = 0;
    index_t rows = 0;  // tokens that were run
};

/// One step is done. `loss` is the mean over its targets, from before its update.
struct fit_step {
    index_t step = 0, steps = 0;  // this one, counted from 1, and all
    double loss = 0, rate = 0;
    double grad_norm = 0;  // before clipping
    bool finite = true;    // false: the loss or the gradient is not, and nothing was changed
    index_t targets = 0, rows = 0;
};
/// The held-out loss after `step` steps.
struct fit_evaluation {
    index_t step = 0, steps = 0;
    double loss = 0;
    index_t targets = 0;
};
/// A pass of an evaluation is about to run: `stop` gives the evaluation up, and ends the run.
struct fit_pass {
    index_t step = 0, pass = 0, passes = 0;
};
/// A moment to save the trainer's numbers: a run that goes on from here is the same run.
struct fit_save {
    fit_progress progress;
};

struct fit_settings {
    index_t steps = 0;           // 0: as many as `epochs` take
    double epochs = 3;           // times through the data
    rate_schedule rate{};        // its `steps` are the run's
    double warmup_ratio = 0;     // of all steps; above 0 it decides `rate.warmup`
    index_t evaluate_every = 0;  // steps; 0: once an epoch. Also before the first step and after the last
    index_t save_every = 0;      // steps between two fit_save; 0: none
    index_t most_skipped = 3;    // so many steps in a row that are not finite end the run
    fit_progress from{};         // where an earlier run of the same data and settings ended
};

/// A sum of losses and how many tokens it is of; without any, nothing was evaluated.
struct loss_sum {
    double sum = 0;
    index_t targets = 0;

    bool any() const { return targets > 0; }
    double mean() const { return sum / static_cast<double>(targets); }
};

enum class fit_end : unsigned char { complete, stopped, diverged };

struct fit_report {
    fit_end end = fit_end::complete;
    fit_progress progress;
    loss_sum before, after;  // held out: before the first step, and the newest
};

/// A list of batches.
template <class B>
concept Batches = requires(B const& b, std::size_t i) {
    { b.size() } -> std::convertible_to<std::size_t>;
    { b[i] } -> std::convertible_to<batch>;
};

/// What a run reads. The batches of update `step` (counted from 1) must be a function of `step` alone: then a run can
/// be resumed. `held_out()`, where there is one, gives the batches to evaluate on.
template <class D>
concept FitData = requires(D& d, index_t step) {
    { d.update(step) } -> Batches;
    { d.updates_per_epoch() } -> std::convertible_to<index_t>;
};

/// What is run: a `trainer`, or what stands for one. Where it has `update(batch, scale, rate)` and its `fuses()` is
/// true, it is given one batch an update.
template <class T>
concept Trains = requires(T& t, batch const& b, double x) {
    { t.accumulate(b, x) } -> std::convertible_to<double>;
    { t.evaluate(b) } -> std::convertible_to<double>;
    { t.apply(x).grad_norm } -> std::convertible_to<double>;
    { t.apply(x).finite } -> std::convertible_to<bool>;
    t.discard();
};

/// Batches that lie in memory, in their order, over and over; an epoch's last update takes what is left.
struct batches {
    std::span<batch const> train, validation{};
    index_t per_update = 1;

    index_t updates_per_epoch() const { return (static_cast<index_t>(train.size()) + per_update - 1) / per_update; }
    std::span<batch const> update(index_t step) const {
        auto const size = static_cast<std::size_t>(per_update),
                   first = static_cast<std::size_t>((step - 1) % updates_per_epoch()) * size;
        return train.subspan(first, std::min(size, train.size() - first));
    }
    std::span<batch const> held_out() const { return validation; }
};

namespace detail {

template <class Callback, class... Event>
inline constexpr bool hears = (std::is_invocable_v<Callback&, Event const&> || ...);

/// Whether f(event) answers as a callback does, or is not called at all.
template <class Callback, class Event>
constexpr bool answers() {
    if constexpr (std::is_invocable_v<Callback&, Event const&>) {
        using answer = std::invoke_result_t<Callback&, Event const&>;
        return std::is_void_v<answer> || std::is_same_v<answer, verdict>;
    } else {
        return true;
    }
}

/// Tells every callback that takes such an event, in their order; true where none says stop.
template <class Event, class... Callback>
bool tell(Event const& event, Callback&... callbacks) {
    bool goes_on = true;
    ([&] {
        if constexpr (std::is_invocable_v<Callback&, Event const&>) {
            if constexpr (std::is_void_v<std::invoke_result_t<Callback&, Event const&>>)
                callbacks(event);
            else if (callbacks(event) == verdict::stop)
                goes_on = false;
        }
    }(), ...);
    return goes_on;
}

template <class Callback>
constexpr void check_fit_callback() {
    constexpr bool takes_an_event = hears<Callback, fit_step, fit_evaluation, fit_pass, fit_save>;
    static_assert(takes_an_event,
                  "a callback of fit takes fit_step const&, fit_evaluation const&, fit_pass const& or fit_save const&");
    constexpr bool answers_a_verdict = answers<Callback, fit_step>() && answers<Callback, fit_evaluation>() &&
                                       answers<Callback, fit_pass>() && answers<Callback, fit_save>();
    static_assert(answers_a_verdict, "a callback of fit returns nothing, or a graft::verdict");
}

inline index_t targets_of(batch const& b) {
    return static_cast<index_t>(std::count_if(b.targets.begin(), b.targets.end(), [](int t) { return t >= 0; }));
}

}  // namespace detail

/// The steps of a run over data with so many updates an epoch.
inline index_t steps_of(fit_settings const& s, index_t updates_per_epoch) {
    if (s.steps > 0) return s.steps;
    return std::max<index_t>(1, static_cast<index_t>(std::ceil(s.epochs * static_cast<double>(updates_per_epoch))));
}

/// The loss of a model on batches.
template <Trains Trainer, Batches B>
loss_sum evaluate(Trainer& trainer, B const& list) {
    loss_sum l;
    for (std::size_t i = 0; i < list.size(); ++i) {
        batch const b = list[i];
        l.sum += trainer.evaluate(b), l.targets += detail::targets_of(b);
    }
    return l;
}

/// Trains. Every update takes the mean over all its targets, however they are spread over batches; a step whose loss or
/// gradient is not finite changes nothing and is counted. Allocates nothing.
///
///     fit(trainer, batches{train, held_out}, {.epochs = 2},
///         [](fit_step const& s) { show(s.step, s.loss); },
///         [](fit_evaluation const& e) { return e.loss < 1 ? verdict::stop : verdict::go_on; });
///
/// needs    trainer.steps() = settings.from.updates; a target in every update (fault::bounds)
template <Trains Trainer, class Data, class... Callback>
    requires FitData<std::remove_cvref_t<Data>>
fit_report fit(Trainer& trainer, Data&& data, fit_settings const& settings, Callback&&... callbacks) {
    (detail::check_fit_callback<std::remove_reference_t<Callback>>(), ...);
    index_t const epoch = data.updates_per_epoch(), steps = steps_of(settings, epoch);
    require(epoch > 0, fault::bounds, "fit: updates of an epoch", epoch, 1);
    index_t const every = settings.evaluate_every > 0 ? settings.evaluate_every : epoch;
    rate_schedule rates = settings.rate;
    rates.steps = steps;
    if (settings.warmup_ratio > 0)
        rates.warmup = static_cast<index_t>(std::ceil(settings.warmup_ratio * static_cast<double>(steps)));

    fit_report report{fit_end::complete, settings.from, {}, {}};
    fit_progress& now = report.progress;
    bool goes_on = true;
    auto const evaluate_now = [&](loss_sum& to) {
        to = {};
        if constexpr (requires { data.held_out(); }) {
            auto const& list = data.held_out();
            index_t const passes = static_cast<index_t>(list.size());
            loss_sum l;
            for (index_t i = 0; i < passes; ++i) {
                if (!detail::tell(fit_pass{now.step, i, passes}, callbacks...)) return void(goes_on = false);
                batch const b = list[static_cast<std::size_t>(i)];
                l.sum += trainer.evaluate(b), l.targets += detail::targets_of(b);
            }
            if (!l.any()) return;
            to = l;
            goes_on = detail::tell(fit_evaluation{now.step, steps, l.mean(), l.targets}, callbacks...) && goes_on;
        }
    };
    auto const run_step = [&] {
        auto&& window = data.update(++now.step);
        fit_step s{now.step, steps, 0, rates.at(now.step), 0, false, 0, 0};
        for (std::size_t i = 0; i < window.size(); ++i) {
            batch const b = window[i];
            s.targets += detail::targets_of(b), s.rows += static_cast<index_t>(b.ids.size());
        }
        require(s.targets > 0, fault::bounds, "fit: targets of an update", s.targets, 1);
        double const scale = 1 / static_cast<double>(s.targets);
        bool fused = false;
        if constexpr (requires { trainer.update(window[0], scale, s.rate); }) {
            if ((fused = trainer.fuses())) {
                require(window.size() == 1, fault::bounds, "fit: batches of a fused update",
                        static_cast<index_t>(window.size()), 1);
                auto const done = trainer.update(window[0], scale, s.rate);
                s.loss = done.loss * scale, s.grad_norm = done.grad_norm, s.finite = done.finite;
            }
        }
        if (!fused) {
            for (std::size_t i = 0; i < window.size(); ++i) s.loss += trainer.accumulate(window[i], scale);
            s.loss *= scale;
            if (std::isfinite(s.loss)) {
                auto const done = trainer.apply(s.rate);
                s.grad_norm = done.grad_norm, s.finite = done.finite;
            } else {
                trainer.discard();
            }
        }
        now.rows += s.rows;
        now.skipped_in_a_row = s.finite ? 0 : now.skipped_in_a_row + 1;
        ++(s.finite ? now.updates : now.skipped);
        goes_on = detail::tell(s, callbacks...);
    };

    if (now.step == 0) evaluate_now(report.before);
    if (now.step >= steps) evaluate_now(report.after);
    while (goes_on && now.step < steps) {
        run_step();
        if (now.skipped_in_a_row >= settings.most_skipped) return report.end = fit_end::diverged, report;
        bool const last = now.step == steps, stopped = !goes_on;
        goes_on = true;  // a step that ends the run is whole all the same
        if (last || now.step % every == 0) evaluate_now(report.after);
        if (stopped && !last) goes_on = false;
        if (goes_on && !last && settings.save_every > 0 && now.step % settings.save_every == 0)
            goes_on = detail::tell(fit_save{now}, callbacks...);
    }
    report.end = goes_on ? fit_end::complete : fit_end::stopped;
    return report;
}

}  // namespace graft
