// SPDX-License-Identifier: Apache-2.0
// LSTM and GRU: values and gradients against PyTorch, in double; the ways through time against each other.
#include <graft/program/lstm.hpp>

#include <tests/program/torch_figures.hpp>
#include <tests/support/prepared.hpp>

using namespace graft_test;

namespace {

constexpr index_t steps = 5, batch = 2, inputs = 3, width = 2;

constexpr symbol<"xs", any, any, inputs> xs;
constexpr symbol<"seen", any, any, any> seen;

/// The arguments of one direction, for networks of `gates` gates.
template <index_t Gates, label H, label C, label Wi, label Wh, label Bi, label Bh>
struct way {
    static constexpr symbol<H, any, width> h{};
    static constexpr symbol<C, any, width> c{};
    static constexpr symbol<Wi, Gates * width, inputs> W_ih{};
    static constexpr symbol<Wh, Gates * width, width> W_hh{};
    static constexpr symbol<Bi, Gates * width> b_ih{};
    static constexpr symbol<Bh, Gates * width> b_hh{};
};
template <index_t Gates> using forth = way<Gates, "h", "c", "W_ih", "W_hh", "b_ih", "b_hh">;
template <index_t Gates>
using back = way<Gates, "h back", "c back", "W_ih back", "W_hh back", "b_ih back", "b_hh back">;

template <class T, index_t Gates>
struct way_values {
    tensor<T, any, width> h{batch}, c{batch};
    tensor<T, Gates * width, inputs> W_ih;
    tensor<T, Gates * width, width> W_hh;
    tensor<T, Gates * width> b_ih, b_hh;

    explicit way_values(filled& fill) {
        if constexpr (Gates == 4) fill(h, c, W_ih, W_hh, b_ih, b_hh);
        else fill(h, W_ih, W_hh, b_ih, b_hh);
    }
};

template <through_time How, class W, index_t Gates>
constexpr auto network() {
    if constexpr (Gates == 4) return lstm<How>(xs, W::h, W::c, W::W_ih, W::W_hh, W::b_ih, W::b_hh);
    else return gru<How>(xs, W::h, W::W_ih, W::W_hh, W::b_ih, W::b_hh);
}

/// Value and gradients of Σ seen · network, in the order of the figures.
template <through_time How, index_t Gates, class T = double>
std::vector<double> one_way() {
    using W = forth<Gates>;
    filled fill;
    tensor<T, any, any, inputs> X(steps, batch);
    fill(X);
    way_values<T, Gates> v(fill);
    tensor<T, any, any, any> Seen(steps, batch, width);
    fill(Seen);
    constexpr auto loss = sum(network<How, W, Gates>() * seen);
    if constexpr (Gates == 4) {
        auto run = prepare<T>(value_and_gradient(loss, wrt(xs, W::h, W::c, W::W_ih, W::W_hh, W::b_ih, W::b_hh)), xs = X,
                              seen = Seen, W::h = v.h, W::c = v.c, W::W_ih = v.W_ih, W::W_hh = v.W_hh,
                              W::b_ih = v.b_ih, W::b_hh = v.b_hh);
        run();
        return all_numbers(run.value(), run.gradient(xs), run.gradient(W::h), run.gradient(W::c), run.gradient(W::W_ih),
                          run.gradient(W::W_hh), run.gradient(W::b_ih), run.gradient(W::b_hh));
    } else {
        auto run = prepare<T>(value_and_gradient(loss, wrt(xs, W::h, W::W_ih, W::W_hh, W::b_ih, W::b_hh)), xs = X,
                              seen = Seen, W::h = v.h, W::W_ih = v.W_ih, W::W_hh = v.W_hh, W::b_ih = v.b_ih,
                              W::b_hh = v.b_hh);
        run();
        return all_numbers(run.value(), run.gradient(xs), run.gradient(W::h), run.gradient(W::W_ih),
                          run.gradient(W::W_hh), run.gradient(W::b_ih), run.gradient(W::b_hh));
    }
}

}  // namespace

TEST_CASE("lstm, gru: value and every gradient are PyTorch's") {
    CHECK(distance(one_way<every_state, 4>(), torch::lstm) < 1e-12);
    CHECK(distance(one_way<every_state, 3>(), torch::gru) < 1e-12);
    CHECK(distance(one_way<every_state, 4, float>(), torch::lstm) < 2e-6);
    CHECK(distance(one_way<every_state, 3, float>(), torch::gru) < 2e-6);
}

TEST_CASE("lstm, gru: cut every two steps, the gradient is PyTorch's with its states detached") {
    CHECK(distance(one_way<truncated(2), 4>(), torch::lstm_truncated) < 1e-12);
    CHECK(distance(one_way<truncated(2), 3>(), torch::gru_truncated) < 1e-12);
    CHECK(distance(torch::lstm, torch::lstm_truncated) > 1e-3);  // it makes a difference
    CHECK(one_way<truncated(steps), 4>() == one_way<every_state, 4>());
}

TEST_CASE("lstm, gru: what is kept does not change a bit") {
    auto const expected = one_way<every_state, 4, float>();
    CHECK(one_way<checkpointed(), 4, float>() == expected);
    CHECK(one_way<checkpointed(2), 4, float>() == expected);
    CHECK(one_way<checkpointed(9), 4, float>() == expected);
    CHECK(one_way<checkpointed(2) | truncated(2), 4, float>() == one_way<truncated(2), 4, float>());
    CHECK(one_way<checkpointed(3), 3, float>() == one_way<every_state, 3, float>());
}

