// SPDX-License-Identifier: Apache-2.0
// From examples to passes: several short sequences share the rows of one pass, each cut after its last target.
#pragma once

#include <graft/text/dataset.hpp>
#include <graft/train/batch.hpp>

#include <span>
#include <vector>

namespace tool {
using namespace graft;

/// Rows of several sequences, as a `batch` reads them.
struct packed_pass {
    std::vector<int> ids, targets;
    std::vector<index_t> starts;

    batch view() const { return {ids, targets, starts}; }
};

struct packed_update {
    std::vector<packed_pass> passes;
    index_t rows = 0, targets = 0;
};

/// Rows that an example needs: row i predicts token i + 1, and after the last target there is nothing to predict.
inline index_t rows_of(training_example const& e) {
    index_t last = static_cast<index_t>(e.ids.size()) - 1;
    while (last > 0 && !e.target[static_cast<std::size_t>(last)]) --last;
    return last;
}

/// Each example goes to the first pass with room for it; none has more than `most` rows.
inline packed_update pack(std::vector<training_example> const& all, std::span<index_t const> chosen, index_t most) {
    packed_update u;
    for (index_t const which : chosen) {
        training_example const& e = all[static_cast<std::size_t>(which)];
        std::size_t const rows = static_cast<std::size_t>(rows_of(e));
        if (rows == 0) continue;
        packed_pass* to = nullptr;
        for (auto& p : u.passes)
            if (!to && static_cast<index_t>(p.ids.size() + rows) <= most) to = &p;
        if (!to) to = &u.passes.emplace_back();
        to->starts.push_back(static_cast<index_t>(to->ids.size()));
        for (std::size_t i = 0; i < rows; ++i) {
            to->ids.push_back(e.ids[i]);
            to->targets.push_back(e.target[i + 1] ? e.ids[i + 1] : -1);
            u.targets += e.target[i + 1] ? 1 : 0;
        }
        u.rows += static_cast<index_t>(rows);
    }
    return u;
}

/// Which examples an update takes: a pure function of seed and step. Every epoch has an order of its own; its last
/// update takes what is left.
class data_order {
public:
    data_order(std::vector<index_t> rows, index_t update, std::uint64_t order_seed)
        : all(std::move(rows)), size(update), seed(order_seed) {}

    index_t updates_per_epoch() const { return (static_cast<index_t>(all.size()) + size - 1) / size; }

    /// The examples of update `step`, counted from 1.
    std::vector<index_t> of(index_t step) {
        index_t const epoch = (step - 1) / updates_per_epoch(), first = (step - 1) % updates_per_epoch() * size;
        if (epoch != shuffled_epoch)
            order = shuffled(static_cast<index_t>(all.size()), seed, static_cast<std::uint64_t>(epoch)),
            shuffled_epoch = epoch;
        std::vector<index_t> chosen;
        for (index_t i = first; i < std::min(first + size, static_cast<index_t>(all.size())); ++i)
            chosen.push_back(all[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])]);
        return chosen;
    }

private:
    std::vector<index_t> all, order;
    index_t size, shuffled_epoch = -1;
    std::uint64_t seed;
};

}  // namespace tool
