// SPDX-License-Identifier: Apache-2.0
// Adapters and optimizers together: gradients of DoRA's models, and every pair on every strategy and format.
#include <tests/support/strategy_rig.hpp>

#include <graft/quant/formats.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

using namespace graft;
using namespace graft_test;

namespace {

using dora_rig = rig<double, llama<dora>>;

any_training dora_settings(any_strategy s, adapter_norm norm) {
    auto how = any_settings(s);
    how.norm = norm;
    return how;
}

/// Central differences of the loss in every `stride`-th parameter; what is kept beside them follows each change.
double worst_of(dora_rig& r, std::vector<double> const& gradient, std::size_t stride) {
    double worst = 0;
    for (std::size_t i = 0; i < gradient.size(); i += stride) {
        double const w = r.t.parameters()[i], e = 1e-5;
        r.t.parameters()[i] = w + e;
        double const above = r.loss();
        r.t.parameters()[i] = w - e;
        double const below = r.loss();
        r.t.parameters()[i] = w;
        double const error = std::abs((above - below) / (2 * e) - gradient[i]);
        worst = std::max(worst, error / (1e-8 + 1e-6 * std::abs(gradient[i])));
    }
    return worst;
}

struct named_strategy {
    char const* name;
    any_strategy how;
    bool exact;  // its gradients are true ones
};
std::vector<named_strategy> strategies() {
    return {{"full", full{}, true},
            {"checkpoint", checkpoint{true}, true},
            {"mesp", mesp{}, true},
            {"mesp tiled", mesp{4, phases::two}, true},
            {"mesp that renews", mesp{4, phases::two, 1, 0, true}, true},
            {"published", mesp_published{true}, true},
            {"lcsb", lcsb<cyclic_strided>{{2}}, false},
            {"lcsb exact", lcsb<cyclic_strided>{{2}, {}, unselected_gradient::exact}, true},
            {"zeroth order", zeroth_order{1, 1e-4}, false}};
}

}  // namespace

TEST_CASE("adapters: gradients of DoRA through blocks are central differences where n is not detached") {
    dora_rig r(dora_settings(mesp{}, adapter_norm::attached), deep_config(2));
    auto const g = r.gradients();
    CHECK(worst_of(r, g, 17) <= 1);
    dora_rig loose(dora_settings(mesp{}, adapter_norm::detached), deep_config(2));
    CHECK(worst_of(loose, loose.gradients(), 17) > 1e3);  // these leave something out, on purpose
}

TEST_CASE("adapters: DoRA's gradients are the same under every strategy that gives true ones") {
    for (auto norm : {adapter_norm::detached, adapter_norm::attached}) {
        dora_rig first(dora_settings(full{}, norm));
        auto const g = first.gradients();
        for (auto const& s : strategies()) {
            if (!s.exact || std::string(s.name) == "lcsb exact") continue;
            CAPTURE(s.name);
            dora_rig r(dora_settings(s.how, norm));
            CHECK(distance(r.gradients(), g) < 1e-12);
            CHECK(r.t.high_water() <= r.t.memory().total());
        }
    }
}

TEST_CASE("adapters: a block that could carry magnitudes and does not is the plain one, to the bit and the byte") {
    for (auto const& s : strategies()) {
        CAPTURE(s.name);
        rig<float> plain(any_settings(s.how));
        rig<float, llama<dora>> able(any_settings(s.how));
        CHECK(plain.t.memory().total() == able.t.memory().total());
        auto const b = sample{};
        for (int step = 0; step < 3; ++step) {
            plain.t.update(b.view(), b.scale, 1e-2);
            able.t.update(b.view(), b.scale, 1e-2);
        }
        CHECK(plain.parameters() == able.parameters());
    }
}

