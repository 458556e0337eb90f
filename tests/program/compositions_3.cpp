// SPDX-License-Identifier: Apache-2.0
// Compositions 26 to 38, written with their results by tests/oracle/compositions.py.
#include <tests/support/composition.hpp>

using namespace graft;
using namespace graft_test;

TEST_CASE("composition 26: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 4> x0{};
    constexpr symbol<"x1", up_to(6)> x1{};
    constexpr symbol<"x2", any> x2{};
    constexpr symbol<"x4", any, 1> x4{};
    constexpr symbol<"x5", 3, 1> x5{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X4, auto X5) {
        auto const n1 = X0 - X1;
        auto const n2 = split_axis<0, 2>(n1);
        auto const n3 = rms_norm(n2, X2, 0.01);
        auto const n8 = matmul(n3, transpose(n2));
        auto const n9 = matmul(n8, X4);
        auto const n10 = gelu(n9);
        return matmul(n10, transpose(X5));
    }, x0, x1, x2, x4, x5);
    composed(26, f, wrt(x0, x1, x2, x4, x5), given(c, 99, {2, 3}, -1, 1),
             {{0.086181624140899638, 0.015979873698102214}, {0.029094773832433127, 0.0058233575396452819},
              {-0.030720522140371125, 0.0058233575396452819}, {0.0095198027239127517, 0.0015790842722881407},
              {-0.022506030510710907, 0.0025929477651027346}, {-0.0085682075931335991, 0.014532607755989397}},
             given(x0, 0, {4}, -1.5, 1.5), given(x1, 1, {4}, -1.5, 1.5), given(x2, 2, {2}, 0.5, 1.5), given(x4, 4,
             {2, 1}, -1, 1), given(x5, 5, {3, 1}, -1, 1));
}

TEST_CASE("composition 27: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(6), 3, up_to(5)> x0{};
    constexpr symbol<"x1", 5, 3> x1{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1) {
        auto const n1 = X0 + X0;
        auto const n2 = matmul(n1, X0);
        auto const n3 = min<2>(n2);
        auto const n4 = X1 * n3;
        auto const n5 = sin(n4);
        return max(n5, n3);
    }, x0, x1);
    composed(27, f, wrt(x0, x1), given(c, 99, {5, 3}, -1, 1),
             {{-0.15869363425689109, 5.863793163932189}, {-0.61464328048555439, 15.902732363078695},
              {-0.33906599017900951, 1.6215745287464616}},
             given(x0, 0, {5, 3, 3}, -1.5, 1.5), given(x1, 1, {5, 3}, -1.5, 1.5));
}

TEST_CASE("composition 28: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(4), 3, up_to(6), any> x0{};
    constexpr symbol<"x1", 2, 2> x1{};
    constexpr index_symbol<"k2", 3> k2{};
    constexpr symbol<"x3", 1, up_to(5)> x3{};
    constexpr symbol<"x4", 2, 3, any, 1> x4{};
    constexpr index_symbol<"k5", any, 3, 3> k5{};
    constexpr symbol<"c", any, any, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto K2, auto X3, auto X4, auto K5) {
        auto const n1 = X0 * X0;
        auto const n4 = rows(X1, K2);
        auto const n5 = softmax<0>(n4);
        auto const n2 = matmul(n1, X1);
        auto const n6 = where(n5 > X3, n2, n5);
        auto const n7 = n1 * n6;
        auto const n8 = min(n7, X4);
        auto const n9 = pick(n8, K5);
        auto const n10 = log_softmax(n9);
        return n10 / n10;
    }, x0, x1, k2, x3, x4, k5);
    composed(28, f, wrt(x0, x1, x3, x4), given(c, 99, {2, 3, 3}, -1, 1),
             {{-1.6968245140617009, 18}, {1.1948452121751852e-20, 3.7025416032100756e-40}, {3.6411093883070384e-22,
              4.957570578380823e-43}, {0, 0}, {-5.4698319448214847e-17, 1.1183765382417495e-32}},
             given(x0, 0, {2, 3, 3, 2}, -1.5, 1.5), given(x1, 1, {2, 2}, -1, 1), given(k2, 2, {3}, 0, 2), given(x3,
             3, {1, 2}, -1.5, 1.5), given(x4, 4, {2, 3, 3, 1}, -1.5, 1.5), given(k5, 5, {2, 3, 3}, -1, 2));
}

