// SPDX-License-Identifier: Apache-2.0
#include <graft/block/llama.hpp>
#include <graft/quant/formats.hpp>
#include <graft/train/batch.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

TEST_CASE("batch: positions restart with each sequence, and only rows with a target are listed") {
    auto const c = tiny_config();
    poisoned_memory memory(batch_view<float>::bytes(8, c.head));
    arena place(memory.span);
    batch_view<float> v(place, 8, c);
    CHECK(place.taken() == static_cast<index_t>(memory.span.size()));
    std::vector<int> const ids{1, 2, 3, 4, 5}, targets{2, -1, 7, -1, 9};
    std::vector<index_t> const starts{0, 3};
    v.set({ids, targets, starts}, c);
    auto const around = v.around(c);
    CHECK(std::vector<index_t>(around.first_key, around.first_key + 5) == std::vector<index_t>{0, 0, 0, 3, 3});
    index_t const half = c.head / 2;
    CHECK(around.cosines[0] == 1);
    CHECK(around.cosines[3 * half] == 1);
    CHECK(around.cosines[4 * half] == around.cosines[1 * half]);
    CHECK(around.sines[2 * half] == doctest::Approx(std::sin(2.0)));
    auto const list = v.rows_with_target();
    CHECK(std::vector<index_t>(list.begin(), list.end()) == std::vector<index_t>{0, 2, 4});
    auto const picked = v.targets();
    CHECK(std::vector<int>(picked.begin(), picked.end()) == std::vector<int>{2, 7, 9});
}

TEST_CASE("batch: too many rows, unknown tokens and odd starts are refused") {
    auto const c = tiny_config();
    poisoned_memory memory(batch_view<float>::bytes(4, c.head));
    arena place(memory.span);
    batch_view<float> v(place, 4, c);
    std::vector<int> const five(5, 1), negative{-1}, large{static_cast<int>(c.vocabulary)}, one{1}, two{1, 1};
    std::vector<index_t> const late{1};
    CHECK_THROWS_AS(v.set({five, {}, {}}, c), failure);
    CHECK_THROWS_AS(v.set({negative, {}, {}}, c), failure);
    CHECK_THROWS_AS(v.set({large, {}, {}}, c), failure);
    CHECK_THROWS_AS(v.set({one, large, {}}, c), failure);
    CHECK_THROWS_AS(v.set({one, two, {}}, c), failure);
    CHECK_THROWS_AS(v.set({one, {}, late}, c), failure);
}

TEST_CASE("batch: embedding decodes the rows of its ids") {
    random_model<llama<lora>, double> m(tiny_config(), q4_0);
    std::vector<int> const ids{36, 0, 36};
    std::vector<double> x(3 * 32);
    embed(matrix<double>{x.data(), 3, 32}, m.net.embedding, ids);
    std::vector<float> row(32);
    m.net.embedding.how->decode(m.net.embedding.row(36), 0, 32, row.data());
    for (std::size_t j = 0; j < 32; ++j) {
        CHECK(x[j] == static_cast<double>(row[j]));
        CHECK(x[64 + j] == x[j]);
    }
}
