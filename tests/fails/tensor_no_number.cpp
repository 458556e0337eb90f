// SPDX-License-Identifier: Apache-2.0
// A tensor of what is neither a number nor a policy.
// expects: this tensor is given neither a number nor in_place<T>, in_arena<T> or on_heap<T>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

struct flash {};
#ifdef RIGHT
tensor<in_place<float>, 3, 4> x;
#else
tensor<flash, 3, 4> x;
#endif
