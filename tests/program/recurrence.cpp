// SPDX-License-Identifier: Apache-2.0
// Loops of a cell: against the loop written out, central differences, and each other; their memory.
#include <graft/program/attention.hpp>
#include <graft/program/recurrence.hpp>

#include <tests/support/prepared.hpp>

#include <atomic>

using namespace graft_test;

namespace graft_test {
extern std::atomic<long> allocations;
}

namespace {

constexpr symbol<"x", any, any> x;
constexpr symbol<"h", any, any> h;
constexpr symbol<"W", any, any> W;
constexpr symbol<"U", any, any> U;
constexpr symbol<"b", any> b;
/// Its one state is its output.
constexpr auto elman = cell(x, states(h), parameters(W, U, b), [](auto in, auto was, auto A, auto B, auto c) {
    return tanh(matmul(in, A) + matmul(was, B) + c);
});
/// Two states of different shapes, neither of which is the output; one of them is a number for each row of the batch.
constexpr symbol<"total", any> total;
constexpr auto counting =
    cell(x, states(h, total), parameters(W, U, b), [](auto in, auto was, auto sum_so_far, auto A, auto B, auto c) {
        auto const now = tanh(matmul(in, A) + matmul(was, B) + c);
        auto const more = 0.9 * sum_so_far + sum<-1>(now * now);
        return next(now, more).emits(concat<-1>(now, insert_axis<1>(sin(more))));
    });

constexpr index_t inputs = 3, width = 4;
constexpr symbol<"xs", any, any, inputs> xs;
constexpr symbol<"h0", any, width> h0;
constexpr symbol<"total0", any> total0;
constexpr symbol<"W", inputs, width> A;
constexpr symbol<"U", width, width> B;
constexpr symbol<"b", width> c;

struct arguments {
    tensor<double, any, any, inputs> xs;
    tensor<double, any, width> h;
    tensor<double, any> total;
    tensor<double, inputs, width> W;
    tensor<double, width, width> U;
    tensor<double, width> b;
    explicit arguments(index_t steps, index_t batch = 2) : xs(steps, batch), h(batch), total(batch) {
        filled{}(xs, h, total, W, U, b);
    }
};
template <class F> auto bound(F const& f, arguments const& v) {
    return prepare<double>(f, xs = v.xs, h0 = v.h, A = v.W, B = v.U, c = v.b);
}
template <class F> auto bound_with_total(F const& f, arguments const& v) {
    return prepare<double>(f, xs = v.xs, h0 = v.h, total0 = v.total, A = v.W, B = v.U, c = v.b);
}

template <through_time How> constexpr auto elman_loss = mean(square(scan<How>(elman, xs, h0, A, B, c) - 0.2));
template <through_time How> constexpr auto counting_loss =
    mean(square(scan<How>(counting, xs, h0, total0, A, B, c) - 0.2));

template <through_time How> std::vector<double> elman_gradients(arguments const& v) {
    auto run = bound(value_and_gradient(elman_loss<How>, wrt(xs, h0, A, B, c)), v);
    run();
    return all_numbers(run.value(), run.gradient(xs), run.gradient(h0), run.gradient(A), run.gradient(B),
                      run.gradient(c));
}
template <through_time How> std::vector<double> counting_gradients(arguments const& v) {
    auto run = bound_with_total(value_and_gradient(counting_loss<How>, wrt(xs, h0, total0, A, B, c)), v);
    run();
    return all_numbers(run.value(), run.gradient(xs), run.gradient(h0), run.gradient(total0), run.gradient(A),
                      run.gradient(B), run.gradient(c));
}

template <through_time How> void check_differences(index_t steps) {
    arguments v(steps);
    auto one = bound(elman_loss<How>, v);
    auto run = bound(value_and_gradient(elman_loss<How>, wrt(xs, h0, A, B, c)), v);
    run(), one();
    CHECK(run.value() == one.value());
    CHECK(off_differences(one, v.xs, run.gradient(xs)) <= 1);
    CHECK(off_differences(one, v.h, run.gradient(h0)) <= 1);
    CHECK(off_differences(one, v.W, run.gradient(A)) <= 1);
    CHECK(off_differences(one, v.U, run.gradient(B)) <= 1);
    CHECK(off_differences(one, v.b, run.gradient(c)) <= 1);
    auto two = bound_with_total(counting_loss<How>, v);
    auto back = bound_with_total(value_and_gradient(counting_loss<How>, wrt(xs, h0, total0, A, B, c)), v);
    back(), two();
    CHECK(back.value() == two.value());
    CHECK(off_differences(two, v.xs, back.gradient(xs)) <= 1);
    CHECK(off_differences(two, v.h, back.gradient(h0)) <= 1);
    CHECK(off_differences(two, v.total, back.gradient(total0)) <= 1);
    CHECK(off_differences(two, v.W, back.gradient(A)) <= 1);
    CHECK(off_differences(two, v.U, back.gradient(B)) <= 1);
    CHECK(off_differences(two, v.b, back.gradient(c)) <= 1);
}

}  // namespace

TEST_CASE("scan: every gradient agrees with central differences") {
    check_differences<every_state>(1);
    check_differences<every_state>(5);
    check_differences<checkpointed(3) | backwards>(7);
    check_differences<checkpointed() | last_only>(7);
    check_differences<last_only | backwards>(4);
}

