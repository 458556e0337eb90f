// SPDX-License-Identifier: Apache-2.0
// An operation of your own: its forward, its pull, and gradients flow through it like through any.
#include <graft/graft.hpp>

#include <cmath>
#include <cstdio>

using namespace graft;

/// y_j = x_0 + … + x_j along each row.
struct running_sum { using kind = running_sum; };

template <> struct graft::rule<running_sum> : careful {
    static constexpr reads pull_reads{};  // neither x nor y: it is linear

    template <class T> static void forward(auto const&, matrix<T> y, matrix<T> x) {
        for (index_t i = 0; i < x.rows; ++i) {
            T sum = 0;
            for (index_t j = 0; j < x.columns; ++j) y(i, j) = sum += x(i, j);
        }
    }
    /// dx_j += dy_j + … + dy_last. What is fresh was not written yet.
    template <class T> static void pull(auto const&, matrix<T> dy, matrix<T>, matrix<T> dx) {
        for (index_t i = 0; i < dy.rows; ++i) {
            T sum = 0;
            for (index_t j = dy.columns; j-- > 0;) {
                sum += dy(i, j);
                dx(i, j) = dx.fresh ? sum : dx(i, j) + sum;
            }
        }
    }
};

int main() {
    constexpr symbol<"steps", any, any> steps;
    constexpr symbol<"path", any, any> path;
    constexpr auto loss = mean(square(apply<running_sum>(tanh(steps)) - path));

    tensor<double, any, any> S(2, 5), P{{1, 2, 3, 2, 1}, {0, -1, 0, 1, 2}};
    auto step = prepare<double>(value_and_gradient(loss, wrt(steps)), steps = S, path = P);

    step();
    std::printf("loss %.4f at first\n", step.value());
    for (int k = 0; k < 400; ++k) step(), S -= 0.5 * step.gradient(steps);
    step();
    std::printf("loss %.4f at last\n", step.value());

    double const exact = step.gradient(steps)(1, 3), nudge = 1e-5;
    S(1, 3) += nudge, step();
    double const above = step.value();
    S(1, 3) -= 2 * nudge, step();
    double const difference = std::abs((above - step.value()) / (2 * nudge) - exact);
    std::printf("its gradient differs from a central difference by less than 1e-8: %s\n",
                difference < 1e-8 ? "yes" : "no");
}
