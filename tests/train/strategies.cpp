// SPDX-License-Identifier: Apache-2.0
// Strategies with exact gradients: true ones by central differences, the same ones as `full`, and bit for bit the same
// where the order of no sum differs.
#include <tests/support/reference_llama.hpp>
#include <tests/support/strategy_rig.hpp>

using namespace graft;
using namespace graft_test;

namespace {

struct named {
    std::string name;
    any_strategy strategy;
};

/// Every way to an exact gradient, with tiles of 1 … all of 12 rows.
std::vector<named> exact_strategies() {
    std::vector<named> all{{"full", full{}},
                           {"checkpoint", checkpoint{}},
                           {"checkpoint, stored weights", checkpoint{true}},
                           {"mesp_published", mesp_published{}},
                           {"mesp_published, weights again", mesp_published{false}},
                           {"lcsb of all", lcsb<every_layer>{}},
                           {"rematerialised", rematerialised{{4, phases::two}, {4, phases::two, 1, 0x2a}, 3, 1, 4}},
                           {"rematerialised, every 2", rematerialised{{}, {0, phases::one, 1, ~step_set{0}}, 2, 2}}};
    for (phases p : {phases::one, phases::two})
        for (index_t tile : {0, 1, 4, 5})
            for (index_t every : {1, 2, 3, 5, 9})
                all.push_back({"mesp " + std::to_string(tile) + (p == phases::one ? " one " : " two ") +
                                   std::to_string(every),
                               mesp{tile, p, every}});
    return all;
}

mesp keeping(step_set kept, index_t tile = 0, phases p = phases::one, index_t every = 1) {
    return {tile, p, every, kept};
}

}  // namespace

TEST_CASE("strategies: the model computes what plain loops compute") {
    for (index_t layers : {1, 2, 5}) {
        rig<> r(any_settings(mesp{4}), deep_config(layers));
        for (auto const& s : {sample{}, sample::of(12, 12), sample::of(9, 2)})
            CHECK(r.t.evaluate(s.view()) * s.scale ==
                  doctest::Approx(reference_llama(r.m.net).loss(s)).epsilon(1e-12));
    }
}

TEST_CASE("strategies: gradients agree with central differences in models of two and of five blocks") {
    for (index_t layers : {2, 5}) {
        rig<> at(any_settings(full{}), deep_config(layers));
        auto const parameters = at.t.parameters();
        // The differences once, as a gradient; each strategy against it.
        std::vector<double> numeric(parameters.size());
        std::size_t const stride = layers == 2 ? 5 : 13;
        for (std::size_t i = 0; i < parameters.size(); i += stride) {
            double const w = parameters[i], e = 1e-5;
            parameters[i] = w + e;
            double const above = at.loss();
            parameters[i] = w - e;
            numeric[i] = (above - at.loss()) / (2 * e), parameters[i] = w;
        }
        for (auto const& one : exact_strategies()) {
            CAPTURE(one.name);
            auto const g = rig<>(any_settings(one.strategy), deep_config(layers)).gradients();
            double worst = 0;
            for (std::size_t i = 0; i < g.size(); i += stride)
                worst = std::max(worst, std::abs(numeric[i] - g[i]) / (1e-8 + 1e-6 * std::abs(g[i])));
            CHECK(worst <= 1);
        }
    }
}

TEST_CASE_TEMPLATE("strategies: every exact one gives the gradients of full", T, double, float) {
    double const tolerance = sizeof(T) == 8 ? 1e-10 : 1e-5;
    std::vector<sample> batches{sample{}, sample::of(7, 3), sample::of(1, 1)};  // the last two fill the plan in part
    for (auto const& b : batches) {
        std::vector<T> expected, got;
        double const loss = rig<T>(any_settings(full{})).gradients(expected, b);
        for (auto const& one : exact_strategies()) {
            CAPTURE(one.name);
            CHECK(rig<T>(any_settings(one.strategy)).gradients(got, b) == doctest::Approx(loss).epsilon(tolerance));
            CHECK(distance(got, expected) <= tolerance);
        }
    }
}

