// SPDX-License-Identifier: Apache-2.0
// erf on packs and scalars.                                                               (layer 3: simd)
#pragma once

#include <graft/simd/exponential.hpp>

namespace graft {

namespace detail {

/// Below `middle` erf x = x + x (near series in x²); up to `end` erf x = 1 - e^-(far series in x); beyond 1.
template <class T>
struct erf_series {
    static constexpr T middle = 1, end = 5.95;
    static constexpr std::array<T, 12> near{
        0.1283791670955125668,    -0.3761263890318354663,    0.112837916709452533,     -0.02686617064327623272,
        0.005223977607423621673,  -0.0008548325989705853408, 0.0001205529532081518523, -1.492474467034244797e-5,
        1.644751777320107576e-6,  -1.620917669724042748e-7,  1.372297985026963347e-8,  -7.801195822297999113e-10};
    static constexpr std::array<T, 19> far{
        1.843948357925862078e-7,   1.12837728229831819,       0.6366287042076682062,    0.1027466411683958357,
        -0.01907695238342702714,   -0.0002822330367581202819, 0.001770930243551879676,  -0.0006428377335226570262,
        4.595856524100741061e-5,   6.974910635700132095e-5,   -4.476937183995313874e-5, 1.642130017745598757e-5,
        -4.301729972496253465e-6,  8.451816636350960808e-7,   -1.248288567781812029e-7, 1.352196193009467335e-8,
        -1.017022246332403311e-9,  4.751561074472479832e-11,  -1.039009949176699086e-12};
};
template <>
struct erf_series<float> {
    static constexpr float middle = 0.95f, end = 3.95f;
    static constexpr std::array<float, 7> near{0.1283791665f,   -0.3761263229f, 0.1128367255f,  -0.02685810442f,
                                               0.00519779739f, -0.000810596686f, 8.215428747e-5f};
    static constexpr std::array<float, 7> far{0.0002564608219f, 1.127426021f,   0.6376001524f,    0.1035667878f,
                                              -0.02205194475f,  0.002999526773f, -0.0001915026344f};
};

}  // namespace detail

/// 2/√π ∫ e^-t² dt from 0 to x.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> erf(pack<T, W> x) {
    using P = pack<T, W>;
    using S = detail::erf_series<T>;
    P const size = abs(x), one = T(1);
    P const near = fma(x, detail::polynomial(S::near, x * x), x);
    P const far = detail::plus_exp_minus(one, -one, detail::polynomial(S::far, min(P(S::end), size)));
    return select(size < P(S::middle), near, detail::with_sign(far, x));
}

template <std::floating_point T>
T erf(T x) {
    return erf(pack<T, 1>(x)).v[0];
}

}  // namespace graft
