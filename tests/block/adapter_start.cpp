// SPDX-License-Identifier: Apache-2.0
#include <graft/block/adapter_start.hpp>
#include <graft/block/pissa.hpp>
#include <graft/quant/plain.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace graft;

namespace {

struct pair_of_matrices {
    std::vector<double> a, b;
    matrix<double> A, B;
    pair_of_matrices(index_t rank, index_t in, index_t out)
        : a(static_cast<std::size_t>(rank * in), 7), b(static_cast<std::size_t>(out * rank), 7), A(a.data(), rank, in),
          B(b.data(), out, rank) {}
};

}  // namespace

TEST_CASE("adapter start: B is nothing; A is a function of seed and place, spread as its name says") {
    for (auto how : {adapter_start::kaiming, adapter_start::gaussian, adapter_start::orthogonal}) {
        pair_of_matrices p(4, 400, 9), again(4, 400, 9), other(4, 400, 9);
        start_pair(how, p.A, p.B, 3, 11), start_pair(how, again.A, again.B, 3, 11);
        start_pair(how, other.A, other.B, 3, 12);
        CHECK(p.a == again.a);
        CHECK(p.a != other.a);
        for (double x : p.b) CHECK(x == 0);
        double squares = 0, largest = 0, across = 0;
        for (std::size_t i = 0; i < p.a.size(); ++i)
            squares += p.a[i] * p.a[i], largest = std::max(largest, std::abs(p.a[i]));
        for (std::size_t i = 0; i < 400; ++i) across += p.a[i] * p.a[400 + i];
        if (how == adapter_start::kaiming) CHECK(largest <= 1.0 / 20);
        if (how == adapter_start::kaiming) CHECK(largest > 0.99 / 20);
        if (how == adapter_start::gaussian) CHECK(std::sqrt(squares / 1600) == doctest::Approx(0.25).epsilon(0.05));
        if (how == adapter_start::orthogonal) CHECK(squares == doctest::Approx(4).epsilon(1e-12));
        if (how == adapter_start::orthogonal) CHECK(std::abs(across) < 1e-13);
    }
}

TEST_CASE("adapter start: pissa finds the principal part of a weight, singular value by singular value") {
    // W = Σ σᵢ uᵢ vᵢᵀ with u, v of cosines, which are orthonormal; σ = 5, 3, 2, then small ones.
    index_t const out = 40, in = 24, rank = 3;
    double const sigma[] = {5, 3, 2, 0.4, 0.3, 0.2, 0.1};
    auto const mode = [](index_t n, index_t k, index_t i) {
        return std::sqrt(2.0 / static_cast<double>(n)) *
               std::cos(3.14159265358979323846 * (static_cast<double>(i) + 0.5) * static_cast<double>(k + 1) /
                        static_cast<double>(n));
    };
    std::vector<float> numbers(static_cast<std::size_t>(out * in));
    for (index_t o = 0; o < out; ++o)
        for (index_t i = 0; i < in; ++i) {
            double sum = 0;
            for (index_t k = 0; k < 7; ++k) sum += sigma[k] * mode(out, k, o) * mode(in, k, i);
            numbers[static_cast<std::size_t>(o * in + i)] = static_cast<float>(sum);
        }
    struct map {
        weight W;
        matrix<double> A, B;
        double s;
        std::uint32_t place;
    };
    pair_of_matrices p(rank, in, out);
    map const w{{reinterpret_cast<std::byte const*>(numbers.data()), out, in, f32}, p.A, p.B, 2.5, 3};
    std::vector<double> room(static_cast<std::size_t>(pissa_scratch<double>(in, out, rank)) + 8);
    auto* const start = room.data() + (64 - reinterpret_cast<std::uintptr_t>(room.data()) % 64) % 64 / 8;
    workers const on;
    pissa_start(w, 1, workspace<double>{start, &on}, on);
    for (index_t k = 0; k < rank; ++k) {
        double of_a = 0, of_b = 0;
        for (index_t i = 0; i < in; ++i) of_a += p.A(k, i) * p.A(k, i);
        for (index_t o = 0; o < out; ++o) of_b += p.B(o, k) * p.B(o, k);
        CHECK(of_a == doctest::Approx(sigma[k] / 2.5).epsilon(1e-6));
        CHECK(of_b == doctest::Approx(sigma[k] / 2.5).epsilon(1e-6));
    }
    for (index_t o = 0; o < out; ++o)
        for (index_t i = 0; i < in; ++i) {
            double sum = 0, principal = 0;
            for (index_t k = 0; k < rank; ++k)
                sum += 2.5 * p.B(o, k) * p.A(k, i), principal += sigma[k] * mode(out, k, o) * mode(in, k, i);
            CHECK(std::abs(sum - principal) < 1e-5);
        }
}
