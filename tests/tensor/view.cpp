// SPDX-License-Identifier: Apache-2.0
#include <graft/tensor/view.hpp>

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <numeric>
#include <vector>

using namespace graft;

namespace {

/// 0, 1, 2, … as 2 × 3 × 4.
struct counted {
    std::array<float, 24> numbers;
    view<float, 2, 3, 4> v{numbers.data()};
    counted() { std::iota(numbers.begin(), numbers.end(), 0.0f); }
    counted(counted const&) = delete;
};

/// All numbers of a view of rank 2.
template <class V>
std::vector<float> all_of(V const& v) {
    std::vector<float> r;
    for (index_t i = 0; i < v.size(0); ++i)
        for (index_t j = 0; j < v.size(1); ++j) r.push_back(v(i, j));
    return r;
}
using list = std::vector<float>;

// Where sizes always fit, the conversion is implicit; where they may fit, it is explicit; else there is none.
template <class From, class To> constexpr bool implicit = std::is_convertible_v<From, To>;
template <class From, class To> constexpr bool possible = std::is_constructible_v<To, From>;
static_assert(implicit<view<float, 2, 3>, view<float, any, 3>>);
static_assert(implicit<view<float, 2>, view<float const, up_to(2)>>);
static_assert(implicit<view<float, up_to(2)>, view<float, up_to(3)>>);
static_assert(implicit<view<float, up_to(2)>, view<float, any>>);
static_assert(!implicit<view<float, any>, view<float, 3>> && possible<view<float, any>, view<float, 3>>);
static_assert(!implicit<view<float, up_to(3)>, view<float, 3>> && possible<view<float, up_to(3)>, view<float, 3>>);
static_assert(!implicit<view<float, any>, view<float, up_to(3)>> && possible<view<float, any>, view<float, up_to(3)>>);
static_assert(!possible<view<float, 2>, view<float, 3>> && !possible<view<float, 4>, view<float, up_to(3)>>);
static_assert(!possible<view<float, up_to(2)>, view<float, 3>>);
static_assert(!possible<view<float const, 2>, view<float, 2>> && !possible<view<float, 2>, view<double, 2>>);
static_assert(!possible<view<float, 2>, view<float, 2, 1>>);
static_assert(!std::is_assignable_v<view<float const, 2> const&, view<float, 2>>);
static_assert(std::is_assignable_v<view<float, 2> const&, view<float const, 2>>);

template <class V, class W> constexpr bool is = std::is_same_v<V, W>;

}  // namespace

TEST_CASE("view: numbers at positions, checked by `at`") {
    counted const x;
    CHECK(x.v(1, 2, 3) == 23);
    CHECK(x.v.at(1, 0, 2) == 14);
    x.v(0, 1, 1) = 100;
    CHECK(x.numbers[5] == 100);
    CHECK(x.v.count() == 24);
    CHECK(x.v.size(1) == 3);
    CHECK(x.v.stride(0) == 12);
    CHECK_THROWS_AS(x.v.at(0, 3, 0), failure);
    CHECK_THROWS_AS(x.v.at(0, 0, -1), failure);
    float number = 3;
    view<float> const one(&number);
    one() = 4;
    CHECK(number == 4);
    CHECK(one.count() == 1);
}

