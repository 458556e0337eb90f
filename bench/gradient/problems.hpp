// SPDX-License-Identifier: Apache-2.0
// The problems of bench/gradient, their data, and what a library brings to the comparison: one function per problem.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

/// Numbers in [-1, 1), the same in bench/peers/jax_gradient.py, which draws in the same order.
struct generator {
    std::uint32_t state;
    double operator()() {
        state = state * 1664525u + 1013904223u;
        return state / 2147483648.0 - 1;
    }
    long below(long n) {
        return static_cast<long>((*this)() * 0.5 * static_cast<double>(n) + 0.5 * static_cast<double>(n));
    }
    void fill(std::vector<double>& to, std::size_t n, double scale, double middle = 0) {
        for (std::size_t i = 0; i < n; ++i) to.push_back(middle + scale * (*this)());
    }
};

/// The logarithm of a Gaussian mixture's likelihood, with a Wishart prior on the precisions' factors.
///
/// parameters   alphas (components) | means (components × width) | factors (components × width (width + 1) / 2);
///              a factor is lower triangular, Q: the logarithms q of its diagonal, then its columns below the diagonal
/// value        -N D/2 log 2π + sum over i of log sum over k of exp(alpha(k) + sum(q(k)) - |Q(k) (x(i) - mean(k))|²/2)
///              - N log sum over k of exp(alpha(k)) + sum over k of (gamma² |Q(k)|²/2 - m sum(q(k)))
///              - K (n D (log gamma - log(2)/2) - log Γ_D(n/2)),   n = D + m + 1
/// results      1; the gradient is laid out as the parameters
struct mixture {
    long points, width, components;
    double gamma = 0.8, m = 2, constant = 0;  // constant: the terms without parameters
    std::vector<double> parameters, x;        // x: points × width
    long factor() const { return width * (width + 1) / 2; }
    mixture(long n, long d, long k) : points(n), width(d), components(k) {
        auto const size = [](long s) { return static_cast<std::size_t>(s); };
        generator draw{1};
        draw.fill(parameters, size(k), 1);
        draw.fill(parameters, size(k * d), 0.5);
        for (long j = 0; j < k; ++j) {
            draw.fill(parameters, size(d), 0.2);
            draw.fill(parameters, size(factor() - d), 0.5 / std::sqrt(static_cast<double>(d)));
        }
        draw.fill(x, size(n * d), 1);
        double const width_ = static_cast<double>(d), freedom = width_ + m + 1, pi = 3.14159265358979323846;
        double gammas = 0.25 * width_ * (width_ - 1) * std::log(pi);
        for (long j = 1; j <= d; ++j) gammas += std::lgamma(0.5 * (freedom + 1 - static_cast<double>(j)));
        constant = -0.5 * static_cast<double>(n) * width_ * std::log(2 * pi) -
                   static_cast<double>(k) * (freedom * width_ * (std::log(gamma) - 0.5 * std::log(2.0)) - gammas);
    }
};

/// The mean cross-entropy of softmax(W2 tanh(W1 x + b1) + b2).
///
/// parameters   W1 (hidden × in) | b1 | W2 (out × hidden) | b2
/// results      1; the gradient is laid out as the parameters
struct network {
    long rows = 256, in = 32, hidden = 64, out = 10;
    std::vector<double> parameters, x;  // x: rows × in
    std::vector<long> labels;
    network() {
        auto const size = [](long s) { return static_cast<std::size_t>(s); };
        generator draw{2};
        draw.fill(parameters, size(hidden * in), 0.25);
        draw.fill(parameters, size(hidden), 0.1);
        draw.fill(parameters, size(out * hidden), 0.2);
        draw.fill(parameters, size(out), 0.1);
        draw.fill(x, size(rows * in), 1);
        for (long i = 0; i < rows; ++i) labels.push_back(draw.below(out));
    }
};

/// Residuals of a bundle adjustment: a point seen by a camera.
///
/// camera       rotation vector r (3, never zero), centre C (3), focal length f, principal point (2), distortion k (2)
/// observation  of point X with weight w:  p = (R(r) (X - C)) / its third number,  s = |p|²,
///              residual = w (f (1 + k1 s + k2 s²) p + principal point - feature),  weight's residual = 1 - w²
/// results      residuals (observations × 2) | weights' residuals (observations)
/// derivative   observations × 2 × 15 (camera, point, weight) | observations
struct bundle {
    static constexpr long camera = 11, columns = 15;
    long cameras = 50, points = 2000, observations = 10'000;
    std::vector<double> camera_parameters, point_parameters, weights, features;
    std::vector<long> camera_of, point_of;
    bundle() {
        generator draw{3};
        for (long i = 0; i < cameras; ++i) {
            draw.fill(camera_parameters, 1, 0.15, 0.3);
            draw.fill(camera_parameters, 2, 0.2);
            draw.fill(camera_parameters, 3, 0.5);
            draw.fill(camera_parameters, 1, 100, 500);
            draw.fill(camera_parameters, 2, 10);
            draw.fill(camera_parameters, 1, 0.1);
            draw.fill(camera_parameters, 1, 0.02);
        }
        for (long i = 0; i < points; ++i) {
            draw.fill(point_parameters, 2, 1);
            draw.fill(point_parameters, 1, 1, 6);
        }
        for (long i = 0; i < observations; ++i) {
            draw.fill(weights, 1, 0.3, 1);
            draw.fill(features, 2, 100);
            camera_of.push_back(draw.below(cameras));
            point_of.push_back(draw.below(points));
        }
    }
};

/// What is timed. Tapes, copies of the data and scratch are made before, and are not; parameters are read at each call.
struct work {
    std::function<void(double* results)> function;
    std::function<void(double* results, double* derivative)> gradient;  // both, as training needs them
};

struct contender {
    std::string name, version;
    work (*log_likelihood)(mixture const&);
    work (*cross_entropy)(network const&);
    work (*reprojection)(bundle const&);
};

}  // namespace bench

/// Each contender's shared object defines its own; cost.cpp knows which were built.
[[gnu::visibility("default")]] bench::contender bench_contender_adolc();
[[gnu::visibility("default")]] bench::contender bench_contender_graft();
[[gnu::visibility("default")]] bench::contender bench_contender_hand();
