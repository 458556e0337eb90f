// SPDX-License-Identifier: Apache-2.0
// From examples to passes: short sequences share the rows of a pass, each cut after its last target. (layer 16: io)
#pragma once

#include <graft/text/dataset.hpp>
#include <graft/train/batch.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace graft {

/// Rows of several sequences, as a `batch` reads them.
struct packed_pass {
    std::vector<int> ids, targets;
    std::vector<index_t> starts;

    operator batch() const { return {ids, targets, starts}; }
};

/// The passes of some examples: a list of batches.
struct packed_update {
    std::vector<packed_pass> passes;
    index_t rows = 0, targets = 0;

    std::size_t size() const { return passes.size(); }
    packed_pass const& operator[](std::size_t i) const { return passes[i]; }
};

/// Rows that an example needs: row i predicts token i + 1, and after the last target there is nothing to predict.
inline index_t rows_of(training_example const& e) {
    index_t last = static_cast<index_t>(e.ids.size()) - 1;
    while (last > 0 && !e.target[static_cast<std::size_t>(last)]) --last;
    return last;
}

/// Each example goes to the first pass with room for it; none has more than `most` rows, unless one example has.
inline packed_update pack_examples(std::vector<training_example> const& all, std::span<index_t const> chosen,
                                   index_t most) {
    packed_update u;
    for (index_t const which : chosen) {
        training_example const& e = all[static_cast<std::size_t>(which)];
        std::size_t const rows = static_cast<std::size_t>(std::max<index_t>(rows_of(e), 0));
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

/// How a data set is read and dealt out.
struct data_settings {
    index_t seq_len = 512;    // tokens of an example; longer ones are cut
    index_t pass_tokens = 0;  // rows that run at once, at most; 0: seq_len
    index_t examples = 8;     // of an update
    double validation = 0.1;  // the part that is held out, where no row says so itself
    std::uint64_t seed = 0;   // of that part and of the order
    train_on on = train_on::all;
    double skip_bad = 0;  // the part of the rows that may be bad and is left out
};

/// A data set as `fit` reads it. Which examples an update takes is a function of seed and step: every epoch has an
/// order of its own, and its last update takes what is left.
class packed_data {
public:
    static result<packed_data> make(dataset examples, data_settings const& settings, std::string const& file = {}) {
        packed_data d;
        d.all = std::move(examples), d.how = settings;
        if (d.how.pass_tokens <= 0) d.how.pass_tokens = d.how.seq_len;
        d.how.examples = std::max<index_t>(d.how.examples, 1);
        d.parts = split_rows(d.all, settings.validation, settings.seed);
        if (d.parts.train.empty())
            return problem{cause::bad_file, file, "no row is left to train on", {}, {}, {}, "rows without \"split\""};
        d.validation = pack_examples(d.all.examples, d.parts.validation, d.how.pass_tokens);
        return d;
    }

    index_t updates_per_epoch() const {
        return (static_cast<index_t>(parts.train.size()) + how.examples - 1) / how.examples;
    }
    /// The passes of update `step`, counted from 1; they stay until the next call.
    packed_update const& update(index_t step) {
        index_t const epoch = (step - 1) / updates_per_epoch(), first = (step - 1) % updates_per_epoch() * how.examples,
                      rows = static_cast<index_t>(parts.train.size());
        if (epoch != shuffled_epoch)
            order = shuffled(rows, how.seed, static_cast<std::uint64_t>(epoch)), shuffled_epoch = epoch;
        std::vector<index_t> chosen;
        for (index_t i = first; i < std::min(first + how.examples, rows); ++i)
            chosen.push_back(parts.train[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])]);
        return window = pack_examples(all.examples, chosen, how.pass_tokens);
    }
    packed_update const& held_out() const { return validation; }

    dataset const& source() const { return all; }
    data_split const& split() const { return parts; }

private:
    packed_data() = default;
    dataset all;
    data_settings how;
    data_split parts;
    packed_update validation, window;
    std::vector<index_t> order;
    index_t shuffled_epoch = -1;
};

}  // namespace graft
