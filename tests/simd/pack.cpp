// SPDX-License-Identifier: Apache-2.0
// Every operation of a pack, lane by lane, against the same operation on scalars; native width and scalar twins.
#include <doctest/doctest.h>

#include <graft/simd/pack.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

using namespace graft;

namespace {

template <class T, index_t W>
struct kind {
    using number = T;
    static constexpr index_t width = W;
};

template <class T>
constexpr std::array<T, 16> first{T(1.5), T(-2),     T(0), T(3.25), T(-0.125), T(1e20), T(-7),   T(0.1),
                                  T(9),   T(-1e-20), T(5), T(-6),   T(1e-3),   T(2),    T(-0.0), T(11)};
template <class T>
constexpr std::array<T, 16> second{T(2),  T(-3), T(4), T(-0.5), T(8),  T(1e-20), T(-7), T(0.3),
                                   T(-9), T(3),  T(1), T(6),    T(-2), T(2.5),   T(1),  T(-4)};

template <class P, class T, class F>
void check_lanes(P const& got, F wanted) {
    std::array<T, 16> out{};
    got.store(out.data());
    for (index_t i = 0; i < P::width; ++i)
        CHECK(out[static_cast<std::size_t>(i)] == wanted(static_cast<std::size_t>(i)));
}

}  // namespace

TEST_CASE_TEMPLATE("pack: each operation is the scalar one in every lane", K, kind<float, native_width<float>>,
                   kind<float, 1>, kind<float, 4>, kind<double, native_width<double>>, kind<double, 1>,
                   kind<double, 2>) {
    using T = typename K::number;
    using P = pack<T, K::width>;
    auto const& x = first<T>;
    auto const& y = second<T>;
    P const a = P::load(x.data()), b = P::load(y.data());
    auto const check = [](P const& got, auto wanted) { check_lanes<P, T>(got, wanted); };
    check(a + b, [&](std::size_t i) { return x[i] + y[i]; });
    check(a - b, [&](std::size_t i) { return x[i] - y[i]; });
    check(a * b, [&](std::size_t i) { return x[i] * y[i]; });
    check(a / b, [&](std::size_t i) { return x[i] / y[i]; });
    check(-a, [&](std::size_t i) { return -x[i]; });
    check(fma(a, b, b), [&](std::size_t i) { return graft::fma(x[i], y[i], y[i]); });
    check(max(a, b), [&](std::size_t i) { return std::max(x[i], y[i]); });
    check(min(a, b), [&](std::size_t i) { return std::min(x[i], y[i]); });
    check(abs(a), [&](std::size_t i) { return std::abs(x[i]); });
    check(sqrt(abs(a)), [&](std::size_t i) { return std::sqrt(std::abs(x[i])); });
    check(select(a < b, a, b * P(T(2))), [&](std::size_t i) { return x[i] < y[i] ? x[i] : y[i] * 2; });
    check(select(a > b, a, b), [&](std::size_t i) { return x[i] > y[i] ? x[i] : y[i]; });
    check(select(a == b, P(T(1)), P(T(2))), [&](std::size_t i) { return x[i] == y[i] ? T(1) : T(2); });
    check(P::broadcast(T(3)), [](std::size_t) { return T(3); });
    P c = a;
    c += b;
    c *= b;
    c -= a;
    check(c, [&](std::size_t i) {
        T const p = (x[i] + y[i]) * y[i];
        return p - x[i];
    });
}

TEST_CASE("pack: fma rounds once where the target can") {
    if constexpr (has_fma<float>) {
        // (1 + 2^-23)(1 - 2^-23) - 1 = -2^-46, lost when the product is rounded first.
        float const e = 0x1p-23f;
        CHECK(graft::fma(1 + e, 1 - e, -1.0f) == -0x1p-46f);
        CHECK(reduce_max(fma(pack<float>(1 + e), pack<float>(1 - e), pack<float>(-1.0f))) == -0x1p-46f);
        CHECK(reduce_add(fma(pack<double>(1 + 0x1p-52), pack<double>(1 - 0x1p-52), pack<double>(-1.0))) ==
              -0x1p-104 * static_cast<double>(native_width<double>));
    } else {
        CHECK(graft::fma(3.0f, 4.0f, 5.0f) == 17.0f);
    }
}

TEST_CASE_TEMPLATE("pack: sums and maxima over lanes", T, float, double) {
    constexpr auto W = static_cast<std::size_t>(native_width<T>);
    std::array<T, 16> x{};
    for (std::size_t i = 0; i < W; ++i) x[i] = static_cast<T>(i + 1);
    auto const n = static_cast<T>(W);
    CHECK(reduce_add(pack<T>::load(x.data())) == n * (n + 1) / 2);
    for (std::size_t i = 0; i < W; ++i) {  // the largest may be in any lane
        std::array<T, 16> y{};
        for (auto& v : y) v = T(-5);
        y[i] = T(-1);
        CHECK(reduce_max(pack<T>::load(y.data())) == T(-1));
        CHECK(reduce_add(pack<T>::load(y.data())) == T(-1) - T(5) * (n - 1));
    }
    CHECK(reduce_add(pack<T, 1>(T(4))) == T(4));
}

TEST_CASE_TEMPLATE("pack: a tail reads and writes its numbers only", T, float, double) {
    using P = pack<T>;
    for (index_t n = 0; n < P::width; ++n) {
        std::array<T, 17> in{}, out{}, all{};
        for (std::size_t i = 0; i < 17; ++i) in[i] = static_cast<T>(i + 1), out[i] = T(-1);
        P::load_some(in.data() + 1, n).store(all.data());
        P::load(in.data()).store_some(out.data() + 1, n);
        for (index_t i = 0; i < P::width; ++i)
            CHECK(all[static_cast<std::size_t>(i)] == (i < n ? static_cast<T>(i + 2) : T(0)));
        for (index_t i = 0; i < 17; ++i)
            CHECK(out[static_cast<std::size_t>(i)] == (i >= 1 && i <= n ? static_cast<T>(i) : T(-1)));
    }
    // A tail that ends where the memory ends: the sanitizers see a read beyond.
    std::array<T, 3> short_row{T(1), T(2), T(3)};
    if constexpr (P::width > 3) CHECK(reduce_add(P::load_some(short_row.data(), 3)) == T(6));
}
