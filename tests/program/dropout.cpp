// SPDX-License-Identifier: Apache-2.0
// Dropout in functions: the same key drops the same numbers, forward and back, however often it is computed.
#include <graft/program/recurrence.hpp>
#include <graft/tensor/reductions.hpp>

#include <tests/support/prepared.hpp>

using namespace graft_test;

namespace {

constexpr symbol<"x", any, any> x;
constexpr symbol<"dy", any, any> dy;
constexpr index_symbol<"key", 2> key;

struct arguments {
    tensor<double, any, any> x{37, 41}, ones{37, 41};
    tensor<std::int32_t, 2> key;
    arguments() {
        filled{}(x);
        std::fill_n(ones.all().data, ones.all().count(), 1.0);
        set(7, 3);
    }
    void set(std::int32_t seed, std::int32_t step) { key(0) = seed, key(1) = step; }
};

}  // namespace

TEST_CASE("dropout: the gradient's mask is the value's; the same key replays it, another seed or step does not") {
    arguments v;
    auto run = prepare<double>(vjp(dropout(x, 0.4, key), wrt(x), dy), x = v.ones, key = v.key, dy = v.ones);
    run();
    auto const mask = all_numbers(run.output<0>());
    CHECK(all_numbers(run.gradient(x)) == mask);
    index_t kept = 0;
    for (double m : mask) {
        CHECK((m == 0 || m == doctest::Approx(1 / 0.6)));
        kept += m != 0;
    }
    CHECK(std::abs(static_cast<double>(kept) / 1517 - 0.6) < 4 * std::sqrt(0.24 / 1517));  // four deviations
    v.set(7, 4), run();
    CHECK(all_numbers(run.output<0>()) != mask);
    CHECK(all_numbers(run.output<0>()) == all_numbers(run.gradient(x)));
    v.set(8, 3), run();
    CHECK(all_numbers(run.output<0>()) != mask);
    v.set(7, 3), run();
    CHECK(all_numbers(run.output<0>()) == mask);
}

TEST_CASE("dropout: at rate 0 nothing changes; close to 1 hardly anything stays; at 1 nothing") {
    arguments v;
    auto none = prepare<double>(vjp(dropout(x, 0.0, key), wrt(x), dy), x = v.x, key = v.key, dy = v.ones);
    none();
    CHECK(all_numbers(none.output<0>()) == all_numbers(v.x.all()));
    CHECK(all_numbers(none.gradient(x)) == all_numbers(v.ones.all()));
    auto most = prepare<double>(vjp(dropout(x, 0.999, key), wrt(x), dy), x = v.ones, key = v.key, dy = v.ones);
    most();
    index_t kept = 0;
    for (double m : most.output<0>().span()) {
        CHECK((m == 0 || m == doctest::Approx(1000)));
        kept += m != 0;
    }
    CHECK(kept < 12);
    CHECK(all_numbers(most.output<0>()) == all_numbers(most.gradient(x)));
    auto all = prepare<double>(vjp(dropout(x, 1.0, key), wrt(x), dy), x = v.x, key = v.key, dy = v.ones);
    all();
    for (double m : all.output<0>().span()) CHECK(m == 0);
    for (double m : all.gradient(x).span()) CHECK(m == 0);
}

TEST_CASE("dropout: the mean over steps is what goes in") {
    arguments v;
    auto run = prepare<double>(mean(dropout(x, 0.25, key)), x = v.ones, key = v.key);
    double total = 0;
    for (std::int32_t step = 0; step < 400; ++step) v.set(1, step), run(), total += run.value();
    CHECK(std::abs(total / 400 - 1) < 4 * std::sqrt(0.25 / 0.75 / (1517 * 400.0)));
}

TEST_CASE("dropout: inside other functions its gradient agrees with central differences, in both modes") {
    constexpr symbol<"v", any, any> direction;
    arguments v;
    constexpr auto loss = mean(square(tanh(dropout(sin(x), 0.5, key)) + 0.1 * x));
    auto one = prepare<double>(loss, x = v.x, key = v.key);
    auto run = prepare<double>(gradient(loss, wrt(x)), x = v.x, key = v.key);
    run();
    CHECK(off_differences(one, v.x, run.gradient(x)) <= 1);
    auto forward = prepare<double>(jvp(loss, wrt(x), along(direction)), x = v.x, key = v.key, direction = v.ones);
    forward();
    double expected = 0;
    for (double d : run.gradient(x).span()) expected += d;
    CHECK(forward.value() == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("dropout: a loop that computes its steps again drops the same numbers again") {
    static constexpr symbol<"in", any, any> in;
    static constexpr symbol<"h", any, any> h;
    static constexpr symbol<"mask", any, any> mask;
    static constexpr auto noisy = cell(in, states(h), parameters(mask), [](auto now, auto was, auto dropped) {
        return tanh(now + was * dropped);
    });
    static constexpr symbol<"xs", any, any, any> xs;
    static constexpr symbol<"start", any, any> start;
    tensor<double, any, any, any> X(9, 3, 5);
    tensor<double, any, any> H(3, 5);
    tensor<std::int32_t, 2> K;
    filled{}(X, H);
    K(0) = 1, K(1) = 2;
    // one mask for all steps, as in variational dropout
    auto const loss = []<through_time How>(std::integral_constant<through_time, How>) {
        constexpr auto dropped = dropout(start * 0.0 + 1.0, 0.5, key);
        return mean(square(scan<How | last_only>(noisy, dropout(xs, 0.2, key), start, dropped)));
    };
    auto const kept = loss(std::integral_constant<through_time, every_state>{});
    auto const again = loss(std::integral_constant<through_time, checkpointed()>{});
    auto a = prepare<double>(value_and_gradient(kept, wrt(xs, start)), xs = X, start = H, key = K);
    auto b = prepare<double>(value_and_gradient(again, wrt(xs, start)), xs = X, start = H, key = K);
    auto one = prepare<double>(again, xs = X, start = H, key = K);
    a(), b();
    CHECK(all_numbers(a.value(), a.gradient(xs), a.gradient(start)) ==
          all_numbers(b.value(), b.gradient(xs), b.gradient(start)));
    CHECK(off_differences(one, X, b.gradient(xs)) <= 1);
    CHECK(off_differences(one, H, b.gradient(start)) <= 1);
}
