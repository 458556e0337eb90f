// SPDX-License-Identifier: Apache-2.0
// Compositions 13 to 25, written with their results by tests/oracle/compositions.py.
#include <tests/support/composition.hpp>

using namespace graft;
using namespace graft_test;

TEST_CASE("composition 13: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 3, any, up_to(4)> x0{};
    constexpr symbol<"x1", any> x1{};
    constexpr symbol<"x2", any> x2{};
    constexpr symbol<"c", any, any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2) {
        auto const n1 = rms_norm(X0, X1, 0.01);
        auto const n2 = log(X1);
        auto const n6 = n1 * n2;
        auto const n7 = rms_norm(n6, X2, 0.01);
        return matmul(n7, transpose(n1));
    }, x0, x1, x2);
    composed(13, f, wrt(x0, x1, x2), given(c, 99, {3, 6, 6}, -1, 1),
             {{15.103074060398324, 662.08941408032763}, {-11.060376637766367, 199.41447525635675},
              {-7.7038209637151436, 270.33293274570536}, {9.1009414534006687, 120.53243923034832}},
             given(x0, 0, {3, 6, 3}, -1.5, 1.5), given(x1, 1, {3}, 0.5, 1.5), given(x2, 2, {3}, 0.5, 1.5));
}

TEST_CASE("composition 14: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, up_to(3)> x0{};
    constexpr index_symbol<"k1", any> k1{};
    constexpr index_symbol<"k2", 2> k2{};
    constexpr symbol<"x3", up_to(3)> x3{};
    constexpr symbol<"x4", any> x4{};
    constexpr symbol<"c", 1> c{};
    constexpr auto f = formula([](auto X0, auto K1, auto K2, auto X3, auto X4) {
        auto const n1 = X0 / X0;
        auto const n9 = pick(n1, K1);
        auto const n10 = permute<0, 1>(n1);
        auto const n11 = pick(n10, K2);
        auto const n12 = n9 / n11;
        auto const n14 = layer_norm(n12, X3, X4, 0.01);
        return max<-1>(n14, keep);
    }, x0, k1, k2, x3, x4);
    composed(14, f, wrt(x0, x3, x4), given(c, 99, {1}, -1, 1),
             {{0.52326368373427967, 0.9872341235518719}, {0, 0}, {0, 0}, {-0.014950426453421655,
              0.0081993297506802818}},
             given(x0, 0, {2, 3}, -1.5, 1.5), given(k1, 1, {2}, -1, 3), given(k2, 2, {2}, -1, 3), given(x3, 3, {2},
             0.5, 1.5), given(x4, 4, {2}, -1.5, 1.5));
}

TEST_CASE("composition 15: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, 3, 1> x0{};
    constexpr index_symbol<"k1", any, 3> k1{};
    constexpr symbol<"x2", up_to(9), 3> x2{};
    constexpr symbol<"x3", 3, any> x3{};
    constexpr symbol<"x4", 3, any> x4{};
    constexpr symbol<"c", any, any> c{};
    auto const n1 = exp(x0);
    auto const n3 = pick(n1, k1);
    auto const n4 = permute<1, 0>(n3);
    auto const n5 = matmul(n4, transpose(n4));
    auto const n6 = concat<1>(n5, n4);
    auto const n7 = insert_axis<0>(n6);
    auto const n8 = matmul(n7, x2);
    auto const n9 = merge_axes<0>(n8);
    auto const n10 = 1.25 - n9;
    auto const n11 = -n10;
    auto const n12 = erf(n11);
    auto const n13 = softmax<0>(n12);
    auto const n14 = x3 + n13;
    auto const f = n14 - x4;
    composed(15, f, wrt(x0, x2, x3, x4), given(c, 99, {3, 3}, -1, 1),
             {{4.0506588455697976, 14.641210185639753}, {-0.23532813547665676, 0.15049136426772858},
              {0.08049237427109722, 0.087672804763240075}, {0.54499315256922942, 2.8812227435770148},
              {-0.88740658320505128, 2.8812227435770148}},
             given(x0, 0, {4, 3, 1}, -1.5, 1.5), given(k1, 1, {4, 3}, -1, 1), given(x2, 2, {7, 3}, -1, 1), given(x3,
             3, {3, 3}, -1.5, 1.5), given(x4, 4, {3, 3}, -1.5, 1.5));
}

