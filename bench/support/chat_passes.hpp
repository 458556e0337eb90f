// SPDX-License-Identifier: Apache-2.0
// Questions and answers of the data folder as passes, of which the answers are learnt.
#pragma once

#include <graft/io/packed_data.hpp>

#include "real_model.hpp"

namespace bench {

/// JSONL rows in the chat format of the model, cut to `tokens` rows of a pass, which short ones share; rows whose
/// answer is cut away are left out. The last tenth is held out; a seed says in which order the others come in each
/// epoch, of which there are enough for `steps` passes.
class chat_passes {
public:
    chat_passes(tokenizer const& words, std::string const& jsonl, std::string const& file, index_t tokens,
                std::uint64_t seed, index_t steps) {
        auto const format = expect(chat_format::make(words, "", file));
        auto const all = expect(read_jsonl_dataset(jsonl, file, words, format, {tokens + 1, train_on::all, 1}));
        auto const n = static_cast<index_t>(all.examples.size()), held_rows = std::max<index_t>(n / 10, 1);
        said = file + ": " + std::to_string(all.rows) + " rows, " + std::to_string(all.skipped.size()) + " left out, " +
               std::to_string(all.truncated) + " of the others cut, " + std::to_string(held_rows) + " held out";
        if (n < 2) std::fprintf(stderr, "%s: too few rows\n", file.c_str()), std::exit(1);
        std::vector<index_t> last;
        for (index_t i = n - held_rows; i < n; ++i) last.push_back(i);
        held = pack_examples(all.examples, last, tokens).passes;
        for (std::uint64_t epoch = 0; static_cast<index_t>(training.size()) < steps; ++epoch) {
            auto const more = pack_examples(all.examples, shuffled(n - held_rows, seed, epoch), tokens).passes;
            training.insert(training.end(), more.begin(), more.end());
        }
    }
    /// Pass number `step` of the training, counted from 1.
    graft::batch train(index_t step) const { return training[static_cast<std::size_t>(step - 1)]; }
    /// How many rows there are, were cut and are held out.
    std::string const& about() const { return said; }
    index_t held_out_passes() const { return static_cast<index_t>(held.size()); }

    /// The mean loss over the targets of `passes` held-out passes, from number `first` on.
    template <class Trainer>
    double loss(Trainer& t, index_t passes, index_t first = 0) const {
        double sum = 0, targets = 0;
        for (index_t i = first; i < std::min(first + passes, held_out_passes()); ++i) {
            graft::batch const b = held[static_cast<std::size_t>(i)];
            sum += t.evaluate(b), targets += static_cast<double>(targets_of(b));
        }
        return sum / targets;
    }

private:
    std::vector<packed_pass> training, held;
    std::string said;
};

}  // namespace bench
