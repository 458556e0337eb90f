// SPDX-License-Identifier: Apache-2.0
// Training some blocks at a step: what gradient that is, of which loss, and what becomes of the blocks left out.
#include <tests/support/reference_llama.hpp>
#include <tests/support/strategy_rig.hpp>

#include <array>

using namespace graft;
using namespace graft_test;

namespace {

constexpr auto identity = unselected_gradient::identity, exact = unselected_gradient::exact;
constexpr auto zero_gradient = unselected_update::zero_gradient, none = unselected_update::none;

any_strategy some(any_selection which, any_strategy inner = mesp{}, unselected_gradient g = identity,
                  unselected_update u = zero_gradient) {
    return {inner, which, g, u};
}

/// y = (1 + p) (1 + q) x with numbers p, q that are trained: a block of two gains on a stream of one column.
struct gains {
    using sizes = transformer_sizes;
    static constexpr frozen<"self_attn.q_proj", width, width> P{};
    static constexpr lora<"self_attn.o_proj", width, width> p{};
    static constexpr frozen<"mlp.up_proj", width, width> Q{};
    static constexpr lora<"mlp.down_proj", width, width> q{};
    static constexpr stream<width> x{};
    static constexpr auto equations = residual(p(P(x))) >> residual(q(Q(x)));
};

/// The gradient of the first gain of the lowest of two such blocks; `gain` of the two of each.
double gradient_of_gain(any_strategy s, std::array<double, 4> gain) {
    model_config c;
    c.layers = 2, c.width = c.heads = c.kv_heads = c.hidden = 1, c.head = 2, c.vocabulary = 2;
    c.norm_epsilon = 1e12;  // the last norm is all but linear
    auto how = any_settings(s, 1);
    how.rank = 1, how.alpha = 1;
    rig<double, gains> r(how, c);
    std::vector<float> const one{1}, zero{0}, embedding{0.7f, 0.2f}, norm{1e6f};
    auto const matrix_of = [](std::vector<float> const& x) {
        return weight{reinterpret_cast<std::byte const*>(x.data()), static_cast<index_t>(x.size()), 1, f32};
    };
    auto net = r.m.net;
    net.embedding = net.head = matrix_of(embedding), net.norm = norm.data();
    for (auto& layer : net.layers)
        layer.visit([&](auto, auto& w) {
            if constexpr (requires { w.A; }) w.W = matrix_of(zero);
            else w.W = matrix_of(one);
        });
    poisoned_memory memory(r.t.memory().total());
    rig<double, gains>::trainer_type t(net, how, memory.span);
    auto const p = t.parameters();
    for (std::size_t i = 0; i < 4; ++i) p[2 * i] = 1, p[2 * i + 1] = gain[i];  // A, B
    std::vector<int> const id{0}, target{1};
    std::vector<index_t> const start{0};
    t.accumulate({id, target, start}, 1);
    return t.gradient_of(0)[1];
}

}  // namespace

TEST_CASE("selective: identity gives the gradient of the loss in which blocks left out add constants") {
    for (any_selection which : {any_selection(cyclic_strided{2}), any_selection(cyclic_contiguous{2}),
                                any_selection(cyclic_contiguous{5}), any_selection(random_layers{3})})
        for (any_strategy inner : {any_strategy(mesp{}), any_strategy(full{}), any_strategy(checkpoint{true}),
                                   any_strategy(mesp{4, phases::two, 2}), any_strategy(mesp_published{})}) {
            rig<> r(any_settings(some(which, inner)));
            sample const b;
            r.gradients(b);
            reference_llama const plain(r.m.net);
            auto fixed = plain.changes(b);
            index_t left_out = 0;
            for (index_t l = 0; l < 5; ++l)
                if (!r.t.gradient_of(l).empty()) fixed[static_cast<std::size_t>(l)].clear();
                else ++left_out;
            REQUIRE(left_out > 0);
            auto const each = static_cast<std::size_t>(r.each());
            for (index_t l = 0; l < 5; ++l) {
                auto const g = r.t.gradient_of(l);
                if (g.empty()) continue;
                CHECK(worst_difference(r.t.parameters().subspan(static_cast<std::size_t>(l) * each, each),
                                       {g.begin(), g.end()}, [&] { return plain.loss(b, fixed); }, 97) <= 1);
            }
        }
}

