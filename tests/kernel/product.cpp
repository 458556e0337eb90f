// SPDX-License-Identifier: Apache-2.0
// The product against plain sums in double, and its promises: any lanes, any tile, any slice give the same bits.
#include <doctest/doctest.h>

#include <graft/kernel/product.hpp>
#include <graft/quant/formats.hpp>
#include <graft/quant/reference.hpp>

#include <cmath>
#include <cstring>
#include <vector>

using namespace graft;

namespace {

struct noise {
    std::uint32_t state;
    std::uint32_t next() { return (state = state * 1664525u + 1013904223u) >> 8; }
    double number() { return static_cast<double>(next() % 4001) / 2000 - 1; }
};

/// A matrix with its own memory, a stride wider than its rows, and not-a-numbers in the gap.
template <class T>
struct owned {
    std::vector<T> memory;
    matrix<T> m;
    owned(index_t rows, index_t columns, std::uint32_t seed, index_t gap = 3)
        : memory(static_cast<std::size_t>(rows * (columns + gap) + 1), T(NAN)),
          m(memory.data(), rows, columns, columns + gap, nullptr) {
        noise n{seed};
        for (index_t i = 0; i < rows; ++i)
            for (index_t j = 0; j < columns; ++j) m(i, j) = static_cast<T>(n.number());
    }
};

/// A weight of random blocks whose scales are ordinary numbers.
struct owned_weight {
    std::vector<std::byte> memory;
    weight w;
    owned_weight(format const& how, index_t rows, index_t columns, std::uint32_t seed)
        : memory(static_cast<std::size_t>(rows * how.row_bytes(columns))), w(memory.data(), rows, columns, how) {
        noise n{seed};
        for (auto& b : memory) b = static_cast<std::byte>(n.next());
        auto const put = [&](std::byte* to, std::uint16_t bits) { std::memcpy(to, &bits, 2); };
        for (std::byte* b = memory.data(); b < memory.data() + memory.size(); b += how.bytes) {
            auto const scale = static_cast<std::uint16_t>(0x2000u + n.next() % 0x800u);  // 2^-7 … 2^-5
            switch (how.type) {
                case weight_type::f32: {
                    auto const x = static_cast<float>(n.number());
                    std::memcpy(b, &x, 4);
                    break;
                }
                case weight_type::f16:
                    put(b, float_to_half(static_cast<float>(n.number())));
                    break;
                case weight_type::bf16:
                    put(b, float_to_brain(static_cast<float>(n.number())));
                    break;
                case weight_type::q6_k:
                    put(b + 208, static_cast<std::uint16_t>(scale - 0x1000u));
                    break;
                case weight_type::q4_k:
                case weight_type::q5_k:
                    put(b, static_cast<std::uint16_t>(scale - 0x1000u)),
                        put(b + 2, static_cast<std::uint16_t>(scale - 0x1000u));
                    break;
                case weight_type::q4_1:
                case weight_type::q5_1:
                    put(b + 2, static_cast<std::uint16_t>(scale | 0x8000u));
                    [[fallthrough]];
                default:
                    put(b, scale);
            }
        }
    }
    double operator()(index_t i, index_t j) const { return static_cast<double>(decode_one(*w.how, w.row(i), j)); }
};

/// Lanes that take tasks in a strange order, one after the other: what any executor may do.
struct strange_lanes {
    std::vector<std::byte> memory;
    workers on;
    template <class T>
    strange_lanes(index_t count, T) : memory(static_cast<std::size_t>(count * product_panel_bytes<T> + 64)) {
        auto const gap = (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
        on = {count, memory.data() + gap, product_panel_bytes<T>, run, this};
    }
    strange_lanes(strange_lanes const&) = delete;
    static void run(void* self, index_t tasks, workers::task what, void* context) {
        index_t const lanes = static_cast<strange_lanes*>(self)->on.count;
        for (index_t i = tasks; i-- > 0;) what(context, i, (i * 7 + 1) % lanes);
    }
};

template <class T, class F, class G>
void check_against(matrix<T> c, std::vector<T> const& before, index_t depth, double scale, bool accumulate, F a, G b) {
    double const unit = std::is_same_v<T, float> ? 6e-8 : 1.2e-16;
    for (index_t i = 0; i < c.rows; ++i) {
        for (index_t j = 0; j < c.columns; ++j) {
            double sum = 0, size = 0;
            for (index_t k = 0; k < depth; ++k) {
                double const p = static_cast<double>(a(i, k)) * static_cast<double>(b(k, j));
                sum += p, size += std::abs(p);
            }
            double const start =
                accumulate ? static_cast<double>(before[static_cast<std::size_t>(i * c.stride + j)]) : 0;
            double const wanted = start + scale * sum, bound = unit * (std::abs(start) + std::abs(scale) * size) *
                                                               (4 + std::sqrt(static_cast<double>(depth)));
            if (std::abs(static_cast<double>(c(i, j)) - wanted) > bound || std::isnan(c(i, j))) {
                INFO(c.rows, " x ", c.columns, " depth ", depth, " at ", i, ", ", j, " wanted ", wanted);
                REQUIRE(static_cast<double>(c(i, j)) == doctest::Approx(wanted).epsilon(bound));
            }
        }
    }
    for (index_t i = 0; i < c.rows; ++i)  // the gap between rows is untouched
        for (index_t j = c.columns; j < c.stride; ++j) REQUIRE(std::isnan(c.data[i * c.stride + j]));
}

/// Assigns and adds, on the stack and with three lanes; every way against double, and all ways against each other.
template <class T, class A, class B, class F, class G>
void check_product(index_t m, index_t n, A a, B b, F left, G right) {
    index_t const k = columns(a);
    for (bool const accumulate : {false, true}) {
        T const scale = accumulate ? T(-0.75) : T(1.5);
        owned<T> c(m, n, 99);
        auto const before = c.memory;
        if (!accumulate)
            for (index_t i = 0; i < m; ++i) std::fill_n(c.m.row(i), n, T(NAN));
        multiply(c.m, a, b, scale, accumulate);
        check_against(c.m, before, k, static_cast<double>(scale), accumulate, left, right);
        for (index_t lanes : {1, 2, 3}) {
            strange_lanes s(lanes, T{});
            owned<T> d(m, n, 99);
            multiply(d.m.by(&s.on), a, b, scale, accumulate);
            REQUIRE(std::memcmp(c.memory.data(), d.memory.data(), c.memory.size() * sizeof(T)) == 0);
        }
    }
}

template <class T>
void check_matrices(index_t m, index_t n, index_t k) {
    owned<T> a(m, k, 1), ta(k, m, 2), b(k, n, 3), tb(n, k, 4);
    auto const at = [](auto const& x) { return [&x](index_t i, index_t j) { return x.m(i, j); }; };
    auto const turned = [](auto const& x) { return [&x](index_t i, index_t j) { return x.m(j, i); }; };
    check_product<T>(m, n, a.m, b.m, at(a), at(b));
    check_product<T>(m, n, a.m, t(tb.m), at(a), turned(tb));
    check_product<T>(m, n, t(ta.m), b.m, turned(ta), at(b));
    check_product<T>(m, n, t(ta.m), t(tb.m), turned(ta), turned(tb));
}

template <class T>
void check_weights(format const& how, index_t m, index_t out, index_t in) {
    INFO(how.name);
    owned_weight const w(how, out, in, 11);
    owned<T> x(m, in, 5), g(m, out, 6), tg(out, m, 7);
    auto const at = [](auto const& a) { return [&a](index_t i, index_t j) { return a.m(i, j); }; };
    check_product<T>(m, out, x.m, t(w.w), at(x), [&](index_t i, index_t j) { return w(j, i); });
    check_product<T>(m, in, g.m, w.w, at(g), [&](index_t i, index_t j) { return w(i, j); });
    check_product<T>(
        m, in, t(tg.m), w.w, [&](index_t i, index_t j) { return tg.m(j, i); },
        [&](index_t i, index_t j) { return w(i, j); });
}

}  // namespace

TEST_CASE_TEMPLATE("product: matrices and transposes of all small sizes", T, float, double) {
    for (index_t const m : {1, 2, 3, 5, 7, 11, 13, 24})
        for (index_t const n : {1, 4, 8, 15, 16, 17, 31, 33, 97})
            for (index_t const k : {1, 7, 8, 64, 65}) check_matrices<T>(m, n, k);
}

TEST_CASE_TEMPLATE("product: long depths and many columns", T, float, double) {
    check_matrices<T>(29, 200, 300);
    check_matrices<T>(5, 333, 1025);
    check_matrices<T>(130, 8, 576);
    check_matrices<T>(8, 130, 200);
}

TEST_CASE("product: every stored format, both directions, float and double") {
    for (auto const& f : formats) {
        index_t const in = f.how->block == 256 ? 512 : f.how->block == 32 ? 352 : 347;
        check_weights<float>(*f.how, 1, 37, in);
        check_weights<float>(*f.how, 14, 131, in);
        check_weights<double>(*f.how, 6, 37, in);
    }
    check_weights<float>(q4_1, 50, 300, 576);
}

TEST_CASE("product: a stored weight gives the bits of its decoded matrix") {
    owned_weight const w(q4_1, 70, 352, 3);
    std::vector<float> dense(70 * 352);
    for (index_t i = 0; i < 70; ++i) q4_1.decode(w.w.row(i), 0, 352, dense.data() + i * 352);
    matrix<float> const d(dense.data(), 70, 352);
    owned<float> x(9, 352, 1), g(9, 70, 2), y1(9, 70, 3), y2(9, 70, 3), g1(9, 352, 4), g2(9, 352, 4);
    y1.m = x.m * t(w.w), y2.m = x.m * t(d);
    g1.m += g.m * w.w, g2.m += g.m * d;
    CHECK(std::memcmp(y1.memory.data(), y2.memory.data(), y1.memory.size() * sizeof(float)) == 0);
    CHECK(std::memcmp(g1.memory.data(), g2.memory.data(), g1.memory.size() * sizeof(float)) == 0);
    owned<float> part(9, 20, 5);
    part.m = x.m * t(w.w.slice(41, 20));
    for (index_t i = 0; i < 9; ++i)
        for (index_t j = 0; j < 20; ++j) REQUIRE(part.m(i, j) == y1.m(i, 41 + j));
}

TEST_CASE("product: rows of c do not depend on how many there are") {
    owned<float> x(53, 300, 1), b(300, 65, 2), whole(53, 65, 3), parts(53, 65, 3);
    whole.m = x.m * b.m;
    for (index_t i = 0, height = 1; i < 53; i += height, height = std::min(height + 2, 53 - i)) {
        parts.m.slice(i, height) = x.m.slice(i, height) * b.m;
    }
    CHECK(std::memcmp(whole.memory.data(), parts.memory.data(), whole.memory.size() * sizeof(float)) == 0);
}

TEST_CASE("product: a sum over rows in slices of whole depth blocks gives the bits of one product") {
    index_t const tokens = 4 * depth_block + 17;
    owned<float> dh(tokens, 8, 1), x(tokens, 70, 2), whole(8, 70, 3), parts(8, 70, 3);
    whole.m.as_fresh() += 0.5 * t(dh.m) * x.m;
    bool first = true;
    for (index_t i = 0; i < tokens; i += 2 * depth_block, first = false) {
        index_t const count = std::min(2 * depth_block, tokens - i);
        parts.m.as_fresh(first) += 0.5 * t(dh.m.slice(i, count)) * x.m.slice(i, count);
    }
    CHECK(std::memcmp(whole.memory.data(), parts.memory.data(), whole.memory.size() * sizeof(float)) == 0);
}

TEST_CASE("product: empty sizes assign zero or change nothing") {
    owned<float> a(3, 0, 1), b(0, 5, 2), c(3, 5, 3);
    auto const before = c.memory;
    c.m += a.m * b.m;
    CHECK(std::memcmp(before.data(), c.memory.data(), before.size() * sizeof(float)) == 0);
    c.m = a.m * b.m;
    for (index_t i = 0; i < 3; ++i)
        for (index_t j = 0; j < 5; ++j) CHECK(c.m(i, j) == 0);
    owned<float> none(0, 5, 1), k(0, 3, 2), d(3, 5, 3);
    none.m = k.m * d.m;
    CHECK(none.memory.size() == 1);
}

TEST_CASE("product: wrong shapes and small panels are refused") {
    owned<float> a(3, 4, 1), b(4, 5, 2), c(3, 5, 3);
    CHECK_THROWS_AS((c.m = a.m * t(b.m)), failure);
    CHECK_THROWS_AS((c.m = t(a.m) * b.m), failure);
    CHECK_THROWS_AS((c.m.cut(0, 4) = a.m * b.m), failure);
    strange_lanes s(2, 0.0f);
    s.on.panel_bytes = product_panel_bytes<float> - 64;
    CHECK_THROWS_AS((c.m.by(&s.on) = a.m * b.m), failure);
}
