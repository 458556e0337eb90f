// SPDX-License-Identifier: Apache-2.0
// The rows of products, of what moves numbers, and of a user's rules (operation_table.hpp).
#pragma once

#include <tests/support/operation_rules.hpp>
#include <tests/support/structure_rows.hpp>

namespace graft_test {

// ----------------------------------------------------------------------------------------------------------- products
/// y[b, i, j] = Σ a[b, i, k] c[b, k, j], where what has one matrix less is read again.
inline box product(box const& a, box const& b, bool turned_a = false, bool turned_b = false) {
    index_t const ra = a.sizes.rank, rb = b.sizes.rank;
    index_t const m = a.sizes[ra - (turned_a ? 1 : 2)], inner = a.sizes[ra - (turned_a ? 2 : 1)];
    index_t const n = b.sizes[rb - (turned_b ? 2 : 1)];
    index_t const many_a = ra > 2 ? a.sizes[0] : 1, many_b = rb > 2 ? b.sizes[0] : 1, many = std::max(many_a, many_b);
    box y(ra > 2 || rb > 2 ? sized({many, m, n}) : sized({m, n}));
    for (index_t q = 0; q < many; ++q)
        for (index_t i = 0; i < m; ++i)
            for (index_t j = 0; j < n; ++j)
                for (index_t k = 0; k < inner; ++k) {
                    index_t const at_a = (many_a > 1 ? q : 0) * m * inner + (turned_a ? k * m + i : i * inner + k);
                    index_t const at_b = (many_b > 1 ? q : 0) * n * inner + (turned_b ? j * inner + k : k * n + j);
                    y[(q * m + i) * n + j] += a[at_a] * b[at_b];
                }
    return y;
}
template <class A, class B>
struct matmul_base : structure_row<std::tuple<A, B>, structure::matmul> {
    static constexpr std::array<unsigned, 2> reads{2, 1};
    static constexpr std::array<domain, 2> domains{};
};
struct matmul_row : matmul_base<symbol<"a", any, any>, symbol<"b", any, 4>> {
    static constexpr char const* name = "matmul(a, b)";
    static constexpr auto f(auto a, auto b) { return matmul(a, b); }
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n}), sized({n, 4})}; }
    static box reference(boxes const& x, boxes const&) { return product(x[0], x[1]); }
};
struct matmul_turned_row : matmul_base<symbol<"a", 3, any>, symbol<"b", any, 3>> {
    static constexpr char const* name = "matmul(aᵀ, bᵀ)";
    static constexpr auto f(auto a, auto b) { return matmul(transpose(a), transpose(b)); }
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n}), sized({5, 3})}; }
    static box reference(boxes const& x, boxes const&) { return product(x[0], x[1], true, true); }
};
struct matmul_a_turned_row : matmul_base<symbol<"a", any, any>, symbol<"b", any, 3>> {
    static constexpr char const* name = "matmul(aᵀ, b)";
    static constexpr auto f(auto a, auto b) { return matmul(transpose(a), b); }
    static std::vector<sizes_t> sizes(index_t n) { return {sized({4, n}), sized({4, 3})}; }
    static box reference(boxes const& x, boxes const&) { return product(x[0], x[1], true, false); }
};
struct matmul_b_turned_row : matmul_base<symbol<"a", 1, any>, symbol<"b", any, any>> {
    static constexpr char const* name = "matmul(a, bᵀ)";
    static constexpr auto f(auto a, auto b) { return matmul(a, transpose(b)); }
    static std::vector<sizes_t> sizes(index_t n) { return {sized({1, n}), sized({3, n})}; }
    static box reference(boxes const& x, boxes const&) { return product(x[0], x[1], false, true); }
};
/// Many left sides, one right side; and one left side, many right sides.
struct matmul_many_row : matmul_base<symbol<"a", any, any, 3>, symbol<"b", 3, any>> {
    static constexpr char const* name = "matmul(a…, b)";
    static constexpr auto f(auto a, auto b) { return matmul(a, b); }
    static std::vector<sizes_t> sizes(index_t n) { return {sized({2, n, 3}), sized({3, 5})}; }
    static box reference(boxes const& x, boxes const&) { return product(x[0], x[1]); }
};
struct matmul_one_row : matmul_base<symbol<"a", 1, any, 3>, symbol<"b", any, 2, 3>> {
    static constexpr char const* name = "matmul(a, b…ᵀ)";
    static constexpr auto f(auto a, auto b) { return matmul(a, transpose(b)); }
    static std::vector<sizes_t> sizes(index_t n) { return {sized({1, n, 3}), sized({4, 2, 3})}; }
    static box reference(boxes const& x, boxes const&) { return product(x[0], x[1], false, true); }
};
struct matmul_batch_row : matmul_base<symbol<"a", 2, 3, any>, symbol<"b", 2, any, any>> {
    static constexpr char const* name = "matmul(a…, b…)";
    static constexpr auto f(auto a, auto b) { return matmul(a, b); }
    static std::vector<sizes_t> sizes(index_t n) { return {sized({2, 3, 4}), sized({2, 4, n})}; }
    static box reference(boxes const& x, boxes const&) { return product(x[0], x[1]); }
};

