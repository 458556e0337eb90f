// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/cross_entropy.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/quant/blocks.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

/// Loss and gradient as the formulas have them, in double, all logits at once.
template <class T>
struct textbook {
    double loss = 0;
    std::vector<double> losses;
    grid<double> dx;

    textbook(grid<T> const& x, grid<T> const& head, std::vector<int> const& targets, double scale)
        : dx(x.rows, x.columns) {
        for (index_t i = 0; i < x.rows; ++i) {
            int const target = targets[static_cast<std::size_t>(i)];
            std::vector<double> z;
            double most = -1e300, total = 0;
            for (index_t c = 0; c < head.rows; ++c) {
                double dot = 0;
                for (index_t j = 0; j < x.columns; ++j)
                    dot += static_cast<double>(x(i, j)) * static_cast<double>(head(c, j));
                z.push_back(dot), most = std::max(most, dot);
            }
            for (double l : z) total += std::exp(l - most);
            losses.push_back(target < 0 ? 0 : most + std::log(total) - z[static_cast<std::size_t>(target)]);
            loss += losses.back();
            for (index_t j = 0; j < x.columns; ++j) {
                double d = 0;
                for (index_t c = 0; c < head.rows; ++c)
                    d += (std::exp(z[static_cast<std::size_t>(c)] - most) / total - (c == target)) *
                         static_cast<double>(head(c, j));
                dx(i, j) = target < 0 ? 0 : scale * d;
            }
        }
    }
};

std::vector<int> some_targets(index_t rows, index_t vocabulary) {
    std::vector<int> t;
    for (index_t i = 0; i < rows; ++i)
        t.push_back(i % 4 == 2 ? -1 : static_cast<int>((i * 7919 + vocabulary - 1) % vocabulary));
    return t;
}

template <class T>
double run(matrix<T> dx, matrix<T> x, matrix<T> head, std::vector<int> const& targets, T scale, std::vector<T>& losses,
           index_t chunk) {
    auto s = scratch<T>(cross_entropy_scratch(x.rows, chunk) + 1);
    double const loss =
        cross_entropy(dx, x, head, std::span<int const>(targets), scale, s.data(), std::span<T>(losses), chunk);
    CHECK(std::isnan(s.back()));
    return loss;
}

/// Panels for two lanes.
struct two_lanes {
    thread_pool pool{2};
    std::vector<std::byte> memory = std::vector<std::byte>(2 * 1024 * 1024 + 64);
    workers handle;
    two_lanes() {
        auto const start = reinterpret_cast<std::uintptr_t>(memory.data());
        handle = pool.handle(memory.data() + (64 - start % 64) % 64, 1024 * 1024);
    }
};

}  // namespace

TEST_CASE_TEMPLATE("cross_entropy: loss and gradient agree with the formulas for any vocabulary, chunk and mask", T,
                   float, double) {
    double const tolerance = sizeof(T) == 4 ? 5e-6 : 1e-12;
    for (index_t const rows : {0, 1, 7, 33})
        for (index_t const vocabulary : {1, 5, 64, 331})
            for (index_t const chunk : {3, 64, 512}) {
                grid<T> x(rows, 24, 1, 2.0), head(vocabulary, 24, 2, 1.0), dx(rows, 24);
                auto const targets = some_targets(rows, vocabulary);
                textbook<T> const expected(x, head, targets, 0.25);
                std::vector<T> losses(static_cast<std::size_t>(rows), poison<T>);
                double const loss = run<T>(dx.view(), x.view(), head.view(), targets, T(0.25), losses, chunk);
                CHECK(std::abs(loss - expected.loss) <= tolerance * (1 + expected.loss));
                CHECK(distance(dx, expected.dx, tolerance, tolerance) <= 1);
                for (index_t i = 0; i < rows; ++i) {
                    auto const at = static_cast<std::size_t>(i);
                    CHECK(std::abs(static_cast<double>(losses[at]) - expected.losses[at]) <= 10 * tolerance);
                    if (targets[at] >= 0) continue;
                    CHECK(losses[at] == 0);
                    for (index_t j = 0; j < 24; ++j) CHECK(dx(i, j) == 0);
                }
                CHECK(dx.gaps_untouched());
                std::vector<T> none;
                CHECK(run<T>({}, x.view(), head.view(), targets, T(1), none, chunk) == loss);
            }
}

