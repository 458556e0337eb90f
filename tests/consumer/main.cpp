// SPDX-License-Identifier: Apache-2.0
// A program of another project: one include, a product, an expression, a gradient; core.cpp or hosted.cpp includes all
// again.
#include GRAFT_HEADER

/// What the program's other file computes with the same library is right.
bool other_file_agrees();

/// The slope of Σ silu(w x) at w = 0 is half the sum of x; tensors in place, memory of the caller's.
bool gradient_is_right() {
    constexpr graft::symbol<"x", 4> x;
    constexpr graft::symbol<"w"> w;
    constexpr auto slope = graft::gradient(sum(silu(w * x)), graft::wrt(w));
    graft::tensor<float, 4> const X{1, 2, 3, 4};
    graft::tensor<float> W;
    alignas(64) std::byte space[graft::bytes<float>(slope)];
    auto run = graft::prepare_in<float>(space, slope, x = X, w = W);
    run();
    graft::tensor<float, 4> y;
    y = 2.0f * X - 1.0f;
    return run.value() == 5 && y(3) == 7;
}

int main() {
    float a[] = {1, 2, 3, 4}, b[] = {1, 0, 2, 1}, c[4];
    graft::matrix<float> const A(a, 2, 2), B(b, 2, 2), C(c, 2, 2);
    C = A * t(B);
    return c[0] == 1 && c[1] == 4 && c[2] == 3 && c[3] == 10 && gradient_is_right() && other_file_agrees() ? 0 : 1;
}
