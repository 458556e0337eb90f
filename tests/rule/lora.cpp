// SPDX-License-Identifier: Apache-2.0
// LoRA's rule alone: gradients by differences, dropout that replays, the offset, tiles.
#include <tests/support/adapted_map.hpp>

using namespace graft_test;

namespace {

using map_in_double = adapted_map<lora_map, double>;

/// Is number (row, column) of what map `place` reads kept? As the documentation says it.
bool is_kept(dropout_draw const& d, std::uint32_t place, index_t row, index_t column, index_t columns) {
    auto const draw = static_cast<std::uint64_t>(row * ((columns + 3) / 4) + column / 4);
    auto const word = philox({static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(draw >> 32) ^ place,
                              static_cast<std::uint32_t>(d.draw), dropout_stream},
                             {static_cast<std::uint32_t>(d.seed), static_cast<std::uint32_t>(d.seed >> 32)});
    return static_cast<double>(word[static_cast<std::size_t>(column % 4)]) >= std::floor(d.rate * 0x1p32);
}

}  // namespace

TEST_CASE("lora: the pull agrees with differences, with bias, dropout, offset, in f32 and q4_0") {
    for (map_case const& c : map_cases({adapter_norm::none})) {
        INFO(c.text());
        map_in_double r(c);
        r.forward(), r.pull();
        auto const loss = [&] { return r.loss(); };
        CHECK(agree(r.dx, differences(r.x, loss)));
        CHECK(agree(r.dA, differences(r.A, loss)));
        CHECK(agree(r.dB, differences(r.B, loss)));
    }
}

TEST_CASE("lora: dropout takes numbers from what A reads, and from nothing else") {
    for (bool const offset : {false, true}) {
        map_case c{.dropout = true, .offset = offset, .rows = 70, .in = 37};
        map_in_double r(c);
        r.forward();
        index_t kept = 0;
        grid<double> expected(c.rows, c.out);
        for (index_t i = 0; i < c.rows; ++i)
            for (index_t o = 0; o < c.out; ++o) {
                double sum = 0;
                for (index_t j = 0; j < c.in; ++j) {
                    bool const keeps = is_kept(r.around.dropout, r.w.place, i, j, c.in);
                    double low = 0;
                    for (index_t k = 0; k < c.rank; ++k) low += r.B(o, k) * r.A(k, j);
                    double const whole = r.dense(o, j) - 0.7 * low;
                    sum += r.x(i, j) * (whole + (keeps ? 0.7 * low / 0.7 : 0));
                    kept += o == 0 && keeps;
                }
                expected(i, o) = sum;
            }
        CHECK(distance(r.y, expected, 1e-12, 1e-12) <= 1);
        CHECK(std::abs(static_cast<double>(kept) / static_cast<double>(c.rows * c.in) - 0.7) < 0.03);
    }
}

TEST_CASE("lora: another draw, seed, place or first row is another mask; without a rate there is none") {
    map_case const c{.dropout = true};
    map_in_double r(c);
    r.forward();
    auto const first = r.y;
    auto const differs = [&](auto&& change, auto&& back) {
        change(), r.forward();
        bool const other = !same_bits(r.y, first);
        back(), r.forward();
        CHECK(same_bits(r.y, first));
        return other;
    };
    CHECK(differs([&] { r.around.dropout.draw = 5; }, [&] { r.around.dropout.draw = 4; }));
    CHECK(differs([&] { r.around.dropout.seed = 12; }, [&] { r.around.dropout.seed = 11; }));
    CHECK(differs([&] { r.w.place = 66; }, [&] { r.w.place = 65; }));
    map_in_double plain(map_case{});
    plain.forward();
    r.around.dropout.rate = 0, r.forward();
    CHECK(same_bits(r.y, plain.y));
    r.n.adapter_dropout = false, r.around.dropout.rate = 0.3;
    CHECK_THROWS(r.forward());
}

TEST_CASE_TEMPLATE("lora: tiles of 64 rows give the bits of all rows at once", T, float, double) {
    for (map_case c : map_cases({adapter_norm::none})) {
        INFO(c.text());
        c.rows = 150;
        adapted_map<lora_map, T> whole(c), tiles(c);
        whole.forward(), whole.pull();
        tiles.forward(64), tiles.pull(64);
        CHECK(same_bits(tiles.y, whole.y));
        CHECK(same_bits(tiles.dx, whole.dx));
        CHECK(same_bits(tiles.dA, whole.dA));
        CHECK(same_bits(tiles.dB, whole.dB));
    }
}

TEST_CASE("lora: an offset that is the adapter leaves the frozen map") {
    map_case const c{.how = &q4_0, .offset = true, .rows = 9};
    map_in_double r(c), frozen(map_case{.how = &q4_0, .rows = 9});
    r.A0 = r.A, r.B0 = r.B;
    r.w.A0 = r.A0.view(), r.w.B0 = r.B0.view();
    r.forward();
    frozen.w.A = frozen.w.B = {};
    frozen.forward();
    CHECK(distance(r.y, frozen.y, 1e-13, 1e-13) <= 1);
}

TEST_CASE("lora: scratch grows with dropout only, and with a part of the rows only") {
    using lora_rule = rule<lora_map>;
    transformer_sizes n{};
    call const c{150, 2, 3, true, 32, 7};
    index_t const plain = lora_rule::scratch<float>(n, c);
    CHECK(plain == 2 * round_up(150 * 3, 16));
    n.adapter_offset = true;
    CHECK(lora_rule::scratch<float>(n, c) == plain);
    CHECK(lora_rule::work(n, task{10, 32, 7, 3, true, true, true}) -
              lora_rule::work(transformer_sizes{}, task{10, 32, 7, 3, true, true, true}) ==
          10 * 3 * (32 + 7));
    n.adapter_dropout = true;
    CHECK(lora_rule::scratch<float>(n, c) == plain + depth_block * 32);
}
