// SPDX-License-Identifier: Apache-2.0
// Optimizers step by step beside PyTorch's and geoopt's: tests/oracle/trajectories.py says how the figures were made.
#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/muon.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/optimizer/stiefel.hpp>
#include <tests/optimizer/trajectory_figures.hpp>
#include <tests/support/parameter_trial.hpp>

#include <doctest/doctest.h>

using namespace graft;
using graft_test::parameter_trial;
namespace figures = graft_test::trajectory;

namespace {

constexpr std::size_t rows = 12, columns = 3;

double sine(double factor, std::size_t i, std::size_t j, std::size_t width) {
    auto const n = static_cast<double>(width * i + j + 1);
    return std::sin(factor * (n * n));
}

/// Mᵀ (M x − N).
std::vector<double> gradient(std::vector<double> const& x) {
    auto const m = [](std::size_t i, std::size_t j) { return sine(1.7, i, j, rows) / 2; };
    std::vector<double> off(rows * columns), g(rows * columns);
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j) {
            off[i * columns + j] = -sine(0.9, i, j, columns);
            for (std::size_t l = 0; l < rows; ++l) off[i * columns + j] += m(i, l) * x[l * columns + j];
        }
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j)
            for (std::size_t l = 0; l < rows; ++l) g[i * columns + j] += m(l, i) * off[l * columns + j];
    return g;
}

std::vector<double> plane() {
    std::vector<double> x;
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j) x.push_back(sine(2.3, i, j, columns));
    return x;
}

std::vector<double> transposed(std::vector<double> const& x, std::size_t width) {
    std::vector<double> t;
    for (std::size_t j = 0; j < width; ++j)
        for (std::size_t i = 0; i < x.size() / width; ++i) t.push_back(x[i * width + j]);
    return t;
}

/// The largest distance of a number after 40 steps from what the oracle has.
template <class O>
double departure(O const& how, std::vector<double> const& first, std::vector<double> const& wanted, bool wide = false) {
    piece const of = wide ? piece{role::lora_a, 3, 12} : piece{role::lora_b, 12, 3};
    parameter_trial<double, O> run(how, of);
    run.x = wide ? transposed(first, 3) : first;
    for (int t = 0; t < 40; ++t) {
        auto const g = gradient(wide ? transposed(run.x, 12) : run.x);
        run.step(wide ? transposed(g, 3) : g, 0.05);
    }
    auto const last = wide ? transposed(run.x, 12) : run.x;
    double most = 0;
    for (std::size_t i = 0; i < last.size(); ++i) most = std::max(most, std::abs(last[i] - wanted[i]));
    return most;
}

template <class R, class M>
double on_manifold(M momentum, std::vector<double> const& wanted) {
    return departure(stiefel<R, M>{.momentum = momentum}, figures::start, wanted);
}

}  // namespace

TEST_CASE("trajectories: in the plane, beside PyTorch") {
    CHECK(departure(sgd{}, plane(), figures::sgd) < 1e-10);
    CHECK(departure(sgd{.momentum = 0.9}, plane(), figures::sgd_momentum) < 1e-10);
    CHECK(departure(sgd{.momentum = 0.9, .nesterov = true}, plane(), figures::sgd_nesterov) < 1e-10);
    CHECK(departure(adamw{.weight_decay = 0.1}, plane(), figures::adamw) < 1e-10);
    CHECK(departure(muon{}, plane(), figures::muon) < 1e-10);
}

TEST_CASE("trajectories: A's layout changes nothing but muon's factor") {
    CHECK(departure(adamw{.weight_decay = 0.1}, plane(), figures::adamw, true) < 1e-10);
    CHECK(departure(sgd{.momentum = 0.9}, plane(), figures::sgd_momentum, true) < 1e-10);
}

TEST_CASE("trajectories: on the manifold, beside geoopt") {
    CHECK(on_manifold<cholesky_qr>(riemannian_sgd{0}, figures::riemannian_sgd) < 1e-10);
    CHECK(on_manifold<cholesky_qr>(riemannian_sgd{0.9}, figures::riemannian_sgd_momentum) < 1e-10);
    CHECK(on_manifold<cholesky_qr>(riemannian_adam{}, figures::riemannian_adam) < 1e-10);
}

TEST_CASE("trajectories: on the manifold, beside the dense Cayley transform and the polar factor of the SVD") {
    CHECK(on_manifold<cayley>(riemannian_sgd{0.9}, figures::cayley_sgd) < 1e-10);
    CHECK(on_manifold<polar>(riemannian_sgd{0.9}, figures::polar_sgd) < 1e-10);
    CHECK(on_manifold<cayley>(riemannian_adam{}, figures::cayley_adam) < 1e-10);
    CHECK(on_manifold<polar>(riemannian_adam{}, figures::polar_adam) < 1e-10);
    CHECK(on_manifold<polar>(projected_adamw{}, figures::projected_adamw) < 1e-10);
}

TEST_CASE("trajectories: the figures tell the methods apart") {
    CHECK(on_manifold<polar>(riemannian_sgd{0.9}, figures::cayley_sgd) > 1e-4);
    CHECK(on_manifold<cholesky_qr>(riemannian_sgd{0.9}, figures::polar_sgd) > 1e-4);
    CHECK(departure(sgd{.momentum = 0.9}, plane(), figures::sgd_nesterov) > 1e-4);
    CHECK(departure(adamw{}, plane(), figures::adamw) > 1e-4);
}
