// SPDX-License-Identifier: Apache-2.0
// Memory known when compiling: a training step in an array of exactly its size, without a heap.
#include <graft/firmware.hpp>

#include <cstdio>

using namespace graft;

int main() {
    // A network that learns the exclusive or: 2 → 8 → 1, four rows at a time.
    constexpr symbol<"rows", 4, 2> rows_in;
    constexpr symbol<"wanted", 4, 1> wanted;
    constexpr symbol<"A", 2, 8> A;
    constexpr symbol<"a", 8> a;
    constexpr symbol<"B", 8, 1> B;
    constexpr auto out = matmul(tanh(matmul(rows_in, A) + a), B);
    constexpr auto step = value_and_gradient(mean(square(out - wanted)), wrt(A, a, B));

    constexpr index_t budget = bytes<float>(step);  // all values and gradients of a step
    static_assert(budget <= 512, "a step must fit beside the radio stack");
    alignas(64) static std::byte memory[budget];

    static tensor<float, 4, 2> X{{-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
    static tensor<float, 4, 1> Y{{-1}, {1}, {1}, {-1}};
    static tensor<float, 2, 8> A1{{0.9f, -0.7f, 0.4f, -0.2f, 0.8f, -0.5f, 0.3f, -0.6f},
                                  {-0.8f, 0.6f, 0.5f, 0.3f, -0.9f, -0.4f, 0.7f, 0.2f}};
    static tensor<float, 8> a1;
    static tensor<float, 8, 1> B1(fill{0.1});

    auto const run =
        prepare_in<float>(memory, step, rows_in = X, wanted = Y, A = A1, a = a1, B = B1);
    std::printf("a step takes %td bytes beside its arguments\n", run.planned());
    for (int k = 0; k <= 60; ++k) {
        run();
        if (k % 20 == 0) std::printf("step %2d: loss %.3f\n", k, run.value());
        A1 -= 0.3 * run.gradient(A), a1 -= 0.3 * run.gradient(a), B1 -= 0.3 * run.gradient(B);
    }
}
