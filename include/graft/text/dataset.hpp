// SPDX-License-Identifier: Apache-2.0
// Data sets as token ids with the places that are learnt; splits and orders that can be repeated. (layer 15: text)
#pragma once

#include <graft/base/random.hpp>
#include <graft/text/rows.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

/// What is learnt of a chat: every assistant turn, the last one only, or every token (prompts too).
enum class train_on : unsigned char { all, last, full };

inline result<train_on> find_train_on(std::string_view name) {
    if (name == "all") return train_on::all;
    if (name == "last") return train_on::last;
    if (name == "full") return train_on::full;
    return problem{.why = cause::usage,
                   .file = {},
                   .what = "unknown part of a chat to train on",
                   .where = {},
                   .expected = "all, last or full",
                   .got = "'" + printable(name) + "'",
                   .hint = {}};
}

/// One sequence. target[i] says whether predicting ids[i] (from those before it) is learnt; target[0] never is.
struct training_example {
    std::vector<int> ids;
    std::vector<unsigned char> target;
    index_t line = 0;                    // of the row, 0 in plain text
    bool held_out = false;               // its row says "split": "held_out" (or validation, valid, val, test, eval)
    std::vector<chat_message> messages;  // the row's, to ask its question again
    nlohmann::json extra;                // the row's other keys
};

struct dataset_options {
    index_t seq_len = 512;  // longer rows are cut at their end
    train_on on = train_on::all;
    double skip_bad = 0;  // fraction of rows that may be bad
};

struct dataset {
    std::string kind;  // shape of the rows, or "plain text"
    std::vector<training_example> examples;
    index_t rows = 0;                       // in the file
    std::vector<problem> skipped;           // the bad ones
    index_t truncated = 0, cut_tokens = 0;  // rows cut, and what they lost
    index_t tokens = 0, target_tokens = 0;  // in the examples
};

namespace detail {

inline std::string split_at(index_t line) {
    std::string where("line ");
    return where.append(std::to_string(line)).append(", key 'split'");
}

inline chat_tokens render_row(data_row const& row, row_shape shape, tokenizer const& tokens, chat_format const& format,
                              train_on on, result<void>& status) {
    chat_tokens out;
    if (shape == row_shape::text) {
        if (tokens.add_bos()) out.ids.push_back(tokens.bos());
        tokens.encode(row.text, specials::off, out.ids);
        if (tokens.eos() >= 0) out.ids.push_back(tokens.eos());
        out.target.assign(out.ids.size(), 1);
    } else if (row.joined && format.plain()) {
        out = format.render(tokens, row.messages[0].content, row.messages[1].content);
    } else {
        auto rendered = format.render(tokens, row.messages);
        if (!rendered) return status = rendered.error(), out;
        out = std::move(*rendered);
    }
    auto const forget = [&](index_t from, index_t to) {
        std::fill(out.target.begin() + from, out.target.begin() + to, std::uint8_t{0});
    };
    if (on == train_on::full) std::fill(out.target.begin(), out.target.end(), std::uint8_t{1});
    // The prompt's messages are the first turns; a default system turn before them is no message.
    auto const said = static_cast<index_t>(row.messages.size()) - row.prompt_messages;
    auto const prompt_turns = static_cast<index_t>(out.turns.size()) - said;
    if (on != train_on::full && row.prompt_messages > 0 && prompt_turns > 0)
        forget(0, out.turns[static_cast<std::size_t>(prompt_turns - 1)].last + 1);
    if (on == train_on::last) {
        auto const last = std::find_if(out.turns.rbegin(), out.turns.rend(),
                                       [](chat_turn const& t) { return t.role == "assistant"; });
        if (last != out.turns.rend()) forget(0, last->first);
    }
    if (!out.target.empty()) out.target[0] = 0;
    return out;
}

/// Says that an example of a row would teach nothing, if so: only ends of turns, or nothing at all.
inline result<void> check_targets(training_example const& e, chat_format const& format, tokenizer const& tokens,
                                  bool cut, std::string const& file, index_t seq_len) {
    for (std::size_t i = 0; i < e.ids.size(); ++i)
        if (e.target[i] && e.ids[i] != format.end_of_turn() && e.ids[i] != tokens.eos()) return {};
    return problem{
        .file = file,
        .what = cut ? "nothing to learn is left of this row after cutting it to " + std::to_string(seq_len) + " tokens"
                    : "this row has nothing to learn",
        .where = "line " + std::to_string(e.line) + ":1",
        .expected = "an assistant's text, a completion or an output",
        .got = "none",
        .hint = cut ? "a larger --seq-len" : "--skip-bad to leave out such rows"};
}

inline void count(dataset& all, training_example e) {
    all.tokens += static_cast<index_t>(e.ids.size());
    all.target_tokens += std::count(e.target.begin(), e.target.end(), std::uint8_t{1});
    all.examples.push_back(std::move(e));
}

}  // namespace detail

