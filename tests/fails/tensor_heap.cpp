// SPDX-License-Identifier: Apache-2.0
// A tensor without a bound, where no heap was included: firmware.
// expects: this tensor lies on the heap: include graft/tensor/heap.hpp, or bound its extents, or use an arena
#include <graft/tensor/tensor.hpp>

using namespace graft;

#ifdef RIGHT
tensor<float, up_to(17), 64> x(17);
#else
tensor<float, any, 64> x(17);
#endif
