// SPDX-License-Identifier: Apache-2.0
#include <graft/shape/shape.hpp>

#include <doctest/doctest.h>

using namespace graft;

namespace {

constexpr shape<extent> of(auto... e) { return {sizeof...(e), {extent(e)...}}; }

struct outcome {
    shape<extent> result;
    extent_algebra algebra;
};
constexpr outcome broadcast_of(shape<extent> const& a, shape<extent> const& b) {
    outcome o;
    o.result = broadcast(o.algebra, a, b);
    return o;
}

static_assert(extent(64).admits(64) && !extent(64).admits(63));
static_assert(up_to(4).admits(0) && up_to(4).admits(4) && !up_to(4).admits(5) && !up_to(4).admits(-1));
static_assert(any.admits(1 << 30) && !any.admits(-1));
static_assert(extent(4) != up_to(4) && up_to(4) == up_to(4));

static_assert(extents<2, 3>::exact && extents<2, 3>::bounded && extents<2, 3>::most == 6);
static_assert(!extents<2, up_to(3)>::exact && extents<2, up_to(3)>::most == 6);
static_assert(!extents<2, any>::bounded && extents<2, any>::most == -1);
static_assert(extents<>::exact && extents<>::most == 1);

// The last axes meet; 1 and what is missing stretch.
static_assert(broadcast_of(of(2, 3), of(3)).result == of(2, 3));
static_assert(broadcast_of(of(3), of(2, 1)).result == of(2, 3));
static_assert(broadcast_of(of(2, 1), of(1, 3)).result == of(2, 3));
static_assert(broadcast_of(of(), of(5)).result == of(5));
// The exact extent is kept, then the smaller bound.
static_assert(broadcast_of(of(any), of(7)).result == of(7));
static_assert(broadcast_of(of(up_to(9)), of(any)).result == of(up_to(9)));
static_assert(broadcast_of(of(up_to(9)), of(up_to(8))).result == of(up_to(8)));
static_assert(broadcast_of(of(1), of(any)).result == of(any));
// What clashes is remembered: the first of it.
static_assert(!broadcast_of(of(2, 3), of(2, 3)).algebra.clash && !broadcast_of(of(any), of(3)).algebra.clash);
static_assert(broadcast_of(of(2, 3), of(2, 4)).algebra.clash);
static_assert(broadcast_of(of(2, 3), of(5, 4)).algebra.given == 2);
static_assert(broadcast_of(of(2, 3), of(5, 4)).algebra.wanted == 5);

constexpr extent_algebra judged(auto f) {
    extent_algebra a;
    f(a);
    return a;
}
static_assert(judged([](auto& a) { a.divide(7, 2); }).clash && !judged([](auto& a) { a.divide(8, 2); }).clash);
static_assert(judged([](auto& a) { a.at_least(3, 4); }).clash && !judged([](auto& a) { a.at_least(any, 4); }).clash);
static_assert(extent_algebra{}.add(2, up_to(3)) == up_to(5) && extent_algebra{}.add(2, any) == any);
static_assert(extent_algebra{}.multiply(2, 3) == extent(6) && extent_algebra{}.multiply(any, 3) == any);
static_assert(extent_algebra{}.divide(up_to(8), 4) == up_to(2));

}  // namespace

TEST_CASE("shape: run-time sizes are counted and compared") {
    sizes_t s{2, {3, 4}};
    CHECK(count(s) == 12);
    s.push(5);
    CHECK(count(s) == 60);
    CHECK(s == sizes_t{3, {3, 4, 5}});
    CHECK(!(s == sizes_t{2, {3, 4}}));
    CHECK(!(s == sizes_t{3, {3, 4, 6}}));
    CHECK(count(sizes_t{}) == 1);
    CHECK(axis_of_rank(-1, 3) == 2);
    CHECK(axis_of_rank(1, 3) == 1);
}
