// SPDX-License-Identifier: Apache-2.0
// Losses: values and gradients against PyTorch in double, against central differences, and where numbers are large.
#include <graft/program/losses.hpp>

#include <tests/program/torch_figures.hpp>
#include <tests/support/prepared.hpp>

using namespace graft_test;

namespace {

constexpr symbol<"x", any, any> x;
constexpr symbol<"y", any, any> y;
constexpr symbol<"w", any> w;
constexpr symbol<"r", any> r;
constexpr symbol<"each", any, any> each;
constexpr index_symbol<"t", any> wanted;

struct rows_of_logits {
    tensor<double, any, any> x;
    tensor<double, any> r, w;
    tensor<std::int32_t, any> t;
    rows_of_logits() : x(6, 4), r(6), w(4), t(6) {
        filled{}(x, r, w);
        for (auto* v : {&r, &w})
            for (double& d : v->all().span()) d = std::abs(d);
        std::int32_t const given[]{2, -1, 0, 3, 3, -1};
        std::copy_n(given, 6, t.all().data);
    }
};

}  // namespace

TEST_CASE("cross_entropy: value and gradient are PyTorch's, without weights, with weights of classes and of rows") {
    rows_of_logits v;
    auto plain = prepare<double>(value_and_gradient(cross_entropy(x, wanted), wrt(x)), x = v.x, wanted = v.t);
    plain();
    CHECK(distance(all_numbers(plain.value(), plain.gradient(x)), torch::cross_entropy) < 1e-14);
    auto classes = prepare<double>(value_and_gradient(cross_entropy(x, wanted, class_weights(w)), wrt(x)), x = v.x,
                                   wanted = v.t, w = v.w);
    classes();
    CHECK(distance(all_numbers(classes.value(), classes.gradient(x)), torch::cross_entropy_classes) < 1e-14);
    auto both = prepare<double>(value_and_gradient(cross_entropy(x, wanted, class_weights(w), weighted(r)), wrt(x, r)),
                                x = v.x, wanted = v.t, w = v.w, r = v.r);
    both();
    CHECK(distance(all_numbers(both.value(), both.gradient(x), both.gradient(r)), torch::cross_entropy_both) < 1e-14);
}

TEST_CASE("cross_entropy: gradients by logits and both weights agree with central differences") {
    rows_of_logits v;
    constexpr auto loss = cross_entropy(x, wanted, class_weights(w), weighted(r));
    auto one = prepare<double>(loss, x = v.x, wanted = v.t, w = v.w, r = v.r);
    auto run = prepare<double>(gradient(loss, wrt(x, w, r)), x = v.x, wanted = v.t, w = v.w, r = v.r);
    run();
    CHECK(off_differences(one, v.x, run.gradient(x)) <= 1);
    CHECK(off_differences(one, v.w, run.gradient(w)) <= 1);
    CHECK(off_differences(one, v.r, run.gradient(r)) <= 1);
}

TEST_CASE("cross_entropy: rows without a target add exactly nothing; without any target the loss is 0") {
    rows_of_logits v;
    auto run = prepare<double>(value_and_gradient(cross_entropy(x, wanted), wrt(x)), x = v.x, wanted = v.t);
    run();
    double const before = run.value();
    for (index_t j = 0; j < 4; ++j) CHECK(run.gradient(x)(1, j) == 0);
    for (index_t j = 0; j < 4; ++j) v.x(1, j) = 1e300, v.x(5, j) = -17;
    run();
    CHECK(run.value() == before);
    for (index_t j = 0; j < 4; ++j) CHECK(run.gradient(x)(5, j) == 0);
    std::fill_n(v.t.all().data, 6, -1);
    run();
    CHECK(run.value() == 0);
    for (double d : run.gradient(x).span()) CHECK(d == 0);
    v.t(3) = 4;
    CHECK_THROWS_AS(run(), failure);
}

