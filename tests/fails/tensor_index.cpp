// SPDX-License-Identifier: Apache-2.0
// A position that is no whole number.
// expects: an index of a view is a whole number or a range
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

float f(tensor<float, 8, 4> const& y) {
#ifdef RIGHT
    return y(1, 2);
#else
    return y(1.5, 2);
#endif
}
