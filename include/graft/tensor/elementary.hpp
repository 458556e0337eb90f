// SPDX-License-Identifier: Apache-2.0
// The element-wise functions: each beside its derivative, one table of both.            (layer 4: tensor)
//
// `value` works on packs. `pull` works on symbols: it is given dy, y and the operands and writes the gradients of the
// operands in the same functions; it never touches a number. A gradient that does not exist is a default value.
#pragma once

#include <graft/shape/shape.hpp>
#include <graft/simd/math.hpp>

#include <array>
#include <numbers>

namespace graft {

/// What every element-wise function inherits: how many operands it has, and the shape of its result.
template <int N>
struct elementwise {
    static constexpr int arity = N;
    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> first, auto... more) {
        ((first = broadcast(algebra, first, more)), ...);
        return first;
    }
};
template <class Op>
concept Elementwise = requires {
    []<int N>(elementwise<N> const&) {}(Op{});
};

namespace detail {
/// A number as a pack of the type of `like`.
template <class P>
GRAFT_INLINE P all(P, double x) {
    return P(static_cast<decltype(reduce_add(P{}))>(x));
}
}  // namespace detail

struct neg_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return -x; }
    static constexpr auto pull(auto dy, auto, auto) { return std::array{-dy}; }
};
struct add_ : elementwise<2> {
    using kind = add_;
    GRAFT_INLINE static auto value(auto a, auto b) { return a + b; }
    static constexpr auto pull(auto dy, auto, auto, auto) { return std::array{dy, dy}; }
};
struct sub_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) { return a - b; }
    static constexpr auto pull(auto dy, auto, auto, auto) { return std::array{dy, -dy}; }
};
struct mul_ : elementwise<2> {
    using kind = mul_;
    GRAFT_INLINE static auto value(auto a, auto b) { return a * b; }
    static constexpr auto pull(auto dy, auto, auto a, auto b) { return std::array{dy * b, dy * a}; }
};
struct div_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) { return a / b; }
    static constexpr auto pull(auto dy, auto y, auto, auto b) {
        auto q = dy / b;
        return std::array{q, -(q * y)};
    }
};
/// 1 / x: what a division of 1 becomes in a graph, because its gradient needs no other division.
struct inverse_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return detail::all(x, 1) / x; }
    static constexpr auto pull(auto dy, auto y, auto) { return std::array{-(dy * (y * y))}; }
};
struct exp_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return exp(x); }
    static constexpr auto pull(auto dy, auto y, auto) { return std::array{dy * y}; }
};
struct expm1_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return expm1(x); }
    static constexpr auto pull(auto dy, auto y, auto) { return std::array{dy * (y + 1.0)}; }
};
struct log_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return log(x); }
    static constexpr auto pull(auto dy, auto, auto x) { return std::array{dy / x}; }
};
struct log1p_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return log1p(x); }
    static constexpr auto pull(auto dy, auto, auto x) { return std::array{dy / (x + 1.0)}; }
};
struct sqrt_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return sqrt(x); }
    /// 1 / y is a vertex of its own: whoever divides by a root shares it.
    static constexpr auto pull(auto dy, auto y, auto) { return std::array{dy * (0.5 * (1.0 / y))}; }
};
struct sin_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return sin(x); }
    static constexpr auto pull(auto dy, auto, auto x) { return std::array{dy * cos(x)}; }
};
struct cos_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return cos(x); }
    static constexpr auto pull(auto dy, auto, auto x) { return std::array{-(dy * sin(x))}; }
};
struct tanh_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return tanh(x); }
    static constexpr auto pull(auto dy, auto y, auto) { return std::array{dy * (1.0 - y * y)}; }
};
struct sigmoid_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return sigmoid(x); }
    static constexpr auto pull(auto dy, auto y, auto) { return std::array{dy * (y * (1.0 - y))}; }
};
/// x σ(x).
struct silu_ : elementwise<1> {
    using kind = silu_;
    GRAFT_INLINE static auto value(auto x) { return silu(x); }
    static constexpr auto pull(auto dy, auto y, auto x) {
        auto s = sigmoid(x);
        return std::array{dy * (s + y * (1.0 - s))};
    }
};
/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), which neither overflows nor loses the small ones.
struct softplus_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return max(x, detail::all(x, 0)) + log1p(exp(-abs(x))); }
    static constexpr auto pull(auto dy, auto, auto x) { return std::array{dy * sigmoid(x)}; }
};
struct erf_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return erf(x); }
    static constexpr auto pull(auto dy, auto, auto x) {
        return std::array{dy * (2 * std::numbers::inv_sqrtpi * exp(-(x * x)))};
    }
};
struct pow_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) { return pow(a, b); }
    static constexpr auto pull(auto dy, auto y, auto a, auto b) {
        return std::array{dy * (b * pow(a, b - 1.0)), dy * (y * log(a))};
    }
};
struct abs_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return abs(x); }
    static constexpr auto pull(auto dy, auto, auto x) { return std::array{dy * ((x > 0.0) - (x < 0.0))}; }
};
struct relu_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return max(detail::all(x, 0), x); }  // not a number stays
    static constexpr auto pull(auto dy, auto, auto x) { return std::array{dy * (x > 0.0)}; }
};
/// Where both are equal each gets half.
struct max_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) { return max(a, b); }
    static constexpr auto pull(auto dy, auto, auto a, auto b) {
        auto half = 0.5 * (a == b);
        return std::array{dy * ((a > b) + half), dy * ((a < b) + half)};
    }
};
struct min_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) { return min(a, b); }
    static constexpr auto pull(auto dy, auto, auto a, auto b) {
        auto half = 0.5 * (a == b);
        return std::array{dy * ((a < b) + half), dy * ((a > b) + half)};
    }
};
/// Comparisons give 1 where they hold and 0 elsewhere, and have no gradient.
struct less_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) { return select(a < b, detail::all(a, 1), detail::all(a, 0)); }
    static constexpr auto pull(auto dy, auto, auto, auto) { return std::array<decltype(dy), 2>{}; }
};
struct less_equal_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) {
        return select(a < b, detail::all(a, 1), select(a == b, detail::all(a, 1), detail::all(a, 0)));
    }
    static constexpr auto pull(auto dy, auto, auto, auto) { return std::array<decltype(dy), 2>{}; }
};
struct equal_ : elementwise<2> {
    GRAFT_INLINE static auto value(auto a, auto b) { return select(a == b, detail::all(a, 1), detail::all(a, 0)); }
    static constexpr auto pull(auto dy, auto, auto, auto) { return std::array<decltype(dy), 2>{}; }
};
/// a where c is not 0, else b.
struct where_ : elementwise<3> {
    GRAFT_INLINE static auto value(auto c, auto a, auto b) { return select(c == detail::all(c, 0), b, a); }
    static constexpr auto pull(auto dy, auto, auto c, auto, auto) {
        return std::array{decltype(dy){}, where(c, dy, 0.0), where(c, 0.0, dy)};
    }
};
/// x, but no gradient passes.
struct detach_ : elementwise<1> {
    GRAFT_INLINE static auto value(auto x) { return x; }
    static constexpr auto pull(auto dy, auto, auto) { return std::array{decltype(dy){}}; }
};

