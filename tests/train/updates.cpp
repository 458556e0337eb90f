// SPDX-License-Identifier: Apache-2.0
// When parameters move: after the backward or within it, to the same bits; a thousand steps; what is refused.
#include <tests/support/strategy_rig.hpp>

using namespace graft;
using namespace graft_test;

namespace {

/// A random run of batches, some shorter than the plan.
sample batch_of(int step) { return sample::of(5 + (step * 7) % 8, 4, static_cast<std::uint64_t>(step)); }

std::string refusal(auto&& what) {
    try {
        what();
    } catch (failure const& f) {
        auto const& d = f.details;
        return std::string(d.what) + ": " + std::to_string(d.given) + " of " + std::to_string(d.wanted);
    }
    return "nothing was refused";
}

}  // namespace

TEST_CASE_TEMPLATE("updates: fused and deferred ones give the same bits", T, double, float) {
    std::vector<any_strategy> strategies{mesp{4},
                                         mesp{0, phases::two, 2},
                                         full{},
                                         checkpoint{true},
                                         mesp_published{},
                                         rematerialised{{}, {0, phases::one, 1, 0x155}, 2, 2},
                                         lcsb<cyclic_strided>{},
                                         lcsb<random_layers, full>{{2}, {}, unselected_gradient::exact},
                                         lcsb<by_importance>{{2}, {}, {}, unselected_update::none}};
    for (any_optimizer rule : {any_optimizer(adamw{}), any_optimizer(sgd{.weight_decay = 0.1})})
        for (resting rest : {resting::same, resting::brain})
            for (auto const& s : strategies) {
                auto how = any_settings(s);
                how.optimizer = rule, how.adapters = rest;
                auto within = how;
                within.updates = updating::fused;
                rig<T> after(how), during(within);
                for (int step = 0; step < 6; ++step) {
                    auto const b = batch_of(step);
                    auto const x = after.t.update(b.view(), b.scale, 1e-2);
                    auto const y = during.t.update(b.view(), b.scale, 1e-2);
                    REQUIRE(x.finite);
                    REQUIRE(x.loss == y.loss);
                    REQUIRE(x.grad_norm == doctest::Approx(y.grad_norm).epsilon(1e-12));
                }
                REQUIRE(after.stored() == during.stored());
                auto const p = after.t.optimizer_state(), q = during.t.optimizer_state();
                REQUIRE(std::equal(p.begin(), p.end(), q.begin(), q.end()));
            }
}

TEST_CASE("updates: a thousand steps of mesp are a thousand steps of full") {
    auto const losses = [](any_strategy s, auto number) {
        auto how = any_settings(s);
        how.max_grad_norm = 1;
        rig<decltype(number)> r(how, deep_config(2));
        std::vector<double> all;
        for (int step = 0; step < 1000; ++step) {
            auto const b = batch_of(step % 50);
            all.push_back(r.t.update(b.view(), b.scale, 2e-3).loss);
        }
        return all;
    };
    auto const exact = losses(full{}, float{});
    CHECK(exact[999] < exact[49] / 2);  // the same batch
    CHECK(losses(mesp{}, float{}) == exact);
    CHECK(losses(mesp{0, phases::two, 2}, float{}) == exact);
    CHECK(losses(mesp_published{false}, float{}) == exact);  // what is stored or computed again is the same
    auto const wide = losses(full{}, double{}), tiled = losses(mesp{5, phases::two}, double{});
    double worst = 0;
    for (std::size_t i = 0; i < wide.size(); ++i) worst = std::max(worst, std::abs(tiled[i] / wide[i] - 1));
    CHECK(worst <= 1e-5);
    CHECK(worst > 0);
}

TEST_CASE("updates: a loss or gradient that is not finite moves nothing") {
    for (updating when : {updating::deferred, updating::fused})
        for (any_strategy s :
             {any_strategy(mesp{}), any_strategy(lcsb<cyclic_strided>{}), any_strategy(zeroth_order{})}) {
            auto how = any_settings(s);
            how.updates = when;
            rig<float> r(how);
            sample const b;
            auto const before = r.stored();
            CHECK(!r.t.update(b.view(), std::numeric_limits<double>::infinity(), 1e-2).finite);
            CHECK(r.stored() == before);
            CHECK(r.t.update(b.view(), b.scale, 1e-2).finite);
            CHECK(r.stored() != before);
        }
}

