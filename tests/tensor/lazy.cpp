// SPDX-License-Identifier: Apache-2.0
#include <graft/tensor/tensor.hpp>

#include <doctest/doctest.h>

using namespace graft;

namespace {

// The shapes of expressions, as far as they are known when compiling.
template <extent... E> constexpr view<float, E...> of{};
template <extent... E> constexpr bool has(Operand auto const& x) { return x.extents_value == extents<E...>::value; }

constexpr auto a = of<any, 4>;
constexpr auto b = of<3, 4>;
constexpr auto row = of<4>;
constexpr auto column = of<3, 1>;
constexpr view<std::int32_t, any> ids{};

static_assert(has<3, 4>(a + b) && has<any, 4>(a * row) && has<3, 4>(row - column) && has<any, 4>(2 / a));
static_assert(has<any, 4>(where(a > row, a, 0)) && has<any, 4>(gelu(-a)) && has<3, 4>(pow(b, column)));
static_assert(has<any, 4>(a >= 1) && has<any, 4>(a != row) && has<any, 4>(max(a, 0)));

static_assert(has<>(sum(b)) && has<1, 1>(sum(b, keep)) && has<4>(mean<0>(a)) && has<any>(max<-1>(a)));
static_assert(has<any, 1>(norm<1>(a, keep)) && has<4>(variance<0>(b)));
static_assert(has<3>(log_sum_exp<1>(b)) && has<3>(min<1>(b)));
static_assert(has<any, 1, 1>(sum<1, -1>(of<any, 5, 6>, keep)) && has<5>(sum<0, 2>(of<any, 5, 6>)));
static_assert(has<any>(argmax(a)) && has<any, 4>(softmax(a)));
static_assert(has<3, 4>(softmax<0>(b)) && has<any, 4>(log_softmax(a)));
static_assert(has<any, 4>(rms_norm(a, row)) && has<3, 4>(layer_norm(b, row, row)));

static_assert(has<any, 5>(matmul(a, of<4, 5>)) && has<4, any>(matmul(of<4, 4>, transpose(a))));
static_assert(has<7, 2, 9>(matmul(of<7, 2, 3>, of<3, 9>)) && has<7, 2, 9>(matmul(of<1, 2, any>, of<7, 3, 9>)));
static_assert(has<4, any>(transpose(a)) && has<6, 2, up_to(5)>(permute<2, 0, 1>(of<2, up_to(5), 6>)));
static_assert(has<any, 4>(rows(b, ids)) && has<any>(pick(a, ids)) && has<7, any>(rows(of<9, any>, of<7>)));
static_assert(has<any, 4>(concat<0>(a, b)) && has<9, 4>(concat<-2>(b, b, b)) && has<3, 2>(part<1, 1, 2>(b)));
static_assert(has<up_to(7), 4>(concat<0>(b, of<up_to(4), 4>)));
static_assert(has<any, 1, 4>(insert_axis<1>(a)) && has<3, 4, 1>(insert_axis<-1>(b)));
static_assert(has<12>(merge_axes<0>(b)) && has<any>(merge_axes<0>(a)) && has<3, 2, 2>(split_axis<1, 2>(b)));

// Mistakes are remembered by the expression's type; `make` shows them (tests/fails/tensor_*.cpp).
template <class Op, class... X> constexpr bool clashes = lazy<Op, X...>::verdict.algebra.clash;
template <extent... E> using v = view<float, E...>;
static_assert(clashes<add_, v<3>, v<4>> && !clashes<add_, v<3>, v<any>> && clashes<add_, v<3, 2>, v<2, 2>>);
static_assert(clashes<matmul_, v<3, 4>, v<3, 4>> && clashes<matmul_, v<4>, v<4, 4>>);
static_assert(!clashes<matmul_, v<3, 4>, v<any, 3>>);
static_assert(clashes<concat_<0>, v<3, 4>, v<3, 5>> && clashes<part_<0, 2, 2>, v<3>> && !clashes<part_<0, 1, 2>, v<3>>);
static_assert(clashes<split_axis_<0, 2>, v<3>> && clashes<permute_<1, 0>, v<3>> && clashes<pick_, v<3, 4>, v<4>>);

// Numbers take the type of the rest, indices do not.
static_assert(std::is_same_v<decltype(2 * a)::number, float>);
static_assert(std::is_same_v<decltype(rows(a, ids))::number, float>);
static_assert(std::is_same_v<decltype(of<3> + 1)::number, float>);

}  // namespace

TEST_CASE("expression: a tensor stands for its view, a number for itself") {
    tensor<float, 2, 2> const x{{1, 2}, {3, 4}};
    auto const e = (x + 1) * x;
    CHECK(e.at<1>().data == x.data());
    CHECK(e.at<0>().at<0>().data == x.data());
    CHECK(e.at<0>().at<1>().value == 1);
}
