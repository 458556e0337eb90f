// SPDX-License-Identifier: Apache-2.0
// The rows of reductions and of functions of rows (operation_table.hpp).
#pragma once

#include <tests/support/elementary_rows.hpp>

#include <graft/base/random.hpp>

namespace graft_test {

/// Of 2 × n × 3 numbers, or what the row says; What: the vertices that must be in its graphs.
template <class Arguments, structure... What>
struct structure_row;
template <class... S, structure... What>
struct structure_row<std::tuple<S...>, What...> : row<S...> {
    static constexpr bool holds(structure s) { return ((s == What) || ...); }
    static constexpr bool covered_by(auto const& g) {
        return ([&] {
            for (auto const& v : g.vertices)
                if (v.what == What) return true;
            return false;
        }() && ...);
    }
};
using cube = std::tuple<symbol<"a", 2, any, 3>>;
using table_2 = std::tuple<symbol<"a", 3, any>>;

template <unsigned Reads, class Arguments, structure... What>
struct of_cube : structure_row<Arguments, What...> {
    static constexpr std::array<unsigned, 1> reads{Reads};
    static constexpr std::array<domain, 1> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({2, n, 3})}; }
};
template <unsigned Reads, class Arguments, structure... What>
struct of_rows : structure_row<Arguments, What...> {
    static constexpr std::array<unsigned, 1> reads{Reads};
    static constexpr std::array<domain, 1> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n})}; }
};

/// y[…] = join(y[…], x[…]) over the axes in `mask`, from `start`; the axes go, or stay with size 1.
template <class Join>
box reduced(box const& x, unsigned mask, bool keeps, double start, Join join) {
    sizes_t kept, shown;
    for (index_t a = 0; a < x.sizes.rank; ++a) {
        bool const gone = mask >> a & 1;
        kept.push(gone ? 1 : x.sizes[a]);
        if (!gone || keeps) shown.push(kept[a]);
    }
    box y(kept);
    for (double& v : y.at) v = start;
    for (index_t k = 0; k < x.size(); ++k) {
        index_t at = 0, step = 1, left = k;
        for (index_t a = kept.rank - 1; a >= 0; --a) {
            if (kept[a] != 1) at += left % x.sizes[a] * step;
            left /= x.sizes[a], step *= kept[a];
        }
        y[at] = join(y[at], x[k]);
    }
    y.sizes = shown;
    return y;
}
inline double added(double a, double b) { return a + b; }
inline double larger(double a, double b) { return a > b ? a : b; }
inline box scaled(box b, double by) {
    for (double& v : b.at) v *= by;
    return b;
}
inline box as(box b, std::initializer_list<index_t> n) {
    b.sizes = sized(n);
    return b;
}
/// Every row of x, by f(row in, row out, columns).
template <class F>
box by_rows(box const& x, F f) {
    box y(x.sizes);
    for (index_t i = 0; i < x.rows(); ++i) f(x.at.data() + i * x.columns(), y.at.data() + i * x.columns(), x.columns());
    return y;
}
using boxes = std::vector<box>;

