// SPDX-License-Identifier: Apache-2.0
// Compositions 0 to 12, written with their results by tests/oracle/compositions.py.
#include <tests/support/composition.hpp>

using namespace graft;
using namespace graft_test;

TEST_CASE("composition 0: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, 6, 6> x0{};
    constexpr symbol<"x1", 1, 6, any> x1{};
    constexpr symbol<"x2", any, up_to(6), 1> x2{};
    constexpr symbol<"c", any> c{};
    auto const n1 = 2.5 * x0;
    auto const n5 = softmax<0>(n1);
    auto const n6 = matmul(n5, x0);
    auto const n7 = n6 + x1;
    auto const n8 = matmul(n7, x2);
    auto const n9 = pick(n8, argmax(x2));
    auto const f = sum<0>(n9);
    composed(0, f, wrt(x0, x1, x2), given(c, 99, {6}, -1, 1),
             {{0.91914843102223731, 38.698351712907339}, {-0.32484704112034435, 23.800921241853477},
              {0.20603667346119214, 11.836663125082174}, {-4.7037131435107895, 153.53813217511092}},
             given(x0, 0, {6, 6, 6}, -1.5, 1.5), given(x1, 1, {1, 6, 6}, -1.5, 1.5), given(x2, 2, {6, 6, 1}, -1, 1));
}

TEST_CASE("composition 1: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 4> x0{};
    constexpr symbol<"x1", 1> x1{};
    constexpr symbol<"c", any> c{};
    auto const n1 = cos(x0);
    auto const n2 = n1 + n1;
    auto const n3 = n2 * x0;
    auto const n8 = max(n3, x1);
    auto const n9 = n8 + n8;
    auto const n10 = softplus(n9);
    auto const n11 = -n10;
    auto const f = part<0, 1, 3>(n11);
    composed(1, f, wrt(x0, x1), given(c, 99, {3}, -1, 1),
             {{2.7636408273081328, 7.804510240713153}, {0, 0}, {2.1411349929421037, 17.749805955615418}},
             given(x0, 0, {4}, -1.5, 1.5), given(x1, 1, {1}, -1.5, 1.5));
}

TEST_CASE("composition 2: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, 3, 1, any> x0{};
    constexpr symbol<"x1", 1, any> x1{};
    constexpr symbol<"x2", 1, 1, 1, 3> x2{};
    constexpr symbol<"x3", 2, 1, any, 5> x3{};
    constexpr symbol<"x4", any, 1, 1, 5> x4{};
    constexpr symbol<"c", any, any, any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X3, auto X4) {
        auto const n1 = norm<-4, -2>(X0, keep);
        auto const n2 = min(n1, X1);
        auto const n3 = where(n2 > X0, X2, n2);
        auto const n4 = min(X0, n3);
        auto const n5 = matmul(n4, X3);
        auto const n8 = X3 * n5;
        auto const n9 = min(X3, n8);
        auto const n10 = pow(n9, 2.0);
        auto const n11 = matmul(n10, transpose(X4));
        auto const n12 = concat<0>(n11, n11);
        return matmul(n12, transpose(n12));
    }, x0, x1, x2, x3, x4);
    composed(2, f, wrt(x0, x1, x2, x3, x4), given(c, 99, {4, 3, 3, 3}, -1, 1),
             {{5.6354200721202146, 77.997440814742333}, {0.72850074015183619, 22.947445440970007},
              {-1.3305510706576253, 3.6025140048833966}, {-1.5708787991668469, 5.3444919189207418},
              {20.833603172316934, 1562.6192690015992}, {-6.0180663454599648, 298.50863993775425}},
             given(x0, 0, {2, 3, 1, 3}, -1.5, 1.5), given(x1, 1, {1, 3}, -1.5, 1.5), given(x2, 2, {1, 1, 1, 3}, -1.5,
             1.5), given(x3, 3, {2, 1, 3, 5}, -1, 1), given(x4, 4, {2, 1, 1, 5}, -1, 1));
}