TEST_CASE("adapters: modules may differ in rank and alpha; their gradients are central differences") {
    adapter_exception const some[] = {{.layer = 0, .rank = 1}, {.targets = target_bit("v_proj"), .rank = 4, .alpha = 9},
                                      {.layer = 2, .targets = target_bit("up_proj"), .rank = 0}};
    auto how = any_settings(mesp{});
    how.exceptions = some;
    rig<double> r(how, deep_config(3));
    auto const g = r.gradients();
    REQUIRE(g.size() == r.t.parameters().size());
    CHECK(worst_difference(r.t.parameters(), g, [&] { return r.loss(); }, 13) <= 1);
    how.strategy = any_strategy(mesp{}, any_selection(random_layers{2}), unselected_gradient::identity,
                                unselected_update::none);
    rig<double> selective(how, deep_config(3));
    for (int step = 0; step < 6; ++step) REQUIRE(selective.t.update(sample{}.view(), sample{}.scale, 1e-3).finite);
}

TEST_CASE("adapters: dropout is the same in a recomputed forward, differs from pass to pass, and spares evaluation") {
    auto how = any_settings(full{});
    how.dropout = 0.3;
    rig<double> whole(how);
    how.strategy = mesp{5, phases::two};
    rig<double> tiled(how);
    auto const g = whole.gradients();
    CHECK(distance(tiled.gradients(), g) < 1e-12);
    auto const plain = rig<double>(any_settings(full{})).gradients();
    CHECK(distance(plain, g) > 0.05);
    CHECK(whole.loss() == rig<double>(any_settings(full{})).loss());
    sample const s;
    double const first = whole.t.accumulate(s.view(), s.scale), second = whole.t.accumulate(s.view(), s.scale);
    CHECK(first != second);
    whole.t.discard();
    CHECK(whole.t.accumulate(s.view(), s.scale) == first);
}

TEST_CASE("adapters: a start on principal parts changes nothing, and learns") {
    for (auto norm : {adapter_norm::none, adapter_norm::detached}) {
        auto how = dora_settings(mesp{}, norm);
        auto bare = how;
        how.start = adapter_start::pissa;
        random_model<llama<dora>, double> m(deep_config(2), f32), n(deep_config(2), f32);
        using trainer_type = dora_rig::trainer_type;
        poisoned_memory here(trainer_type::memory_plan(m.net.config, how).total());
        poisoned_memory there(trainer_type::memory_plan(n.net.config, bare).total());
        trainer_type principal(m.net, how, here.span), plain(n.net, bare, there.span);
        principal.start(3), plain.start(3);
        sample const s;
        double const before = plain.evaluate(s.view());
        CHECK(principal.evaluate(s.view()) == doctest::Approx(before).epsilon(1e-10));
        for (int step = 0; step < 10; ++step) REQUIRE(principal.update(s.view(), s.scale, 1e-3).finite);
        CHECK(principal.evaluate(s.view()) < before);
    }
}

TEST_CASE("adapters: every adapter, optimizer, strategy and format trains together") {
    std::pair<char const*, any_optimizer> const optimizers[] = {
        {"adamw", adamw{}},
        {"adamw8", adamw8{}},
        {"sgd", sgd{0.9}},
        {"lion", lion{}},
        {"muon", muon{}},
        {"stiefel", stiefel<>{}},
        {"stiefel cayley adam", stiefel<cayley, riemannian_adam>{}},
        {"stiefel polar adamw", stiefel<polar, projected_adamw>{}}};
    auto const c = [] {
        auto small = tiny_config();
        small.layers = 2, small.width = 32, small.heads = 4, small.kv_heads = 2, small.head = 8, small.hidden = 64;
        return small;
    }();
    sample const s;
    for (format const* f : {&f32, &q4_0, &q4_1, &q8_0})
        for (auto const& strategy : strategies())
            for (auto const& optimizer : optimizers)
                for (int method = 0; method < 3; ++method) {
                    CAPTURE(f->name);
                    CAPTURE(strategy.name);
                    CAPTURE(optimizer.first);
                    CAPTURE(method);
                    auto how = any_settings(strategy.how);
                    how.optimizer = optimizer.second, how.rank_stabilised = method == 1;
                    how.norm = method == 2 ? adapter_norm::detached : adapter_norm::none;
                    rig<float, llama<dora>> r(how, c, {}, *f);
                    double const before = r.loss();
                    for (int step = 0; step < 4; ++step) REQUIRE(r.t.update(s.view(), s.scale, 2e-3).finite);
                    double const after = r.loss();
                    REQUIRE(std::isfinite(after));
                    if (strategy.exact) REQUIRE(after < before);
                }
}
