// SPDX-License-Identifier: Apache-2.0
// Permuted axes, parts and rows against plain loops over every element.
#include <graft/kernel/rearrange.hpp>
#include <tests/support/grid.hpp>

#include <numeric>

using namespace graft_test;

namespace {

sizes_t sizes_of(std::vector<index_t> const& s) {
    sizes_t r;
    for (index_t n : s) r.push(n);
    return r;
}

/// Distinct numbers, behind `start` numbers that nobody may touch.
template <class T>
std::vector<T> distinct(index_t n, index_t start) {
    std::vector<T> x(static_cast<std::size_t>(n + start));
    std::iota(x.begin(), x.end(), T(1));
    return x;
}

template <class T>
void check_permute(std::vector<index_t> const& sizes, std::vector<index_t> const& order, index_t start) {
    sizes_t const s = sizes_of(sizes);
    index_t const n = count(s), rank = s.rank;
    auto const x = distinct<T>(n, start);
    std::vector<T> y(static_cast<std::size_t>(n + start + 1), T(-1));
    permute(y.data() + start, x.data() + start, s, order.data());
    index_t step[most_axes + 1];
    step[rank] = 1;
    for (index_t k = rank; k-- > 0;) step[k] = step[k + 1] * s[k];
    bool right = true;
    for (index_t i = 0; i < n; ++i) {
        index_t left = i, from = 0;
        for (index_t k = rank; k-- > 0;) {
            index_t const axis = order[static_cast<std::size_t>(k)];
            from += left % s[axis] * step[axis + 1];
            left /= s[axis];
        }
        right &= y[static_cast<std::size_t>(i + start)] == x[static_cast<std::size_t>(from + start)];
    }
    CAPTURE(sizes);
    CAPTURE(order);
    CHECK(right);
    for (index_t i = 0; i < start; ++i) CHECK(y[static_cast<std::size_t>(i)] == T(-1));
    CHECK(y.back() == T(-1));
}

}  // namespace

TEST_CASE_TEMPLATE("rearrange: permute of every small matrix", T, float, double, std::int32_t) {
    constexpr index_t most = 2 * native_width<T> + 3;
    for (index_t rows = 0; rows <= most; ++rows)
        for (index_t columns = 0; columns <= most; ++columns)
            check_permute<T>({rows, columns}, {1, 0}, rows % 2);
}

TEST_CASE_TEMPLATE("rearrange: permute of matrices beyond a block and beyond the caches, aligned or not", T, float,
                   double, std::int32_t) {
    check_permute<T>({70, 131}, {1, 0}, 0);
    check_permute<T>({128, 64}, {1, 0}, 1);
    for (index_t const start : {0, 1}) {
        check_permute<T>({512, 1027}, {1, 0}, start);  // lines of y begin at lines where start is 0
        check_permute<T>({515, 1024}, {1, 0}, start);
        check_permute<T>({2, 512, 517}, {0, 2, 1}, start);
    }
}

TEST_CASE("rearrange: permute of every order of up to four axes, with axes of size one") {
    for (std::vector<index_t> const& sizes :
         {std::vector<index_t>{}, {5}, {3, 4}, {2, 3, 5}, {2, 1, 5}, {3, 4, 2, 5}, {1, 4, 1, 5}, {17, 2, 20, 3}}) {
        std::vector<index_t> order(sizes.size());
        std::iota(order.begin(), order.end(), 0);
        do check_permute<float>(sizes, order, 1);
        while (std::next_permutation(order.begin(), order.end()));
    }
    check_permute<double>({2, 3, 2, 1, 2, 3, 2, 2}, {7, 0, 6, 1, 5, 2, 4, 3}, 0);
    check_permute<double>({2, 3, 2, 1, 2, 3, 2, 2}, {4, 5, 6, 7, 0, 1, 2, 3}, 0);
}