TEST_CASE("composition 3: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, 3, any> x0{};
    constexpr symbol<"x1", up_to(8), any> x1{};
    constexpr symbol<"c", 1, any> c{};
    auto const n1 = expm1(x0);
    auto const n2 = matmul(n1, x1);
    auto const n3 = n2 - n2;
    auto const n4 = square(n3);
    auto const n5 = sum<2>(n4);
    auto const n6 = expm1(n5);
    auto const n7 = n6 - n6;
    auto const f = n7 - n5;
    composed(3, f, wrt(x0, x1), given(c, 99, {1, 3}, -1, 1),
             {{0, 0}, {0, 0}, {0, 0}},
             given(x0, 0, {1, 3, 6}, -1.5, 1.5), given(x1, 1, {6, 4}, -1, 1));
}

TEST_CASE("composition 4: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, up_to(5)> x0{};
    constexpr index_symbol<"k1", any> k1{};
    constexpr index_symbol<"k2", 2> k2{};
    constexpr symbol<"x3", 2> x3{};
    constexpr symbol<"x4", 2, up_to(2)> x4{};
    constexpr index_symbol<"k5", up_to(2)> k5{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto K1, auto K2, auto X3, auto X4, auto K5) {
        auto const n1 = pick(X0, K1);
        auto const n2 = rows(n1, K2);
        auto const n3 = n2 - 0.75;
        auto const n4 = n3 * X0;
        auto const n5 = sin(n4);
        auto const n6 = rms_norm(n5, X3, 0.01);
        auto const n7 = matmul(n6, X4);
        return rows(n7, K5);
    }, x0, k1, k2, x3, x4, k5);
    composed(4, f, wrt(x0, x3, x4), given(c, 99, {2, 2}, -1, 1),
             {{-0.1093591610861524, 4.6306662076560698}, {-0.22325075804940586, 0.3729437563665492},
              {0.49136182034955489, 0.60211601006514093}, {-0.79043954165520702, 2.8227395255498173}},
             given(x0, 0, {4, 2}, -1.5, 1.5), given(k1, 1, {4}, -1, 2), given(k2, 2, {2}, 0, 4), given(x3, 3, {2},
             0.5, 1.5), given(x4, 4, {2, 2}, -1, 1), given(k5, 5, {2}, 0, 4));
}

TEST_CASE("composition 5: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(2), 1, any, up_to(4)> x0{};
    constexpr symbol<"x1", any> x1{};
    constexpr symbol<"x2", any> x2{};
    constexpr symbol<"x3", 2, 1> x3{};
    constexpr symbol<"x4", 2, 1, 3, 1> x4{};
    constexpr symbol<"c", any, 1, any, 1> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X3, auto X4) {
        auto const n1 = -X0;
        auto const n2 = layer_norm(n1, X1, X2, 0.01);
        auto const n3 = matmul(n2, X3);
        auto const n5 = detach(n3);
        return n5 * X4;
    }, x0, x1, x2, x3, x4);
    composed(5, f, wrt(x0, x1, x2, x3, x4), given(c, 99, {2, 1, 3, 1}, -1, 1),
             {{1.9861289464923049, 15.414829677777183}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {-2.2003205172466229,
              7.4141895143006877}},
             given(x0, 0, {2, 1, 3, 2}, -1.5, 1.5), given(x1, 1, {2}, 0.5, 1.5), given(x2, 2, {2}, -1.5, 1.5),
             given(x3, 3, {2, 1}, -1, 1), given(x4, 4, {2, 1, 3, 1}, -1.5, 1.5));
}

