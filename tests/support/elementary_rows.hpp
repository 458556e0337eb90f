// SPDX-License-Identifier: Apache-2.0
// The rows of the element-wise functions (operation_table.hpp).
//
// A row says: its operands (symbols, with extents that stretch where they can); f, which builds the expression; the
// same in double, written independently; where the operands' numbers lie; their sizes for a main axis of n; and, for
// each gradient, the operands that it may read (bit k: operand k).
#pragma once

#include <tests/support/operation.hpp>

namespace graft_test {

template <class... S>
struct row {
    using arguments = std::tuple<S...>;
    static constexpr bool pushes = true, bends = true, flat = false;
    static constexpr double rounding = 1;
    static constexpr index_t least = 0;
    static constexpr bool covered_by(auto const&) { return true; }
    template <class Op> static constexpr bool stands_for = false;
    static constexpr bool holds(structure) { return false; }
};

// ---------------------------------------------------------------------------------------------- element-wise functions
/// f of every position; operands are stretched as their sizes say.
template <class F, class... B>
box each(F f, B const&... operands) {
    sizes_t full;
    for (sizes_t const& n : {operands.sizes...}) {
        while (full.rank < n.rank) {
            full.push(1);
            for (index_t a = full.rank - 1; a > 0; --a) full[a] = full[a - 1];
            full[0] = 1;
        }
        for (index_t a = 0; a < n.rank; ++a)
            if (index_t& d = full[full.rank - n.rank + a]; d == 1) d = n[a];
    }
    box y(full);
    for (index_t k = 0; k < y.size(); ++k) {
        auto const number = [&](box const& b) {
            index_t at = 0, step = 1, left = k;
            for (index_t a = full.rank - 1; a >= 0; --a) {
                index_t const own = a - (full.rank - b.sizes.rank), i = left % full[a];
                left /= full[a];
                if (own < 0) continue;
                if (b.sizes[own] != 1) at += i * step;
                step *= b.sizes[own];
            }
            return b[at];
        };
        y[k] = f(number(operands)...);
    }
    return y;
}

template <class Op, class... S>
struct elementary_row : row<S...> {
    template <class Other> static constexpr bool stands_for = std::is_same_v<Op, Other>;
    static constexpr bool covered_by(auto const& g) {
        for (auto const& v : g.vertices)
            if (v.what == structure::element && v.element == graft::detail::element_number<Op>) return true;
        return false;
    }
};
/// One operand of 3 × n numbers. Row has `scalar`.
template <class Row, class Op, unsigned Reads = 1>
struct unary : elementary_row<Op, symbol<"a", any, any>> {
    static constexpr std::array<unsigned, 1> reads{Reads};
    static constexpr std::array<domain, 1> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n})}; }
    static box reference(std::vector<box> const& x, std::vector<box> const&) { return each(Row::scalar, x[0]); }
};
/// A function of others: no element-wise vertex of its own.
template <class Row, unsigned Reads = 1>
struct composite : unary<Row, void, Reads> {
    static constexpr bool covered_by(auto const&) { return true; }
};
/// a + b of 3 × n and n numbers.
template <class Row, class Op, unsigned ReadsA, unsigned ReadsB>
struct binary : elementary_row<Op, symbol<"a", any, any>, symbol<"b", any>> {
    static constexpr std::array<unsigned, 2> reads{ReadsA, ReadsB};
    static constexpr std::array<domain, 2> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n}), sized({n})}; }
    static box reference(std::vector<box> const& x, std::vector<box> const&) { return each(Row::scalar, x[0], x[1]); }
};
/// The same of n × 1 and 2 × 1 × 3 numbers: both are stretched.
template <class Row>
struct outer : Row {
    using arguments = std::tuple<symbol<"a", any, 1>, symbol<"b", any, 1, 3>>;
    static std::vector<sizes_t> sizes(index_t n) { return {sized({n, 1}), sized({2, 1, 3})}; }
};
/// The same of n and n numbers.
template <class Row>
struct alike : Row {
    using arguments = std::tuple<symbol<"a", any>, symbol<"b", any>>;
    static std::vector<sizes_t> sizes(index_t n) { return {sized({n}), sized({n})}; }
};
inline constexpr domain positive{0.3, 2.5}, off_zero{-2, 2, domain::not_zero}, on_lattice{-1, 1, domain::lattice},
    off_lattice{-1, 1, domain::lattice, 0.05}, ids{0, 4, domain::index}, ids_or_none{-1, 4, domain::index},
    distinct{-2, 2, domain::distinct};