TEST_CASE("updates: clipping sees the gradient of the layers that are trained") {
    for (any_strategy s : {any_strategy(mesp{}), any_strategy(lcsb<cyclic_strided>{})}) {
        auto how = any_settings(s);
        how.optimizer = sgd{}, how.max_grad_norm = 0.5;
        rig<> r(how);
        auto const g = r.gradients();
        double squares = 0;
        for (double x : g) squares += x * x;
        auto const before = r.parameters();
        sample const b;
        auto const u = r.t.update(b.view(), b.scale, 1);
        CHECK(u.grad_norm == doctest::Approx(std::sqrt(squares)).epsilon(1e-12));
        CHECK(u.grad_norm > 0.5);
        double moved = 0;
        for (std::size_t i = 0; i < before.size(); ++i)
            moved += (before[i] - r.parameters()[i]) * (before[i] - r.parameters()[i]);
        CHECK(std::sqrt(moved) == doctest::Approx(0.5).epsilon(1e-9));
    }
}

TEST_CASE("updates: what cannot be is refused with the reason and both numbers") {
    auto const making = [](any_training const& how) {
        return refusal([&] { rig<float> r(how); });
    };
    auto const has = [](std::string const& all, std::initializer_list<char const*> parts) {
        CAPTURE(all);
        for (char const* part : parts) {
            CAPTURE(part);
            CHECK(all.find(part) != std::string::npos);
        }
    };
    has(making(any_settings(lcsb<random_layers>{{6}})), {"lcsb: layers or groups to select: 6 of 5"});
    has(making(any_settings(lcsb<cyclic_strided>{{0}})), {"lcsb: layers or groups to select: 0 of 5"});
    has(making(any_settings(lcsb<top_layers, full>{{9}})), {"lcsb: layers or groups to select: 9 of 5"});
    has(making(any_settings(lcsb<by_importance>{{-1}})), {"lcsb: layers or groups to select: -1 of 5"});
    has(refusal([&] { any_strategy(zeroth_order{}, cyclic_strided{}, {}, {}); }), {"lcsb: a strategy that pulls"});
    has(refusal([&] { any_strategy(inference{}, cyclic_strided{}, {}, {}); }), {"lcsb: a strategy that pulls"});
    has(refusal([&] { any_strategy(any_strategy(lcsb<cyclic_strided>{}), top_layers{1}, {}, {}); }),
        {"lcsb: a strategy that pulls all blocks"});

    auto how = any_settings(mesp{});
    how.updates = updating::fused, how.max_grad_norm = 1;
    has(making(how), {"fused updates", "max_grad_norm"});
    how.max_grad_norm = 0;
    rig<float> fused(how);
    sample const b;
    has(refusal([&] { fused.t.accumulate(b.view(), 1); }), {"fused update", "use update"});
    has(refusal([&] { fused.t.apply(1); }), {"batches accumulated before apply"});

    how.adapters = resting::brain;
    rig<float> narrow(how);
    has(refusal([&] { narrow.t.parameters(); }), {"16-bit adapters", "parameter_bytes"});
    CHECK(narrow.t.parameter_bytes().size() == 2 * 5 * 1536);

    how = any_settings(mesp{});
    how.checkpoints_apart = true;
    has(making(how), {"bytes for kept streams: 0 of 7680"});
}

TEST_CASE("updates: kept streams apart from the rest are the same run") {
    for (index_t every : {1, 2}) {
        auto how = any_settings(mesp{4, phases::one, every});
        rig<> together(how);
        how.checkpoints_apart = true;
        poisoned_memory apart(rig<>::trainer_type::memory_plan(deep_config(), how).checkpoints);
        random_model<llama<lora>, double> m(deep_config(), f32);
        poisoned_memory rest(together.t.memory().total() - static_cast<index_t>(apart.span.size()));
        rig<>::trainer_type t(m.net, how, rest.span, {}, apart.span);
        CHECK(t.memory().total() == static_cast<index_t>(rest.span.size()));
        std::copy(together.t.parameters().begin(), together.t.parameters().end(), t.parameters().begin());
        for (int step = 0; step < 3; ++step) {
            auto const b = batch_of(step);
            t.update(b.view(), b.scale, 1e-2), together.t.update(b.view(), b.scale, 1e-2);
        }
        CHECK(std::equal(t.parameters().begin(), t.parameters().end(), together.t.parameters().begin()));
        auto const* const end = apart.bytes.data() + apart.bytes.size();
        for (auto const* p = apart.span.data() + apart.span.size(); p < end; ++p) REQUIRE(*p == std::byte{0xff});
    }
}