/// JSONL rows as examples. A row with nothing to learn is an error, or skipped and counted as `skip_bad` allows.
inline result<dataset> read_jsonl_dataset(std::string_view jsonl, std::string const& file, tokenizer const& tokens,
                                          chat_format const& format, dataset_options const& options = {}) {
    auto rows = read_rows(jsonl, file, options.skip_bad);
    if (!rows) return rows.error();
    dataset all;
    all.kind = shape_name(rows->shape);
    all.rows = rows->seen;
    all.skipped = std::move(rows->skipped);
    for (auto& row : rows->rows) {
        result<void> status;
        chat_tokens rendered = detail::render_row(row, rows->shape, tokens, format, options.on, status);
        if (!status) {
            status.error().file = file;
            status.error().where = "line " + std::to_string(row.line) + ":1";
            return status.error();
        }
        training_example e{std::move(rendered.ids), std::move(rendered.target), row.line, false,
                           std::move(row.messages), std::move(row.extra)};
        auto const length = static_cast<index_t>(e.ids.size());
        bool const cut = length > options.seq_len;
        if (cut) {
            e.ids.resize(static_cast<std::size_t>(options.seq_len));
            e.target.resize(e.ids.size());
        }
        if (auto const checked = detail::check_targets(e, format, tokens, cut, file, options.seq_len); !checked) {
            all.skipped.push_back(checked.error());
            if (static_cast<double>(all.skipped.size()) > options.skip_bad * static_cast<double>(all.rows))
                return all.skipped.back();
            continue;
        }
        all.truncated += cut ? 1 : 0;
        all.cut_tokens += cut ? length - options.seq_len : 0;
        auto const split = json_get_or<std::string>(e.extra, "split", "train", file);
        if (!split) {
            problem wrong = split.error();
            wrong.where = detail::split_at(e.line);
            return wrong;
        }
        for (char const* name : {"held_out", "validation", "valid", "val", "test", "eval"})
            e.held_out |= *split == name;
        if (!e.held_out && *split != "train" && *split != "training")
            return problem{.file = file,
                           .what = "the row belongs to an unknown split",
                           .where = detail::split_at(e.line),
                           .expected = "train, held_out, validation or test",
                           .got = printable(json_text(*split)),
                           .hint = {}};
        detail::count(all, std::move(e));
    }
    if (all.examples.empty())
        return problem{.file = file,
                       .what = "no row is usable",
                       .where = {},
                       .expected = "at least one",
                       .got = "none",
                       .hint = {}};
    return all;
}

/// Plain text in blocks of seq_len tokens, all learnt. Blocks overlap by one token, so that each token but the first is
/// predicted once; where the model wants a begin-of-text token, each block begins with it instead.
inline result<dataset> read_text_dataset(std::string_view text, std::string const& file, tokenizer const& tokens,
                                         dataset_options const& options = {}) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    std::vector<int> const ids = tokens.encode(text);
    bool const begins = tokens.add_bos();
    dataset all;
    all.kind = "plain text";
    auto const size = static_cast<index_t>(ids.size()), block = options.seq_len - (begins ? 1 : 0),
               step = options.seq_len - 1;
    for (index_t at = 0; step > 0 && at < size && (begins || at + 1 < size); at += step) {
        training_example e;
        e.ids.assign(ids.begin() + at, ids.begin() + std::min(at + block, size));
        if (begins) e.ids.insert(e.ids.begin(), tokens.bos());
        e.target.assign(e.ids.size(), 1);
        e.target[0] = 0;
        detail::count(all, std::move(e));
    }
    all.rows = static_cast<index_t>(all.examples.size());
    if (all.examples.empty())
        return problem{.file = file,
                       .what = "the text is too short to learn from",
                       .where = {},
                       .expected = "at least two tokens, and a sequence length of two",
                       .got = std::to_string(size) + " tokens, sequence length " + std::to_string(options.seq_len),
                       .hint = {}};
    return all;
}

/// A data file by its name: .txt and .md are plain text, everything else is JSONL.
inline result<dataset> read_dataset(std::string_view text, std::string const& file, tokenizer const& tokens,
                                    chat_format const& format, dataset_options const& options = {}) {
    bool const plain = file.ends_with(".txt") || file.ends_with(".md");
    return plain ? read_text_dataset(text, file, tokens, options)
                 : read_jsonl_dataset(text, file, tokens, format, options);
}

/// Streams of random numbers that orders and splits draw from.
inline constexpr std::uint64_t shuffle_stream = 0x73687566, split_stream = 0x73706C69;

namespace detail {

inline std::vector<index_t> permutation(index_t n, std::uint64_t seed, std::uint64_t stream, std::uint64_t step) {
    std::vector<index_t> order(static_cast<std::size_t>(std::max<index_t>(n, 0)));
    std::iota(order.begin(), order.end(), index_t{0});
    for (std::size_t i = order.size(); i > 1; --i) {
        auto const j = static_cast<std::size_t>(uniform(seed, stream, step, i) * static_cast<double>(i));
        std::swap(order[i - 1], order[std::min(j, i - 1)]);
    }
    return order;
}

}  // namespace detail

/// 0 … n−1 in the order of an epoch: a function of seed and epoch, so that a resumed run goes on where it was.
inline std::vector<index_t> shuffled(index_t n, std::uint64_t seed, std::uint64_t epoch) {
    return detail::permutation(n, seed, shuffle_stream, epoch);
}

/// Indices of examples, each list ascending.
struct data_split {
    std::vector<index_t> train, validation;
};

/// Rows that say they are held out validate; if there are none, a `fraction` of the rows, chosen by the seed, does: at
/// least one, and one is left to train on, if 0 < fraction and there are two.
inline data_split split_rows(dataset const& all, double fraction, std::uint64_t seed) {
    auto const n = static_cast<index_t>(all.examples.size());
    std::vector<unsigned char> validates(all.examples.size());
    bool marked = false;
    for (std::size_t i = 0; i < validates.size(); ++i) marked |= (validates[i] = all.examples[i].held_out) != 0;
    if (!marked && fraction > 0 && n > 1) {
        auto const wanted = static_cast<index_t>(fraction * static_cast<double>(n));
        auto const order = detail::permutation(n, seed, split_stream, 0);
        for (index_t i = 0; i < std::clamp<index_t>(wanted, 1, n - 1); ++i)
            validates[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = 1;
    }
    data_split out;
    for (index_t i = 0; i < n; ++i) (validates[static_cast<std::size_t>(i)] ? out.validation : out.train).push_back(i);
    return out;
}

}  // namespace graft