TEST_CASE_TEMPLATE("strategies: where no sum changes its order, the gradients are the same bits", T, float, double) {
    auto const check = [](any_strategy s, std::vector<T> const& expected, sample const& b, index_t tokens) {
        CHECK(rig<T>(any_settings(s, tokens)).gradients(b) == expected);
    };
    sample const b;
    auto const expected = rig<T>(any_settings(mesp{})).gradients(b);
    check(full{}, expected, b, 12), check(checkpoint{}, expected, b, 12), check(mesp_published{false}, expected, b, 12);
    auto const stored = rig<T>(any_settings(checkpoint{true})).gradients(b);
    check(mesp_published{}, stored, b, 12);
    for (phases p : {phases::one, phases::two})
        for (index_t every : {1, 2, 3, 4, 5, 9}) check(mesp{0, p, every}, expected, b, 12);
    check(mesp{}, expected, b, 40);  // a plan for more rows than there are
    // Tiles of whole 64 rows: sums over rows go on where they stopped.
    auto const long_one = sample::of(150, 40);
    auto const untiled = rig<T>(any_settings(mesp{}, 150)).gradients(long_one);
    for (phases p : {phases::one, phases::two})
        for (index_t tile : {64, 128, 192}) check(mesp{tile, p, tile == 128 ? 2 : 1}, untiled, long_one, 150);
    check(rematerialised{{64, phases::two}, {64, phases::two, 1, 0x1ff}, 2, 1, 64}, untiled, long_one, 150);
    CHECK(rig<T>(any_settings(mesp{48}, 150)).gradients(long_one) != untiled);  // or the check above says nothing
}

TEST_CASE("strategies: whatever stays from the forward to the pulls, the gradients are the same bits") {
    auto const expected = rig<float>(any_settings(mesp{})).gradients();
    for (step_set kept = 1; kept < 1 << 15; kept += 89) {
        CAPTURE(kept);
        for (phases p : {phases::one, phases::two})
            REQUIRE(rig<float>(any_settings(keeping(kept, 0, p))).gradients() == expected);
        rematerialised const some{keeping(kept), keeping(~kept), 1 + static_cast<index_t>(kept % 5)};
        REQUIRE(rig<float>(any_settings(some)).gradients() == expected);
        REQUIRE(rig<float>(any_settings(keeping(kept, 0, phases::one, 2))).gradients() == expected);
    }
    auto const exact = rig<>(any_settings(full{})).gradients();
    for (step_set kept = 1; kept < 1 << 15; kept += 331)
        for (phases p : {phases::one, phases::two})
            CHECK(distance(rig<>(any_settings(keeping(kept, 5, p))).gradients(), exact) <= 1e-10);
}

TEST_CASE("strategies: a type of one's own and any_strategy plan and compute the same") {
    auto const check = [](auto s) {
        using S = decltype(s);
        using own = rig<double, llama<lora>, S, adamw>;
        typename own::trainer_type::settings how;
        how.tokens = 12, how.rank = 3, how.alpha = 5, how.strategy = s, how.seed = 7;
        own a(how);
        rig<> b(any_settings(s));
        CHECK(a.gradients() == b.gradients());
        CHECK(a.t.memory().total() == b.t.memory().total());
    };
    check(mesp{4, phases::two}), check(full{}), check(lcsb<cyclic_strided, mesp>{});
    check(rematerialised{{4, phases::two}, {4, phases::two, 1, 0x2a}, 3, 1, 4});
}

TEST_CASE("strategies: batches that an update adds up are one large batch, whatever the strategy") {
    for (auto const& one : exact_strategies()) {
        CAPTURE(one.name);
        rig<> r(any_settings(one.strategy));
        sample const b;
        auto const once = r.gradients(b);
        r.t.accumulate(b.view(), b.scale / 4), r.t.accumulate(b.view(), 3 * b.scale / 4);
        CHECK(distance(r.t.accumulated(), once) <= 1e-12);
        r.t.discard();
        CHECK(r.gradients(b) == once);  // nothing of the discarded ones is left
    }
}
