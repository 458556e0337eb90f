// SPDX-License-Identifier: Apache-2.0
// Logistic regression: damage to the space shuttle's O-rings, by the temperature at launch.
#include <graft/graft.hpp>

#include <cmath>
#include <cstdio>

using namespace graft;

int main() {
    // The 23 launches before Challenger's last: degrees Fahrenheit, and whether a ring was damaged.
    tensor<double, 23> fahrenheit{66, 70, 69, 68, 67, 72, 73, 70, 57, 63, 70, 78,
                                  67, 53, 67, 75, 70, 81, 76, 79, 75, 76, 58};
    tensor<double, 23> damaged{0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1};

    constexpr symbol<"x", 23> x;
    constexpr symbol<"y", 23> y;
    constexpr symbol<"w"> w;  // one number each
    constexpr symbol<"b"> b;

    // −log p(y | x) of a logistic model, with no logarithm of zero: ln(1 + eᶻ) − y z.
    constexpr auto z = w * x + b;
    constexpr auto loss = mean(softplus(z) - y * z);

    tensor X = (fahrenheit - 70) / 10;  // of a size that gradient descent likes
    tensor<double> W, B;
    auto step =
        prepare<double>(value_and_gradient(loss, wrt(w, b)), x = X, y = damaged, w = W, b = B);

    for (int k = 0; k < 1000; ++k) {
        step();
        if (k == 0) std::printf("loss %.4f without knowledge, which is ln 2\n", step.value());
        W -= step.gradient(w);
        B -= step.gradient(b);
    }
    step();
    double const slope = W() / 10, intercept = B() - 7 * W();
    std::printf("loss %.4f\n", step.value());
    std::printf("log-odds of damage = %.4f %+.4f per degree\n", intercept, slope);
    for (int degrees : {75, 65, 55, 31})
        std::printf("%d F: %.2f %%\n", degrees, 100 / (1 + std::exp(-intercept - slope * degrees)));
}