TEST_CASE("view: sizes must suit the extents") {
    std::array<float, 6> n{};
    auto const kind_of = [](auto f) {
        try {
            f();
        } catch (failure const& e) {
            return e.details.kind;
        }
        return fault::numeric;
    };
    CHECK(view<float, any, 3>(n.data(), {2, 3}).count() == 6);
    CHECK(kind_of([&] { view<float, any, 3>(n.data(), {3, 2}); }) == fault::shape);
    CHECK(kind_of([&] { view<float, any>(n.data(), {-1}); }) == fault::shape);
    CHECK(kind_of([&] { view<float, up_to(4)>(n.data(), {5}); }) == fault::bounds);
    index_t const large = index_t{1} << 40;
    CHECK(kind_of([&] { view<float, any, any>(n.data(), {large, large}); }) == fault::memory);
    CHECK(kind_of([&] { view<float, any, any, any>(n.data(), {0, large, large}); }) == fault::memory);

    view<float, any> const six(n.data(), {6});
    CHECK(view<float, 6>(six).data == n.data());
    CHECK(kind_of([&] { view<float, 5> five(six); }) == fault::shape);
    CHECK(kind_of([&] { view<float, up_to(5)> five(six); }) == fault::bounds);

    std::vector<float> const constant(6);
    std::span<float> const some(n);
    CHECK(as_view<2, 3>(n).size(1) == 3);
    CHECK(as_view<any, 3>(constant).size(0) == 2);
    static_assert(is<decltype(as_view<any, 3>(constant)), view<float const, any, 3>>);
    CHECK(as_view<any, any>(some, 3, 2).size(0) == 3);
    CHECK(kind_of([&] { as_view<any, 4>(n); }) == fault::shape);
    CHECK(kind_of([&] { as_view<any, any>(n, 3, 3); }) == fault::shape);
}

TEST_CASE("view: windows by indices keep what is exact") {
    counted const x;
    auto const column = x.v(1, range(), 2);
    static_assert(is<decltype(column), view<float, 3> const>);
    CHECK(column(0) == 14);
    CHECK(column(2) == 22);
    auto const part = x.v(range(), range(1, 3), 0);
    static_assert(is<decltype(part), view<float, 2, up_to(3)> const>);
    CHECK(all_of(part) == list{4, 8, 16, 20});
    auto const exact = x.v(range<1, 2>(), 2, range<1, 4>());
    static_assert(is<decltype(exact), view<float, 1, 3> const>);
    CHECK(all_of(exact) == list{21, 22, 23});
    CHECK(all_of(x.v(0, range(0, 3, 2), range(1, 4, 2))) == list{1, 3, 9, 11});
    CHECK(x.v(0, 0, range(2, 2)).count() == 0);
    static_assert(is<decltype(x.v[1]), view<float, 3, 4>>);
    CHECK(&x.v[1][2][3] == &x.numbers[23]);
    CHECK_THROWS_AS(x.v(2, range(), 0), failure);
    CHECK_THROWS_AS(x.v(-1, range(), 0), failure);
    CHECK_THROWS_AS(x.v(0, range(1, 4), 0), failure);
    CHECK_THROWS_AS(x.v(0, range(-1, 2), 0), failure);
    CHECK_THROWS_AS(x.v(0, range(2, 1), 0), failure);
    CHECK_THROWS_AS(x.v(0, range(0, 2, 0), 0), failure);
}

TEST_CASE("view: slices, steps and turned axes move no number") {
    counted const x;
    auto const m = x.v[0];
    static_assert(is<decltype(m.slice<1>(1, 2)), view<float, 3, up_to(4)>>);
    CHECK(all_of(m.slice<1>(1, 2)) == list{1, 2, 5, 6, 9, 10});
    static_assert(is<decltype(m.slice<-2, 1, 2>()), view<float, 2, 4>>);
    CHECK(all_of(m.slice<-2, 1, 2>()) == list{4, 5, 6, 7, 8, 9, 10, 11});
    CHECK(m.slice<0>(3, 0).count() == 0);
    static_assert(is<decltype(m.step<1, 3>()), view<float, 3, 2>>);
    CHECK(all_of(m.step<1, 3>()) == list{0, 3, 4, 7, 8, 11});
    static_assert(is<decltype(m.step<0>(2)), view<float, up_to(3), 4>>);
    CHECK(m.step<0>(2).size(0) == 2);
    CHECK(m.step<1>(std::numeric_limits<index_t>::max()).size(1) == 1);
    CHECK(all_of(m.slice<0, 0, 2>().reversed<1>()) == list{3, 2, 1, 0, 7, 6, 5, 4});
    CHECK(all_of(m.reversed<0>().slice<0>(0, 1)) == list{8, 9, 10, 11});
    static_assert(is<decltype(x.v.permuted<2, 0, 1>()), view<float, 4, 2, 3>>);
    CHECK(x.v.permuted<2, 0, 1>()(3, 1, 2) == 23);
    static_assert(is<decltype(x.v.transposed()), view<float, 2, 4, 3>>);
    CHECK(x.v.transposed()(1, 3, 2) == 23);
    static_assert(is<decltype(x.v.diagonal()), view<float, 2, 3>>);
    CHECK(all_of(x.v.diagonal()) == list{0, 5, 10, 12, 17, 22});
    static_assert(is<decltype(x.v.transposed().diagonal()), view<float, 2, 3>>);
    view<float, any, any> const w = m;
    static_assert(is<decltype(w.diagonal()), view<float, any>>);
    CHECK(w.diagonal().size(0) == 3);
    CHECK(w.slice<0>(0, 0).reversed<0>().data == w.data);
    CHECK_THROWS_AS(m.slice<0>(2, 2), failure);
    CHECK_THROWS_AS(m.slice<0>(-1, 2), failure);
    CHECK_THROWS_AS(m.slice<0>(0, -1), failure);
    CHECK_THROWS_AS(w.slice<0>(std::numeric_limits<index_t>::max(), 1), failure);
    CHECK_THROWS_AS(m.step<0>(0), failure);
    view<float const, any> const two(x.numbers.data(), {2});
    CHECK_THROWS_AS((two.slice<0, 1, 2>()), failure);
}

