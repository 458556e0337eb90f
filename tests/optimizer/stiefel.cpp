// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizer/stiefel.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <vector>

using namespace graft;

namespace {

/// Zeroed memory whose first byte is on a boundary of 64.
struct aligned {
    std::vector<std::byte> all;
    explicit aligned(index_t bytes) : all(static_cast<std::size_t>(bytes + 64)) {}
    std::byte* data() {
        void* p = all.data();
        std::size_t room = all.size();
        return static_cast<std::byte*>(std::align(64, 1, p, room));
    }
};

template <class T>
double error_of(std::vector<T> const& b, index_t rows, index_t r) {
    double sum = 0;
    for (index_t i = 0; i < r; ++i)
        for (index_t j = 0; j < r; ++j) {
            double dot = i == j ? -1 : 0;
            for (index_t o = 0; o < rows; ++o)
                dot += static_cast<double>(b[static_cast<std::size_t>(o * r + i)]) *
                       static_cast<double>(b[static_cast<std::size_t>(o * r + j)]);
            sum += dot * dot;
        }
    return std::sqrt(sum);
}

/// max over the manifold of −⟨C, B⟩ for a fixed C: the gradient is C, the optimum −polar(C).
template <class T, class O>
struct descent {
    index_t rows, r;
    piece of{role::lora_b, rows, r};
    O o{};
    std::vector<T> b, c;
    aligned state, scratch;

    descent(index_t n, index_t k, O how = {})
        : rows(n), r(k), o(how), b(static_cast<std::size_t>(n * k)), c(b.size()),
          state(o.template state_bytes<T>(of)), scratch(o.template scratch_bytes<T>(of)) {
        gaussian(c.data(), n * k, 0, 3, 4, 5);
        o.start(of, b.data(), 1, 2, scratch.data());
    }
    double value() const {
        double sum = 0;
        for (std::size_t i = 0; i < b.size(); ++i) sum += static_cast<double>(b[i]) * static_cast<double>(c[i]);
        return sum;
    }
    void run(index_t steps, double rate) {
        for (index_t t = 1; t <= steps; ++t)
            o.apply(update<T>{of, b.data(), c.data(), state.data(), scratch.data(), rate, 1, t});
    }
};

template <class O>
void stays_and_falls(double rate) {
    descent<float, O> d(192, 16);
    CHECK(error_of(d.b, 192, 16) < 1e-6);
    double const before = d.value();
    d.run(1000, rate);
    CHECK(error_of(d.b, 192, 16) <= 1e-6);
    double nuclear = 0;  // of 192 × 16 Gaussian numbers: the least value is −Σ σ, about 16 √192
    nuclear = 16 * std::sqrt(192.0);
    CHECK(d.value() < before);
    CHECK(d.value() < -0.95 * nuclear);
}

}  // namespace

TEST_CASE("stiefel: a thousand float steps stay on the manifold and reach the optimum, whatever the pair") {
    stays_and_falls<stiefel<cholesky_qr, riemannian_sgd>>(0.01);
    stays_and_falls<stiefel<polar, riemannian_sgd>>(0.01);
    stays_and_falls<stiefel<cayley, riemannian_sgd>>(0.01);
    stays_and_falls<stiefel<cholesky_qr, riemannian_adam>>(0.02);
    stays_and_falls<stiefel<polar, riemannian_adam>>(0.02);
    stays_and_falls<stiefel<cayley, riemannian_adam>>(0.02);
    stays_and_falls<stiefel<cholesky_qr, projected_adamw>>(0.002);
    stays_and_falls<stiefel<polar, projected_adamw>>(0.002);
    stays_and_falls<stiefel<cayley, projected_adamw>>(0.002);
}

TEST_CASE("stiefel: everything but B is the other optimizer's") {
    std::vector<double> p{1, 2, 3, 4}, q = p, g{1, -1, 2, 0.5};
    stiefel<> const o;
    piece const a{role::lora_a, 2, 2};
    aligned s(o.state_bytes<double>(a)), t(adamw{}.state_bytes<double>(a));
    CHECK(o.state_bytes<double>(a) == adamw{}.state_bytes<double>(a));
    o.apply(update<double>{a, p.data(), g.data(), s.data(), nullptr, 0.1, 1, 1});
    adamw{}.apply(update<double>{a, q.data(), g.data(), t.data(), nullptr, 0.1, 1, 1});
    CHECK(p == q);
    CHECK_FALSE(o.constrains(a));
    CHECK_FALSE(o.constrains({role::lora_b, 3, 4}));
    CHECK(o.constrains({role::lora_b, 4, 4}));
}

TEST_CASE("stiefel: settling keeps B A, also where columns depend on each other or are nothing") {
    index_t const rows = 9, r = 4, in = 5;
    std::vector<double> b(static_cast<std::size_t>(rows * r)), a(static_cast<std::size_t>(r * in)), before(45);
    gaussian(b.data(), rows * r, 0, 1, 1, 1);
    gaussian(a.data(), r * in, 0, 2, 2, 2);
    for (std::size_t o = 0; o < 9; ++o) b[o * 4 + 2] = 2 * b[o * 4] - b[o * 4 + 1], b[o * 4 + 3] = 0;
    auto const product_of = [&](std::size_t o, std::size_t k) {
        double sum = 0;
        for (std::size_t j = 0; j < 4; ++j) sum += b[o * 4 + j] * a[j * 5 + k];
        return sum;
    };
    for (std::size_t o = 0; o < 9; ++o)
        for (std::size_t k = 0; k < 5; ++k) before[o * 5 + k] = product_of(o, k);
    stiefel<> const s;
    piece const of{role::lora_b, rows, r};
    aligned scratch(s.scratch_bytes<double>(of));
    s.settle(of, b.data(), a.data(), in, scratch.data());
    CHECK(error_of(b, rows, r) < 1e-14);
    for (std::size_t o = 0; o < 9; ++o)
        for (std::size_t k = 0; k < 5; ++k)
            CHECK(product_of(o, k) == doctest::Approx(before[o * 5 + k]).epsilon(1e-12));
}

TEST_CASE("stiefel: a probe lies on the manifold, where its direction points") {
    index_t const rows = 24, r = 3;
    stiefel<> const s;
    piece const of{role::lora_b, rows, r};
    aligned scratch(s.scratch_bytes<double>(of));
    std::vector<double> b(72), z(72);
    s.start(of, b.data(), 1, 1, scratch.data());
    gaussian(z.data(), 72, 0, 5, 5, 5);
    double const small = 1e-5;
    std::vector<double> plus = b, minus = b;
    for (std::size_t i = 0; i < 72; ++i) plus[i] += small * z[i], minus[i] -= small * z[i];
    s.retract_probe(of, b.data(), plus.data(), scratch.data());
    s.retract_probe(of, b.data(), minus.data(), scratch.data());
    CHECK(error_of(plus, rows, r) < 1e-14);
    auto tangent = z;
    detail::tangent_space::in(scratch.data(), r).project(tangent.data(), b.data(), rows, r);
    for (std::size_t i = 0; i < 72; ++i)
        CHECK((plus[i] - minus[i]) / (2 * small) == doctest::Approx(tangent[i]).epsilon(1e-6));
}