// -------------------------------------------------------------------------------------------------------- reductions
struct sum_all_row : of_cube<0, cube, structure::sum, structure::expand> {
    static constexpr char const* name = "sum(a)";
    static constexpr auto f(auto a) { return sum(a); }
    static box reference(boxes const& x, boxes const&) { return reduced(x[0], 7, false, 0, added); }
};
struct sum_middle_row : of_cube<0, cube, structure::sum, structure::expand, structure::reshape> {
    static constexpr char const* name = "sum<1>(a)";
    static constexpr auto f(auto a) { return sum<1>(a); }
    static box reference(boxes const& x, boxes const&) { return reduced(x[0], 2, false, 0, added); }
};
struct sum_last_row : of_rows<0, table_2, structure::sum> {
    static constexpr char const* name = "sum<-1>(a, keep)";
    static constexpr auto f(auto a) { return sum<-1>(a, keep); }
    static box reference(boxes const& x, boxes const&) { return reduced(x[0], 2, true, 0, added); }
};
struct sum_outer_row : of_cube<1, cube, structure::sum> {
    static constexpr char const* name = "sum<0, 2>(a²)";
    static constexpr auto f(auto a) { return sum<0, 2>(a * a); }
    static box reference(boxes const& x, boxes const&) {
        return reduced(x[0], 5, false, 0, [](double s, double v) { return s + v * v; });
    }
};
/// A sum over an axis that was only stretched is a multiplication.
struct sum_stretched_row : structure_row<std::tuple<symbol<"a", any, 1>, symbol<"b", any>>, structure::sum> {
    static constexpr char const* name = "sum<-1>(a + b)";
    static constexpr auto f(auto a, auto b) { return sum<-1>(a + 0.0 * b, keep) + sum<0>(b * a + b); }
    static constexpr std::array<unsigned, 2> reads{2, 1};
    static constexpr std::array<domain, 2> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, 1}), sized({n})}; }
    static box reference(boxes const& x, boxes const&) {
        auto const n = static_cast<double>(x[1].size());
        box const left = each([n](double a) { return n * a; }, x[0]);
        box const right = reduced(each([](double a, double b) { return b * a + b; }, x[0], x[1]), 1, false, 0, added);
        return each(added, left, right);
    }
};
struct mean_row : of_cube<0, cube, structure::sum> {
    static constexpr char const* name = "mean<0, 1>(a)";
    static constexpr index_t least = 1;
    static constexpr auto f(auto a) { return mean<0, 1>(a); }
    static box reference(boxes const& x, boxes const&) {
        return scaled(reduced(x[0], 3, false, 0, added), 0.5 / static_cast<double>(x[0].sizes[1]));
    }
};
template <int... Axes>
struct largest_row : of_cube<1, cube, structure::largest> {
    static constexpr std::array<domain, 1> domains{distinct};
    static constexpr char const* name = "max(a) over axes";
    static constexpr index_t least = 1;
    static constexpr auto f(auto a) { return max<Axes...>(a); }
    static box reference(boxes const& x, boxes const&) {
        return reduced(x[0], graft::detail::axes_mask<Axes...>(3), false, -1e300, larger);
    }
};
struct smallest_row : of_rows<1, table_2, structure::largest> {
    static constexpr std::array<domain, 1> domains{distinct};
    static constexpr char const* name = "min<1>(a, keep)";
    static constexpr index_t least = 1;
    static constexpr auto f(auto a) { return min<1>(a, keep); }
    static box reference(boxes const& x, boxes const&) {
        return reduced(x[0], 2, true, 1e300, [](double a, double b) { return a < b ? a : b; });
    }
};
struct variance_row : of_rows<1, table_2, structure::sum> {
    static constexpr char const* name = "variance<0>(a)";
    static constexpr auto f(auto a) { return variance<0>(a); }
    static box reference(boxes const& x, boxes const&) {
        box const m = scaled(reduced(x[0], 1, true, 0, added), 1.0 / 3);
        return scaled(reduced(each([](double a, double b) { return (a - b) * (a - b); }, x[0], m), 1, false, 0, added),
                      1.0 / 3);
    }
};
struct log_sum_exp_row : of_rows<1, table_2, structure::sum, structure::largest> {
    static constexpr char const* name = "log_sum_exp<-1>(a)";
    static constexpr index_t least = 1;
    static constexpr auto f(auto a) { return log_sum_exp<-1>(a); }
    static box reference(boxes const& x, boxes const&) {
        return each([](double s) { return std::log(s); },
                    reduced(x[0], 2, false, 0, [](double s, double v) { return s + std::exp(v); }));
    }
};
struct norm_row : of_rows<1, table_2, structure::sum> {
    static constexpr char const* name = "norm<0>(a)";
    static constexpr std::array<domain, 1> domains{off_zero};
    static constexpr auto f(auto a) { return norm<0>(a); }
    static box reference(boxes const& x, boxes const&) {
        return each([](double s) { return std::sqrt(s); },
                    reduced(x[0], 1, false, 0, [](double s, double v) { return s + v * v; }));
    }
};

