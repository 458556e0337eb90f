// SPDX-License-Identifier: Apache-2.0
// Negative controls: known mistakes, made on purpose, must be seen by the checks that the strategies pass. And
// schedules no strategy writes, which must be planned all the same so that nothing read is lost.
#include <graft/program/machine.hpp>

#include <tests/support/reference_llama.hpp>

namespace graft_test {

/// A rotation whose pull forgets to rotate back: what the published device code does.
struct one_way_ { using kind = one_way_; };
template <graft::Expression X>
consteval auto one_way(X x) { return graft::apply<graft::axis_of<X>>(one_way_{}, x); }

/// A low-rank map that moves its A and B before its dx is formed.
struct hasty_map;
template <graft::label N, graft::Axis Out, graft::Axis In, graft::bias Bias = graft::bias::absent>
struct hasty : graft::linear<N, Out, In, Bias> {
    using kind = hasty_map;
    static constexpr graft::index_t adapter_rank(auto const& n) { return n.targets & hasty::bit ? n.rank : 0; }
    template <graft::Expression X>
    consteval auto operator()(X x) const { return graft::map<Out, hasty, In>(hasty{}, x); }
};

/// Llama's block with one operation of it another.
template <bool Rotates>
struct unrotated {
    using sizes = graft::transformer_sizes;
    using b = graft::llama<graft::lora>;
    static constexpr auto turn = [](auto x) consteval {
        if constexpr (Rotates) return one_way(x);
        else return x;
    };
    static constexpr auto attention = b::O(attend(turn(b::Q(b::n)), turn(b::K(b::n)), b::V(b::n)));
    static constexpr auto equations = residual(attention) >> residual(b::feed_forward);
};

}  // namespace graft_test

template <>
struct graft::rule<graft_test::one_way_> : graft::rule<graft::rope_> {
    static constexpr int pull_takes = -1;
    static void pull(auto const&, auto dy, auto, auto dx) {
        if (!dx) return;
        for (index_t i = 0; i < dy.rows; ++i)
            for (index_t j = 0; j < dy.columns; ++j) dx(i, j) = dy(i, j);
    }
};

template <>
struct graft::rule<graft_test::hasty_map> : graft::rule<graft::lora_map> {
    template <class T>
    using weights = graft::rule<graft::lora_map>::weights<T>;
    static void pull(auto const& here, auto dy, auto x, auto dx) {
        using proper = graft::rule<graft::lora_map>;
        proper::pull(here, dy, x, decltype(dx){});
        auto const& w = here.w;
        for (auto [p, g] : {std::pair{w.A, w.dA}, {w.B, w.dB}})
            for (index_t i = 0; i < p.rows * p.columns; ++i) p.data[i] -= 0.1 * g.data[i];
        auto moved = here.w;
        moved.dA = moved.dB = {};
        auto const after = graft::here<double, transformer_sizes, decltype(moved)>{
            here.n, here.around, moved, here.space, here.on, here.value, here.residue, here.first};
        proper::pull(after, dy, x, dx);
    }
};

using namespace graft;
using namespace graft_test;

namespace {

/// Runs forward once and says nothing of what a pull may need: all of it has to wait.
struct careless {
    static constexpr index_t tile = 0;
    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true});
    }
    constexpr void backward(auto& c) const {
        for (index_t s = c.stages; s-- > 0;) c.scene(), c.pull(s);
    }
};
/// Everything three times, one step twice more between the pulls, and all values held to the end.
struct wasteful {
    static constexpr index_t tile = 0;
    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true});
    }
    constexpr void backward(auto& c) const {
        for (int i = 0; i < 2; ++i)
            for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true, .pull = true});
        for (index_t s = c.stages; s-- > 0;) {
            c.scene(), c.run_again(s, c.code.begin(s) + 1), c.run_again(s, c.code.begin(s) + 2);
            c.pull(s);
        }
        for (index_t s = 0; s < c.stages; ++s)
            for (index_t i = c.code.begin(s); i < c.code.last(s); ++i) c.hold(s, i);
    }
};

template <class Block, class S = mesp>
std::vector<double> gradients(S s = {}) {
    typename rig<double, Block, S, sgd>::trainer_type::settings how;
    how.tokens = 12, how.rank = 3, how.alpha = 5, how.strategy = s, how.max_grad_norm = 0;
    return rig<double, Block, S, sgd>(how, deep_config(3)).gradients();
}
/// Of layer l and map m (running order) of three layers.
std::vector<double> part(std::vector<double> const& all, std::size_t l, std::size_t m) {
    constexpr std::size_t sizes[] = {3 * 64, 3 * 48, 3 * 48, 3 * 64, 3 * 96, 3 * 96, 3 * 96};
    std::size_t first = l * 1536;
    for (std::size_t i = 0; i < m; ++i) first += sizes[i];
    auto const at = all.begin() + static_cast<std::ptrdiff_t>(first);
    return {at, at + static_cast<std::ptrdiff_t>(sizes[m])};
}

}  // namespace

TEST_CASE("controls: a pull without the rotation back is seen") {
    auto const right = gradients<llama<lora>>(), wrong = gradients<unrotated<true>>();
    for (std::size_t l : {0u, 1u, 2u})
        for (std::size_t m : {0u, 1u}) CHECK(cosine(part(wrong, l, m), part(right, l, m)) < 0.99);  // q, k
    for (std::size_t m : {2u, 3u, 4u, 5u, 6u}) CHECK(part(wrong, 2, m) == part(right, 2, m));  // above: all right
    CHECK(distance(part(wrong, 0, 6), part(right, 0, 6)) > 1e-3);
    // The check that strategies pass, central differences, which this must not.
    rig<> at(any_settings(full{}), deep_config(3));
    CHECK(worst_difference(at.t.parameters(), right, [&] { return at.loss(); }, 37) <= 1);
    CHECK(worst_difference(at.t.parameters(), wrong, [&] { return at.loss(); }, 37) > 1e3);
}

TEST_CASE("controls: a model without rotations is another model, in plain loops too") {
    rig<> r(any_settings(full{}), deep_config(2));
    rig<double, unrotated<false>> other(any_settings(full{}), deep_config(2));
    reference_llama plain(r.m.net);
    sample const b;
    double const with = plain.loss(b);
    plain.rotates = false;
    CHECK(r.loss() == doctest::Approx(with).epsilon(1e-12));
    CHECK(other.loss() == doctest::Approx(plain.loss(b)).epsilon(1e-12));
    CHECK(std::abs(with - plain.loss(b)) > 1e-3);
}

TEST_CASE("controls: parameters that move before dx is formed are seen in all gradients below") {
    auto const right = gradients<llama<lora>>(), wrong = gradients<llama<hasty>>();
    CHECK(part(wrong, 2, 6) == part(right, 2, 6));  // the first to be pulled
    for (std::size_t m : {0u, 1u, 2u, 3u, 4u, 5u}) CHECK(distance(part(wrong, 2, m), part(right, 2, m)) > 1e-3);
    for (std::size_t l : {0u, 1u})
        for (std::size_t m = 0; m < 7; ++m) CHECK(distance(part(wrong, l, m), part(right, l, m)) > 1e-3);
}

TEST_CASE("controls: schedules that nobody would write lose nothing that is read") {
    auto const right = gradients<llama<lora>>();
    CHECK(gradients<llama<lora>>(careless{}) == right);
    CHECK(gradients<llama<lora>>(wasteful{}) == right);
    lcsb<top_layers, wasteful> const top{{2}};
    auto const two = gradients<llama<lora>>(top);
    CHECK(two == std::vector<double>(right.begin() + 1536, right.end()));
}
