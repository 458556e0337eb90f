// SPDX-License-Identifier: Apache-2.0
// A recurrent network learns to add binary numbers of 8 bits, then adds numbers of 60 bits.
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

/// Sums of two numbers, a bit a step, the lowest first: two inputs and one wanted output.
struct sums {
    tensor<float, any, any, 2> in;  // steps × sums × 2
    tensor<float, any, any, 1> out;
    sums(index_t bits, index_t count) : in(bits, count), out(bits, count) {
        for (std::uint64_t k = 0; float& bit : in) bit = uniform(1, 0, 0, k++) < 0.5 ? 0 : 1;
        for (index_t n = 0; n < count; ++n)
            for (int k = 0, sum = 0; k < bits; ++k) {
                sum = sum / 2 + static_cast<int>(in(k, n, 0) + in(k, n, 1));
                out(k, n, 0) = static_cast<float>(sum % 2);
            }
    }
};

/// What is carried on, from a step's input and what was carried until then.
constexpr auto remember = [](auto x, auto h, auto W, auto U) {
    return tanh(matmul(x, W) + matmul(h, U));
};

int main() {
    constexpr symbol<"x", any, 2> x;
    constexpr symbol<"h", any, 8> h;
    constexpr symbol<"W", 2, 8> W;
    constexpr symbol<"U", 8, 8> U;
    constexpr auto adder = cell(x, states(h), parameters(W, U), remember);
    constexpr symbol<"xs", any, any, 2> xs;
    constexpr symbol<"ys", any, any, 1> ys;
    constexpr symbol<"V", 8, 1> V;
    constexpr symbol<"b", 1> b;
    constexpr auto z = matmul(scan(adder, xs, h, W, U), V) + b;  // the loop over all steps
    constexpr auto loss = mean(softplus(z) - ys * z);

    tensor<float, 2, 8> w;
    tensor<float, 8, 8> u;
    tensor<float, 8, 1> v;
    tensor<float, 1> c;
    for (std::uint64_t k = 0; auto part : {w.span(), u.span(), v.span()})
        for (float& p : part) p = static_cast<float>(uniform(2, 0, 0, k++)) - 0.5f;

    sums const eight(8, 100), sixty(60, 100);
    tensor<float, 100, 8> const zeros;
    auto step = prepare<float>(value_and_gradient(loss, wrt(W, U, V, b)), xs = eight.in,
                               ys = eight.out, h = zeros, W = w, U = u, V = v, b = c);
    for (int k = 0; k <= 1000; ++k) {
        step();
        if (k % 250 == 0) std::printf("step %4d: loss %.3f\n", k, step.value());
        w -= step.gradient(W), u -= step.gradient(U), v -= step.gradient(V), c -= step.gradient(b);
    }
    auto wrong = prepare<float>(mean((z > 0) != ys), xs = sixty.in, ys = sixty.out, h = zeros,
                                W = w, U = u, V = v, b = c);
    wrong(), std::printf("wrong bits of 60: %.2f\n", 60 * wrong.value());
}