TEST_CASE("composition 6: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any> x0{};
    constexpr symbol<"x1", 1, 5> x1{};
    constexpr symbol<"x2", 1, 1> x2{};
    constexpr symbol<"c", 1, any> c{};
    auto const n1 = max(x0, 0.0);
    auto const n2 = relu(x0);
    auto const n3 = sum(n2, keep);
    auto const n4 = insert_axis<0>(n3);
    auto const n5 = min(n1, n4);
    auto const n6 = min(n5, x1);
    auto const n7 = matmul(n6, transpose(n5));
    auto const n8 = max(n7, x2);
    auto const f = concat<1>(n8, n5);
    composed(6, f, wrt(x0, x1, x2), given(c, 99, {1, 6}, -1, 1),
             {{-0.73586676449037025, 1.4238251313349273}, {0.042065359141249092, 1.2990553039684092}, {0, 0},
              {-0.75848619676118501, 0.84464456168229851}},
             given(x0, 0, {5}, -1.5, 1.5), given(x1, 1, {1, 5}, -1.5, 1.5), given(x2, 2, {1, 1}, -1.5, 1.5));
}

TEST_CASE("composition 7: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, any, any> x0{};
    constexpr symbol<"x2", 6, 3> x2{};
    constexpr symbol<"x3", any, any> x3{};
    constexpr symbol<"c", any, any, any> c{};
    constexpr auto f = formula([](auto X0, auto X2, auto X3) {
        auto const n3 = X0 - 0.75;
        auto const n4 = n3 + n3;
        auto const n5 = gelu_tanh(n4);
        auto const n6 = n5 - 0.75;
        auto const n7 = matmul(n6, X2);
        return where(n7 > X3, X3, n7);
    }, x0, x2, x3);
    composed(7, f, wrt(x0, x2, x3), given(c, 99, {6, 3, 3}, -1, 1),
             {{-4.1874320290045768, 35.526566318065377}, {1.6609886609642532, 12.267932184161975},
              {-4.8141287062658904, 47.523285662588151}, {-1.1810847413659751, 15.70357155488678}},
             given(x0, 0, {6, 3, 6}, -1.5, 1.5), given(x2, 2, {6, 3}, -1, 1), given(x3, 3, {3, 3}, -1.5, 1.5));
}

TEST_CASE("composition 8: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, any, 6> x0{};
    constexpr symbol<"x1", 1, any, 5> x1{};
    constexpr symbol<"x2", any, any, any> x2{};
    constexpr symbol<"x3", up_to(3), up_to(5), 2> x3{};
    constexpr symbol<"x4", up_to(3), 2, 1> x4{};
    constexpr symbol<"c", any, any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X3, auto X4) {
        auto const n1 = matmul(X0, X1);
        auto const n2 = n1 - 0.75;
        auto const n3 = matmul(n2, transpose(X2));
        auto const n4 = X3 - n3;
        auto const n5 = n4 - n3;
        auto const n6 = matmul(n5, X4);
        return min(n6, X3);
    }, x0, x1, x2, x3, x4);
    composed(8, f, wrt(x0, x1, x2, x3, x4), given(c, 99, {2, 5, 2}, -1, 1),
             {{-2.5959626188979184, 11.255023991898112}, {0.060111345662131721, 9.3183575628913626},
              {2.3731448050700439, 10.167201323372884}, {1.6238688905122753, 5.2212699091028369},
              {-2.4384790928316731, 3.6884498246364643}, {1.3071912230123697, 3.942269479651662}},
             given(x0, 0, {2, 5, 6}, -1.5, 1.5), given(x1, 1, {1, 6, 5}, -1, 1), given(x2, 2, {2, 2, 5}, -1, 1),
             given(x3, 3, {2, 5, 2}, -1.5, 1.5), given(x4, 4, {2, 2, 1}, -1, 1));
}

TEST_CASE("composition 9: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(8), 2, 4> x0{};
    constexpr symbol<"x1", any> x1{};
    constexpr symbol<"x2", 1, 1> x2{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2) {
        auto const n1 = 2.5 * X0;
        auto const n2 = variance<2>(n1);
        auto const n3 = n2 + n2;
        auto const n4 = X1 + n3;
        return X2 * n4;
    }, x0, x1, x2);
    composed(9, f, wrt(x0, x1, x2), given(c, 99, {6, 2}, -1, 1),
             {{0.53125618882416248, 16.319637968838048}, {-2.0707204060648858, 6.1369365755542864},
              {-0.081614671875590364, 0.010667858195248334}, {0.74551847899128043, 261.48242304125421}},
             given(x0, 0, {6, 2, 4}, -1.5, 1.5), given(x1, 1, {2}, -1.5, 1.5), given(x2, 2, {1, 1}, -1.5, 1.5));
}