TEST_CASE("composition 29: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, up_to(5), up_to(5), 1> x0{};
    constexpr symbol<"c", 1, any, 1, 1> c{};
    auto const n2 = 1.25 - x0;
    auto const n5 = part<2, 1, 2>(n2);
    auto const n6 = part<2, 0, 2>(n5);
    auto const n7 = concat<1>(n6, n5);
    auto const n8 = pow(1.5, n7);
    auto const n9 = log_sum_exp<0, 2>(n8, keep);
    auto const f = n9 + n9;
    composed(29, f, wrt(x0), given(c, 99, {1, 6, 1, 1}, -1, 1),
             {{2.5425383343260641, 145.15489870694478}, {0.31991560811576392, 0.72456760287372246}},
             given(x0, 0, {1, 3, 3, 1}, -1.5, 1.5));
}

TEST_CASE("composition 30: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 1, 1, 1, 1> x0{};
    constexpr symbol<"x1", 1, 1, 1> x1{};
    constexpr symbol<"c", 1, 1, any, 1> c{};
    constexpr auto f = formula([](auto X0, auto X1) {
        auto const n1 = log_sum_exp<0, -3>(X0, keep);
        auto const n2 = log(n1);
        auto const n3 = detach(n2);
        auto const n4 = silu(n3);
        auto const n5 = max(X0, n4);
        auto const n8 = where(n5 < X1, n1, 0.5);
        auto const n6 = matmul(n5, transpose(X0));
        auto const n7 = relu(n6);
        auto const n9 = concat<2>(n8, n7);
        return sigmoid(n9);
    }, x0, x1);
    composed(30, f, wrt(x0, x1), given(c, 99, {1, 1, 2, 1}, -1, 1),
             {{0.78621786294148066, 1.1588734630878901}, {0.090152841620258745, 0.0084297135113244152}, {0, 0}},
             given(x0, 0, {1, 1, 1, 1}, -1.5, 1.5), given(x1, 1, {1, 1, 1}, -1.5, 1.5));
}

TEST_CASE("composition 31: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 5, 5, 3> x0{};
    constexpr symbol<"x1", 3, 1> x1{};
    constexpr symbol<"x2", 1, 4> x2{};
    constexpr symbol<"x3", 1, 1> x3{};
    constexpr symbol<"x4", any, any> x4{};
    constexpr symbol<"x5", 1, any, 1> x5{};
    constexpr symbol<"c", 1, any, 1> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X3, auto X4, auto X5) {
        auto const n5 = max(X2, X3);
        auto const n6 = matmul(n5, X4);
        auto const n7 = 2.5 * n6;
        auto const n1 = matmul(X0, X1);
        auto const n8 = n7 * n1;
        auto const n9 = log_sum_exp<0, 2>(n8, keep);
        auto const n10 = n9 + X5;
        return cos(n10);
    }, x0, x1, x2, x3, x4, x5);
    composed(31, f, wrt(x0, x1, x2, x3, x4, x5), given(c, 99, {1, 5, 1}, -1, 1),
             {{-0.46574336110110187, 2.7277056023018593}, {2.4691148978004733, 8.1366572865359021},
              {1.5175638936725546, 63.334934504103742}, {0, 0}, {3.7638641710895206, 31.903412321899719},
              {0.87468535404186643, 16.601304047243993}, {-0.63430190318659274, 0.70915818583298995}},
             given(x0, 0, {5, 5, 3}, -1.5, 1.5), given(x1, 1, {3, 1}, -1, 1), given(x2, 2, {1, 4}, -1, 1), given(x3,
             3, {1, 1}, -1.5, 1.5), given(x4, 4, {4, 5}, -1, 1), given(x5, 5, {1, 5, 1}, -1.5, 1.5));
}

