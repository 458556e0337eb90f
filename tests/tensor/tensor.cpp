// SPDX-License-Identifier: Apache-2.0
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using namespace graft;

namespace {

using list = std::vector<float>;
template <class X> list all_of(X const& x) { return {x.begin(), x.end()}; }
template <class F>
fault fault_of(F f) {
    try {
        f();
    } catch (failure const& e) {
        return e.details.kind;
    }
    return fault::numeric;
}
bool in_itself(auto const& x) {
    auto const at = reinterpret_cast<std::byte const*>(x.data()), self = reinterpret_cast<std::byte const*>(&x);
    return at >= self && at < self + sizeof x;
}
bool aligned(void const* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

// Exact sizes are not stored; small tensors carry nothing but their numbers.
static_assert(sizeof(tensor<float, 2, 2>) == 16 && sizeof(tensor<double>) == sizeof(double));
static_assert(std::is_nothrow_move_constructible_v<tensor<float, any>>);
static_assert(!std::is_copy_constructible_v<tensor<in_arena<float>, any>>);
static_assert(std::is_move_constructible_v<tensor<in_arena<float>, any>>);
static_assert(!std::is_convertible_v<int, tensor<float, any>>);

template <class X, class Y> constexpr bool makes = std::is_same_v<decltype(tensor(std::declval<X>())), Y>;
using small = tensor<float, 2, 3>;
static_assert(makes<small&, small> && makes<view<float const, 2, any>, tensor<float, 2, any>>);
static_assert(makes<decltype(exp(std::declval<small>()) * 2), small>);
static_assert(makes<decltype(sum(std::declval<small>())), tensor<float>>);
static_assert(makes<decltype(sum<0>(std::declval<tensor<double, any, 5>>())), tensor<double, 5>>);
static_assert(makes<decltype(matmul(std::declval<tensor<float, up_to(9), 3>>(), transpose(std::declval<small>()))),
                    tensor<float, up_to(9), 2>>);
static_assert(makes<view<int, 1, 2, 3, 4, 5, 6, 7, any>, tensor<int, 1, 2, 3, 4, 5, 6, 7, any>>);

}  // namespace

TEST_CASE("tensor: small and bounded lies in place, all else on the heap, unless it is said") {
    CHECK(in_itself(tensor<float, 64, 64>{}));
    CHECK(!in_itself(tensor<float, 64, 65>{}));
    CHECK(in_itself(tensor<float, up_to(64), 64>(3)));
    CHECK(!in_itself(tensor<float, any>(3)));
    CHECK(in_itself(tensor<in_place<float>, 64, 65>{}));
    CHECK(!in_itself(tensor<on_heap<float>, 2>{}));
    CHECK(aligned(tensor<float, any>(3).data()));
    tensor<float, 5, 5> const own;
    CHECK(aligned(own.data()));
    // What breaks libraries of static tensors: 16 MB as a local variable.
    tensor<float, 2048, 2048> const large;
    CHECK(large(2047, 2047) == 0);
}

TEST_CASE("tensor: made from sizes, a value, lists and spans") {
    tensor<float, any, 2> const zeros(3);
    CHECK(all_of(zeros) == list(6, 0.0f));
    CHECK(zeros.size(0) == 3);
    CHECK(zeros.size(1) == 2);
    CHECK(all_of(tensor<float, any, any>(fill{1.5}, 1, 2)) == list{1.5f, 1.5f});
    CHECK(tensor<float>(fill{3.0})() == 3);
    CHECK(tensor<float, any, any>().count() == 0);
    CHECK(tensor<float, up_to(7), 2>().count() == 0);

    small const x{{1, 2, 3}, {4, 5, 6}};
    CHECK(all_of(x) == list{1, 2, 3, 4, 5, 6});
    tensor<float, any, any, any> const deep{{{1, 2}, {3, 4}, {5, 6}}};
    CHECK(deep.size(0) == 1);
    CHECK(deep.size(1) == 3);
    CHECK(deep(0, 2, 1) == 6);
    CHECK(tensor<std::int32_t, any>{7}.count() == 1);

    std::vector<float> const numbers{1, 2, 3, 4, 5, 6};
    CHECK(all_of(small(numbers)) == numbers);
    CHECK(tensor<float, any, 2>(numbers).size(0) == 3);
    CHECK(tensor<float, any, any>(numbers, 1, 6)(0, 5) == 6);
    CHECK(tensor<float, any, 0>(std::span<float const>()).size(0) == 0);
}

TEST_CASE("tensor: sizes and lists that do not fit are refused, with the numbers") {
    CHECK(fault_of([] { tensor<float, any>(-1); }) == fault::shape);
    CHECK(fault_of([] { tensor<float, up_to(3)>(4); }) == fault::bounds);
    CHECK(fault_of([] { tensor<float, any, any>(index_t{1} << 40, index_t{1} << 40); }) == fault::memory);
    CHECK(fault_of([] { tensor<double, any>(PTRDIFF_MAX / 4); }) == fault::memory);
    CHECK(fault_of([] { tensor<float, any, any, any>(0, index_t{1} << 40, index_t{1} << 40); }) == fault::memory);
    CHECK(fault_of([] { tensor<float, any, any>{{1, 2}, {3}}; }) == fault::shape);
    CHECK(fault_of([] { small{{1, 2, 3}}; }) == fault::shape);
    CHECK(fault_of([] { small{{1, 2}, {3, 4}}; }) == fault::shape);
    CHECK(fault_of([] { tensor<float, up_to(2)>{1, 2, 3}; }) == fault::bounds);
    std::vector<float> const five(5);
    CHECK(fault_of([&] { tensor<float, 2, 3> x(five); }) == fault::shape);
    CHECK(fault_of([&] { tensor<float, any, 2> x(five); }) == fault::shape);
    CHECK(fault_of([&] { tensor<float, any, any> x(five, 3, 2); }) == fault::shape);
    try {
        tensor<float, 2, up_to(3)>(4);
    } catch (failure const& e) {
        CHECK(e.details.given == 4);
        CHECK(e.details.wanted == 3);
    }
}

TEST_CASE("tensor: copies are deep, moves leave the numbers where they are") {
    tensor<float, any, 2> x{{1, 2}, {3, 4}};
    auto y = x;
    y(0, 0) = 9;
    CHECK(x(0, 0) == 1);
    float const* const at = x.data();
    auto z = std::move(x);
    CHECK(z.data() == at);
    CHECK(z(1, 1) == 4);
    CHECK(x.count() == 0);
    x = {};
    x = z;  // takes the sizes too
    CHECK(all_of(x) == list{1, 2, 3, 4});
    CHECK(x.data() != z.data());
    z = std::move(y);
    CHECK(z(0, 0) == 9);
    auto& itself = z;
    z = itself;
    z = std::move(itself);
    CHECK(all_of(z) == list{9, 2, 3, 4});

    tensor<float, up_to(8)> a{1, 2, 3}, b(5);
    b = a;
    CHECK(all_of(b) == list{1, 2, 3});
    auto c = std::move(b);
    CHECK(all_of(c) == list{1, 2, 3});
    c = tensor<float, up_to(8)>{4, 5};
    CHECK(all_of(c) == list{4, 5});
}

TEST_CASE("tensor: resizing keeps numbers in their order and adds zeros") {
    tensor<float, any, 2> x{{1, 2}, {3, 4}};
    x.resize(3);
    CHECK(all_of(x) == list{1, 2, 3, 4, 0, 0});
    x.resize(1);
    CHECK(all_of(x) == list{1, 2});
    x.resize(2);
    CHECK(all_of(x) == list{1, 2, 0, 0});
    CHECK(fault_of([&] { x.resize(-1); }) == fault::shape);
    CHECK(x.count() == 4);

    tensor<float, up_to(3)> y{1, 2};
    y.resize(3);
    CHECK(all_of(y) == list{1, 2, 0});
    CHECK(fault_of([&] { y.resize(4); }) == fault::bounds);
    CHECK(y.try_resize(1));
    CHECK(y.try_resize(3));
    CHECK(all_of(y) == list{1, 0, 0});
    CHECK(y.try_resize(0));
    CHECK(y.count() == 0);
}

TEST_CASE("tensor: in an arena, it has what it took") {
    alignas(64) std::byte bytes[1024];
    arena from(bytes);
    tensor<in_arena<float>, any, 4> x(from, 3);
    CHECK(from.taken() == 64);
    CHECK(static_cast<void*>(x.data()) == bytes);
    x = 2;
    CHECK(all_of(x) == list(12, 2.0f));
    x.resize(2);
    CHECK(!x.try_resize(4));
    CHECK(fault_of([&] { x.resize(4); }) == fault::memory);
    CHECK(x.size(0) == 2);
    auto y = std::move(x);
    CHECK(static_cast<void*>(y.data()) == bytes);
    CHECK(x.count() == 0);

    tensor<in_arena<float>, up_to(32)> z(from, 1);  // takes the bound
    CHECK(from.taken() == 64 + 128);
    z.resize(32);
    CHECK(z.count() == 32);
    tensor<in_arena<float>, up_to(32)> w(from, 2);
    w = 7;
    z = w;
    CHECK(all_of(z) == list{7, 7});
    CHECK(fault_of([&] { tensor<in_arena<float>, any>(from, 1024); }) == fault::memory);
    CHECK(fault_of([&] { tensor<in_arena<float>, any>(from, -1); }) == fault::shape);
}

TEST_CASE("tensor: numbers, rows, windows") {
    small x{{1, 2, 3}, {4, 5, 6}};
    small const& constant = x;
    CHECK(x(1, 2) == 6);
    CHECK(x[1](0) == 4);
    CHECK(constant.at(0, 1) == 2);
    x(1, range(1, 3)) = {50, 60};
    CHECK(all_of(x) == list{1, 2, 3, 4, 50, 60});
    static_assert(std::is_same_v<decltype(constant(range(), 1)), view<float const, 2>>);
    static_assert(std::is_same_v<decltype(constant(0, 1)), float const&>);
    CHECK(constant(range(), 1)(1) == 50);
    CHECK(constant.all().transposed()(2, 1) == 60);
    CHECK(constant.span().size() == 6);
    CHECK(fault_of([&] { x.at(2, 0); }) == fault::bounds);
    x = {{6, 5, 4}, {3, 2, 1}};
    CHECK(all_of(x) == list{6, 5, 4, 3, 2, 1});
    CHECK(fault_of([&] { x = {{1, 2, 3}}; }) == fault::shape);
    x = 8;
    CHECK(all_of(x) == list(6, 8.0f));
}

TEST_CASE("expression sizes: worked out from operands, which must fit") {
    tensor<float, any, 4> const a(3), b(2);
    tensor<float, 4> const row;
    tensor<float, any> const ones(1), three(3);
    CHECK(sizes_of(a) == sizes_t{2, {3, 4}});
    CHECK(sizes_of(exp(a) * row + 1) == sizes_t{2, {3, 4}});
    CHECK(sizes_of(sum<0>(a)) == sizes_t{1, {4}});
    CHECK(sizes_of(mean(a)) == sizes_t{});
    CHECK(sizes_of(softmax(a) - max<1>(a, keep)) == sizes_t{2, {3, 4}});
    CHECK(sizes_of(matmul(a, transpose(b))) == sizes_t{2, {3, 2}});
    CHECK(sizes_of(concat<0>(a, b, a)) == sizes_t{2, {8, 4}});
    CHECK(sizes_of(split_axis<0, 2>(concat<0>(a, a))) == sizes_t{3, {3, 2, 4}});
    CHECK(sizes_of(merge_axes<0>(insert_axis<1>(a))) == sizes_t{2, {3, 4}});
    CHECK(fault_of([&] { sizes_of(a + b); }) == fault::shape);
    CHECK(fault_of([&] { sizes_of(ones + three); }) == fault::shape);  // only an exact 1 stretches
    CHECK(fault_of([&] { sizes_of(matmul(a, a)); }) == fault::shape);
    CHECK(fault_of([&] { sizes_of(part<0, 2, 2>(a)); }) == fault::shape);
    CHECK(fault_of([&] { sizes_of(split_axis<0, 2>(a)); }) == fault::shape);
}