TEST_CASE("view: other extents for numbers without gaps") {
    counted const x;
    static_assert(is<decltype(x.v.reshaped<6, 4>()), view<float, 6, 4>>);
    CHECK(x.v.reshaped<6, 4>()(5, 3) == 23);
    CHECK(x.v.reshaped<any, 8>().size(0) == 3);
    CHECK(x.v.reshaped<any, any>(8, 3)(7, 2) == 23);
    CHECK(x.v.reshaped<24>().contiguous());
    CHECK_THROWS_AS((x.v.reshaped<any, 7>()), failure);
    CHECK_THROWS_AS((x.v.reshaped<any, any>(5, 5)), failure);
    CHECK_THROWS_AS((x.v.reshaped<up_to(5), 4>()), failure);
    CHECK_THROWS_AS((x.v.transposed().reshaped<24>()), failure);

    CHECK(x.v.contiguous());
    CHECK(!x.v.transposed().contiguous());
    CHECK(x.v[1].contiguous());
    CHECK(!x.v(range(), 1, range()).contiguous());
    CHECK(x.v(range<0, 1>(), range<2, 3>(), range()).contiguous());  // an axis of size 1 has no next position
    CHECK(x.v.transposed().slice<0>(0, 0).contiguous());
    CHECK(x.v[1].span().data() == x.numbers.data() + 12);
    CHECK(x.v[1].span().size() == 12);
    CHECK_THROWS_AS(x.v.transposed().span(), failure);
}

TEST_CASE("view: copies show the same numbers; lists of numbers are copied in") {
    counted const x;
    auto const m = x.v[0].slice<0, 0, 2>().slice<1, 0, 2>();
    view<float, 2, 2> const same = m;
    CHECK(same.data == m.data);
    m = {{10, 20}, {30, 40}};
    CHECK(x.numbers[0] == 10);
    CHECK(x.numbers[1] == 20);
    CHECK(x.numbers[2] == 2);
    CHECK(x.numbers[5] == 40);
    CHECK_THROWS_AS((m = {{1, 2}}), failure);
    CHECK_THROWS_AS((m = {{1, 2}, {3}}), failure);
    CHECK_THROWS_AS((m = {{1, 2}, {3, 4, 5}}), failure);
}

TEST_CASE("view: a matrix of numbers, and back") {
    counted const x;
    matrix<float> const m(x.v[1].slice<1>(1, 2));
    CHECK(m.rows == 3);
    CHECK(m.columns == 2);
    CHECK(m.stride == 4);
    CHECK(m(2, 1) == 22);
    view<float, any, 2> const v(m);
    CHECK(v(2, 1) == 22);
    CHECK(v.stride(0) == 4);
    CHECK_THROWS_AS((view<float, any, 3>(m)), failure);
    CHECK_THROWS_AS(static_cast<void>(matrix<float>(x.v[1].transposed())), failure);
    CHECK(matrix<float>(x.v[1].transposed().slice<1>(2, 1)).stride == 1);
}
