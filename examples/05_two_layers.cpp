// SPDX-License-Identifier: Apache-2.0
// A network of two layers tells three species of iris apart, on flowers that it never saw.
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

int main(int count, char** arguments) {
    tensor<float, 120, 4> seen;  // Fisher's 150 flowers: every fifth is held out
    tensor<float, 30, 4> unseen;
    tensor<std::int32_t, 120> species;
    tensor<std::int32_t, 30> answers;
    char const* const name = count > 1 ? arguments[1] : "examples/data/iris.csv";
    std::FILE* const file = std::fopen(name, "r");
    if (!file || std::fscanf(file, "%*[^\n]") != 0) return std::printf("cannot read %s\n", name), 1;
    for (int i = 0, train = 0, test = 0; i < 150; ++i) {
        bool const held_out = i % 5 == 4;
        float* const row = held_out ? &unseen(test, 0) : &seen(train, 0);
        int& kind = held_out ? answers(test++) : species(train++);
        if (std::fscanf(file, "%f,%f,%f,%f,%d", row, row + 1, row + 2, row + 3, &kind) != 5)
            return std::printf("%s: flower %d is not five numbers\n", name, i + 1), 1;
    }
    std::fclose(file);
    tensor centre = mean<0>(seen);
    tensor spread = sqrt(mean<0>(square(seen - centre)));
    seen = (seen - centre) / spread, unseen = (unseen - centre) / spread;

    constexpr symbol<"x", any, 4> x;
    constexpr index_symbol<"y", any> y;
    constexpr symbol<"A", 4, 16> A;
    constexpr symbol<"a", 16> a;
    constexpr symbol<"B", 16, 3> B;
    constexpr symbol<"b", 3> b;
    constexpr auto logits = matmul(tanh(matmul(x, A) + a), B) + b;
    constexpr auto loss = -mean(pick(log_softmax(logits), y));

    tensor<float, 4, 16> A1;
    tensor<float, 16> a1;
    tensor<float, 16, 3> B1;
    tensor<float, 3> b1;
    for (std::uint64_t k = 0; auto part : {A1.span(), B1.span()})
        for (float& p : part) p = static_cast<float>(uniform(1, 0, 0, k++)) - 0.5f;

    auto step = prepare<float>(value_and_gradient(loss, wrt(A, a, B, b)), x = seen, y = species,
                               A = A1, a = a1, B = B1, b = b1);
    auto guess = prepare<float>(argmax(logits), x = unseen, A = A1, a = a1, B = B1, b = b1);
    for (int k = 0; k <= 300; ++k) {
        step();
        if (k % 100 == 0) std::printf("step %3d: loss %.3f\n", k, step.value());
        A1 -= 0.3 * step.gradient(A), a1 -= 0.3 * step.gradient(a);
        B1 -= 0.3 * step.gradient(B), b1 -= 0.3 * step.gradient(b);
    }
    guess();
    int right = 0;
    for (int i = 0; i < 30; ++i) right += guess.value()(i) == answers(i);
    std::printf("%d of 30 held-out flowers right\n", right);
}