TEST_CASE("composition 16: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 5> x0{};
    constexpr symbol<"x2", 5> x2{};
    constexpr symbol<"x3", any> x3{};
    constexpr symbol<"c", any> c{};
    auto const n1 = softmax(x0);
    auto const n2 = softmax(n1);
    auto const n9 = min(n2);
    auto const n3 = n2 - x0;
    auto const n10 = where(n9 > n3, x2, n9);
    auto const n11 = x3 * n10;
    auto const n12 = silu(n11);
    auto const f = sigmoid(n12);
    composed(16, f, wrt(x0, x2, x3), given(c, 99, {5}, -1, 1),
             {{-0.62358113054399211, 1.9284098819468807}, {-0.00030464854713794387, 2.3007514608642643e-06},
              {0.03774553101960923, 0.023870897996408801}, {0.086599204320939829, 0.02805173712729038}},
             given(x0, 0, {5}, -1.5, 1.5), given(x2, 2, {5}, -1.5, 1.5), given(x3, 3, {5}, -1.5, 1.5));
}

TEST_CASE("composition 17: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 2, any, up_to(4)> x0{};
    constexpr symbol<"x1", 1, 1, 2, 2> x1{};
    constexpr symbol<"c", 1, any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1) {
        auto const n1 = sigmoid(X0);
        auto const n2 = min(n1, X0);
        auto const n3 = sigmoid(n2);
        auto const n4 = split_axis<2, 2>(n3);
        auto const n5 = min(X1, n4);
        auto const n7 = sum<0, -3>(n5, keep);
        return merge_axes<1>(n7);
    }, x0, x1);
    composed(17, f, wrt(x0, x1), given(c, 99, {1, 2, 2}, -1, 1),
             {{0.73323319957996635, 53.099219031975977}, {-0.32574401890356186, 0.33535953234870208},
              {-1.0114374507663642, 59.557258640488719}},
             given(x0, 0, {2, 4, 4}, -1.5, 1.5), given(x1, 1, {1, 1, 2, 2}, -1.5, 1.5));
}

TEST_CASE("composition 18: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1> x0{};
    constexpr symbol<"x1", 1> x1{};
    constexpr symbol<"x2", 1> x2{};
    constexpr symbol<"x3", 2> x3{};
    constexpr symbol<"c", any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X3) {
        auto const n1 = part<0, 0, 1>(X0);
        auto const n2 = cos(n1);
        auto const n6 = where(n2 > X2, X1, n2);
        auto const n7 = sum<0>(n6);
        auto const n8 = max(n7, X3);
        auto const n9 = relu(n8);
        auto const n10 = n9 - n6;
        auto const n11 = cos(n10);
        auto const n12 = pow(n9, n11);
        return relu(n12);
    }, x0, x1, x2, x3);
    composed(18, f, wrt(x0, x1, x2, x3), given(c, 99, {2}, -1, 1),
             {{-0.90475513841310717, 3.3199857152785848}, {0, 0}, {-1.2118592413677354, 1.7986502420224755}, {0, 0},
              {0, 0}},
             given(x0, 0, {1}, -1.5, 1.5), given(x1, 1, {1}, -1.5, 1.5), given(x2, 2, {1}, -1.5, 1.5), given(x3, 3,
             {2}, -1.5, 1.5));
}

TEST_CASE("composition 19: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 2> x0{};
    constexpr symbol<"x1", 1> x1{};
    constexpr symbol<"c", 1, 1> c{};
    constexpr auto f = formula([](auto X0, auto X1) {
        auto const n1 = min(X0, keep);
        auto const n2 = tanh(n1);
        auto const n3 = insert_axis<0>(n2);
        auto const n4 = X1 * n3;
        return variance<0>(n4, keep);
    }, x0, x1);
    composed(19, f, wrt(x0, x1), given(c, 99, {1, 1}, -1, 1),
             {{0, 0}, {0, 0}, {0, 0}},
             given(x0, 0, {2}, -1.5, 1.5), given(x1, 1, {1}, -1.5, 1.5));
}

TEST_CASE("composition 20: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, 2, any, any> x0{};
    constexpr symbol<"x1", 1, 1, 1, 1> x1{};
    constexpr symbol<"x2", 1, 4, 2> x2{};
    constexpr symbol<"c", 1, any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2) {
        auto const n1 = tanh(X0);
        auto const n2 = sum<2>(n1, keep);
        auto const n3 = where(n2 >= X1, n2, n2);
        auto const n4 = n3 * n3;
        auto const n6 = merge_axes<2>(n4);
        auto const n8 = detach(n6);
        return matmul(n8, transpose(X2));
    }, x0, x1, x2);
    composed(20, f, wrt(x0, x1, x2), given(c, 99, {1, 2, 4}, -1, 1),
             {{-6.7965395571728378, 65.090599109236578}, {0, 0}, {0, 0}, {-2.6025710186455546, 48.585330728275672}},
             given(x0, 0, {1, 2, 3, 2}, -1.5, 1.5), given(x1, 1, {1, 1, 1, 1}, -1.5, 1.5), given(x2, 2, {1, 4, 2},
             -1, 1));
}

