// SPDX-License-Identifier: Apache-2.0
// One size for two extents that are not exact.
// expects: a tensor takes one size for each extent that is not exact
#include <graft/tensor/tensor.hpp>

using namespace graft;

#ifdef RIGHT
tensor<float, up_to(4), 8, up_to(4)> x(3, 2);
#else
tensor<float, up_to(4), 8, up_to(4)> x(3);
#endif
