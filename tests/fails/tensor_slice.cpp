// SPDX-License-Identifier: Apache-2.0
// A slice that ends after its axis.
// expects: the extents of the operands do not fit
// expects (g++): (4 == 3)
// expects (clang++): expects<4, 3>
#include <graft/tensor/tensor.hpp>

using namespace graft;

auto f(view<float, 2, 3> x) {
#ifdef RIGHT
    return x.slice<1, 1, 2>();
#else
    return x.slice<1, 2, 2>();
#endif
}
