// SPDX-License-Identifier: Apache-2.0
// Prepared functions: their memory is what the plan says, and a caller's mistakes are failures with numbers.
#include <graft/program/assign.hpp>
#include <graft/program/prepare_heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <tests/support/operation.hpp>
#include <tests/support/operation_rules.hpp>

using namespace graft_test;

namespace {

/// The failure of f.
template <class F>
error failure_of(F f) {
    try {
        f();
    } catch (failure const& e) {
        return e.details;
    }
    FAIL("nothing failed");
    return {};
}
template <class F>
bool refused(F f, fault kind, index_t given, index_t wanted) {
    error const e = failure_of(f);
    bool const fits = e.kind == kind && e.given == given && e.wanted == wanted;
    if (!fits) MESSAGE(e.what << ": " << e.given << ", wanted " << e.wanted);
    return fits;
}

constexpr symbol<"a", any, any> a{};
constexpr symbol<"b", any> b{};
constexpr symbol<"table", any, 6> six{};
constexpr index_symbol<"ids", any> ids{};

constexpr auto layers = formula([](auto X, auto W) {
    auto const h = tanh(matmul(X, W));
    auto const g = tanh(matmul(h, W));
    return mean(square(tanh(matmul(g, W)) - X));
}, a, symbol<"w", any, any>{});
constexpr symbol<"w", any, any> w{};

}  // namespace

TEST_CASE("prepare: bytes are known when compiling, and are what the running program takes") {
    constexpr auto f = value_and_gradient(layers, wrt(w));
    constexpr index_t planned = bytes<float>(f, a = sizes_t{2, {20, 8}}, w = sizes_t{2, {8, 8}});
    static_assert(planned > 20 * 8 * 4 && planned < 16 * 20 * 8 * 4, "values die: fewer than all that are computed");
    tensor<float, any, any> X(20, 8), W(8, 8);
    X = 0.5f, W = 0.25f;
    CHECK(prepare<float>(f, a = X, w = W).planned() == planned);
    CHECK(bytes<double>(f, a = sizes_t{2, {20, 8}}, w = sizes_t{2, {8, 8}}) > planned);
}

TEST_CASE("prepare: too little memory, or memory off its alignment, is refused with the numbers") {
    constexpr auto f = value_and_gradient(layers, wrt(w));
    tensor<float, any, any> X(20, 8), W(8, 8);
    index_t const size = bytes<float>(f, a = X, w = W);
    guarded memory(size);
    auto const at = memory.span();
    auto const some = [&](std::size_t n) { return [&, n] { prepare_in<float>(at.first(n), f, a = X, w = W); }; };
    CHECK(refused(some(at.size() - 1), fault::memory, size - 1, size));
    CHECK(refused(some(0), fault::memory, 0, size));
    guarded more(size + 64);
    CHECK(refused([&] { prepare_in<float>(more.span().subspan(4), f, a = X, w = W); }, fault::memory, 4, 0));
}

TEST_CASE("prepare: a rule's scratch is part of the bytes") {
    sizes_t const n{2, {16, 16}};
    index_t const with = bytes<double>(gradient(sum(apply<scaled_square>(a, w)), wrt(a)), a = n, w = n);
    index_t const without = bytes<double>(gradient(sum(apply<slanted>(a, w)), wrt(a)), a = n, w = n);
    CHECK(with - without >= 16 * 16 * 8);
}

TEST_CASE("prepare: sizes that do not fit are failures that name both") {
    tensor<double, any, any> X(2, 3), T(5, 3);
    tensor<double, any> four(4);
    tensor<std::int32_t, any> I(2);
    auto const with = [&](auto const& f, auto const&... bindings) { return [&] { prepare<double>(f, bindings...); }; };
    CHECK(refused(with(a + b, a = X, b = four), fault::shape, 4, 3));
    CHECK(refused(with(rms_norm(a, b), a = X, b = four), fault::shape, 4, 3));
    CHECK(refused(with(layer_norm(a, b, b), a = X, b = four), fault::shape, 4, 3));
    CHECK(refused(with(matmul(a, w), a = X, w = T), fault::shape, 5, 3));
    CHECK(refused(with(concat<0>(a, transpose(w)), a = X, w = T), fault::shape, 5, 3));
    CHECK(refused(with(part<0, 1, 4>(a), a = X), fault::bounds, 5, 2));
    CHECK(refused(with(split_axis<1, 2>(a), a = X), fault::shape, 3, 2));
    CHECK(refused(with(pick(a, ids), a = T, ids = I), fault::shape, 2, 5));
    CHECK(refused(with(sum(six), six = X), fault::shape, 3, 6));
    CHECK(refused(with(a + b, a = X), fault::shape, 0, 1));  // b stands for nothing
    CHECK(refused(with(vjp(a * 2.0, wrt(a), w), a = X, w = T), fault::shape, 5, 2));
    CHECK(refused(with(apply<dotted>(a, w), a = X, w = T), fault::shape, 5, 2));
}

