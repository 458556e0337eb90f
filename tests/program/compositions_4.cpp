// SPDX-License-Identifier: Apache-2.0
// Compositions 39 to 49, written with their results by tests/oracle/compositions.py.
#include <tests/support/composition.hpp>

using namespace graft;
using namespace graft_test;

TEST_CASE("composition 39: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(6), any> x0{};
    constexpr symbol<"x3", 1, any> x3{};
    constexpr symbol<"c", any, 1> c{};
    constexpr auto f = formula([](auto X0, auto X3) {
        auto const n8 = silu(X3);
        auto const n9 = max(n8, 0.0);
        auto const n10 = concat<0>(n9, X3);
        auto const n11 = matmul(n10, transpose(n8));
        auto const n12 = softmax<0>(n11);
        auto const n1 = -X0;
        auto const n2 = max<0, 1>(n1, keep);
        auto const n3 = softmax<0>(n2);
        return matmul(n12, transpose(n3));
    }, x0, x3);
    composed(39, f, wrt(x0, x3), given(c, 99, {2, 1}, -1, 1),
             {{0.59685268452660278, 0.55108892679877652}, {0, 0}, {-0.10800083000716038, 0.026172854266067636}},
             given(x0, 0, {5, 3}, -1.5, 1.5), given(x3, 3, {1, 3}, -1.5, 1.5));
}

TEST_CASE("composition 40: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(6), 5> x0{};
    constexpr symbol<"x1", 1, up_to(5)> x1{};
    constexpr symbol<"c", 1, any> c{};
    auto const n13 = softmax<0>(x1);
    auto const n1 = x0 - x1;
    auto const n2 = square(n1);
    auto const n3 = cos(n2);
    auto const n12 = expm1(n3);
    auto const f = matmul(n13, transpose(n12));
    composed(40, f, wrt(x0, x1), given(c, 99, {1, 5}, -1, 1),
             {{4.9097577415653291, 107.82962513810938}, {-3.6981423176472505, 20.825914250649308},
              {-1.4639668352363784, 21.443540584483976}},
             given(x0, 0, {5, 5}, -1.5, 1.5), given(x1, 1, {1, 5}, -1.5, 1.5));
}

TEST_CASE("composition 41: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, 1, 1, 1> x0{};
    constexpr symbol<"x1", 1, any, 1> x1{};
    constexpr symbol<"x2", 1, up_to(6)> x2{};
    constexpr symbol<"c", 1, 1, 1, any> c{};
    auto const n5 = log_sum_exp<2>(x1);
    auto const n1 = matmul(x0, transpose(x1));
    auto const n2 = pick(x1, argmax(x1));
    auto const n3 = mean(n2, keep);
    auto const n4 = min(n1, n3);
    auto const f = where(n5 < n4, x2, n5);
    composed(41, f, wrt(x0, x1, x2), given(c, 99, {1, 1, 1, 5}, -1, 1),
             {{0.55173326099038256, 0.8799816145241004}, {0, 0}, {-0.57847314174710285, 0.39472951353490521},
              {0.013335925135357529, 0.72805452634542012}},
             given(x0, 0, {1, 1, 1, 1}, -1.5, 1.5), given(x1, 1, {1, 5, 1}, -1, 1), given(x2, 2, {1, 5}, -1.5, 1.5));
}

TEST_CASE("composition 42: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 3, up_to(5), 1, any> x0{};
    constexpr symbol<"x1", 1, 1, 1, 1> x1{};
    constexpr symbol<"c", any, 1, 1, any> c{};
    constexpr auto f = formula([](auto X0, auto X1) {
        auto const n3 = sum<1, -2>(X0, keep);
        auto const n4 = exp(n3);
        auto const n5 = X1 - n4;
        auto const n6 = mean<1>(n5, keep);
        auto const n7 = softmax<1>(n6);
        return n7 / n5;
    }, x0, x1);
    composed(42, f, wrt(x0, x1), given(c, 99, {3, 1, 1, 3}, -1, 1),
             {{3.6665551526840812, 22.771355254089489}, {-1.3861235040260449, 4.7147098685944586},
              {-0.0037163405865962952, 0.0030216066697395455}},
             given(x0, 0, {3, 2, 1, 3}, -1.5, 1.5), given(x1, 1, {1, 1, 1, 1}, -1.5, 1.5));
}

