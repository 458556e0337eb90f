// SPDX-License-Identifier: Apache-2.0
// A function and its derivatives: Rosenbrock's valley, walked down by Newton's method.
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

int main() {
    constexpr symbol<"x", 2> x;
    constexpr symbol<"v", 2> v;

    // f(a, b) = 100 (b − a²)² + (1 − a)²
    constexpr auto a = part<0, 0, 1>(x);
    constexpr auto b = part<0, 1, 1>(x);
    constexpr auto f = sum(100 * square(b - square(a)) + square(1 - a));

    tensor<double, 2> X{-1.2, 1}, V{1, 0};
    auto slope = prepare<double>(value_and_gradient(f, wrt(x)), x = X);
    auto bend = prepare<double>(hessian_vector(f, wrt(x), along(v)), x = X, v = V);

    slope(), bend();  // memory was planned and taken before: a run allocates nothing
    auto const g = slope.gradient(x), h = bend.value();
    std::printf("f = %.2f, gradient = (%.1f, %.1f), Hessian times (1, 0) = (%.1f, %.1f)\n",
                slope.value(), g(0), g(1), h(0), h(1));

    for (int step = 1; step <= 6; ++step) {
        V = {1, 0}, bend();
        double const aa = h(0), ab = h(1);
        V = {0, 1}, bend();
        double const bb = h(1), determinant = aa * bb - ab * ab;
        slope();
        double const to_a = (bb * g(0) - ab * g(1)) / determinant;
        double const to_b = (aa * g(1) - ab * g(0)) / determinant;
        X -= tensor<double, 2>{to_a, to_b};  // a run sees what X and V hold then
        std::printf("step %d: f was %.6f, now at (%.6f, %.6f)\n", step, slope.value(), X(0), X(1));
    }
}
