// SPDX-License-Identifier: Apache-2.0
// Two indices for three axes.
// expects: a view takes one index for each axis
#include <graft/tensor/tensor.hpp>

using namespace graft;

auto f(view<float, 2, 3, 4> x) {
#ifdef RIGHT
    return x(1, 2, range());
#else
    return x(1, range());
#endif
}