TEST_CASE("scan: the loop written out gives the same value and gradients") {
    constexpr auto written_out = formula(
        [](auto all, auto start, auto w, auto u, auto shift) {
            auto const at = [&]<int K>(std::integral_constant<int, K>) {
                return make(drop_axes_<0>{}, graft::part<0, K, 1>(all));
            };
            auto const step = [&](auto in, auto was) { return tanh(matmul(in, w) + matmul(was, u) + shift); };
            auto const one = step(at(std::integral_constant<int, 0>{}), start);
            auto const two = step(at(std::integral_constant<int, 1>{}), one);
            auto const three = step(at(std::integral_constant<int, 2>{}), two);
            return mean(square(concat<0>(insert_axis<0>(one), insert_axis<0>(two), insert_axis<0>(three)) - 0.2));
        },
        xs, h0, A, B, c);
    arguments v(3);
    auto run = bound(value_and_gradient(written_out, wrt(xs, h0, A, B, c)), v);
    run();
    auto const expected = all_numbers(run.value(), run.gradient(xs), run.gradient(h0), run.gradient(A), run.gradient(B),
                                     run.gradient(c));
    CHECK(distance(elman_gradients<every_state>(v), expected) < 1e-14);
}

TEST_CASE("scan: which states are kept does not change a bit") {
    arguments const v(7);
    auto const one = elman_gradients<last_only>(v), two = counting_gradients<every_state>(v);
    CHECK(elman_gradients<last_only | checkpointed()>(v) == one);
    CHECK(elman_gradients<last_only | checkpointed(2)>(v) == one);
    CHECK(elman_gradients<last_only | checkpointed(50)>(v) == one);
    CHECK(counting_gradients<checkpointed()>(v) == two);
    CHECK(counting_gradients<checkpointed(7)>(v) == two);
    CHECK(counting_gradients<checkpointed(6)>(v) == two);
}

TEST_CASE("scan: a gradient cut every k steps sees k steps") {
    arguments const v(6);
    auto const whole = elman_gradients<last_only>(v), cut = elman_gradients<last_only | truncated(2)>(v);
    index_t const one_step = 2 * inputs;
    CHECK(cut[0] == whole[0]);
    for (index_t k = 0; k < 6 * one_step; ++k) {  // the last two steps of the input
        double const x_gradient = cut[static_cast<std::size_t>(1 + k)];
        if (k < 4 * one_step) CHECK(x_gradient == 0);
        else CHECK(x_gradient == whole[static_cast<std::size_t>(1 + k)]);
    }
    CHECK(elman_gradients<last_only | truncated(6)>(v) == whole);
    CHECK(elman_gradients<last_only | truncated(3) | checkpointed(2)>(v) ==
          elman_gradients<last_only | truncated(3)>(v));
}

TEST_CASE("scan: backwards is forwards on the steps in reverse") {
    arguments v(5), turned(5);
    for (index_t n = 0; n < 5; ++n) turned.xs[n] = v.xs[4 - n];
    auto a = bound(scan(elman, xs, h0, A, B, c), v);
    auto z = bound(scan<backwards>(elman, xs, h0, A, B, c), turned);
    a(), z();
    for (index_t n = 0; n < 5; ++n)
        CHECK(all_numbers(a.value()[n]) == all_numbers(z.value()[4 - n]));
}

TEST_CASE("scan: a cell may call rules, which find their memory inside the loop's") {
    static constexpr symbol<"seen", any, any, 3> seen;
    static constexpr symbol<"mind", any, any, 3> mind;
    static constexpr auto reading = cell(seen, states(mind), parameters(), [](auto now, auto was) {
        return tanh(was + attention(was, now, now));
    });
    static constexpr symbol<"all", any, any, any, 3> all;
    tensor<double, any, any, any, 3> X(4, 2, 6);
    tensor<double, any, any, 3> H(2, 5);
    filled{}(X, H);
    constexpr auto loss = mean(square(scan<checkpointed(2)>(reading, all, mind)));
    auto one = prepare<double>(loss, all = X, mind = H);
    auto run = prepare<double>(value_and_gradient(loss, wrt(all, mind)), all = X, mind = H);
    run();
    CHECK(off_differences(one, X, run.gradient(all)) <= 1);
    CHECK(off_differences(one, H, run.gradient(mind)) <= 1);
}

TEST_CASE("scan: no step at all") {
    arguments v(0);
    auto run = bound(value_and_gradient(sum(scan(elman, xs, h0, A, B, c)) + sum(h0), wrt(xs, h0, A, c)), v);
    run();
    CHECK(run.gradient(xs).count() == 0);
    for (double d : run.gradient(h0).span()) CHECK(d == 1);
    for (double d : run.gradient(A).span()) CHECK(d == 0);
    for (double d : run.gradient(c).span()) CHECK(d == 0);
}

TEST_CASE("scan: memory is planned when compiling; checkpoints need less; running takes nothing from the heap") {
    constexpr auto planned = [](auto const& loss, index_t steps) {
        return bytes<double>(function(gradient(loss, wrt(A, B))), xs = sizes_t{3, {steps, 8, inputs}},
                             h0 = sizes_t{2, {8, width}}, A = sizes_t{2, {inputs, width}},
                             B = sizes_t{2, {width, width}}, c = sizes_t{1, {width}});
    };
    constexpr index_t all = planned(elman_loss<last_only>, 400),
                      some = planned(elman_loss<last_only | checkpointed()>, 400);
    static_assert(all > 400 * 8 * width * index_t{sizeof(double)});  // every state of every step
    static_assert(some < all / 5);
    arguments v(400, 8);
    auto run = bound(gradient(elman_loss<last_only | checkpointed()>, wrt(A, B)), v);
    long const before = allocations;
    run(), run();
    CHECK(allocations == before);
    auto const value = run.gradient(B)(1, 1);
    auto other = bound(gradient(elman_loss<last_only>, wrt(A, B)), v);
    other();
    CHECK(other.gradient(B)(1, 1) == value);
}