TEST_CASE("selective: exact gives the true gradients of the blocks it trains") {
    auto const truth = rig<>(any_settings(full{})).gradients();
    for (any_strategy inner : {any_strategy(mesp{}), any_strategy(full{}), any_strategy(checkpoint{}),
                               any_strategy(mesp{4, phases::two}), any_strategy(mesp{0, phases::one, 3}),
                               any_strategy(mesp_published{})})
        for (index_t groups : {2, 3, 5}) {
            CAPTURE(groups);
            rig<> r(any_settings(some(cyclic_strided{groups}, inner, exact)));
            for (index_t step = 0; step < groups; ++step) {
                r.t.resume_at(step);
                r.gradients();
                auto const each = static_cast<std::size_t>(r.each());
                for (index_t l = 0; l < 5; ++l) {
                    auto const g = r.t.gradient_of(l);
                    REQUIRE(g.empty() == (l % groups != step));
                    if (g.empty()) continue;
                    auto const first = truth.begin() + l * r.each();
                    CHECK(distance(g, std::vector<double>(first, first + static_cast<std::ptrdiff_t>(each))) <= 1e-10);
                }
            }
        }
}

TEST_CASE("selective: next to the head identity is exact, below a block left out it is not") {
    for (index_t count : {1, 2, 4, 5})
        CHECK(rig<>(any_settings(some(top_layers{count}))).gradients() ==
              rig<>(any_settings(some(top_layers{count}, mesp{}, exact))).gradients());
    auto const a = rig<>(any_settings(some(cyclic_contiguous{5}))).gradients(),  // the lowest block alone
        b = rig<>(any_settings(some(cyclic_contiguous{5}, mesp{}, exact))).gradients();
    CHECK(distance(a, b) > 0.05);
    CHECK(cosine(a, b) > 0);
}

TEST_CASE("selective: (1 + b) (1 + a) x, the smallest example, in numbers") {
    std::array<double, 4> const gain{0.3, 0, 0.5, -0.2};  // a, a', b, b'
    double const truth = gradient_of_gain(some(cyclic_contiguous{2}, mesp{}, exact), gain),
                 around = gradient_of_gain(some(cyclic_contiguous{2}), gain);
    CHECK(truth == doctest::Approx(gradient_of_gain(full{}, gain)).epsilon(1e-12));
    CHECK(truth != 0);
    CHECK(truth == doctest::Approx(around * (1 + gain[2]) * (1 + gain[3])).epsilon(1e-12));
}

TEST_CASE("selective: zero gradients move on by momentum, as the papers' numbers say; parameters that wait do not") {
    adamw const rule{.weight_decay = 0};
    auto const step_at = [&](std::vector<int> const& asked, auto&& has_gradient) {
        std::vector<double> sizes;
        double const one = 1;
        double p = 0;
        alignas(64) std::byte state[128] = {};
        for (int t = 1, i = 0; i < static_cast<int>(asked.size()); ++t) {
            double const before = p;
            rule.apply(
                update<double>{{role::lora_a, 1, 1}, &p, has_gradient(t) ? &one : nullptr, state, nullptr, 1, 1, t});
            if (t == asked[static_cast<std::size_t>(i)]) sizes.push_back(before - p), ++i;
        }
        return sizes;
    };
    auto const sizes = step_at({60, 61, 62, 64, 70, 80}, [](int t) { return t <= 60; });
    double const expected[] = {1, 0.91, 0.82, 0.68, 0.38, 0.14};
    for (std::size_t i = 0; i < 6; ++i) CHECK(std::abs(sizes[i] - expected[i]) < 0.006);
    for (int period : {1, 2, 4, 8}) {  // selected every so many steps: 1 / √period of a step at each, on average
        std::vector<int> asked;
        for (int t = 3001; t <= 4000; ++t) asked.push_back(t);
        double mean = 0;
        for (double x : step_at(asked, [&](int t) { return t % period == 0; })) mean += x / 1000;
        CHECK(mean == doctest::Approx(1 / std::sqrt(period)).epsilon(0.01));
    }
}