TEST_CASE_TEMPLATE("rearrange: take_part and put_part are inverse and touch nothing else", T, float, double,
                   std::int32_t) {
    for (std::vector<index_t> const& sizes :
         {std::vector<index_t>{7}, {3, 40}, {40, 3}, {2, 5, 4}, {2, 5, 33}, {0, 4}})
        for (index_t axis = 0; axis < static_cast<index_t>(sizes.size()); ++axis) {
            sizes_t const s = sizes_of(sizes);
            index_t const n = count(s), size = s[axis];
            auto const x = distinct<T>(n, 0);
            for (index_t begin = 0; begin <= size; ++begin)
                for (index_t const some : {index_t{0}, index_t{1}, (size - begin) / 2, size - begin}) {
                    if (begin + some > size) continue;
                    index_t const part = size == 0 ? 0 : n / size * some;
                    std::vector<T> y(static_cast<std::size_t>(part + 1), T(-1)), back(x.size(), T(-2));
                    take_part(y.data(), x.data(), s, axis, begin, some);
                    put_part(back.data(), s, static_cast<T const*>(y.data()), axis, begin, some);
                    index_t behind = 1, k = 0;
                    for (index_t a = axis + 1; a < s.rank; ++a) behind *= s[a];
                    bool right = true;
                    for (index_t i = 0; i < n; ++i) {
                        index_t const at = i / behind % size;
                        bool const inside = at >= begin && at < begin + some;
                        auto const here = static_cast<std::size_t>(i);
                        if (inside) right &= y[static_cast<std::size_t>(k++)] == x[here];
                        right &= back[here] == (inside ? x[here] : T(-2));
                    }
                    CHECK(right);
                    CHECK(k == part);
                    CHECK(y.back() == T(-1));
                }
        }
}

TEST_CASE_TEMPLATE("rearrange: rows are gathered and added by their numbers", T, float, double) {
    std::vector<std::int32_t> const ids{2, 0, 2, 4};
    for (index_t width = 0; width <= 2 * native_width<T> + 3; ++width) {
        auto const table = distinct<T>(5 * width, 0);
        std::vector<T> y(static_cast<std::size_t>(4 * width + 1), T(-1)), sums = table;
        gather_rows(y.data(), table.data(), 5, width, ids.data(), 4);
        add_rows(sums.data(), 5, width, static_cast<T const*>(y.data()), ids.data(), 4);
        T const times[] = {2, 1, 3, 1, 2};
        for (index_t j = 0; j < width; ++j) {
            for (std::size_t i = 0; i < 4; ++i)
                CHECK(y[i * static_cast<std::size_t>(width) + static_cast<std::size_t>(j)] ==
                      table[static_cast<std::size_t>(ids[i] * width + j)]);
            for (index_t i = 0; i < 5; ++i) {
                auto const at = static_cast<std::size_t>(i * width + j);
                CHECK(sums[at] == times[i] * table[at]);
            }
        }
        CHECK(y.back() == T(-1));
    }
}

TEST_CASE("rearrange: pick and unpick take one number of each row, or none") {
    std::vector<double> const x{1, 2, 3, 4, 5, 6, 7, 8, 9};
    std::vector<std::int32_t> const ids{2, -1, 0};
    std::vector<double> y(3, -1), dx(9, -1);
    pick(y.data(), x.data(), 3, 3, ids.data());
    CHECK(y == std::vector<double>{3, 0, 7});
    unpick(dx.data(), static_cast<double const*>(y.data()), 3, 3, ids.data());
    CHECK(dx == std::vector<double>{0, 0, 3, 0, 0, 0, 7, 0, 0});
}

TEST_CASE("rearrange: a number of no row is refused") {
    std::vector<float> table(6), y(6);
    for (std::int32_t const id : {-1, 2, 1000}) {
        try {
            gather_rows(y.data(), static_cast<float const*>(table.data()), 2, 3, &id, 1);
            CHECK(false);
        } catch (failure const& f) {
            CHECK(f.details.kind == fault::bounds);
            CHECK(f.details.given == id);
            CHECK(f.details.wanted == 2);
        }
        CHECK_THROWS(add_rows(table.data(), 2, 3, static_cast<float const*>(y.data()), &id, 1));
    }
    std::int32_t const beyond = 3;
    CHECK_THROWS(pick(y.data(), static_cast<float const*>(table.data()), 1, 3, &beyond));
    CHECK_THROWS(unpick(table.data(), static_cast<float const*>(y.data()), 1, 3, &beyond));
}