struct neg_row : unary<neg_row, neg_, 0> {
    static constexpr char const* name = "-a";
    static constexpr auto f(auto a) { return -a; }
    static double scalar(double a) { return -a; }
};
struct inverse_row : unary<inverse_row, inverse_> {
    static constexpr char const* name = "1 / a";
    static constexpr auto f(auto a) { return make(inverse_{}, a); }
    static double scalar(double a) { return 1 / a; }
    static constexpr std::array<domain, 1> domains{positive};
};
struct exp_row : unary<exp_row, exp_> {
    static constexpr char const* name = "exp";
    static constexpr auto f(auto a) { return exp(a); }
    static double scalar(double a) { return std::exp(a); }
};
struct expm1_row : unary<expm1_row, expm1_> {
    static constexpr char const* name = "expm1";
    static constexpr auto f(auto a) { return expm1(a); }
    static double scalar(double a) { return std::expm1(a); }
};
struct log_row : unary<log_row, log_> {
    static constexpr char const* name = "log";
    static constexpr auto f(auto a) { return log(a); }
    static double scalar(double a) { return std::log(a); }
    static constexpr std::array<domain, 1> domains{positive};
};
struct log1p_row : unary<log1p_row, log1p_> {
    static constexpr char const* name = "log1p";
    static constexpr auto f(auto a) { return log1p(a); }
    static double scalar(double a) { return std::log1p(a); }
    static constexpr std::array<domain, 1> domains{{{-0.6, 3}}};
};
struct sqrt_row : unary<sqrt_row, sqrt_> {
    static constexpr char const* name = "sqrt";
    static constexpr auto f(auto a) { return sqrt(a); }
    static double scalar(double a) { return std::sqrt(a); }
    static constexpr std::array<domain, 1> domains{positive};
};
struct sin_row : unary<sin_row, sin_> {
    static constexpr char const* name = "sin";
    static constexpr auto f(auto a) { return sin(a); }
    static double scalar(double a) { return std::sin(a); }
};
struct cos_row : unary<cos_row, cos_> {
    static constexpr char const* name = "cos";
    static constexpr auto f(auto a) { return cos(a); }
    static double scalar(double a) { return std::cos(a); }
};
struct tanh_row : unary<tanh_row, tanh_> {
    static constexpr char const* name = "tanh";
    static constexpr auto f(auto a) { return tanh(a); }
    static double scalar(double a) { return std::tanh(a); }
};
struct sigmoid_row : unary<sigmoid_row, sigmoid_> {
    static constexpr char const* name = "sigmoid";
    static constexpr auto f(auto a) { return sigmoid(a); }
    static double scalar(double a) { return 1 / (1 + std::exp(-a)); }
};
struct softplus_row : unary<softplus_row, softplus_> {
    static constexpr char const* name = "softplus";
    static constexpr auto f(auto a) { return softplus(a); }
    static double scalar(double a) { return std::log(1 + std::exp(a)); }
    static constexpr std::array<domain, 1> domains{{{-6, 6}}};
};
struct erf_row : unary<erf_row, erf_> {
    static constexpr char const* name = "erf";
    static constexpr auto f(auto a) { return erf(a); }
    static double scalar(double a) { return std::erf(a); }
};
struct abs_row : unary<abs_row, abs_> {
    static constexpr char const* name = "abs";
    static constexpr auto f(auto a) { return abs(a); }
    static double scalar(double a) { return std::fabs(a); }
    static constexpr std::array<domain, 1> domains{off_zero};
};
struct relu_row : unary<relu_row, relu_> {
    static constexpr char const* name = "relu";
    static constexpr auto f(auto a) { return relu(a); }
    static double scalar(double a) { return a > 0 ? a : 0; }
    static constexpr std::array<domain, 1> domains{off_zero};
};
/// The factor that is detached counts as a constant: it stays where it was.
struct detach_row : unary<detach_row, detach_> {
    static constexpr char const* name = "detach(a) a";
    static constexpr auto f(auto a) { return detach(a) * a; }
    static constexpr bool bends = false; // differences of the gradient would move it
    static box reference(std::vector<box> const& x, std::vector<box> const& still) {
        return each([](double a, double b) { return a * b; }, still[0], x[0]);
    }
};

