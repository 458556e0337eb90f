// SPDX-License-Identifier: Apache-2.0
// A tensor that is to lie in place, but may be of any size.
// expects: a tensor in place needs a bound on every extent: a size, or up_to(n)
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

#ifdef RIGHT
tensor<in_place<float>, up_to(8), 4> x(3);
#else
tensor<in_place<float>, any, 4> x(3);
#endif
