// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/attention_tiles.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

TEST_CASE_TEMPLATE("attention_tiles: tiles shrink with the rows and keys there are, and are whole packs", T, float,
                   double) {
    attention_shape const shape{.heads = 9, .kv_heads = 3, .head = 20};
    for (index_t const rows : {1, 7, 64, 1000})
        for (index_t const keys : {1, 65, 1000}) {
            detail::attention_tiles<T> const n(shape, rows, keys);
            CHECK(n.rows % native_width<T> == 0);
            CHECK(n.keys % native_width<T> == 0);
            CHECK(n.head % native_width<T> == 0);
            CHECK(n.rows >= std::min<index_t>(rows, shape.tile));
            CHECK(n.rows <= std::max(shape.tile, native_width<T>));
            CHECK(n.keys >= std::min<index_t>(keys, shape.tile));
            CHECK(n.head >= 20);
            // More rows or keys never need less: a plan for the largest batch holds for each.
            detail::attention_tiles<T> const more(shape, rows + 1, keys + 1);
            CHECK(more.forward(shape) >= n.forward(shape));
            CHECK(more.single(shape) >= n.single(shape));
            CHECK(more.pull_q(shape) >= n.pull_q(shape));
            CHECK(more.pull_kv(shape) >= n.pull_kv(shape));
        }
}

TEST_CASE("attention_tiles: a tile of rows knows the keys that its rows see") {
    index_t const first_key[] = {0, 0, 0, 3, 3, 5};
    attention_shape shape{.heads = 1, .kv_heads = 1, .head = 4, .past = 0, .first_key = first_key, .tile = 4};
    detail::row_tile const one(shape, 6, 6, 0), two(shape, 6, 6, 1);
    CHECK(one.start == 0);
    CHECK(one.count == 4);
    CHECK(one.first == 0);
    CHECK(one.last == 3);
    CHECK(one.latest_first == 3);
    CHECK(two.start == 4);
    CHECK(two.count == 2);
    CHECK(two.first == 3);
    CHECK(two.last == 5);
    CHECK(two.latest_first == 5);
    shape.first_key = nullptr, shape.past = 10;
    detail::row_tile const later(shape, 6, 16, 1);
    CHECK(later.first == 0);
    CHECK(later.last == 15);
    CHECK(detail::row_tile(shape, 6, 13, 1).last == 12);  // there are no more keys
    shape.causal = false;
    CHECK(detail::row_tile(shape, 6, 30, 0).last == 29);
    CHECK(detail::row_tile(shape, 6, 2, 1).last == 1);
}

TEST_CASE("attention_tiles: what a row does not see is hidden, the rest stays") {
    index_t const first_key[] = {0, 0, 0, 3, 3, 5, 5, 5, 5};
    for (bool const packed : {false, true})
        for (index_t const past : {0, 2})
            for (index_t tile = 0; tile < 3; ++tile)
                for (index_t key = 0; key < 11; key += 4) {
                    attention_shape const shape{.heads = 1,
                                                .kv_heads = 1,
                                                .head = 4,
                                                .past = past,
                                                .first_key = packed ? first_key : nullptr,
                                                .tile = 4};
                    detail::row_tile const rows(shape, 9, 9 + past, tile);
                    index_t const keys = std::min<index_t>(4, rows.last + 1 - key);
                    if (keys <= 0) continue;
                    std::vector<float> s(static_cast<std::size_t>(keys * 8), 1.0f);
                    detail::hide_unseen(s.data(), 8, shape, rows, key, keys, -7.0f);
                    for (index_t c = 0; c < keys; ++c)
                        for (index_t i = 0; i < rows.count; ++i) {
                            index_t const row = rows.start + i;
                            bool const seen = key + c <= past + row && key + c >= (packed ? first_key[row] : 0);
                            CHECK(s[static_cast<std::size_t>(c * 8 + i)] == (seen ? 1.0f : -7.0f));
                        }
                }
}

TEST_CASE("attention_tiles: tiles are transposed and copied with zeros around") {
    grid<double> from(3, 5, 1, 1.0);
    std::vector<double> turned = scratch<double>(5 * 8), copied = scratch<double>(3 * 8);
    detail::transpose_tile(turned.data(), 8, from.view(), 2.0);
    detail::copy_tile(copied.data(), 8, from.view());
    for (index_t i = 0; i < 8; ++i)
        for (index_t j = 0; j < 5; ++j)
            CHECK(turned[static_cast<std::size_t>(j * 8 + i)] == (i < 3 ? 2 * from(i, j) : 0.0));
    for (index_t i = 0; i < 3; ++i)
        for (index_t j = 0; j < 8; ++j)
            CHECK(copied[static_cast<std::size_t>(i * 8 + j)] == (j < 5 ? from(i, j) : 0.0));
}
