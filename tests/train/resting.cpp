// SPDX-License-Identifier: Apache-2.0
// Streams and adapters that rest in 16 bits: what that does to gradients and to training.
#include <tests/support/strategy_rig.hpp>

using namespace graft;
using namespace graft_test;

namespace {

/// The relative error of one rounding: half a unit of 8 or of 11 significant bits.
double half_unit(resting r) { return r == resting::brain ? 0x1p-8 : 0x1p-11; }

std::vector<any_strategy> exact_ones() {
    return {mesp{}, mesp{4, phases::two}, mesp{0, phases::one, 2}, mesp{4, phases::two, 3}, full{}, checkpoint{true},
            mesp_published{}, rematerialised{{}, {0, phases::one, 1, 0x155}, 2, 2}};
}

}  // namespace

TEST_CASE_TEMPLATE("resting: streams in 16 bits bend gradients by about their rounding", T, float, double) {
    auto const truth = rig<T>(any_settings(full{})).gradients();
    for (resting rest : {resting::half, resting::brain})
        for (any_strategy const& s : exact_ones()) {
            auto how = any_settings(s);
            how.checkpoints = rest;
            rig<T> r(how);
            double const loss = rig<T>(any_settings(s)).loss();
            CHECK(r.loss() == doctest::Approx(loss).epsilon(1e-12));  // the forward does not read what is kept
            double const d = distance(r.gradients(), truth);
            CHECK(d < 8 * half_unit(rest));
            CHECK(d > half_unit(rest) / 64);
        }
}

TEST_CASE("resting: streams in 16 bits are rounded once, whatever reads them") {
    for (resting rest : {resting::half, resting::brain}) {
        auto how = any_settings(mesp{});
        how.checkpoints = rest;
        auto const expected = rig<float>(how).gradients();
        for (any_strategy const& s : {any_strategy(checkpoint{}), any_strategy(mesp{0, phases::two}),
                                      any_strategy(mesp_published{false}), any_strategy(lcsb<every_layer>{})}) {
            how.strategy = s;
            CHECK(rig<float>(how).gradients() == expected);
        }
    }
}

TEST_CASE_TEMPLATE("resting: adapters in 16 bits are what the model computes with, exactly", T, float, double) {
    for (resting rest : {resting::half, resting::brain}) {
        auto how = any_settings(mesp{});
        how.adapters = rest;
        rig<T> narrow(how), wide(any_settings(mesp{}));
        take_up(rest, narrow.stored().data(), static_cast<index_t>(wide.t.parameters().size()),
                wide.t.parameters().data());
        CHECK(narrow.loss() == wide.loss());
        CHECK(narrow.gradients() == wide.gradients());
        CHECK(distance(wide.parameters(), rig<T>(any_settings(mesp{})).parameters()) < half_unit(rest));
    }
}

TEST_CASE("resting: a layer is opened as numbers and laid to rest again without a change") {
    for (resting rest : {resting::same, resting::half, resting::brain}) {
        auto how = any_settings(mesp{});
        how.adapters = rest;
        rig<float> r(how);
        auto const before = r.stored();
        for (index_t l = 0; l < 5; ++l) r.t.open_layer(l), r.t.close_layer(l);
        CHECK(r.stored() == before);
        CHECK(r.t.parameters_rest() == rest);
        r.t.start(1);
        rig<float> fresh(how);
        fresh.t.start(1);
        CHECK(r.stored() == fresh.stored());
        CHECK(r.stored() != before);
    }
}

TEST_CASE("resting: adapters in 16 bits train nearly as well, because they are rounded at random") {
    auto const trained = [](resting rest, updating when, any_strategy s) {
        auto how = any_settings(s);
        how.adapters = how.checkpoints = rest, how.updates = when;
        rig<float> r(how, deep_config(2));
        sample const b;
        for (int step = 0; step < 300; ++step) REQUIRE(r.t.update(b.view(), b.scale, 1e-3).finite);
        return r.loss();
    };
    double const wide = trained(resting::same, updating::deferred, mesp{});
    double const before = rig<float>(any_settings(mesp{}), deep_config(2)).loss();
    for (resting rest : {resting::half, resting::brain})
        for (updating when : {updating::deferred, updating::fused})
            for (any_strategy s : {any_strategy(mesp{}), any_strategy(lcsb<every_layer>{})}) {
                double const loss = trained(rest, when, s);
                CHECK(before - loss > 0.9 * (before - wide));
            }
}

TEST_CASE("resting: steps smaller than the last place move parameters on average by their sum") {
    auto how = any_settings(mesp{});
    how.adapters = resting::brain, how.optimizer = sgd{};
    rig<float> r(how, deep_config(1)), wide(any_settings(mesp{}), deep_config(1));
    auto const take = [&] {
        std::vector<float> p(1536);
        take_up(resting::brain, r.t.parameter_bytes().data(), 1536, p.data());
        return p;
    };
    auto const before = take();
    auto const g = r.gradients();
    double const rate = 2e-6 / distance(g, std::vector<float>(g.size(), 1.0f / std::sqrt(1536.0f)));
    sample const b;
    for (int step = 0; step < 200; ++step) r.t.update(b.view(), b.scale, rate);
    auto const after = take();
    double along = 0, length = 0;
    for (std::size_t i = 0; i < g.size(); ++i)
        along += static_cast<double>((before[i] - after[i]) * g[i]), length += static_cast<double>(g[i] * g[i]);
    CHECK(along / length / rate == doctest::Approx(200).epsilon(0.25));
}

TEST_CASE("resting: runs in 16 bits can be repeated, and other seeds round otherwise") {
    auto how = any_settings(lcsb<random_layers>{{2}});
    how.adapters = how.checkpoints = resting::brain;
    auto const run = [&] {
        rig<float> r(how);
        sample const b;
        for (int step = 0; step < 5; ++step) r.t.update(b.view(), b.scale, 1e-3);
        return r.stored();
    };
    auto const once = run();
    CHECK(run() == once);
    how.strategy = mesp{};
    auto const all = run();
    ++how.seed;
    CHECK(run() != all);
}
