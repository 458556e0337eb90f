// SPDX-License-Identifier: Apache-2.0
// Fused loops where the table of operations does not go: long axes, eight axes, many members, many results.
#include <tests/support/structure_rows.hpp>

using namespace graft_test;

namespace {
constexpr symbol<"a", any, any> a{};
constexpr symbol<"b", any> b{};

void close(box const& found, box const& expected, double tolerance) {
    REQUIRE(found.sizes == expected.sizes);
    double most = 0, off = 0;
    for (index_t k = 0; k < found.size(); ++k) {
        most = std::max(most, std::abs(expected[k]));
        off = std::isnan(found[k]) ? 1e300 : std::max(off, std::abs(found[k] - expected[k]));
    }
    CHECK(off <= tolerance * most);
}
}  // namespace

TEST_CASE("fused loop: reductions of long axes, over each axis and both, in one function") {
    constexpr auto f = function(sum<-1>(a), max<-1>(a), sum<0>(a * b), max<0>(a), sum(a * a), max(a - b));
    for (index_t const n : {8191, 8192, 8193, 16411, 40000}) {
        CAPTURE(n);
        box const x = domain{-2, -1}.made(sized({3, n}), 1), y = domain{-2, 2}.made(sized({n}), 2);
        box const product = each([](double p, double q) { return p * q; }, x, y);
        box const squares = each([](double p) { return p * p; }, x);
        box const apart = each([](double p, double q) { return p - q; }, x, y);
        boxes const expected{reduced(x, 2, false, 0, added),       reduced(x, 2, false, -1e300, larger),
                             reduced(product, 1, false, 0, added), reduced(x, 1, false, -1e300, larger),
                             reduced(squares, 3, false, 0, added), reduced(apart, 3, false, -1e300, larger)};
        auto const found = outputs_of<double>(f, {x, y}, 1, a, b);
        auto const rounded = outputs_of<float>(f, {x, y}, 1, a, b);
        for (std::size_t k = 0; k < expected.size(); ++k) {
            CAPTURE(k);
            close(found[k], expected[k], 1e-13);
            close(rounded[k], expected[k], 2e-6);
        }
    }
}

TEST_CASE("fused loop: sums over the second or the last of three axes, every number of rows") {
    constexpr symbol<"c", any, any, any> c{};
    constexpr symbol<"d", any, any, 1> d{};
    constexpr auto f = function(sum<1>(square(c - d)), max<1>(c), sum<2>(c * d), max<2>(c), sum<0, 1>(c));
    for (index_t const rows : {1, 2, 3, 4, 5, 8, 9, 19})
        for (index_t const n : {1, 7, 16, 33}) {
            CAPTURE(rows);
            CAPTURE(n);
            box const x = domain{-2, 1}.made(sized({3, rows, n}), 1), y = domain{-2, 2}.made(sized({3, rows, 1}), 2);
            box const product = each([](double p, double q) { return p * q; }, x, y);
            box const squares = each([](double p, double q) { return (p - q) * (p - q); }, x, y);
            boxes const expected{reduced(squares, 2, false, 0, added), reduced(x, 2, false, -1e300, larger),
                                 reduced(product, 4, false, 0, added), reduced(x, 4, false, -1e300, larger),
                                 reduced(x, 3, false, 0, added)};
            auto const found = outputs_of<double>(f, {x, y}, 1, c, d);
            for (std::size_t k = 0; k < expected.size(); ++k) {
                CAPTURE(k);
                close(found[k], expected[k], 1e-13);
            }
        }
}

TEST_CASE("fused loop: eight axes, of which each operand has some") {
    constexpr symbol<"p", 2, 1, any, 1, 2, any, 1, 3> p{};
    constexpr symbol<"q", 3, 1, any, 2, any, 2, 1> q{};
    constexpr symbol<"r", any, 1> r{};
    box const x = domain{}.made(sized({2, 1, 3, 1, 2, 2, 1, 3}), 1), y = domain{}.made(sized({3, 1, 2, 2, 2, 2, 1}), 2);
    box const z = domain{}.made(sized({2, 1}), 3);
    constexpr auto f = function(p * q + r, sum<1, 3, 6>(p * q + r), sum<0, 2, 4, 5, 7>(p * q, keep), max<1, 6>(q - p));
    auto const map = [](double u, double v, double w) { return u * v + w; };
    auto const found = outputs_of<double>(f, {x, y, z}, 0, p, q, r);
    box const whole = each(map, x, y, z), product = each(map, x, y, box(sized({1})));
    box const apart = each([](double u, double v) { return v - u; }, x, y);
    close(found[0], whole, 1e-14);
    close(found[1], reduced(whole, 0b01001010, false, 0, added), 1e-13);
    close(found[2], reduced(product, 0b10110101, true, 0, added), 1e-13);
    close(found[3], reduced(apart, 0b01000010, false, -1e300, larger), 1e-14);
}

TEST_CASE("fused loop: a chain of forty operations with a result on the way") {
    constexpr auto step = [](auto x, auto y) { return sin(x) * y + 0.5 * x; };
    constexpr auto chain = [](auto x, auto y) {
        for (int k = 0; k < 3; ++k) x = sin(x) * y + 0.5 * x, y = cos(y) - x * x * 0.25 + 0.125 * y;
        return x + y;
    };
    constexpr auto f = function(formula(chain, a, b), formula(step, a, b), sum<0>(formula(chain, a, b)));
    for (index_t const n : {1, 7, 8, 33, 70}) {
        box const x = domain{}.made(sized({5, n}), 1), y = domain{}.made(sized({n}), 2);
        box const expected = each(
            [](double p, double q) {
                for (int k = 0; k < 3; ++k) p = std::sin(p) * q + 0.5 * p, q = std::cos(q) - p * p * 0.25 + 0.125 * q;
                return p + q;
            },
            x, y);
        auto const found = outputs_of<double>(f, {x, y}, n % 4, a, b);
        close(found[0], expected, 1e-13);
        close(found[1], each([](double p, double q) { return std::sin(p) * q + 0.5 * p; }, x, y), 1e-14);
        close(found[2], reduced(expected, 1, false, 0, added), 1e-13);
    }
}

TEST_CASE("fused loop: every remainder after the packs that are computed at a time, with functions and without") {
    constexpr auto curves = function(log(exp(a * b) + 1.0) * tanh(a) + silu(b));
    constexpr auto curve = function(silu(a) * a + a);
    constexpr auto line = function(a * 0.5 + b);
    auto const check = [](auto const& f, boxes const& x, box const& expected, auto... symbols) {
        close(outputs_of<double>(f, x, 1, symbols...)[0], expected, 1e-14);
        close(outputs_of<float>(f, x, 1, symbols...)[0], expected, 1e-6);
    };
    for (index_t const rows : {1, 3})
        for (index_t n = 1; n < 9 * native_width<float> + 3; n += 1 + n / 40) {
            CAPTURE(n);
            box const x = domain{-2, 2}.made(sized({rows, n}), 1), y = domain{-2, 2}.made(sized({n}), 2);
            auto const all_curves = [](double p, double q) {
                return std::log(std::exp(p * q) + 1) * std::tanh(p) + q / (1 + std::exp(-q));
            };
            check(curves, {x, y}, each(all_curves, x, y), a, b);
            check(curve, {x}, each([](double p) { return p / (1 + std::exp(-p)) * p + p; }, x), a);
            check(line, {x, y}, each([](double p, double q) { return p * 0.5 + q; }, x, y), a, b);
        }
}
