// SPDX-License-Identifier: Apache-2.0
// Assignments through views and tensors: what is computed where. The functions themselves: tests/program/.
#include <graft/program/assign.hpp>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <vector>

using namespace graft;

namespace {

using list = std::vector<float>;
template <class X> list all_of(X const& x) { return {x.begin(), x.end()}; }

tensor<float, any, any> counted(index_t rows, index_t columns) {
    tensor<float, any, any> x(rows, columns);
    std::iota(x.begin(), x.end(), 1.0f);
    return x;
}

}  // namespace

TEST_CASE("assignment: an expression makes a tensor, or computes into one") {
    tensor<float, 2, 3> const a{{1, 2, 3}, {4, 5, 6}}, b(fill{2});
    tensor y = a * b + 1;
    static_assert(std::is_same_v<decltype(y), tensor<float, 2, 3>>);
    CHECK(all_of(y) == list{3, 5, 7, 9, 11, 13});
    y = a - y;
    CHECK(all_of(y) == list{-2, -3, -4, -5, -6, -7});
    y += b;
    y *= 2;
    CHECK(all_of(y) == list{0, -2, -4, -6, -8, -10});
    y -= a;
    y /= b;
    CHECK(all_of(y) == list{-0.5f, -2, -3.5f, -5, -6.5f, -8});
    y = b;
    CHECK(all_of(y) == list(6, 2.0f));

    auto const x = counted(3, 5);
    tensor z = -x;
    static_assert(std::is_same_v<decltype(z), tensor<float, any, any>>);
    CHECK(z.size(0) == 3);
    CHECK(z(2, 4) == -15);
    tensor const copy = x.all();
    CHECK(all_of(copy) == all_of(x));
    CHECK(copy.data() != x.data());
}

TEST_CASE("assignment: exact ones and missing axes stretch, nothing else does") {
    tensor<float, any, 3> y(2);
    tensor<float, 3> const row{1, 2, 3};
    tensor<float, any, 1> const column{{10}, {20}};
    y = row;
    CHECK(all_of(y) == list{1, 2, 3, 1, 2, 3});
    y = column;
    CHECK(all_of(y) == list{10, 10, 10, 20, 20, 20});
    y = row + column;
    CHECK(all_of(y) == list{11, 12, 13, 21, 22, 23});
    y += row;
    CHECK(all_of(y) == list{12, 14, 16, 22, 24, 26});
    y.all() = 4.0;
    CHECK(all_of(y) == list(6, 4.0f));
    tensor<float, any, 3> const three(3), one(1);
    CHECK_THROWS_AS(y = three * 1, failure);
    CHECK_THROWS_AS(y.all() = three, failure);
    CHECK_THROWS_AS(y = one * 2, failure);
    CHECK_THROWS_AS(y += three, failure);
    CHECK(all_of(y) == list(6, 4.0f));
}

TEST_CASE("assignment: windows as destinations and as operands") {
    auto x = counted(4, 6);
    tensor<float, any, any> const before = x;
    x(range(1, 3), range(2, 5)) = 0;
    CHECK(x(1, 1) == before(1, 1));
    CHECK(x(1, 2) == 0);
    CHECK(x(2, 4) == 0);
    CHECK(x(2, 5) == before(2, 5));
    CHECK(x(3, 3) == before(3, 3));
    x(range(), 0) = before(range(), 5) * 2;
    for (index_t i = 0; i < 4; ++i) CHECK(x(i, 0) == 2 * before(i, 5));
    x[3] = before[0] + before[1];
    for (index_t j = 0; j < 6; ++j) CHECK(x(3, j) == before(0, j) + before(1, j));
    x(range(0, 4, 2), range(0, 6, 3)) = before(range(2, 4), range(1, 3));
    CHECK(x(0, 3) == before(2, 2));
    CHECK(x(2, 0) == before(3, 1));

    tensor<float, any, any> turned(6, 4);
    turned = before.all().transposed();
    CHECK(turned(5, 2) == before(2, 5));
    turned.all().transposed() = before * 3;
    CHECK(turned(4, 3) == 3 * before(3, 4));
    tensor<float, any> diagonal(4);
    diagonal = before.all().diagonal();
    CHECK(all_of(diagonal) == list{1, 8, 15, 22});
    x.all().diagonal() = -diagonal;
    CHECK(x(3, 3) == -22);
    tensor<float, any> back(6);
    back = before[1].reversed<0>();
    CHECK(all_of(back) == list{12, 11, 10, 9, 8, 7});
    back.all().reversed<0>() = before[0] - 0;
    CHECK(all_of(back) == list{6, 5, 4, 3, 2, 1});
}

