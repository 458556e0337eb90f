// SPDX-License-Identifier: Apache-2.0
// A selection of layers among those that another selection leaves.
// expects: lcsb inside lcsb: one selection of layers is all there can be
#include <graft/strategy/lcsb.hpp>

using namespace graft;

#ifdef RIGHT
constexpr lcsb<random_layers> strategy{{4}};
#else
constexpr lcsb<random_layers, lcsb<cyclic_strided>> strategy{{4}};
#endif
