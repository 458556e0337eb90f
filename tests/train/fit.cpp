// SPDX-License-Identifier: Apache-2.0
#include <graft/block/llama.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/any.hpp>
#include <graft/train/fit.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <limits>
#include <string>

using namespace graft;
using namespace graft_test;

namespace graft_test {
extern std::atomic<long> allocations;
}

namespace {

/// Seven short sequences of different lengths, some rows without a target; the last two are held out.
struct corpus {
    struct sequence {
        std::vector<int> ids, targets;
        index_t start = 0;
    };
    std::vector<sequence> all;
    std::vector<batch> views;

    corpus() {
        for (index_t s = 0; s < 7; ++s) {
            sequence q;
            for (index_t i = 0; i < 4 + s % 4; ++i) {
                q.ids.push_back(static_cast<int>((3 * s + 5 * i) % 37));
                q.targets.push_back(i % 3 == 2 ? -1 : static_cast<int>((3 * s + 5 * i + 5) % 37));
            }
            all.push_back(std::move(q));
        }
        for (auto const& q : all) views.push_back({q.ids, q.targets, {&q.start, 1}});
    }
    corpus(corpus const&) = delete;
    batches data(index_t per_update) const {
        return {std::span(views).first(5), std::span(views).subspan(5), per_update};
    }
};

template <class Strategy, class Rule>
struct rig {
    using trainer_type = trainer<llama<lora>, Strategy, Rule>;
    random_model<llama<lora>, float> m{tiny_config(), f32};
    typename trainer_type::settings how;
    poisoned_memory memory;
    trainer_type t;

    static auto settings(Strategy s, Rule r) {
        typename trainer_type::settings how;
        how.tokens = 8, how.rank = 3, how.strategy = s, how.optimizer = r;
        return how;
    }
    explicit rig(Strategy s = {}, Rule r = {})
        : how(settings(s, r)), memory(trainer_type::memory_plan(m.net.config, how).total()),
          t(m.net, how, memory.span) {
        t.start(5);
    }
    std::vector<float> numbers() { return {t.parameters().begin(), t.parameters().end()}; }
};
using usual = rig<mesp, adamw>;

fit_settings steps(index_t n) {
    fit_settings s;
    s.steps = n, s.rate.peak = 0.02, s.rate.warmup = 2;
    return s;
}

/// What `fit` runs instead of a model: losses that were written down before.
struct scripted {
    std::vector<double> losses;   // of each step
    std::vector<bool> good = {};  // whether its gradient is finite
    index_t step = 0, applied = 0, discarded = 0, evaluations = 0;

    double accumulate(batch const& b, double) {
        return losses[static_cast<std::size_t>(step++)] *
               static_cast<double>(std::count_if(b.targets.begin(), b.targets.end(), [](int x) { return x >= 0; }));
    }
    double evaluate(batch const&) { return ++evaluations, 1.0; }
    update_report apply(double) {
        bool const fine = good.empty() || good[static_cast<std::size_t>(step - 1)];
        applied += fine;
        return {1, fine};
    }
    void discard() { ++discarded; }
};

}  // namespace

TEST_CASE("fit: an update is what accumulate and apply do by hand, to the bit") {
    corpus const c;
    usual one, two;
    auto const s = steps(7);
    auto const report = fit(one.t, c.data(2), s);
    rate_schedule rates = s.rate;
    rates.steps = 7;
    index_t const windows[][2] = {{0, 2}, {2, 2}, {4, 1}};
    for (index_t step = 1; step <= 7; ++step) {
        auto const [first, count] = windows[(step - 1) % 3];
        index_t targets = 0;
        for (index_t i = first; i < first + count; ++i)
            for (int t : c.all[static_cast<std::size_t>(i)].targets) targets += t >= 0;
        for (index_t i = first; i < first + count; ++i)
            two.t.accumulate(c.views[static_cast<std::size_t>(i)], 1 / static_cast<double>(targets));
        two.t.apply(rates.at(step));
    }
    CHECK(one.numbers() == two.numbers());
    CHECK(report.end == fit_end::complete);
    CHECK(report.progress.step == 7);
    CHECK(report.progress.updates == 7);
    CHECK(report.progress.skipped == 0);
    CHECK(report.progress.rows == 2 * 26 + 9);  // two epochs of 4 + 5 + 6 + 7 + 4 rows, and the first two sequences
}