TEST_CASE("assignment: every window of every width is the scalar loop's") {
    for (index_t columns : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 35})
        for (index_t first = 0; first < 3 && first < columns; ++first) {
            auto const x = counted(3, columns);
            tensor<float, any, any> y(fill{-1}, 3, columns);
            y(range(), range(first, columns)) = x(range(), range(0, columns - first)) * 2 + 1;
            for (index_t i = 0; i < 3; ++i)
                for (index_t j = 0; j < columns; ++j)
                    CHECK(y(i, j) == (j < first ? -1 : 2 * x(i, j - first) + 1));
        }
}

TEST_CASE("assignment: where the destination is also an operand, the old numbers are read") {
    auto x = counted(3, 40);
    tensor<float, any, any> const old = x;
    auto const refill = [&] { std::copy(old.begin(), old.end(), x.begin()); };
    x = x * x;
    CHECK(x(2, 39) == old(2, 39) * old(2, 39));

    refill();
    x(range(), range(1, 40)) = x(range(), range(0, 39)) + 0;  // one to the right
    for (index_t i = 0; i < 3; ++i)
        for (index_t j = 1; j < 40; ++j) CHECK(x(i, j) == old(i, j - 1));
    refill();
    x(range(), range(0, 39)) = x(range(), range(1, 40));  // one to the left
    for (index_t i = 0; i < 3; ++i)
        for (index_t j = 0; j < 39; ++j) CHECK(x(i, j) == old(i, j + 1));
    refill();
    x = x.all().reversed<1>();
    for (index_t j = 0; j < 40; ++j) CHECK(x(1, j) == old(1, 39 - j));
    refill();
    auto const square = x.all().slice<1>(0, 3);
    square = square.transposed() + square;
    for (index_t i = 0; i < 3; ++i)
        for (index_t j = 0; j < 3; ++j) CHECK(x(i, j) == old(j, i) + old(i, j));
    refill();
    x -= x[1];  // the row itself becomes 0, and is read for the rows after it
    for (index_t i = 0; i < 3; ++i)
        for (index_t j = 0; j < 40; ++j) CHECK(x(i, j) == old(i, j) - old(1, j));
}

TEST_CASE("assignment: reductions and products make tensors of their shape") {
    auto const x = counted(2, 3);
    tensor total = sum(x);
    CHECK(total() == 21);
    tensor columns = sum<0>(x);
    CHECK(all_of(columns) == list{5, 7, 9});
    tensor rows_of_x = sum<1>(x, keep);
    CHECK(rows_of_x.size(1) == 1);
    CHECK(all_of(rows_of_x) == list{6, 15});
    tensor<float, 3, 2> const w{{1, 0}, {0, 1}, {1, 1}};
    tensor y = matmul(x, w);
    CHECK(y.size(0) == 2);
    CHECK(all_of(y) == list{4, 5, 10, 11});
    CHECK_THROWS_AS((y = matmul(counted(2, 4), w)), failure);
}

TEST_CASE("assignment: indices are copied and select rows") {
    tensor<std::int32_t, any> ids{2, 0, 2};
    tensor<std::int32_t, 3> same;
    same = ids;
    CHECK(std::equal(ids.begin(), ids.end(), same.begin()));
    same.all().reversed<0>() = ids(range());
    CHECK(same(1) == 0);
    auto const table = counted(3, 4);
    tensor picked = rows(table, ids);
    CHECK(picked.size(0) == 3);
    CHECK(picked(0, 3) == 12);
    CHECK(picked(1, 0) == 1);
}

TEST_CASE("assignment: into an arena, without the heap") {
    alignas(64) std::byte bytes[4096];
    arena from(bytes);
    tensor<float, 2, 3> const a{{1, 2, 3}, {4, 5, 6}};
    tensor<in_arena<float>, 2, any> y(from, exp(a * 0) + a);
    CHECK(y.size(1) == 3);
    CHECK(all_of(y) == list{2, 3, 4, 5, 6, 7});
    CHECK(from.taken() == 64);
}