// ------------------------------------------------------------------------------------------------- numbers that move
/// y[i, j, k] = x[…] of 2 × n × 3 numbers, where axis q of y is axis order[q] of x.
inline box turned(box const& x, std::array<index_t, 3> order) {
    box y(sized({x.sizes[order[0]], x.sizes[order[1]], x.sizes[order[2]]}));
    index_t const step[]{x.sizes[1] * x.sizes[2], x.sizes[2], 1};
    for (index_t i = 0, at = 0; i < y.sizes[0]; ++i)
        for (index_t j = 0; j < y.sizes[1]; ++j)
            for (index_t k = 0; k < y.sizes[2]; ++k)
                y[at++] = x[i * step[order[0]] + j * step[order[1]] + k * step[order[2]]];
    return y;
}
struct permute_row : of_cube<0, cube, structure::permute> {
    static constexpr char const* name = "permute<-1, 0, 1>(a)";
    static constexpr auto f(auto a) { return permute<-1, 0, 1>(a); }
    static box reference(boxes const& x, boxes const&) { return turned(x[0], {2, 0, 1}); }
};
struct transpose_row : of_cube<0, cube, structure::permute> {
    static constexpr char const* name = "transpose(a)";
    static constexpr auto f(auto a) { return transpose(a); }
    static box reference(boxes const& x, boxes const&) { return turned(x[0], {0, 2, 1}); }
};
struct reshape_row : of_cube<0, cube, structure::reshape> {
    static constexpr char const* name = "split_axis, merge_axes, insert_axis";
    static constexpr auto f(auto a) { return insert_axis<1>(merge_axes<1>(split_axis<0, 2>(merge_axes<0>(a * 2.0)))); }
    static box reference(boxes const& x, boxes const&) { return as(scaled(x[0], 2), {x[0].sizes[1], 1, 6}); }
};
struct rows_row : structure_row<std::tuple<symbol<"a", 4, any>, index_symbol<"ids", 3, 2>>, structure::rows,
                                structure::add_rows> {
    static constexpr char const* name = "rows(a, ids)";
    static constexpr auto f(auto a, auto i) { return rows(a, i); }
    static constexpr std::array<unsigned, 1> reads{2};
    static constexpr std::array<domain, 2> domains{domain{}, ids};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({4, n}), sized({3, 2})}; }
    static box reference(boxes const& x, boxes const&) {
        index_t const n = x[0].sizes[1];
        box y(sized({3, 2, n}));
        for (index_t i = 0; i < 6; ++i)
            for (index_t j = 0; j < n; ++j) y[i * n + j] = x[0][static_cast<index_t>(x[1][i]) * n + j];
        return y;
    }
};
struct pick_row : structure_row<std::tuple<symbol<"a", any, 4>, index_symbol<"ids", any>>, structure::pick,
                                structure::unpick> {
    static constexpr char const* name = "pick(a, ids)";
    static constexpr auto f(auto a, auto i) { return pick(a, i); }
    static constexpr std::array<unsigned, 1> reads{2};
    static constexpr std::array<domain, 2> domains{domain{}, ids_or_none};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({n, 4}), sized({n})}; }
    static box reference(boxes const& x, boxes const&) {
        box y(x[1].sizes);
        for (index_t i = 0; i < y.size(); ++i) y[i] = x[1][i] < 0 ? 0 : x[0][i * 4 + static_cast<index_t>(x[1][i])];
        return y;
    }
};
/// The numbers of the largest: indices that the program computes itself.
struct argmax_row : of_rows<1, table_2, structure::argmax, structure::pick, structure::unpick> {
    static constexpr std::array<domain, 1> domains{distinct};
    static constexpr char const* name = "pick(a², argmax(a))";
    static constexpr index_t least = 1;
    static constexpr auto f(auto a) { return pick(a * a, argmax(a)); }
    static box reference(boxes const& x, boxes const&) {
        box y(sized({3}));
        for (index_t i = 0; i < 3; ++i) {
            double const* const row = x[0].at.data() + i * x[0].columns();
            double const most = *std::max_element(row, row + x[0].columns());
            y[i] = most * most;
        }
        return y;
    }
};
struct concat_row : structure_row<std::tuple<symbol<"a", 2, any, 3>, symbol<"b", 2, 4, 3>>, structure::concat,
                                  structure::part> {
    static constexpr char const* name = "concat<1>(a, b, a)";
    static constexpr auto f(auto a, auto b) { return concat<1>(a, b, a); }
    static constexpr std::array<unsigned, 2> reads{0, 0};
    static constexpr std::array<domain, 2> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({2, n, 3}), sized({2, 4, 3})}; }
    static box reference(boxes const& x, boxes const&) {
        box y(sized({2, 2 * x[0].sizes[1] + 4, 3}));
        index_t at = 0;
        for (index_t i = 0; i < 2; ++i)
            for (std::size_t const part : {std::size_t{0}, std::size_t{1}, std::size_t{0}})
                for (index_t j = 0; j < x[part].size() / 2; ++j) y[at++] = x[part][i * (x[part].size() / 2) + j];
        return y;
    }
};
struct part_row : structure_row<std::tuple<symbol<"a", any, 3>>, structure::part, structure::put_part> {
    static constexpr char const* name = "part<0, 2, 3>(a)";
    static constexpr index_t least = 5;
    static constexpr auto f(auto a) { return part<0, 2, 3>(a); }
    static constexpr std::array<unsigned, 1> reads{0};
    static constexpr std::array<domain, 1> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({n, 3})}; }
    static box reference(boxes const& x, boxes const&) {
        box y(sized({3, 3}));
        for (index_t k = 0; k < 9; ++k) y[k] = x[0][k + 6];
        return y;
    }
};

