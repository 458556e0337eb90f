// SPDX-License-Identifier: Apache-2.0
// A reshape to another count of numbers.
// expects: the extents of the operands do not fit
// expects (g++): (8 == 6)
// expects (clang++): expects<8, 6>
#include <graft/tensor/tensor.hpp>

using namespace graft;

auto f(view<float, 2, 3> x) {
#ifdef RIGHT
    return x.reshaped<3, 2>();
#else
    return x.reshaped<4, 2>();
#endif
}