TEST_CASE("cross_entropy: gradient agrees with central differences") {
    grid<double> x(3, 8, 1, 1.0), head(41, 8, 2, 1.0), dx(3, 8);
    std::vector<int> const targets{40, -1, 7};
    std::vector<double> none;
    auto const expected =
        differences(x, [&] { return 0.5 * run<double>({}, x.view(), head.view(), targets, 1.0, none, 16); });
    run<double>(dx.view(), x.view(), head.view(), targets, 0.5, none, 16);
    CHECK(agree(dx, expected));
}

TEST_CASE("cross_entropy: logits of ±10000 overflow nothing, in any order") {
    for (double const sign : {1.0, -1.0}) {
        grid<float> x(2, 1), head(40, 1), dx(2, 1);
        x(0, 0) = 1, x(1, 0) = -1;
        for (index_t c = 0; c < 40; ++c)
            head(c, 0) = static_cast<float>(sign * 1e4 * (2.0 * static_cast<double>(c) / 39 - 1));
        std::vector<int> const targets{39, 0};
        std::vector<float> losses(2);
        double const loss = run<float>(dx.view(), x.view(), head.view(), targets, 1.0f, losses, 8);
        CHECK(loss == (sign > 0 ? 0 : 4e4));
        CHECK(dx(0, 0) == (sign > 0 ? 0.0f : 2e4f));
        CHECK(dx(1, 0) == (sign > 0 ? 0.0f : -2e4f));
    }
}

TEST_CASE("cross_entropy: stored weights give the same bits as their decoded numbers") {
    constexpr index_t width = 64, vocabulary = 100;
    std::vector<std::byte> stored(static_cast<std::size_t>(q4_0.row_bytes(width) * vocabulary));
    for (std::size_t i = 0; i < stored.size(); ++i) {
        bool const scale = i % 18 < 2;  // fp16 scale about 0.06 before 16 bytes of nibbles
        stored[i] = scale ? static_cast<std::byte>(i % 18 == 1 ? 0x2c : 0) : static_cast<std::byte>(i * 37 % 251);
    }
    weight const head(stored.data(), vocabulary, width, q4_0);
    grid<float> decoded(vocabulary, width), x(9, width, 1, 2.0), dx(9, width), plain(9, width);
    for (index_t c = 0; c < vocabulary; ++c) head.how->decode(head.row(c), 0, width, decoded.view().row(c));
    auto const targets = some_targets(9, vocabulary);
    auto s = scratch<float>(cross_entropy_scratch(9, 48));
    std::vector<float> none;
    double const loss = run<float>(plain.view(), x.view(), decoded.view(), targets, 1.0f, none, 48);
    CHECK(cross_entropy(dx.view(), x.view(), head, std::span<int const>(targets), 1.0f, s.data(), {}, 48) == loss);
    CHECK(same_bits(dx, plain));

    grid<double> wide_x(x), wide_dx(9, width);
    auto wide = scratch<double>(cross_entropy_scratch(9, 48));
    double const wide_loss =
        cross_entropy(wide_dx.view(), wide_x.view(), head, std::span<int const>(targets), 1.0, wide.data(), {}, 48);
    CHECK(std::abs(wide_loss - loss) < 1e-4);
    CHECK(distance(dx, wide_dx, 1e-5, 1e-5) <= 1);

    grid<float> y(1, vocabulary);
    logits(y.view(), x.view().slice(0, 1), head);
    textbook<float> const expected(x, decoded, targets, 1.0);
    double total = 0;
    for (index_t c = 0; c < vocabulary; ++c) total += std::exp(static_cast<double>(y(0, c)));
    CHECK(std::abs(std::log(total) - static_cast<double>(y(0, targets[0])) - expected.losses[0]) < 1e-5);
}

TEST_CASE("cross_entropy: two lanes give the same bits as one") {
    two_lanes two;
    grid<float> x(150, 96, 1, 2.0), head(1111, 96, 2, 1.0), one(150, 96), other(150, 96);
    auto const targets = some_targets(150, 1111);
    std::vector<float> a(150), b(150);
    double const loss = run<float>(one.view(), x.view(), head.view(), targets, 1.0f, a, 512);
    CHECK(run<float>(other.view(), x.view(&two.handle), head.view(), targets, 1.0f, b, 512) == loss);
    CHECK(a == b);
    CHECK(same_bits(one, other));
}

TEST_CASE("cross_entropy: a target outside the vocabulary is the caller's mistake") {
    grid<float> x(1, 8, 1, 1.0), head(5, 8, 2, 1.0), dx(1, 8);
    std::vector<float> none;
    std::vector<int> const targets{5};
    auto s = scratch<float>(cross_entropy_scratch(1));
    CHECK_THROWS_AS(cross_entropy(dx.view(), x.view(), head.view(), std::span<int const>(targets), 1.0f, s.data()),
                    failure);
}
