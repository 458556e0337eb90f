// SPDX-License-Identifier: Apache-2.0
#include <graft/block/llama.hpp>
#include <graft/train/any.hpp>
#include <graft/train/budget.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

namespace {

struct sample {
    std::vector<int> ids{3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3};
    std::vector<int> targets{14, -1, 9, 26, 5, -1, 8, 9, 7, -1, 3, 36};
    std::vector<index_t> starts{0, 7};
    batch view() const { return {ids, targets, starts}; }
    static constexpr double scale = 1.0 / 9;  // one over the targets
};

model_config deep_config(index_t layers = 5) {
    model_config c = tiny_config();
    c.layers = layers;
    return c;
}

template <class Strategy, class Rule = adamw, class T = double>
struct rig {
    using block = llama<lora>;
    using trainer_type = trainer<block, Strategy, Rule, T>;
    random_model<block, T> m;
    typename trainer_type::settings how;
    poisoned_memory memory;
    trainer_type t;

    static typename trainer_type::settings settings(Strategy s) {
        typename trainer_type::settings how;
        how.tokens = 12, how.rank = 3, how.alpha = 5, how.strategy = s, how.seed = 7;
        return how;
    }
    explicit rig(Strategy s, model_config c = deep_config()) : rig(settings(s), c) {}
    explicit rig(typename trainer_type::settings const& s, model_config c = deep_config())
        : m(c, f32), how(s), memory(trainer_type::memory_plan(c, how).total()), t(m.net, how, memory.span) {
        t.start(5);
        if (how.adapters == resting::same) {
            auto const p = t.parameters();
            for (std::size_t i = 0; i < p.size(); ++i) p[i] = static_cast<T>(0.3 * noise(99, i));  // B is not zero
        }
    }
    double gradients(std::vector<T>& to) {
        sample const s;
        double const loss = t.accumulate(s.view(), sample::scale);
        to.assign(t.accumulated().begin(), t.accumulated().end());
        t.discard();
        return loss;
    }
};

template <class T>
double distance(std::vector<T> const& a, std::vector<T> const& b) {
    REQUIRE(a.size() == b.size());
    double d = 0, n = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double const x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        d += (x - y) * (x - y), n += y * y;
    }
    return std::sqrt(d / n);
}

}  // namespace

TEST_CASE("strategies: every exact one gives the gradients of full") {
    std::vector<double> expected, got;
    double const loss = rig<full>(full{}).gradients(expected);
    auto const check = [&](auto s) {
        CHECK(rig<decltype(s)>(s).gradients(got) == doctest::Approx(loss).epsilon(1e-12));
        CHECK(distance(got, expected) <= 1e-10);
    };
    check(checkpoint{}), check(checkpoint{true}), check(mesp_published{}), check(mesp_published{false});
    for (phases p : {phases::one, phases::two})
        for (index_t tile : {0, 4})
            for (index_t every : {1, 2, 3, 5, 9}) check(mesp{tile, p, every});
    for (step_set kept = 0; kept < 1 << 14; kept += 37) {
        CAPTURE(kept);
        for (phases p : {phases::one, phases::two}) check(mesp{4, p, 1, kept}), check(mesp{0, p, 1, kept});
    }
    check(rematerialised{mesp{4, phases::two}, mesp{4, phases::two, 1, 0x2a}, 3, 1, 4});
    check(any_strategy(mesp{4}));
}

TEST_CASE("strategies: a budget is kept, and more bytes mean less arithmetic") {
    auto const c = deep_config();
    auto s = rig<mesp, adamw, float>::settings(mesp{});
    double work = 1e300;
    for (index_t budget = 10'000; budget < 400'000; budget += 10'000) {
        auto const b = cheapest_within<llama<lora>>(c, s, budget);
        MESSAGE(budget << " " << b.fits << " " << b.total() << " " << b.work << " tile " << b.strategy.tile << " every " << b.strategy.every << " low " << b.strategy.low.kept << " high " << b.strategy.high.kept << " from " << b.strategy.from);
        if (!b.fits) continue;
        CHECK(b.total() <= budget);
        CHECK(b.work <= work);
        work = b.work;
    }
}

TEST_CASE("strategies: fused updates are deferred ones") {
    auto a = rig<mesp>::settings(mesp{4}), b = a;
    a.max_grad_norm = b.max_grad_norm = 0, b.updates = updating::fused;
    rig<mesp> deferred(a), fused(b);
    sample const s;
    for (int i = 0; i < 3; ++i) {
        auto const x = deferred.t.update(s.view(), sample::scale, 1e-2), y = fused.t.update(s.view(), sample::scale, 1e-2);
        CHECK(x.loss == y.loss);
        CHECK(x.grad_norm == doctest::Approx(y.grad_norm));
    }
    auto const p = deferred.t.parameters(), q = fused.t.parameters();
    CHECK(std::equal(p.begin(), p.end(), q.begin()));
}

TEST_CASE("strategies: lcsb, zeroth order and 16 bits run") {
    sample const s;
    auto const run = [&](auto how) {
        using S = decltype(how.strategy);
        rig<S, adamw, double> r(how);
        double first = 0, last = 0;
        for (int i = 0; i < 12; ++i) {
            auto const u = r.t.update(s.view(), sample::scale, 1e-2);
            CHECK(u.finite);
            (i == 0 ? first : last) = u.loss;
        }
        CHECK(r.t.high_water() <= r.t.memory().total());
        MESSAGE(first << " " << last);
        return last < first;
    };
    auto const with = [&](auto st) { return rig<decltype(st)>::settings(st); };
    CHECK(run(with(lcsb<cyclic_strided>{})));
    CHECK(run(with(lcsb<cyclic_contiguous, full>{})));
    CHECK(run(with(lcsb<random_layers, mesp>{{2}, mesp{4}, unselected_gradient::exact})));
    CHECK(run(with(lcsb<top_layers, mesp>{{2}, mesp{4, phases::two}, unselected_gradient::identity, unselected_update::none})));
    CHECK(run(with(lcsb<by_importance, mesp>{{2}, mesp{4, phases::two, 2}})));
    CHECK(run(with(zeroth_order{8, 1e-3})));
    auto h = with(mesp{4});
    h.checkpoints = resting::bf16, h.adapters = resting::bf16, h.updates = updating::fused, h.max_grad_norm = 0;
    CHECK(run(h));
    h.strategy.every = 2, h.checkpoints = resting::f16;
    CHECK(run(h));
}