struct add_row : binary<add_row, add_, 0, 0> {
    static constexpr char const* name = "a + b";
    static constexpr auto f(auto a, auto b) { return a + b; }
    static double scalar(double a, double b) { return a + b; }
};
struct sub_row : binary<sub_row, sub_, 0, 0> {
    static constexpr char const* name = "a - b";
    static constexpr auto f(auto a, auto b) { return a - b; }
    static double scalar(double a, double b) { return a - b; }
};
struct mul_row : binary<mul_row, mul_, 2, 1> {
    static constexpr char const* name = "a b";
    static constexpr auto f(auto a, auto b) { return a * b; }
    static double scalar(double a, double b) { return a * b; }
};
struct div_row : binary<div_row, div_, 2, 3> {
    static constexpr char const* name = "a / b";
    static constexpr auto f(auto a, auto b) { return a / b; }
    static double scalar(double a, double b) { return a / b; }
    static constexpr std::array<domain, 2> domains{domain{}, positive};
};
struct pow_row : binary<pow_row, pow_, 3, 3> {
    static constexpr char const* name = "pow";
    static constexpr auto f(auto a, auto b) { return pow(a, b); }
    static double scalar(double a, double b) { return std::pow(a, b); }
    static constexpr std::array<domain, 2> domains{positive, domain{}};
};
struct max_row : binary<max_row, max_, 3, 3> {
    static constexpr char const* name = "max(a, b)";
    static constexpr auto f(auto a, auto b) { return max(a, b); }
    static double scalar(double a, double b) { return a > b ? a : b; }
    static constexpr std::array<domain, 2> domains{on_lattice, off_lattice};
};
struct min_row : binary<min_row, min_, 3, 3> {
    static constexpr char const* name = "min(a, b)";
    static constexpr auto f(auto a, auto b) { return min(a, b); }
    static double scalar(double a, double b) { return a < b ? a : b; }
    static constexpr std::array<domain, 2> domains{on_lattice, off_lattice};
};
struct less_row : binary<less_row, less_, 0, 0> {
    static constexpr char const* name = "a < b";
    static constexpr auto f(auto a, auto b) { return a < b; }
    static double scalar(double a, double b) { return a < b; }
    static constexpr std::array<domain, 2> domains{on_lattice, on_lattice};
    static constexpr bool flat = true;
};
struct less_equal_row : binary<less_equal_row, less_equal_, 0, 0> {
    static constexpr char const* name = "a <= b";
    static constexpr auto f(auto a, auto b) { return a <= b; }
    static double scalar(double a, double b) { return a <= b; }
    static constexpr std::array<domain, 2> domains{on_lattice, on_lattice};
    static constexpr bool flat = true;
};
struct greater_row : binary<greater_row, less_, 0, 0> {
    static constexpr char const* name = "a > b";
    static constexpr auto f(auto a, auto b) { return a > b; }
    static double scalar(double a, double b) { return a > b; }
    static constexpr std::array<domain, 2> domains{on_lattice, on_lattice};
    static constexpr bool flat = true;
};
struct equal_row : binary<equal_row, equal_, 0, 0> {
    static constexpr char const* name = "a == b";
    static constexpr auto f(auto a, auto b) { return a == b; }
    static double scalar(double a, double b) { return a == b; }
    static constexpr std::array<domain, 2> domains{on_lattice, on_lattice};
    static constexpr bool flat = true;
};
struct not_equal_row : binary<not_equal_row, equal_, 0, 0> {
    static constexpr char const* name = "a != b";
    static constexpr auto f(auto a, auto b) { return a != b; }
    static double scalar(double a, double b) { return a != b; }
    static constexpr std::array<domain, 2> domains{on_lattice, on_lattice};
    static constexpr bool flat = true;
};
struct where_row    : elementary_row<where_, symbol<"c", any, 1>, symbol<"a", any>, symbol<"b", 1, any>> {
    static constexpr char const* name = "where(c > 0, a, b)";
    static constexpr auto f(auto c, auto a, auto b) { return where(c > 0.0, a, b); }
    static constexpr std::array<unsigned, 3> reads{0, 1, 1};
    static constexpr std::array<domain, 3> domains{off_zero, domain{}, domain{}};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, 1}), sized({n}), sized({1, n})}; }
    static box reference(std::vector<box> const& x, std::vector<box> const&) {
        return each([](double c, double a, double b) { return c > 0 ? a : b; }, x[0], x[1], x[2]);
    }
};

struct square_row : composite<square_row> {
    static constexpr char const* name = "square";
    static constexpr auto f(auto a) { return square(a); }
    static double scalar(double a) { return a * a; }
};
struct silu_row : unary<silu_row, silu_> {
    static constexpr char const* name = "silu";
    static constexpr auto f(auto a) { return silu(a); }
    static double scalar(double a) { return a / (1 + std::exp(-a)); }
};
struct gelu_row : composite<gelu_row> {
    static constexpr char const* name = "gelu";
    static constexpr auto f(auto a) { return gelu(a); }
    static double scalar(double a) { return a * 0.5 * std::erfc(-a / std::sqrt(2.0)); }
};
struct gelu_tanh_row : composite<gelu_tanh_row> {
    static constexpr char const* name = "gelu_tanh";
    static constexpr auto f(auto a) { return gelu_tanh(a); }
    static double scalar(double a) {
        return a / (1 + std::exp(-2 * std::sqrt(2 / std::acos(-1.0)) * (a + 0.044715 * a * a * a)));
    }
};
/// Numbers beside an operand: scalars of the expression.
struct numbers_row : composite<numbers_row> {
    static constexpr char const* name = "numbers";
    static constexpr auto f(auto a) { return pow(2.0 * a / 3.0 + 5.0, 1.5) - max(1.0 / (a + 4.0), 0.5); }
    static double scalar(double a) { return std::pow(2 * a / 3 + 5, 1.5) - std::fmax(1 / (a + 4), 0.5); }
    static constexpr std::array<domain, 1> domains{{{-1.5, 2, domain::not_zero}}};
};

}  // namespace graft_test