TEST_CASE("lstm: both ways, one after the other along the last axis, are PyTorch's bidirectional network") {
    using F = forth<4>;
    using B = back<4>;
    filled fill;
    tensor<double, any, any, inputs> X(steps, batch);
    fill(X);
    way_values<double, 4> f(fill), b(fill);
    tensor<double, any, any, any> Seen(steps, batch, 2 * width);
    fill(Seen);
    constexpr auto loss = sum(concat<-1>(network<every_state, F, 4>(), network<backwards, B, 4>()) * seen);
    auto run = prepare<double>(value_and_gradient(loss, wrt(xs, F::h, F::c, F::W_ih, F::W_hh, F::b_ih, F::b_hh, B::h,
                                                            B::c, B::W_ih, B::W_hh, B::b_ih, B::b_hh)),
                               xs = X, seen = Seen, F::h = f.h, F::c = f.c, F::W_ih = f.W_ih, F::W_hh = f.W_hh,
                               F::b_ih = f.b_ih, F::b_hh = f.b_hh, B::h = b.h, B::c = b.c, B::W_ih = b.W_ih,
                               B::W_hh = b.W_hh, B::b_ih = b.b_ih, B::b_hh = b.b_hh);
    run();
    CHECK(distance(all_numbers(run.value(), run.gradient(xs), run.gradient(F::h), run.gradient(F::c),
                              run.gradient(F::W_ih), run.gradient(F::W_hh), run.gradient(F::b_ih),
                              run.gradient(F::b_hh), run.gradient(B::h), run.gradient(B::c), run.gradient(B::W_ih),
                              run.gradient(B::W_hh), run.gradient(B::b_ih), run.gradient(B::b_hh)),
                   torch::lstm_both_ways) < 1e-12);
}

TEST_CASE("gru: both ways are PyTorch's bidirectional network") {
    using F = forth<3>;
    using B = back<3>;
    filled fill;
    tensor<double, any, any, inputs> X(steps, batch);
    fill(X);
    way_values<double, 3> f(fill), b(fill);
    tensor<double, any, any, any> Seen(steps, batch, 2 * width);
    fill(Seen);
    constexpr auto loss = sum(concat<-1>(network<every_state, F, 3>(), network<backwards, B, 3>()) * seen);
    auto run = prepare<double>(
        value_and_gradient(loss,
                           wrt(xs, F::h, F::W_ih, F::W_hh, F::b_ih, F::b_hh, B::h, B::W_ih, B::W_hh, B::b_ih, B::b_hh)),
        xs = X, seen = Seen, F::h = f.h, F::W_ih = f.W_ih, F::W_hh = f.W_hh, F::b_ih = f.b_ih, F::b_hh = f.b_hh,
        B::h = b.h, B::W_ih = b.W_ih, B::W_hh = b.W_hh, B::b_ih = b.b_ih, B::b_hh = b.b_hh);
    run();
    CHECK(
        distance(all_numbers(run.value(), run.gradient(xs), run.gradient(F::h), run.gradient(F::W_ih),
                            run.gradient(F::W_hh), run.gradient(F::b_ih), run.gradient(F::b_hh), run.gradient(B::h),
                            run.gradient(B::W_ih), run.gradient(B::W_hh), run.gradient(B::b_ih), run.gradient(B::b_hh)),
                 torch::gru_both_ways) < 1e-12);
}

TEST_CASE("lstm: two layers, and the last output alone, against central differences") {
    using F = forth<4>;
    using B = back<4>;  // the arguments of the second layer, which sees the first one's width
    constexpr symbol<"W above", 4 * width, width> above;
    filled fill;
    tensor<double, any, any, inputs> X(steps, batch);
    fill(X);
    way_values<double, 4> f(fill), b(fill);
    tensor<double, 4 * width, width> Above;
    fill(Above);
    constexpr auto below = lstm<checkpointed()>(xs, F::h, F::c, F::W_ih, F::W_hh, F::b_ih, F::b_hh);
    constexpr auto last = lstm<checkpointed(2) | last_only>(below, B::h, B::c, above, B::W_hh, B::b_ih, B::b_hh);
    constexpr auto loss = mean(square(last - 0.3));
    auto const bound = [&](auto const& function) {
        return prepare<double>(function, xs = X, F::h = f.h, F::c = f.c, F::W_ih = f.W_ih, F::W_hh = f.W_hh,
                               F::b_ih = f.b_ih, F::b_hh = f.b_hh, B::h = b.h, B::c = b.c, above = Above,
                               B::W_hh = b.W_hh, B::b_ih = b.b_ih, B::b_hh = b.b_hh);
    };
    auto value = bound(loss);
    auto run = bound(value_and_gradient(loss, wrt(xs, F::h, F::c, F::W_ih, F::W_hh, F::b_hh, B::c, above, B::W_hh)));
    run(), value();
    CHECK(run.value() == value.value());
    CHECK(off_differences(value, X, run.gradient(xs)) <= 1);
    CHECK(off_differences(value, f.h, run.gradient(F::h)) <= 1);
    CHECK(off_differences(value, f.c, run.gradient(F::c)) <= 1);
    CHECK(off_differences(value, f.W_ih, run.gradient(F::W_ih)) <= 1);
    CHECK(off_differences(value, f.W_hh, run.gradient(F::W_hh)) <= 1);
    CHECK(off_differences(value, f.b_hh, run.gradient(F::b_hh)) <= 1);
    CHECK(off_differences(value, b.c, run.gradient(B::c)) <= 1);
    CHECK(off_differences(value, Above, run.gradient(above)) <= 1);
    CHECK(off_differences(value, b.W_hh, run.gradient(B::W_hh)) <= 1);
}