TEST_CASE("composition 21: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, any> x0{};
    constexpr symbol<"x4", any> x4{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto X4) {
        auto const n2 = sigmoid(X0);
        auto const n12 = sqrt(n2);
        auto const n13 = tanh(n12);
        auto const n14 = merge_axes<0>(n13);
        auto const n3 = transpose(n2);
        return where(n14 < X4, n3, n14);
    }, x0, x4);
    composed(21, f, wrt(x0, x4), given(c, 99, {4, 4}, -1, 1),
             {{0.82734407639937324, 6.5996578672425361}, {0.0064595278487414171, 0.04514693652470906}, {0, 0}},
             given(x0, 0, {1, 4}, -1.5, 1.5), given(x4, 4, {4}, -1.5, 1.5));
}

TEST_CASE("composition 22: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 5, any> x0{};
    constexpr symbol<"x1", 1> x1{};
    constexpr symbol<"c", 1, any> c{};
    auto const n1 = x0 * x1;
    auto const n2 = max(n1, x1);
    auto const n3 = n2 - 0.75;
    auto const n4 = 1.25 - n3;
    auto const n5 = max(n4, n3);
    auto const f = log_sum_exp<0>(n5, keep);
    composed(22, f, wrt(x0, x1), given(c, 99, {1, 3}, -1, 1),
             {{-5.621769474417377, 27.461258868995277}, {0.057122273155572618, 0.034633248784387505},
              {0.33960526502173655, 0.69146553456656601}},
             given(x0, 0, {5, 3}, -1.5, 1.5), given(x1, 1, {1}, -1.5, 1.5));
}

TEST_CASE("composition 23: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, 3> x0{};
    constexpr index_symbol<"k1", 2, any> k1{};
    constexpr symbol<"x3", any, up_to(4), 1> x3{};
    constexpr symbol<"c", any, any, 1> c{};
    auto const n1 = pow(x0, 3.0);
    auto const n2 = rows(n1, k1);
    auto const n3 = concat<0>(n2, n2);
    auto const n4 = softmax<1>(n3);
    auto const n5 = max(n1, n4);
    auto const n6 = square(n5);
    auto const n7 = -n6;
    auto const f = matmul(n7, x3);
    composed(23, f, wrt(x0, x3), given(c, 99, {4, 3, 1}, -1, 1),
             {{0.64216435848520093, 0.71345409008189853}, {-0.025200221602972001, 0.0011594364591389307},
              {-0.91225300037082246, 1.974746914388902}},
             given(x0, 0, {1, 3}, -1.5, 1.5), given(k1, 1, {2, 3}, 0, 1), given(x3, 3, {4, 3, 1}, -1, 1));
}

TEST_CASE("composition 24: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any> x0{};
    constexpr symbol<"x1", 5> x1{};
    constexpr index_symbol<"k2", any> k2{};
    constexpr symbol<"x3", 1, 2> x3{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto K2, auto X3) {
        auto const n1 = sum<-1>(X0, keep);
        auto const n2 = 1.25 - n1;
        auto const n3 = where(n2 < n1, X0, n2);
        auto const n4 = mean<0>(n3);
        auto const n5 = min(X1, n4);
        auto const n6 = concat<0>(n5, n5);
        auto const n7 = split_axis<0, 2>(n6);
        auto const n9 = square(n7);
        auto const n10 = rows(n9, K2);
        return X3 - n10;
    }, x0, x1, k2, x3);
    composed(24, f, wrt(x0, x1, x3), given(c, 99, {3, 2}, -1, 1),
             {{-0.27889649222233392, 24.273513455007539}, {-0.072828221396698853, 0.013709492247134388},
              {2.8830334048397379, 17.329003125396518}, {0.71209218287499854, 3.1160459490788481}},
             given(x0, 0, {6}, -1.5, 1.5), given(x1, 1, {5}, -1.5, 1.5), given(k2, 2, {3}, 0, 5), given(x3, 3, {1,
             2}, -1.5, 1.5));
}

TEST_CASE("composition 25: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, 1, 2, 1> x0{};
    constexpr index_symbol<"k1", 1, 1, 2> k1{};
    constexpr symbol<"x2", up_to(6), up_to(4)> x2{};
    constexpr index_symbol<"k3", any> k3{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto K1, auto X2, auto K3) {
        auto const n2 = pick(X0, K1);
        auto const n3 = cos(n2);
        auto const n4 = sum(n3);
        auto const n6 = rows(X2, K3);
        return n4 + n6;
    }, x0, k1, x2, k3);
    composed(25, f, wrt(x0, x2), given(c, 99, {2, 3}, -1, 1),
             {{1.7617972108854949, 36.605163775988032}, {0, 0}, {0.26115095587328735, 1.4392998840379174}},
             given(x0, 0, {1, 1, 2, 1}, -1.5, 1.5), given(k1, 1, {1, 1, 2}, -1, 1), given(x2, 2, {5, 3}, -1.5, 1.5),
             given(k3, 3, {2}, 0, 5));
}