TEST_CASE("prepare: indices out of range, and rows without a number, are failures of the run") {
    tensor<double, any, any> X(2, 3), empty(2, 0);
    tensor<std::int32_t, any> I(2);
    X = 1.0;
    auto const lookup = prepare<double>(rows(a, ids), a = X, ids = I);
    I(0) = 1, I(1) = 2;
    CHECK(refused([&] { lookup(); }, fault::bounds, 2, 2));
    I(1) = -1;
    CHECK(refused([&] { lookup(); }, fault::bounds, -1, 2));
    auto const picked = prepare<double>(pick(a, ids), a = X, ids = I);
    picked();  // −1 picks none
    CHECK(picked.value()(1) == 0);
    I(1) = 3;
    CHECK(refused([&] { picked(); }, fault::bounds, 3, 3));
    CHECK(refused([&] { prepare<double>(argmax(a), a = empty)(); }, fault::shape, 0, 1));
    I(0) = I(1) = -1;
    auto const none = prepare<double>(pick(a, ids), a = empty, ids = I);
    none();
    CHECK(none.value()(0) == 0);
    CHECK(none.value()(1) == 0);
}

TEST_CASE("prepare: an argument may become another tensor of its sizes, and a refused one changes nothing") {
    tensor<double, any, any> X(2, 3), Y(2, 3), T(5, 3);
    X = 1.0, Y = 2.0, T = 3.0;
    auto run = prepare<double>(sum(a), a = X);
    run();
    CHECK(run.value() == 6);
    CHECK(refused([&] { run.bind(a = T); }, fault::shape, 15, 6));
    run();
    CHECK(run.value() == 6);
    run.bind(a = Y);
    run();
    CHECK(run.value() == 12);
}

TEST_CASE("prepare: what is one number, is shown, or does not depend on what it is differentiated by") {
    tensor<double, any, any> X(2, 3);
    tensor<double, any> W(3);
    for (index_t k = 0; k < 6; ++k) X.all().span()[static_cast<std::size_t>(k)] = static_cast<double>(k + 1);
    W = 4.0;
    // the gradient of a rule that gives one number starts from the number 1
    auto const rule_of_one = prepare<double>(gradient(apply<dotted>(a, a * 2.0), wrt(a)), a = X);
    rule_of_one();
    for (index_t k = 0; k < 6; ++k) CHECK(rule_of_one.gradient(a).data[k] == 4 * X.all().data[k]);
    auto const ones = prepare<double>(value_and_gradient(sum(a), wrt(a)), a = X);
    ones();
    CHECK(ones.value() == 21);
    for (index_t k = 0; k < 6; ++k) CHECK(ones.gradient(a).data[k] == 1);
    auto const zeros = prepare<double>(gradient(sum(a) + sum(detach(b)), wrt(b)), a = X, b = W);
    zeros();
    for (index_t k = 0; k < 3; ++k) CHECK(zeros.gradient(b)(k) == 0);
    auto const itself = prepare<double>(function(a, transpose(a), sum(b)), a = X, b = W);
    itself();
    CHECK(itself.output<0>()(1, 2) == 6);
    CHECK(itself.output<1>()(2, 1) == 6);
    CHECK(*itself.output<2>().data == 12);
    auto const second = prepare<double>(hessian_vector(sum(pow(a, 3.0)), wrt(a), along(w)), a = X, w = X);
    second();
    for (index_t k = 0; k < 6; ++k)
        CHECK(second.output<0>().data[k] == doctest::Approx(6 * X.all().data[k] * X.all().data[k]));
}

TEST_CASE("prepare: a norm's weight may stretch, as every operand does") {
    constexpr symbol<"one", 1> one{};
    constexpr symbol<"each", any, any> every{};
    box const x = domain{}.made(sized({3, 5}), 1), u = domain{}.made(sized({1}), 2);
    box const p = domain{}.made(sized({3, 5}), 3);
    auto const plain = outputs_of<double>(function(rms_norm(a, one, 0.01)), {x, u}, 0, a, one)[0];
    auto const full = outputs_of<double>(function(rms_norm(a, every, 0.01)), {x, p}, 0, a, every)[0];
    auto const layer = outputs_of<double>(function(layer_norm(a, every, one, 0.01)), {x, p, u}, 0, a, every, one)[0];
    for (index_t i = 0; i < 3; ++i) {
        double squares = 0, mean = 0, variance = 0;
        for (index_t j = 0; j < 5; ++j) squares += x[i * 5 + j] * x[i * 5 + j] / 5, mean += x[i * 5 + j] / 5;
        for (index_t j = 0; j < 5; ++j) variance += (x[i * 5 + j] - mean) * (x[i * 5 + j] - mean) / 5;
        for (index_t k = i * 5; k < i * 5 + 5; ++k) {
            CHECK(plain[k] == doctest::Approx(x[k] / std::sqrt(squares + 0.01) * u[0]).epsilon(1e-12));
            CHECK(full[k] == doctest::Approx(x[k] / std::sqrt(squares + 0.01) * p[k]).epsilon(1e-12));
            CHECK(layer[k] == doctest::Approx((x[k] - mean) / std::sqrt(variance + 0.01) * p[k] + u[0]).epsilon(1e-12));
        }
    }
}