TEST_CASE("cross_entropy: large logits neither overflow nor lose the gradient; sequences of rows may have more axes") {
    constexpr symbol<"z", 1, 2, 3> z;
    constexpr index_symbol<"s", 1, 2> s;
    tensor<float, 1, 2, 3> Z;
    tensor<std::int32_t, 1, 2> S;
    float const given[]{1000, -1000, 0, 88, 89, 90};
    std::copy_n(given, 6, Z.all().data), S(0, 0) = 1, S(0, 1) = 2;
    auto run = prepare<float>(value_and_gradient(cross_entropy(z, s), wrt(z)), z = Z, s = S);
    run();
    CHECK(run.value() == doctest::Approx((2000 + std::log(1 + std::exp(-1.0) + std::exp(-2.0))) / 2));
    CHECK(run.gradient(z)(0, 0, 0) == 0.5f);
    CHECK(run.gradient(z)(0, 0, 1) == -0.5f);
    CHECK(run.gradient(z)(0, 1, 2) == doctest::Approx(0.5 / (1 + std::exp(-1.0) + std::exp(-2.0)) - 0.5));
}

TEST_CASE("binary_cross_entropy, mean_squared_error, huber: values and gradients are PyTorch's") {
    tensor<double, any, any> X(5, 3), Y(5, 3), Each(5, 3);
    tensor<double, any> P(3);
    filled{}(X, Y, Each, P);
    for (auto numbers : {Y.all().span(), Each.all().span(), P.all().span()})
        for (double& d : numbers) d = std::abs(d);
    auto const figures = [&](auto const& loss) {
        auto run = prepare<double>(value_and_gradient(loss, wrt(x)), x = X, y = Y);
        run();
        return all_numbers(run.value(), run.gradient(x));
    };
    CHECK(distance(figures(binary_cross_entropy(x, y)), torch::binary) < 1e-14);
    CHECK(distance(figures(mean_squared_error(x, y)), torch::squared) < 1e-14);
    CHECK(distance(figures(huber(x, y, 0.5)), torch::huber) < 1e-14);
    auto run =
        prepare<double>(value_and_gradient(binary_cross_entropy(x, y, positive_weights(w), weighted(each)), wrt(x)),
                        x = X, y = Y, w = P, each = Each);
    run();
    CHECK(distance(all_numbers(run.value(), run.gradient(x)), torch::binary_weights) < 1e-14);
}

TEST_CASE("binary_cross_entropy: one number as the weight of the positives; every gradient; large logits") {
    tensor<double, any, any> X(5, 3), Y(5, 3), Each(5, 3);
    filled{}(X, Y, Each);
    constexpr auto loss = binary_cross_entropy(x, y, positive_weights(3)) + binary_cross_entropy(x, y, weighted(each));
    auto one = prepare<double>(loss, x = X, y = Y, each = Each);
    auto run = prepare<double>(gradient(loss, wrt(x, y, each)), x = X, y = Y, each = Each);
    run();
    CHECK(off_differences(one, X, run.gradient(x)) <= 1);
    CHECK(off_differences(one, Y, run.gradient(y)) <= 1);
    CHECK(off_differences(one, Each, run.gradient(each)) <= 1);
    tensor<float, any, any> large(1, 4), label(1, 4);
    float const logits[]{2000, -2000, 2000, -2000}, labels[]{1, 0, 0, 1};
    std::copy_n(logits, 4, large.all().data), std::copy_n(labels, 4, label.all().data);
    auto far = prepare<float>(value_and_gradient(binary_cross_entropy(x, y), wrt(x)), x = large, y = label);
    far();
    CHECK(far.value() == 1000.0f);
    CHECK(all_numbers(far.gradient(x)) == std::vector<double>{0, 0, 0.25, -0.25});
}

TEST_CASE("cross_entropy: forward mode over reverse mode gives the Hessian times a vector") {
    constexpr symbol<"v", any, any> direction;
    rows_of_logits v;
    tensor<double, any, any> V(6, 4);
    for (index_t k = 0; k < 24; ++k) V.all().data[k] = std::cos(static_cast<double>(k));
    auto product = prepare<double>(hessian_vector(cross_entropy(x, wanted), wrt(x), along(direction)), x = v.x,
                                   wanted = v.t, direction = V);
    auto slope = prepare<double>(gradient(cross_entropy(x, wanted), wrt(x)), x = v.x, wanted = v.t);
    product();
    double const step = 1e-5;
    auto const moved = [&](double by) {
        for (index_t k = 0; k < 24; ++k) v.x.all().data[k] += by * V.all().data[k];
        slope();
        return all_numbers(slope.gradient(x));
    };
    auto const up = moved(step), down = moved(-2 * step);
    auto const found = all_numbers(product.output<0>());
    for (std::size_t k = 0; k < found.size(); ++k)
        CHECK(found[k] == doctest::Approx((up[k] - down[k]) / (2 * step)).epsilon(1e-7));
}
