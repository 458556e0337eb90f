// SPDX-License-Identifier: Apache-2.0
// A tensor whose numbers are to lie where nobody says how.
// expects: this tensor
// expects: in_flash<float>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

template <class T> struct in_flash;
#ifdef RIGHT
tensor<in_place<float>, 3, 4> x;
#else
tensor<in_flash<float>, 3, 4> x;
#endif