TEST_CASE("composition 32: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(4)> x0{};
    constexpr symbol<"x2", any> x2{};
    constexpr symbol<"x3", 4> x3{};
    constexpr symbol<"x4", 5, any> x4{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X0, auto X2, auto X3, auto X4) {
        auto const n13 = X4 + X4;
        auto const n3 = layer_norm(X0, X2, X3, 0.01);
        auto const n4 = 1.25 - n3;
        auto const n5 = split_axis<0, 2>(n4);
        auto const n6 = matmul(n5, transpose(X4));
        auto const n7 = permute<0, 1>(n6);
        return matmul(n13, n7);
    }, x0, x2, x3, x4);
    composed(32, f, wrt(x0, x2, x3, x4), given(c, 99, {5, 5}, -1, 1),
             {{-1.7476162203171544, 108.0615910289653}, {0.51718120476549378, 0.83412390468280073},
              {-2.9376088326080034, 9.3303990006649968}, {2.109454164336209, 5.4916470139598061},
              {-1.4871624941995156, 276.50326193199271}},
             given(x0, 0, {4}, -1.5, 1.5), given(x2, 2, {4}, 0.5, 1.5), given(x3, 3, {4}, -1.5, 1.5), given(x4, 4,
             {5, 2}, -1, 1));
}

TEST_CASE("composition 33: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x1", 3, 2> x1{};
    constexpr symbol<"x3", 2, 2> x3{};
    constexpr symbol<"c", any, any> c{};
    constexpr auto f = formula([](auto X1, auto X3) {
        auto const n5 = softmax(X1);
        auto const n9 = matmul(n5, X3);
        auto const n10 = abs(n9);
        auto const n11 = pow(n10, 3.0);
        auto const n12 = 1.25 - n11;
        auto const n6 = min(n5);
        auto const n7 = log1p(n6);
        return pow(n12, n7);
    }, x1, x3);
    composed(33, f, wrt(x1, x3), given(c, 99, {3, 2}, -1, 1),
             {{-2.2021566115597571, 6.4818052028790838}, {0.01035824308929649, 0.00019735624837517},
              {-0.023180181174968912, 0.0042506314225032871}},
             given(x1, 1, {3, 2}, -1, 1), given(x3, 3, {2, 2}, -1, 1));
}

TEST_CASE("composition 34: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 2, 3> x0{};
    constexpr symbol<"x1", 3, 1> x1{};
    constexpr symbol<"c", any, 1> c{};
    constexpr auto f = formula([](auto X0, auto X1) {
        auto const n2 = matmul(X0, X1);
        auto const n3 = max(n2, 0.0);
        auto const n4 = concat<0>(n3, X1);
        auto const n10 = concat<0>(n4, X1);
        return n10 - n10;
    }, x0, x1);
    composed(34, f, wrt(x0, x1), given(c, 99, {8, 1}, -1, 1),
             {{0, 0}, {0, 0}, {0, 0}},
             given(x0, 0, {2, 3}, -1.5, 1.5), given(x1, 1, {3, 1}, -1, 1));
}

TEST_CASE("composition 35: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(6), 1, 1> x0{};
    constexpr symbol<"x1", 1, 1> x1{};
    constexpr symbol<"x2", 1, any> x2{};
    constexpr symbol<"x4", 1, 1> x4{};
    constexpr symbol<"c", any, 1, any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2, auto X4) {
        auto const n1 = pow(1.5, X0);
        auto const n2 = max(n1, X1);
        auto const n5 = matmul(n2, X2);
        auto const n7 = n2 + X1;
        auto const n8 = n7 - X4;
        return min(n5, n8);
    }, x0, x1, x2, x4);
    composed(35, f, wrt(x0, x1, x2, x4), given(c, 99, {5, 1, 3}, -1, 1),
             {{-2.4598082070502367, 16.245523771445015}, {-0.75898663767571917, 0.45947626235635292},
              {-0.2221554140727888, 0.10043218464441182}, {-0.67085224761872508, 3.7507153658397261},
              {-0.054244822815181164, 0.10043218464441182}},
             given(x0, 0, {5, 1, 1}, -1.5, 1.5), given(x1, 1, {1, 1}, -1.5, 1.5), given(x2, 2, {1, 3}, -1, 1),
             given(x4, 4, {1, 1}, -1.5, 1.5));
}