// ---------------------------------------------------------------------------------------------------- rows' functions
inline void softmax_of(double const* x, double* y, index_t n) {
    double total = 0;
    for (index_t j = 0; j < n; ++j) total += y[j] = std::exp(x[j]);
    for (index_t j = 0; j < n; ++j) y[j] /= total;
}
struct softmax_row : of_rows<1, table_2, structure::softmax> {
    static constexpr char const* name = "softmax(a)";
    static constexpr auto f(auto a) { return softmax(a); }
    static box reference(boxes const& x, boxes const&) { return by_rows(x[0], softmax_of); }
};
struct softmax_along_row : of_cube<1, cube, structure::sum> {
    static constexpr char const* name = "softmax<1>(a)";
    static constexpr index_t least = 1;
    static constexpr auto f(auto a) { return softmax<1>(a); }
    static box reference(boxes const& x, boxes const&) {
        box const e = each([](double a) { return std::exp(a); }, x[0]);
        return each([](double a, double s) { return a / s; }, e, reduced(e, 2, true, 0, added));
    }
};
struct log_softmax_row : of_rows<1, table_2, structure::log_softmax> {
    static constexpr char const* name = "log_softmax(a)";
    static constexpr auto f(auto a) { return log_softmax(a); }
    static box reference(boxes const& x, boxes const&) {
        box y = by_rows(x[0], softmax_of);
        for (double& v : y.at) v = std::log(v);
        return y;
    }
};
struct rms_norm_row : structure_row<std::tuple<symbol<"a", 3, any>, symbol<"w", any>>> {
    static constexpr char const* name = "rms_norm(a, w)";
    static constexpr index_t least = 1;
    static constexpr bool holds(structure s) { return s == structure::rms_norm; }  // its derivative says it in others
    static constexpr auto f(auto a, auto w) { return rms_norm(a, w, 0.01); }
    static constexpr std::array<unsigned, 2> reads{3, 1};
    static constexpr std::array<domain, 2> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n}), sized({n})}; }
    static box reference(boxes const& x, boxes const&) {
        box const y = by_rows(x[0], [](double const* from, double* to, index_t n) {
            double s = 0;
            for (index_t j = 0; j < n; ++j) s += from[j] * from[j];
            for (index_t j = 0; j < n; ++j) to[j] = from[j] / std::sqrt(s / static_cast<double>(n) + 0.01);
        });
        return each([](double a, double w) { return a * w; }, y, x[1]);
    }
};
struct layer_norm_row : structure_row<std::tuple<symbol<"a", 3, any>, symbol<"w", any>, symbol<"b", any>>> {
    static constexpr char const* name = "layer_norm(a, w, b)";
    static constexpr index_t least = 1;
    static constexpr bool holds(structure s) { return s == structure::layer_norm; }
    static constexpr auto f(auto a, auto w, auto b) { return layer_norm(a, w, b, 0.01); }
    static constexpr std::array<unsigned, 3> reads{3, 1, 0};
    static constexpr std::array<domain, 3> domains{};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n}), sized({n}), sized({n})}; }
    static box reference(boxes const& x, boxes const&) {
        box const y = by_rows(x[0], [](double const* from, double* to, index_t n) {
            double m = 0, s = 0;
            for (index_t j = 0; j < n; ++j) m += from[j] / static_cast<double>(n);
            for (index_t j = 0; j < n; ++j) s += (from[j] - m) * (from[j] - m) / static_cast<double>(n);
            for (index_t j = 0; j < n; ++j) to[j] = (from[j] - m) / std::sqrt(s + 0.01);
        });
        return each([](double a, double w, double b) { return a * w + b; }, y, x[1], x[2]);
    }
};
/// The numbers that stay are those that the counter-based generator says, one draw for four of them.
struct dropout_row : structure_row<std::tuple<symbol<"a", 3, any>, index_symbol<"key", 2>>, structure::dropout> {
    static constexpr char const* name = "dropout(a, 0.4, key)";
    static constexpr auto f(auto a, auto key) { return dropout(a, 0.4, key); }
    static constexpr std::array<unsigned, 1> reads{2};
    static constexpr std::array<domain, 2> domains{domain{}, domain{3, 90, domain::index}};
    static std::vector<sizes_t> sizes(index_t n) { return {sized({3, n}), sized({2})}; }
    static box reference(boxes const& x, boxes const&) {
        constexpr std::uint32_t stream = 0x64726f70;
        box y(x[0].sizes);
        for (index_t k = 0; k < y.size(); ++k) {
            auto const seed = static_cast<std::uint32_t>(x[1][0]), step = static_cast<std::uint32_t>(x[1][1]);
            auto const words = philox({static_cast<std::uint32_t>(k / 4), 0, step, stream}, {seed, 0});
            bool const dropped = static_cast<double>(words[static_cast<std::size_t>(k % 4)]) < 0.4 * 0x1p32 - 1;
            y[k] = dropped ? 0 : x[0][k] / (1 - 0.4);
        }
        return y;
    }
};

}  // namespace graft_test
