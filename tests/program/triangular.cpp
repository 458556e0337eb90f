// SPDX-License-Identifier: Apache-2.0
// Products with lower triangular matrices: against matmul of matrices with zeros, and central differences.
#include <graft/parallel/thread_pool.hpp>
#include <graft/program/triangular.hpp>

#include <tests/support/prepared.hpp>

#include <limits>

using namespace graft_test;

namespace {

constexpr symbol<"q", any, any, any> q;
constexpr symbol<"x", any, any, any> x;
constexpr symbol<"shared", any, any> shared;
constexpr symbol<"dy", any, any, any> dy;

struct sizes_of_case { index_t matrices, order, columns; };
sizes_of_case const all_sizes[] = {{1, 1, 1},   {2, 2, 3},   {3, 7, 9},   {2, 8, 8},   {1, 9, 24},
                                   {2, 10, 25}, {3, 13, 41}, {2, 20, 16}, {1, 33, 50}, {2, 64, 17}};

/// Above their diagonals the matrices of `q` have no number, those of `zeros` 0.
template <class T>
struct operands {
    sizes_of_case n;
    tensor<T, any, any, any> q, zeros, x, dy;
    explicit operands(sizes_of_case s)
        : n(s), q(s.matrices, s.order, s.order), zeros(s.matrices, s.order, s.order), x(s.matrices, s.order, s.columns),
          dy(s.matrices, s.order, s.columns) {
        filled{}(q, x, dy);
        for (index_t m = 0; m < n.matrices; ++m)
            for (index_t i = 0; i < n.order; ++i)
                for (index_t j = 0; j < n.order; ++j) {
                    if (j > i) q(m, i, j) = std::numeric_limits<T>::quiet_NaN();
                    zeros(m, i, j) = j > i ? T(0) : q(m, i, j);
                }
    }
    tensor<T, any, any> first() const {
        tensor<T, any, any> r(n.order, n.columns);
        for (index_t i = 0; i < n.order; ++i)
            for (index_t j = 0; j < n.columns; ++j) r(i, j) = x(0, i, j);
        return r;
    }
    /// The gradient by a full matrix, as that by its triangle.
    void cut(std::vector<double>& all, std::size_t from) const {
        for (index_t m = 0; m < n.matrices; ++m)
            for (index_t i = 0; i < n.order; ++i)
                for (index_t j = i + 1; j < n.order; ++j)
                    all[from + static_cast<std::size_t>((m * n.order + i) * n.order + j)] = 0;
    }
};

template <class T>
void check(sizes_of_case const& n, double tolerance) {
    operands<T> o(n);
    auto const values = static_cast<std::size_t>(n.matrices * n.order * n.columns);
    auto run = prepare<T>(vjp(lower_matmul(q, x), wrt(q, x), dy), q = o.q, x = o.x, dy = o.dy);
    auto full = prepare<T>(vjp(matmul(q, x), wrt(q, x), dy), q = o.zeros, x = o.x, dy = o.dy);
    run(), full();
    auto want = all_numbers(full.template output<0>(), full.gradient(q), full.gradient(x));
    o.cut(want, values);
    CHECK(distance(all_numbers(run.template output<0>(), run.gradient(q), run.gradient(x)), want) < tolerance);

    auto const one = o.first();
    auto run_one = prepare<T>(vjp(lower_matmul(q, shared), wrt(q, shared), dy), q = o.q, shared = one, dy = o.dy);
    auto full_one = prepare<T>(vjp(matmul(q, insert_axis<0>(shared)), wrt(q, shared), dy), q = o.zeros, shared = one,
                               dy = o.dy);
    run_one(), full_one();
    want = all_numbers(full_one.template output<0>(), full_one.gradient(q), full_one.gradient(shared));
    o.cut(want, values);
    CHECK(distance(all_numbers(run_one.template output<0>(), run_one.gradient(q), run_one.gradient(shared)), want) <
          tolerance);
}

}  // namespace

TEST_CASE("lower_matmul: the value and gradients are those of a matrix with zeros above its diagonal") {
    for (auto const& n : all_sizes) {
        INFO("matrices ", n.matrices, ", order ", n.order, ", columns ", n.columns);
        check<double>(n, 1e-13);
        check<float>(n, 1e-4);
    }
}

TEST_CASE("lower_matmul: one matrix; gradients agree with central differences") {
    constexpr symbol<"a", any, any> a;
    constexpr symbol<"b", any, any> b;
    constexpr auto loss = mean(square(lower_matmul(a, b) - 0.1));
    tensor<double, any, any> A(11, 11), B(11, 5);
    filled{}(A, B);
    auto value = prepare<double>(loss, a = A, b = B);
    auto run = prepare<double>(gradient(loss, wrt(a, b)), a = A, b = B);
    run();
    CHECK(off_differences(value, A, run.gradient(a)) <= 1);
    CHECK(off_differences(value, B, run.gradient(b)) <= 1);
    CHECK(run.gradient(a)(3, 4) == 0);
    CHECK(run.gradient(a)(4, 3) != 0);
}

TEST_CASE("lower_matmul: no matrices, no columns") {
    operands<double> none({0, 5, 4}), narrow({2, 5, 0});
    auto run = prepare<double>(vjp(lower_matmul(q, x), wrt(q, x), dy), q = none.q, x = none.x, dy = none.dy);
    run();
    auto empty = prepare<double>(vjp(lower_matmul(q, x), wrt(q, x), dy), q = narrow.q, x = narrow.x, dy = narrow.dy);
    empty();
    for (double d : empty.gradient(q).span()) CHECK(d == 0);
    tensor<double, any, any> one(5, 4);
    filled{}(one);
    auto alone = prepare<double>(vjp(lower_matmul(q, shared), wrt(shared), dy), q = none.q, shared = one, dy = none.dy);
    alone();
    for (double d : alone.gradient(shared).span()) CHECK(d == 0);
}

TEST_CASE("lower_matmul: threads change no bit; sizes that do not fit are refused") {
    operands<double> o({5, 21, 35});
    thread_pool pool(3);
    auto const f = vjp(lower_matmul(q, x), wrt(q, x), dy);
    auto one = prepare<double>(f, q = o.q, x = o.x, dy = o.dy);
    auto many = prepare_on<double>(pool.handle(nullptr, 0), f, q = o.q, x = o.x, dy = o.dy);
    one(), many();
    CHECK(all_numbers(one.output<0>(), one.gradient(q), one.gradient(x)) ==
          all_numbers(many.output<0>(), many.gradient(q), many.gradient(x)));
    tensor<double, any, any, any> wide(5, 21, 22), fewer(4, 21, 35);
    CHECK_THROWS_AS(prepare<double>(lower_matmul(q, x), q = wide, x = o.x), failure);
    CHECK_THROWS_AS(prepare<double>(lower_matmul(q, x), q = o.q, x = fewer), failure);
}