TEST_CASE("composition 10: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, 6, 1> x0{};
    constexpr index_symbol<"k1", 1, up_to(6)> k1{};
    constexpr symbol<"x2", 1, 6> x2{};
    constexpr symbol<"x3", 1, 6, any> x3{};
    constexpr symbol<"x4", 1, up_to(5)> x4{};
    constexpr symbol<"c", 1, any, any> c{};
    constexpr auto f = formula([](auto X0, auto K1, auto X2, auto X3, auto X4) {
        auto const n1 = pick(X0, K1);
        auto const n2 = where(n1 > X2, X0, 0.5);
        auto const n4 = expm1(n2);
        auto const n5 = n4 - X3;
        auto const n6 = matmul(n5, transpose(n1));
        auto const n7 = merge_axes<0>(n6);
        auto const n8 = matmul(n7, X4);
        return insert_axis<0>(n8);
    }, x0, k1, x2, x3, x4);
    composed(10, f, wrt(x0, x2, x3, x4), given(c, 99, {1, 6, 5}, -1, 1),
             {{-1.821657302183316, 99.579284574954016}, {-4.6419272307347459, 32.101845227484219}, {0, 0},
              {2.3656376799434669, 11.537539836399805}, {-1.0205258068291145, 8.2371946865891168}},
             given(x0, 0, {1, 6, 1}, -1.5, 1.5), given(k1, 1, {1, 6}, -1, 1), given(x2, 2, {1, 6}, -1.5, 1.5),
             given(x3, 3, {1, 6, 6}, -1.5, 1.5), given(x4, 4, {1, 5}, -1, 1));
}

TEST_CASE("composition 11: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, any, any, 2> x0{};
    constexpr symbol<"x1", any> x1{};
    constexpr symbol<"c", any, any, any> c{};
    auto const n3 = cos(x0);
    auto const n1 = rms_norm(x0, x1, 0.01);
    auto const n2 = transpose(n1);
    auto const n4 = concat<1>(n3, n2);
    auto const n13 = merge_axes<1>(n4);
    auto const n14 = min(x1, n13);
    auto const f = silu(n14);
    composed(11, f, wrt(x0, x1), given(c, 99, {3, 12, 2}, -1, 1),
             {{-2.7870758521551764, 23.328045213272475}, {1.3565243826663829, 13.079642558614463},
              {-0.64905188437856998, 0.7492950194125314}},
             given(x0, 0, {3, 3, 2, 2}, -1.5, 1.5), given(x1, 1, {2}, 0.5, 1.5));
}

TEST_CASE("composition 12: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, 1, up_to(3), any> x0{};
    constexpr index_symbol<"k1", up_to(3)> k1{};
    constexpr symbol<"c", any, 1, any, any> c{};
    constexpr auto f = formula([](auto X0, auto K1) {
        auto const n3 = mean<1, 2, 3>(X0);
        auto const n4 = cos(n3);
        auto const n5 = concat<0>(n4, n4);
        auto const n6 = part<0, 0, 1>(n5);
        auto const n7 = detach(n6);
        auto const n1 = concat<3>(X0, X0);
        auto const n2 = min<1>(n1);
        auto const n8 = pow(n7, n2);
        auto const n9 = norm<1>(n8);
        auto const n10 = pick(n9, K1);
        return min(n10, X0);
    }, x0, k1);
    composed(12, f, wrt(x0), given(c, 99, {2, 1, 2, 2}, -1, 1),
             {{-0.36602386869059711, 6.4901179036953511}, {-0.021820415648061364, 2.9733598947140938}},
             given(x0, 0, {2, 1, 2, 2}, -1.5, 1.5), given(k1, 1, {2}, -1, 4));
}