// ------------------------------------------------------------------------------------------------------ a user's rules
template <class Op, unsigned... Reads>
struct rule_row : structure_row<std::tuple<symbol<"a", 3, any>, symbol<"b", 3, any>>, structure::call,
                                structure::pull> {
    static constexpr auto f(auto a, auto b) { return apply<Op>(a, b); }
    static constexpr bool pushes = false, bends = false;  // a rule says how to pull, not how to push
    static constexpr std::array<unsigned, 2> reads{Reads...};
    static constexpr std::array<domain, 2> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n}), sized({3, n})}; }
};
struct scaled_square_row : rule_row<scaled_square, 3, 3> {
    static constexpr char const* name = "apply<scaled_square>(a, b)";
    static box reference(boxes const& x, boxes const&) {
        return each([](double a, double b) { return a * a * b; }, x[0], x[1]);
    }
};
struct slanted_row : rule_row<slanted, 0, 0> {
    static constexpr char const* name = "apply<slanted>(a, b)";
    static box reference(boxes const& x, boxes const&) {
        return each([](double a, double b) { return 2 * a - b; }, x[0], x[1]);
    }
};
struct dotted_row : rule_row<dotted, 3, 3> {
    static constexpr char const* name = "apply<dotted>(a, b)";
    static box reference(boxes const& x, boxes const&) {
        box y(sizes_t{});
        y[0] = x[0].inner(x[1]);
        return y;
    }
};
struct remembered_row : structure_row<std::tuple<symbol<"a", 3, any>>, structure::call, structure::pull,
                                      structure::residue> {
    static constexpr char const* name = "apply<remembered>(a)";
    static constexpr auto f(auto a) { return apply<remembered>(a); }
    static constexpr bool pushes = false, bends = false;
    static constexpr std::array<unsigned, 1> reads{1};  // through what the forward keeps
    static constexpr std::array<domain, 1> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n})}; }
    static box reference(boxes const& x, boxes const&) {
        return each([](double a) { return a * std::sin(a); }, x[0]);
    }
};
/// One rule's value in another's operand, between other operations; two gradients of one pull.
struct rules_inside_row : rule_row<scaled_square, 3, 3> {
    static constexpr char const* name = "a rule of a rule";
    static constexpr auto f(auto a, auto b) {
        auto const y = apply<scaled_square>(sin(a) + b, b);
        return exp(-(y * y)) * apply<slanted>(y, a) + sum<-1>(apply<scaled_square>(b, a), keep);
    }
    static box reference(boxes const& x, boxes const&) {
        auto const square = [](double a, double b) { return a * a * b; };
        auto const g = [&](double a, double b) {
            double const y = square(std::sin(a) + b, b);
            return std::exp(-y * y) * (2 * y - a);
        };
        return each(added, each(g, x[0], x[1]), reduced(each(square, x[1], x[0]), 2, true, 0, added));
    }
};

}  // namespace graft_test