TEST_CASE("selective: both readings of AdamW, against AdamW by its formula on the gradients of each step") {
    for (unselected_update reading : {zero_gradient, none})
        for (updating when : {updating::deferred, updating::fused}) {
            auto how = any_settings(some(cyclic_strided{3}, mesp{}, identity, reading));
            how.updates = when;
            rig<> r(how), twin(any_settings(some(cyclic_strided{3})));  // the twin only tells gradients
            auto p = r.parameters();
            std::vector<double> m(p.size()), v(p.size());
            std::array<double, 5> own_step{};
            sample const b;
            for (int step = 1; step <= 8; ++step) {
                std::copy(p.begin(), p.end(), twin.t.parameters().begin());
                twin.t.resume_at(step - 1);
                twin.gradients(b);
                for (index_t l = 0; l < 5; ++l) {
                    auto const g = twin.t.gradient_of(l);
                    REQUIRE(g.empty() == (l % 3 != (step - 1) % 3));
                    if (g.empty() && reading == none) continue;
                    double const t = reading == none ? ++own_step[static_cast<std::size_t>(l)] : step;
                    for (index_t j = 0; j < r.each(); ++j) {
                        auto const i = static_cast<std::size_t>(l * r.each() + j);
                        double const gi = g.empty() ? 0 : g[static_cast<std::size_t>(j)];
                        m[i] = 0.9 * m[i] + 0.1 * gi, v[i] = 0.999 * v[i] + 0.001 * gi * gi;
                        double const mean = m[i] / (1 - std::pow(0.9, t)), square = v[i] / (1 - std::pow(0.999, t));
                        p[i] -= 1e-2 * (mean / (std::sqrt(square) + 1e-8) + 0.01 * p[i]);
                    }
                }
                auto const report = r.t.update(b.view(), b.scale, 1e-2);
                REQUIRE(report.finite);
                REQUIRE(distance(r.parameters(), p) <= 1e-12);
            }
        }
}

TEST_CASE("selective: what is remembered of layers: how often each was trained, and how long its gradient was") {
    rig<> r(any_settings(some(cyclic_strided{2})));
    sample const b;
    for (int step = 0; step < 3; ++step) r.t.update(b.view(), b.scale, 1e-3);
    auto const memory = r.t.strategy_memory();
    for (std::size_t l = 0; l < 5; ++l) {
        CHECK(memory[l] == (l % 2 == 0 ? 2 : 1));
        CHECK(memory[5 + l] > 0);
    }
    r.t.resume_at(2);  // layers 0, 2, 4 again
    auto const each = static_cast<std::size_t>(r.each());
    rig<> other(any_settings(some(by_importance{2})));
    other.gradients();
    for (index_t l = 0; l < 5; ++l) CHECK(other.t.strategy_memory()[static_cast<std::size_t>(5 + l)] == -1);
    auto const u = other.t.update(b.view(), b.scale, 1e-3);
    double squares = 0;
    for (std::size_t l = 0; l < 5; ++l)
        if (double const x = other.t.strategy_memory()[5 + l]; x >= 0) squares += x * x;
    CHECK(std::sqrt(squares) == doctest::Approx(u.grad_norm).epsilon(1e-12));
    for (int step = 0; step < 2; ++step) other.t.update(b.view(), b.scale, 1e-3);
    for (std::size_t l = 0; l < 5; ++l) CHECK(other.t.strategy_memory()[l] >= 1);  // the never trained came first
    CHECK(each == 1536);
}

TEST_CASE("selective: a run goes on where it stopped") {
    for (any_strategy s : {some(random_layers{2}, mesp{}, identity, none), some(by_importance{2}),
                           some(cyclic_contiguous{3}, full{}, exact, none)}) {
        rig<> straight(any_settings(s)), first(any_settings(s)), second(any_settings(s));
        sample const b;
        auto const steps = [&](rig<>& r, int count) {
            for (int i = 0; i < count; ++i) r.t.update(b.view(), b.scale, 1e-2);
        };
        steps(straight, 9), steps(first, 4);
        auto const copy = [](auto from, auto to) { std::copy(from.begin(), from.end(), to.begin()); };
        copy(first.t.parameters(), second.t.parameters());
        copy(first.t.optimizer_state(), second.t.optimizer_state());
        copy(first.t.strategy_memory(), second.t.strategy_memory());
        second.t.resume_at(first.t.steps());
        steps(second, 5);
        CHECK(second.parameters() == straight.parameters());
    }
}
