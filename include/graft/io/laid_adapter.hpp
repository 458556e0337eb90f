// SPDX-License-Identifier: Apache-2.0
// An adapter from a file, in the layers of a model that only runs forward.               (layer 16: io)
#pragma once

#include <graft/io/adapter.hpp>
#include <graft/io/bind.hpp>
#include <graft/io/trained.hpp>

#include <string>
#include <vector>

namespace graft {

/// The numbers that the layers point to, and what plans need to know of them. Must outlive the layers' use.
struct laid_adapter {
    std::vector<float> numbers;
    index_t rank = 0;
    unsigned targets = all_targets;
};

/// An adapter that fits the model and changes nothing but the linear maps of its blocks.
inline result<adapter> open_block_adapter(std::string const& path, model_config const& c) {
    auto a = open_adapter(path, c);
    if (!a) return a.error();
    for (auto const& p : a->pairs)
        if (target_bit(p.module) == 0)
            return problem{cause::mismatch,
                           path,
                           "changes a map that cannot carry an adapter here",
                           "module '" + p.module + "'",
                           "the seven linear maps of blocks",
                           {},
                           "an adapter of these maps alone"};
    return a;
}

/// Lets the model's layers carry the adapter at `path`; without a path they carry none.
template <class Block>
result<laid_adapter> lay_adapter(bound_model<Block>& m, std::string const& path) {
    laid_adapter laid;
    if (path.empty()) return laid;
    auto const a = open_block_adapter(path, m.net.config);
    if (!a) return a.error();
    auto const extent = extent_of(*a);
    laid.rank = extent.rank, laid.targets = extent.targets;
    auto const n = sizes_of(m.net.config, 1, laid.rank, laid.targets);
    index_t const each = adapter_numbers<Block>(n);
    laid.numbers.resize(static_cast<std::size_t>(each * m.net.config.layers));
    double const scale = adapter_scale(a->alpha, laid.rank, a->rslora);
    float* at = laid.numbers.data();
    for (auto& layer : m.layers) {
        lay_adapters<Block, float>(layer, n, at, nullptr, static_cast<float>(scale));
        at += each;
    }
    put_adapter(m.net, *a, scale);
    return laid;
}

}  // namespace graft
