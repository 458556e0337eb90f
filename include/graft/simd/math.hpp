// SPDX-License-Identifier: Apache-2.0
// Elementary functions on packs and scalars, by own polynomials.                          (layer 3: simd)
#pragma once

// One implementation for every width: each operation is a single rounding or an explicit fma, so a number's result
// depends neither on the width of its pack nor on its lane (targets without fma round more often, and give other last
// digits). The largest errors met, in units of the last place, float and double alike:
//
//     exp 0.9    expm1 1.9    log, log1p 0.8    pow 1.3    sigmoid, silu, tanh 2.5    erf 1.3    sin, cos 1.6
//
// without fma exp 1.2, pow 1.4, erf 1.5, expm1 2.0. tests/simd/math.cpp and pow.cpp measure them.

#include <graft/simd/error_function.hpp>
#include <graft/simd/exponential.hpp>
#include <graft/simd/logarithm.hpp>
#include <graft/simd/trigonometric.hpp>
