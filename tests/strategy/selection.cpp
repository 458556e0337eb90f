// SPDX-License-Identifier: Apache-2.0
// The law of each selection of layers: how often, how many, which, and that it depends on nothing but its moment.
#include <graft/strategy/selection.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <vector>

using namespace graft;

namespace {

constexpr std::size_t most_layers = 40;

/// Layers chosen at a step, as bits.
template <LayerSelection S>
std::uint64_t chosen(S const& s, index_t step, index_t layers, std::uint64_t seed = 1,
                     std::vector<double> const& scores = std::vector<double>(most_layers, -1)) {
    std::array<bool, most_layers> which;
    which.fill(true);  // nothing is left as it was
    auto const count = static_cast<std::size_t>(layers);
    s.choose({step, layers, seed, std::span(scores).first(count)}, std::span(which).first(count));
    std::uint64_t bits = 0;
    for (std::size_t l = 0; l < count; ++l) bits |= std::uint64_t{which[l]} << l;
    return bits;
}
index_t count_of(std::uint64_t bits) { return __builtin_popcountll(bits); }

/// Steps without a choice differ by chance: |found − n p| of more than 4.5 deviations fails.
void check_frequency(double found, double n, double p) {
    CAPTURE(found);
    CAPTURE(n * p);
    CHECK(std::abs(found - n * p) <= 4.5 * std::sqrt(n * p * (1 - p)));
}

}  // namespace

TEST_CASE_TEMPLATE("selection: a cycle trains every layer once", S, cyclic_strided, cyclic_contiguous) {
    for (index_t layers : {1, 2, 5, 24, 36})
        for (index_t groups = 1; groups <= layers; ++groups) {
            S const s{groups};
            std::uint64_t seen = 0;
            for (index_t step = 1; step <= groups; ++step) {
                auto const now = chosen(s, step, layers);
                REQUIRE(now != 0);
                REQUIRE(count_of(now) <= s.most(layers));
                REQUIRE(count_of(now) >= layers / groups);
                REQUIRE((seen & now) == 0);
                REQUIRE(chosen(s, step + groups, layers, 99) == now);  // and so in every cycle, whatever the seed
                seen |= now;
            }
            REQUIRE(count_of(seen) == layers);
        }
}

TEST_CASE("selection: strided and contiguous groups are what their names say") {
    CHECK(chosen(cyclic_strided{3}, 1, 7) == 0b1001001);
    CHECK(chosen(cyclic_strided{3}, 2, 7) == 0b0010010);
    CHECK(chosen(cyclic_strided{3}, 3, 7) == 0b0100100);
    CHECK(chosen(cyclic_contiguous{3}, 1, 7) == 0b0000011);
    CHECK(chosen(cyclic_contiguous{3}, 2, 7) == 0b0001100);
    CHECK(chosen(cyclic_contiguous{3}, 3, 7) == 0b1110000);
    CHECK(chosen(every_layer{}, 5, 7) == 0b1111111);
    for (index_t step : {1, 2, 9}) CHECK(chosen(top_layers{2}, step, 7) == 0b1100000);
}

TEST_CASE("selection: random layers are k distinct ones, all sets of k equally often") {
    constexpr index_t layers = 6, k = 2, steps = 30'000;
    std::vector<double> sets(1 << layers);
    std::uint64_t before = 0;
    double repeats = 0;
    for (index_t step = 1; step <= steps; ++step) {
        auto const now = chosen(random_layers{k}, step, layers);
        REQUIRE(count_of(now) == k);
        ++sets[now], repeats += now == before, before = now;
    }
    for (std::size_t s = 0; s < sets.size(); ++s)
        if (count_of(s) == k) check_frequency(sets[s], steps, 1.0 / 15);
    check_frequency(repeats, steps, 1.0 / 15);  // one step says nothing about the next
    for (index_t all : {1, 24, 40}) {
        CHECK(count_of(chosen(random_layers{all}, 7, all)) == all);
        CHECK(count_of(chosen(random_layers{1}, 7, all)) == 1);
    }
}

TEST_CASE("selection: importance goes with the length of the gradients") {
    constexpr index_t layers = 5, steps = 30'000;
    std::vector<double> const scores{1, 2, 0.5, 4, 2.5};
    std::vector<double> single(layers), pairs(1 << layers);
    for (index_t step = 1; step <= steps; ++step) {
        auto const one = chosen(by_importance{1}, step, layers, 3, scores),
                   two = chosen(by_importance{2}, step, layers, 3, scores);
        REQUIRE(count_of(one) == 1);
        REQUIRE(count_of(two) == 2);
        REQUIRE((one & two) == one);
        ++single[static_cast<std::size_t>(__builtin_ctzll(one))], ++pairs[two];
    }
    for (std::size_t l = 0; l < 5; ++l) check_frequency(single[l], steps, scores[l] / 10);
    for (std::size_t a = 0; a < 5; ++a)  // without replacement: the second among those that are left
        for (std::size_t b = 0; b < a; ++b)
            check_frequency(pairs[std::size_t{1} << a | std::size_t{1} << b], steps,
                            scores[a] * scores[b] / 10 * (1 / (10 - scores[a]) + 1 / (10 - scores[b])));
}

TEST_CASE("selection: by importance, what was never trained comes first, and what has no gradient last") {
    std::vector<double> const scores{5, -1, 0, -1, 1e300, 0};
    for (index_t step = 1; step < 200; ++step) {
        auto const at = [&](index_t k) { return chosen(by_importance{k}, step, 6, 1, scores); };
        REQUIRE((at(1) & ~0b001010u) == 0);
        REQUIRE(at(2) == 0b001010);
        REQUIRE(at(4) == 0b011011);
        REQUIRE(at(6) == 0b111111);
        REQUIRE(count_of(at(5)) == 5);
    }
    double first = 0;
    for (index_t step = 1; step <= 4000; ++step) first += chosen(by_importance{1}, step, 6, 1, scores) == 2;
    check_frequency(first, 4000, 0.5);
}

TEST_CASE("selection: a choice is a function of step and seed") {
    std::vector<double> const scores(most_layers, 1);
    auto const check = [&](auto s) {
        index_t other_seed = 0, other_step = 0;
        for (index_t step = 1; step <= 100; ++step) {
            auto const now = chosen(s, step, 24, 5, scores);
            CHECK(chosen(s, step, 24, 5, scores) == now);
            other_seed += chosen(s, step, 24, 6, scores) != now;
            other_step += chosen(s, step + 1, 24, 5, scores) != now;
        }
        CHECK(other_seed > 90);
        CHECK(other_step > 90);
    };
    check(random_layers{4}), check(by_importance{4});
}

TEST_CASE("selection: what is asked for is what is checked") {
    CHECK(cyclic_strided{3}.most(7) == 3);
    CHECK(cyclic_contiguous{3}.most(7) == 3);
    CHECK(cyclic_strided{3}.asks() == 3);
    CHECK(cyclic_contiguous{3}.asks() == 3);
    CHECK(random_layers{4}.most(7) == 4);
    CHECK(top_layers{4}.most(7) == 4);
    CHECK(by_importance{4}.most(7) == 4);
    CHECK(every_layer{}.most(7) == 7);
}
