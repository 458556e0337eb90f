// SPDX-License-Identifier: Apache-2.0
// A transposed left factor before a factor that was packed for a plain one.
// expects: t(a) * packed
// expects: blocks
#include <graft/kernel/packed.hpp>

using namespace graft;

void multiply_them(matrix<float> c, matrix<float> a, packed_factor<float> b) {
#ifdef RIGHT
    c = a * b;
#else
    c = t(a) * b;
#endif
}
