// SPDX-License-Identifier: Apache-2.0
// A model that only runs forward, with an adapter or without; and its mean loss on data.
#pragma once

#include "session.hpp"

#include <graft/io/combine.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <vector>

namespace tool {

/// The adapters added up, where there are any; they may change maps of blocks alone.
inline result<std::optional<adapter>> open_chosen(std::vector<adapter_choice> const& choices, model_config const& c) {
    if (choices.empty()) return std::optional<adapter>();
    auto a = open_block_adapters(choices, c);
    if (!a) return a.error();
    return std::optional<adapter>(std::move(*a));
}

/// `tokens`: the most rows of one pass.
inline result<any_tuner> forward_only(any_model const& m, adapter const* a, index_t tokens, index_t threads) {
    any_training how;
    how.tokens = tokens, how.rank = 0, how.lanes = lanes_of(threads), how.strategy = inference{}, how.optimizer = sgd{};
    if (a) {
        auto const extent = extent_of(*a);
        how.rank = extent.rank, how.targets = extent.targets, how.alpha = a->alpha, how.rank_stabilised = a->rslora;
        how.norm = extent.magnitudes ? adapter_norm::detached : adapter_norm::none;
    }
    auto runs = m.tuner(how);
    if (runs && a)
        if (auto r = runs->load(*a); !r) return r.error();
    return runs;
}

/// The mean loss per token that counts, over all rows.
inline result<double> mean_loss(any_model const& m, adapter const* a, dataset const& data, index_t tokens,
                                index_t threads) {
    auto runs = forward_only(m, a, tokens, threads);
    if (!runs) return runs.error();
    std::vector<index_t> all(data.examples.size());
    std::iota(all.begin(), all.end(), index_t{0});
    loss_sum const l = runs->evaluate(pack_examples(data.examples, all, tokens));
    return l.sum / static_cast<double>(std::max<index_t>(l.targets, 1));
}

}  // namespace tool
