// SPDX-License-Identifier: Apache-2.0
// A selection of layers for a strategy that has no gradients of layers.
// expects: lcsb of zeroth_order: an estimate from losses alone has no blocks to leave out
#include <graft/strategy/lcsb.hpp>
#include <graft/strategy/zeroth_order.hpp>

using namespace graft;

#ifdef RIGHT
constexpr lcsb<cyclic_strided, mesp> strategy{};
#else
constexpr lcsb<cyclic_strided, zeroth_order> strategy{};
#endif
