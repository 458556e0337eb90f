// SPDX-License-Identifier: Apache-2.0
// A tensor of double for a function prepared for float.
// expects: an argument's numbers are not of the type the function is prepared for
// expects: double
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/gradient.hpp>
#include <graft/program/prepare_heap.hpp>

using namespace graft;

#ifdef RIGHT
void f(tensor<float, any, 8> const& X) {
#else
void f(tensor<double, any, 8> const& X) {
#endif
    constexpr symbol<"x", any, 8> x;
    auto total = prepare<float>(sum(x), x = X);
    total();
}
