// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/small_product.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

TEST_CASE_TEMPLATE(
    "small_product: the product is one chain of fma per element, for all sizes and both orders of the left", T, float,
    double) {
    constexpr index_t width = native_width<T>;
    for (index_t m : {0, 1, 2, 3, 4, 5, 6, 7, 11, 16})
        for (index_t n : {width, 2 * width, 3 * width, 4 * width, 7 * width})
            for (index_t const depth : {0, 1, 9})
                for (bool const turned : {false, true})
                    for (bool const accumulate : {false, true}) {
                        grid<T> const a(turned ? depth : m, turned ? m : depth, 1, 1.0), b(depth, n, 2, 1.0);
                        grid<T> c(m, n, 3, 1.0);
                        grid<T> const before = c;
                        small_product(c.numbers.data(), c.stride,
                                      turned ? small_factor<T>{a.numbers.data(), 1, a.stride}
                                             : small_factor<T>{a.numbers.data(), a.stride, 1},
                                      b.numbers.data(), b.stride, m, n, depth, accumulate);
                        bool right = true;
                        for (index_t i = 0; i < m; ++i)
                            for (index_t j = 0; j < n; ++j) {
                                T s = accumulate ? before(i, j) : T(0);
                                for (index_t l = 0; l < depth; ++l)
                                    s = graft::fma(turned ? a(l, i) : a(i, l), b(l, j), s);
                                right = right && s == c(i, j);
                            }
                        CHECK(right);
                        CHECK(c.gaps_untouched());
                    }
}