TEST_CASE("composition 43: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, up_to(5)> x0{};
    constexpr symbol<"x1", any, 3> x1{};
    constexpr symbol<"x2", 1, up_to(4)> x2{};
    constexpr symbol<"x3", any, up_to(5)> x3{};
    constexpr symbol<"c", any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X3) {
        auto const n1 = matmul(X0, X1);
        auto const n2 = n1 - X2;
        auto const n3 = matmul(n2, transpose(X3));
        auto const n4 = square(n3);
        auto const n6 = concat<0>(X3, n4);
        auto const n7 = min(n6, n1);
        return merge_axes<0>(n7);
    }, x0, x1, x2, x3);
    composed(43, f, wrt(x0, x1, x2, x3), given(c, 99, {12}, -1, 1),
             {{0.041710501553148406, 2.9074697225470434}, {0.4211269378907917, 0.52407041450942782},
              {1.2103099438360756, 1.6026507542606954}, {0, 0}, {1.0846514415339914, 1.7320118278860868}},
             given(x0, 0, {1, 3}, -1.5, 1.5), given(x1, 1, {3, 3}, -1, 1), given(x2, 2, {1, 3}, -1.5, 1.5), given(x3,
             3, {3, 3}, -1, 1));
}

TEST_CASE("composition 44: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 3, 1, 1, 1> x0{};
    constexpr symbol<"x1", up_to(4), 1, 1, 1> x1{};
    constexpr symbol<"c", any, 1> c{};
    auto const n1 = tanh(x0);
    auto const n2 = 2.5 * n1;
    auto const n3 = softmax(n2);
    auto const n4 = pow(n3, x1);
    auto const n9 = softmax<0>(n4);
    auto const f = max<1, 3>(n9);
    composed(44, f, wrt(x0, x1), given(c, 99, {3, 1}, -1, 1),
             {{0.059628521443473526, 0.33333333333333331}, {0, 0}, {0, 0}},
             given(x0, 0, {3, 1, 1, 1}, -1.5, 1.5), given(x1, 1, {3, 1, 1, 1}, -1.5, 1.5));
}

TEST_CASE("composition 45: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1> x0{};
    constexpr symbol<"x1", up_to(5)> x1{};
    constexpr symbol<"x2", any> x2{};
    constexpr symbol<"x3", up_to(8)> x3{};
    constexpr symbol<"x4", 6> x4{};
    constexpr symbol<"c", any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X3, auto X4) {
        auto const n1 = sigmoid(X0);
        auto const n2 = part<0, 0, 1>(n1);
        auto const n3 = log_softmax(n2);
        auto const n5 = log_softmax(n3);
        auto const n6 = detach(n5);
        auto const n7 = exp(n6);
        auto const n8 = sum(n7);
        auto const n9 = silu(n8);
        auto const n10 = n9 - X1;
        auto const n11 = concat<0>(n10, n6);
        auto const n12 = where(n11 < X3, X2, 0.5);
        auto const n13 = min(X4, n12);
        return erf(n13);
    }, x0, x1, x2, x3, x4);
    composed(45, f, wrt(x0, x1, x2, x3, x4), given(c, 99, {6}, -1, 1),
             {{-0.77253411051256826, 2.6228116547875135}, {0, 0}, {0, 0}, {-0.26835197673411093,
              0.35821478148450542}, {0, 0}, {-0.13549437809491463, 0.075937452607254138}},
             given(x0, 0, {1}, -1.5, 1.5), given(x1, 1, {5}, -1.5, 1.5), given(x2, 2, {6}, -1.5, 1.5), given(x3, 3,
             {6}, -1.5, 1.5), given(x4, 4, {6}, -1.5, 1.5));
}