TEST_CASE("fit: the loss falls, and callbacks hear of every step, evaluation and save") {
    corpus const c;
    usual r;
    std::vector<fit_step> told;
    std::vector<fit_evaluation> evaluations;
    std::vector<index_t> saves, passes;
    auto s = steps(20);
    s.evaluate_every = 5, s.save_every = 4;
    struct {
        std::vector<fit_evaluation>& to;
        void operator()(fit_evaluation const& e) { to.push_back(e); }
    } named{evaluations};
    auto const report = fit(
        r.t, c.data(5), s, [&](fit_step const& x) { told.push_back(x); }, named,
        [&](fit_save const& x) { saves.push_back(x.progress.step); },
        [&](fit_pass const& p) { passes.push_back(p.pass); });
    REQUIRE(told.size() == 20);
    CHECK(told.back().loss < 0.8 * told.front().loss);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(told[i].step == static_cast<index_t>(i) + 1);
        CHECK(told[i].steps == 20);
        CHECK(told[i].rows == 26);
        CHECK(told[i].targets == 19);
        CHECK(told[i].finite);
        CHECK(told[i].grad_norm > 0);
    }
    CHECK(told[0].rate == doctest::Approx(0.01));
    CHECK(told[1].rate == doctest::Approx(0.02));
    CHECK(told[19].rate < 0.001);
    std::vector<index_t> at;
    for (auto const& e : evaluations) at.push_back(e.step);
    CHECK(at == std::vector<index_t>{0, 5, 10, 15, 20});
    CHECK(passes.size() == 10);
    CHECK(saves == std::vector<index_t>{4, 8, 12, 16});  // after the last step the report says it
    CHECK(report.before.mean() == evaluations.front().loss);
    CHECK(report.after.mean() == evaluations.back().loss);
    CHECK(report.after.sum == evaluate(r.t, c.data(1).held_out()).sum);
    CHECK(report.after.targets == evaluations.back().targets);
}

TEST_CASE("fit: stopped after any step and gone on with, it is the run that was not stopped") {
    corpus const c;
    auto s = steps(9);
    s.evaluate_every = 3, s.warmup_ratio = 0.2;
    usual whole;
    std::vector<double> heard;
    auto const listen = [&](fit_evaluation const& e) { heard.push_back(e.loss); };
    auto const end = fit(whole.t, c.data(2), s, listen);
    auto const expected = std::exchange(heard, {});
    CHECK(expected.size() == 4);
    for (index_t stop = 1; stop <= 9; ++stop) {
        CAPTURE(stop);
        heard.clear();
        usual first, second;
        auto const part = fit(first.t, c.data(2), s, listen, [&](fit_step const& x) {
            return x.step == stop ? verdict::stop : verdict::go_on;
        });
        CHECK(part.end == (stop == 9 ? fit_end::complete : fit_end::stopped));
        CHECK(part.progress.step == stop);
        std::copy(first.t.parameters().begin(), first.t.parameters().end(), second.t.parameters().begin());
        std::copy(first.t.optimizer_state().begin(), first.t.optimizer_state().end(),
                  second.t.optimizer_state().begin());
        second.t.resume_at(part.progress.updates);
        auto rest = s;
        rest.from = part.progress;
        auto const done = fit(second.t, c.data(2), rest, listen);
        CHECK(second.numbers() == whole.numbers());
        CHECK(done.progress.rows == end.progress.rows);
        CHECK(done.end == fit_end::complete);
        if (stop == 9) heard.pop_back();  // all steps were done: the end is evaluated again
        CHECK(heard == expected);
    }
}

TEST_CASE("fit: any callback may stop the run; an evaluation can be given up") {
    corpus const c;
    auto s = steps(6);
    s.evaluate_every = 2, s.save_every = 3;
    auto const ends_at = [&](auto callback) {
        scripted t{{1, 1, 1, 1, 1, 1}};
        auto const r = fit(t, c.data(1), s, callback);
        return std::pair(r.end, r.progress.step);
    };
    CHECK(ends_at([](fit_evaluation const& e) { return e.step == 4 ? verdict::stop : verdict::go_on; }) ==
          std::pair(fit_end::stopped, index_t{4}));
    CHECK(ends_at([](fit_evaluation const&) { return verdict::stop; }) == std::pair(fit_end::stopped, index_t{0}));
    CHECK(ends_at([](fit_save const&) { return verdict::stop; }) == std::pair(fit_end::stopped, index_t{3}));
    CHECK(ends_at([](fit_pass const& p) { return p.step == 2 && p.pass == 1 ? verdict::stop : verdict::go_on; }) ==
          std::pair(fit_end::stopped, index_t{2}));
    CHECK(ends_at([](fit_pass const& p) { return p.step == 6 ? verdict::stop : verdict::go_on; }) ==
          std::pair(fit_end::stopped, index_t{6}));
    CHECK(ends_at([](fit_step const&) {}) == std::pair(fit_end::complete, index_t{6}));
}

