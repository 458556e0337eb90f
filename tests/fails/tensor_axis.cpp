// SPDX-License-Identifier: Apache-2.0
// An axis that a view does not have.
// expects: the view has no such axis
#include <graft/tensor/tensor.hpp>

using namespace graft;

auto f(view<float, 2, 3> x) {
#ifdef RIGHT
    return x.slice<-2>(0, 1);
#else
    return x.slice<2>(0, 1);
#endif
}
