// SPDX-License-Identifier: Apache-2.0
// Products with a factor that was packed before have the bits of those without.
#include <graft/kernel/packed.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;

namespace {

template <class T>
std::vector<T> numbers(index_t n, std::uint32_t seed) {
    std::vector<T> x(static_cast<std::size_t>(n));
    for (auto& v : x) {
        seed = seed * 1664525u + 1013904223u;
        v = static_cast<T>(seed >> 8) / T(8388608) - T(1);
    }
    return x;
}

/// x * b and x * (b packed before), by `lanes` lanes, both with what was in c added.
template <class T, class B>
void compare(matrix<T> x, B const& b, index_t lanes) {
    index_t const across = columns(b);
    thread_pool pool(lanes);
    std::vector<std::byte> memory(static_cast<std::size_t>(lanes * product_panel_bytes<T> + 64));
    auto const on = pool.handle(memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64,
                                product_panel_bytes<T>);
    std::vector<T> expected = numbers<T>(x.rows * across, 9), got = expected;
    matrix<T> const one(expected.data(), x.rows, across, &on), other(got.data(), x.rows, across, &on);
    one += T(0.5) * x * b;
    std::vector<T> room(static_cast<std::size_t>(packed_numbers<T>(rows(b), across)), T(77));
    auto const packed = pack_factor<T>(b, room.data(), lanes > 1 ? &on : nullptr);
    CHECK(rows(packed) == rows(b));
    CHECK(columns(packed) == across);
    matrix<T> to = other;
    to += T(0.5) * x * packed;
    CHECK(got == expected);
}

}  // namespace

TEST_CASE_TEMPLATE("a packed factor: the bits of the product without packing, any size, lanes", T, float, double) {
    for (auto const& [in, out] : {std::pair<index_t, index_t>{1, 1}, {32, 100}, {300, 97}, {513, 200}, {96, 48}})
        for (index_t const m : {1, 7, 50})
            for (index_t const lanes : {1, 2, 3}) {
                CAPTURE(m);
                CAPTURE(lanes);
                auto x = numbers<T>(m * in, 1), g = numbers<T>(m * out, 2), w = numbers<T>(out * in, 3);
                matrix<T> const wm(w.data(), out, in);
                compare<T>(matrix<T>(x.data(), m, in), t(wm), lanes);
                compare<T>(matrix<T>(g.data(), m, out), wm, lanes);
            }
}

TEST_CASE("a packed factor: stored weights and factors of rows") {
    index_t const in = 512, out = 160, m = 20;
    auto dense = numbers<float>(out * in, 3), x = numbers<float>(m * in, 1), g = numbers<float>(m * out, 2),
         k = numbers<float>(out, 4);
    for (auto const* how : {&q4_0, &q4_1, &q8_0}) {
        std::vector<std::byte> bytes(static_cast<std::size_t>(out * how->row_bytes(in)));
        weight const w(bytes.data(), out, in, *how);
        for (index_t i = 0; i < out; ++i) encode(*how, dense.data() + i * in, in, bytes.data() + i * w.row_bytes);
        compare<float>(matrix<float>(x.data(), m, in), t(w), 2);
        compare<float>(matrix<float>(g.data(), m, out), w, 2);
        compare<float>(matrix<float>(x.data(), m, in), t(diagonal<float>(k.data()) * w), 1);
        compare<float>(matrix<float>(g.data(), m, out), diagonal<float>(k.data()) * w, 1);
    }
}