TEST_CASE("fit: a step that is not finite is skipped and counted; so many in a row end the run") {
    corpus const c;
    double const nan = std::numeric_limits<double>::quiet_NaN();
    index_t not_finite = 0;
    auto const count = [&](fit_step const& s) { not_finite += !s.finite; };
    scripted some{{1, nan, 1, 1, nan, nan, 1}, {true, true, false, true, true, true, true}};
    auto r = fit(some, c.data(1), steps(7), count);
    CHECK(r.end == fit_end::complete);
    CHECK(r.progress.skipped == 4);
    CHECK(r.progress.updates == 3);
    CHECK(some.applied == 3);
    CHECK(some.discarded == 3);
    CHECK(not_finite == 4);

    scripted many{{1, nan, nan, nan, 1, 1, 1}};
    r = fit(many, c.data(1), steps(7));
    CHECK(r.end == fit_end::diverged);
    CHECK(r.progress.step == 4);
    CHECK(r.progress.skipped_in_a_row == 3);
    scripted fewer{{1, nan, nan, nan, 1, 1, 1}};
    auto patient = steps(7);
    patient.most_skipped = 4;
    CHECK(fit(fewer, c.data(1), patient).end == fit_end::complete);
    patient.from.skipped_in_a_row = 3;  // counted on from where an earlier run ended
    scripted later{{nan, 1, 1, 1, 1, 1, 1}};
    CHECK(fit(later, c.data(1), patient).end == fit_end::diverged);
}

TEST_CASE("fit: how many steps an epoch has, and when there is nothing to evaluate") {
    corpus const c;
    fit_settings s;
    s.epochs = 2.4;
    CHECK(c.data(2).updates_per_epoch() == 3);
    CHECK(steps_of(s, 3) == 8);
    s.epochs = 0.01;
    CHECK(steps_of(s, 3) == 1);
    s.steps = 5;
    CHECK(steps_of(s, 3) == 5);
    scripted t{{1, 1, 1, 1, 1}};
    auto const r = fit(t, batches{std::span(c.views).first(5)}, s, [](fit_evaluation const&) { FAIL("evaluated"); });
    s.warmup_ratio = 0.5, s.rate.peak = 6;
    scripted warm{{1, 1, 1, 1, 1}};
    std::vector<double> rates;
    fit(warm, c.data(1), s, [&](fit_step const& x) { rates.push_back(x.rate); });
    CHECK(std::vector<double>(rates.begin(), rates.begin() + 4) == std::vector<double>{2, 4, 6, 6});
    CHECK_FALSE(r.before.any());
    CHECK_FALSE(r.after.any());
    CHECK(t.evaluations == 0);
    CHECK_THROWS_AS(fit(t, batches{}, s), failure);
    std::vector<int> const ids{1, 2}, none{-1, -1};
    index_t const start = 0;
    batch const silent{ids, none, {&start, 1}};
    CHECK_THROWS_AS(fit(t, batches{{&silent, 1}}, s), failure);
}

TEST_CASE("fit: allocates nothing") {
    corpus const c;
    usual r;
    long const before = allocations;
    double sum = 0;
    auto const report = fit(r.t, c.data(2), steps(4), [&](fit_step const& s) { sum += s.loss; });
    CHECK(allocations == before);
    CHECK(report.progress.updates == 4);
    CHECK(sum > 0);
}

TEST_CASE("any: a strategy and an optimizer chosen at run time give the numbers of the types they stand for") {
    corpus const c;
    auto const trained = [&](auto strategy, auto rule) {
        rig<decltype(strategy), decltype(rule)> fixed(strategy, rule);
        rig<any_strategy, any_optimizer> chosen(any_strategy{strategy}, any_optimizer{rule});
        CHECK(fixed.t.memory().total() == chosen.t.memory().total());
        fit(fixed.t, c.data(2), steps(4));
        fit(chosen.t, c.data(2), steps(4));
        CHECK(fixed.numbers() == chosen.numbers());
        CHECK(fixed.t.optimizer_state().size() == chosen.t.optimizer_state().size());
        return fixed.numbers();
    };
    auto const adam = trained(mesp{}, adamw{});
    adamw heavy;
    heavy.weight_decay = 0.5;
    CHECK(trained(mesp{}, heavy) != adam);
    CHECK(trained(mesp{4, phases::two}, sgd{}) != adam);
    trained(full{}, adamw{});
    CHECK(any_strategy{}.is<mesp>());
    CHECK(any_strategy{full{}}.is<full>());
    CHECK_FALSE(any_strategy{inference{}}.trains());
    CHECK(any_strategy{mesp{64}}.tile == 64);
    piece const some{role::lora_a, 4, 8};
    CHECK(any_optimizer{}.state_bytes<float>(some) == 2 * 4 * 32);
    CHECK(any_optimizer{sgd{}}.state_bytes<float>(some) == 0);
}