TEST_CASE("composition 36: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", 6, any, any> x0{};
    constexpr symbol<"x1", 2, up_to(4)> x1{};
    constexpr symbol<"c", any, any, 1, any> c{};
    auto const n1 = max(x1, x0);
    auto const n2 = n1 + n1;
    auto const n7 = max(n2, 0.0);
    auto const n8 = insert_axis<2>(n7);
    auto const f = pow(1.5, n8);
    composed(36, f, wrt(x0, x1), given(c, 99, {6, 2, 1, 2}, -1, 1),
             {{7.4233824495293455, 68.142887347755263}, {-0.015645748609789401, 12.862501884505418},
              {-0.90447775827684818, 6.7478587682844644}},
             given(x0, 0, {6, 2, 2}, -1.5, 1.5), given(x1, 1, {2, 2}, -1.5, 1.5));
}

TEST_CASE("composition 37: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", up_to(3), 1, any> x0{};
    constexpr symbol<"x1", 2, 1, 3> x1{};
    constexpr symbol<"x2", 1, 1, up_to(5)> x2{};
    constexpr symbol<"c", any> c{};
    constexpr auto f = formula([](auto X0, auto X1, auto X2) {
        auto const n1 = relu(X0);
        auto const n2 = max(X1, n1);
        auto const n3 = n2 * n2;
        auto const n4 = n3 + X2;
        auto const n5 = concat<1>(n4, n3);
        return norm<1, -1>(n5);
    }, x0, x1, x2);
    composed(37, f, wrt(x0, x1, x2), given(c, 99, {2}, -1, 1),
             {{-4.5086823813023615, 13.612440814236752}, {0.51682184589768076, 7.8243853728973844},
              {-1.26542101702777, 5.7410266014390432}, {0.17624344053884586, 0.47864025439560454}},
             given(x0, 0, {2, 1, 3}, -1.5, 1.5), given(x1, 1, {2, 1, 3}, -1.5, 1.5), given(x2, 2, {1, 1, 3}, -1.5,
             1.5));
}

TEST_CASE("composition 38: its value and gradients are what PyTorch computes") {
    constexpr symbol<"x0", any, any> x0{};
    constexpr symbol<"x1", 4, 1> x1{};
    constexpr symbol<"x2", 6, up_to(4)> x2{};
    constexpr symbol<"x3", up_to(4), 2> x3{};
    constexpr symbol<"c", any, 1, any> c{};
    auto const n1 = x0 + x1;
    auto const n2 = insert_axis<1>(n1);
    auto const n3 = matmul(n2, x2);
    auto const n4 = n3 * n3;
    auto const n5 = matmul(n4, transpose(x3));
    auto const n6 = n5 * n5;
    auto const f = n6 - 0.75;
    composed(38, f, wrt(x0, x1, x2, x3), given(c, 99, {4, 1, 4}, -1, 1),
             {{6.2169859227098803, 794.26354297492924}, {20.422268523195086, 10410.975368035286},
              {-196.12344642187162, 47594.097532604632}, {19.868556582305111, 12970.100960679658},
              {27.08964851890526, 843.40134323416305}},
             given(x0, 0, {4, 6}, -1.5, 1.5), given(x1, 1, {4, 1}, -1.5, 1.5), given(x2, 2, {6, 2}, -1, 1), given(x3,
             3, {4, 2}, -1, 1));
}