TEST_CASE("composition 46: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, 1, 3, 2> x0{};
    constexpr symbol<"x4", up_to(4), 1> x4{};
    constexpr symbol<"c", any, 1, any, 1> c{};
    constexpr auto f = formula([](auto X0, auto X4) {
        auto const n4 = max(X0, 0.0);
        auto const n5 = concat<2>(n4, n4);
        auto const n12 = pow(n5, 3.0);
        auto const n13 = matmul(n12, X4);
        return softplus(n13);
    }, x0, x4);
    composed(46, f, wrt(x0, x4), given(c, 99, {3, 1, 6, 1}, -1, 1),
             {{1.5038785874516218, 18.481400622975368}, {-3.4334216127147923, 12.931948893326323},
              {-1.4172484267563512, 6.3707333266564028}},
             given(x0, 0, {3, 1, 3, 2}, -1.5, 1.5), given(x4, 4, {2, 1}, -1, 1));
}

TEST_CASE("composition 47: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, any, 1, 1> x0{};
    constexpr symbol<"c", 1, 1, 1, 1> c{};
    constexpr auto f = formula([](auto X0) {
        auto const n1 = silu(X0);
        auto const n2 = softmax<0>(n1);
        auto const n3 = n2 - X0;
        auto const n4 = concat<1>(X0, n3);
        return sum<1>(n4, keep);
    }, x0);
    composed(47, f, wrt(x0), given(c, 99, {1, 1, 1, 1}, -1, 1),
             {{2.823653604464877, 9}, {0, 0}},
             given(x0, 0, {1, 3, 1, 1}, -1.5, 1.5));
}

TEST_CASE("composition 48: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 2, up_to(4)> x0{};
    constexpr symbol<"x1", 4, 1> x1{};
    constexpr symbol<"x2", any, 1> x2{};
    constexpr index_symbol<"k3", any> k3{};
    constexpr index_symbol<"k5", 4, up_to(4)> k5{};
    constexpr symbol<"c", any, any> c{};
    auto const n1 = matmul(x0, x1);
    auto const n2 = insert_axis<0>(n1);
    auto const n3 = gelu_tanh(n2);
    auto const n4 = 1.25 - n3;
    auto const n5 = max(n4, 0.0);
    auto const n6 = gelu_tanh(n5);
    auto const n7 = n6 / x2;
    auto const n8 = rows(n7, k3);
    auto const n9 = softmax<0>(n8);
    auto const n11 = pick(n9, k5);
    auto const f = concat<1>(n11, x1);
    composed(48, f, wrt(x0, x1, x2), given(c, 99, {4, 3}, -1, 1),
             {{0.44820045157086053, 1.3669219347314021}, {3.6900574884980494e-17, 3.4038884281893831e-33},
              {-0.49902284421519394, 0.76906919262462459}, {-1.7880162619373593e-18, 7.8146556812200886e-33}},
             given(x0, 0, {2, 4}, -1.5, 1.5), given(x1, 1, {4, 1}, -1, 1), given(x2, 2, {2, 1}, -1.5, 1.5), given(k3,
             3, {4}, 0, 1), given(k5, 5, {4, 2}, -1, 1));
}

TEST_CASE("composition 49: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(7), any, any> x0{};
    constexpr index_symbol<"k1", 4> k1{};
    constexpr symbol<"x2", 4, up_to(5), 1> x2{};
    constexpr symbol<"x3", any, 1> x3{};
    constexpr symbol<"c", any, any, 1> c{};
    constexpr auto f = formula([](auto X0, auto K1, auto X2, auto X3) {
        auto const n4 = rows(X0, K1);
        auto const n5 = log_softmax(n4);
        auto const n6 = n5 + n5;
        auto const n7 = -n6;
        auto const n8 = matmul(n7, X2);
        auto const n9 = X3 - n8;
        return tanh(n9);
    }, x0, k1, x2, x3);
    composed(49, f, wrt(x0, x2, x3), given(c, 99, {4, 6, 1}, -1, 1),
             {{2.9911818416123124, 20.310560655756397}, {-0.19906856156186323, 0.33480308567134814},
              {-5.2761547119645558, 38.872796425863356}, {0.49912862296967908, 0.50066437026021771}},
             given(x0, 0, {4, 6, 4}, -1.5, 1.5), given(k1, 1, {4}, 0, 4), given(x2, 2, {4, 4, 1}, -1, 1), given(x3,
             3, {6, 1}, -1.5, 1.5));
}
