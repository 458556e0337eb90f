// SPDX-License-Identifier: Apache-2.0
// A type given as selection of layers that does not say how many it takes.
// expects: LayerSelection
// expects: most
#include <graft/strategy/lcsb.hpp>

using namespace graft;

struct odd_layers {
    constexpr index_t asks() const { return 1; }
    constexpr void choose(selection_moment const& m, std::span<bool> chosen) const {
        for (index_t l = 0; l < m.layers; ++l) chosen[static_cast<std::size_t>(l)] = l % 2 == 1;
    }
};

#ifdef RIGHT
lcsb<cyclic_strided> strategy;
#else
lcsb<odd_layers> strategy;
#endif
