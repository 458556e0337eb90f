// SPDX-License-Identifier: Apache-2.0
// A product of three matrices hides a temporary: the intermediate must be named, and its memory planned.
// expects (g++): use of deleted function
// expects (clang++): selected deleted operator '*'
// shows: name the intermediate
#include <graft/tensor/matrix.hpp>

void f(graft::matrix<float> y, graft::matrix<float> x, graft::matrix<float> A, graft::matrix<float> B,
       [[maybe_unused]] graft::matrix<float> h) {
#ifdef RIGHT
    h = x * t(A);
    y = h * t(B);
#else
    y = x * t(A) * t(B);
#endif
}
