// SPDX-License-Identifier: Apache-2.0
// Indices that an assignment computes with.
// expects: indices (index_symbol, std::int32_t, argmax) select rows or numbers, they do not compute
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/program/assign.hpp>

using namespace graft;

void f(tensor<float, 4> const& table, tensor<std::int32_t, 4> const& ids, tensor<float, 4>& y) {
#ifdef RIGHT
    y = rows(table, ids);
#else
    y = table * ids;
#endif
}