// Functions of others: `expand` says them in symbols. Fused, they cost what a function of their own would.
struct square_ : elementwise<1> {
    static constexpr auto expand(auto x) { return x * x; }
};
/// x Φ(x), exactly.    source arXiv 1606.08415, eq. 1
struct gelu_ : elementwise<1> {
    static constexpr auto expand(auto x) { return 0.5 * x * (1.0 + erf(x * (std::numbers::sqrt2 / 2))); }
};

/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))): GELU's older approximation, which checkpoints of that time expect.
struct gelu_tanh_ : elementwise<1> {
    static constexpr auto expand(auto x) {
        double const slope = 0.79788456080286535588, bend = 0.044715;
        return 0.5 * x * (1.0 + tanh(slope * (x + bend * (x * x * x))));
    }
};

/// Every element-wise function that has a loop body of its own, in the order of their numbers.
template <class... Op>
struct op_list {
    static constexpr int size = sizeof...(Op);
};
using elementary =
    op_list<neg_, add_, sub_, mul_, div_, inverse_, exp_, expm1_, log_, log1p_, sqrt_, sin_, cos_, tanh_, sigmoid_,
            silu_, softplus_, erf_, pow_, abs_, relu_, max_, min_, less_, less_equal_, equal_, where_, detach_>;

}  // namespace graft
