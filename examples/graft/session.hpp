// SPDX-License-Identifier: Apache-2.0
// What most verbs begin with: a model, its tokenizer, its chat format, and files as text.
#pragma once

#include "command.hpp"

#include <graft/io/any_model.hpp>

#include <algorithm>
#include <string>

extern template struct graft::every_block<float>;  // compiled in blocks.cpp

namespace tool {

/// Opens a model for text. Its weights are mapped and not read; warnings go to stderr.
inline result<any_model> open_session(std::string const& path, std::string const& format) {
    auto m = any_model::open(path, format);
    if (m)
        for (auto const& w : m->file().warnings) warn(path + ": " + w);
    return m;
}

/// Heap memory of an opened model: its tokenizer, and what is known of each tensor.
inline index_t reader_bytes(any_model const& m) {
    index_t bytes = m.words().memory_bytes();
    for (auto const& t : m.file().tensors)
        bytes += static_cast<index_t>(sizeof t + t.name.capacity() + t.file_name.capacity() +
                                      t.shape.capacity() * sizeof(index_t));
    return bytes;
}

/// Standard input to its end.
inline result<std::string> read_stdin() {
    std::string text;
    char room[1 << 16];
    for (std::size_t n; (n = std::fread(room, 1, sizeof room, stdin)) > 0;) text.append(room, n);
    if (std::ferror(stdin)) return problem{cause::io, "standard input", "cannot be read", {}, {}, {}, {}};
    return text;
}

/// Says how many bytes of a text a vocabulary without all byte tokens leaves out.
inline void warn_of_lost_bytes(tokenizer const& words, std::string_view text, std::string const& where) {
    auto const missing = words.missing_bytes();
    if (missing.empty()) return;
    auto const lost = std::count_if(text.begin(), text.end(), [&](char c) {
        return std::find(missing.begin(), missing.end(), static_cast<unsigned char>(c)) != missing.end();
    });
    if (lost > 0)
        warn(where + ": the model's vocabulary has no tokens for " + std::to_string(lost) +
             " bytes of the text (control bytes, or no UTF-8), which are left out");
}

/// What a user should know of a data set before it is used: rows cut, left out, bytes without a token.
inline void warn_of_data(any_model const& m, dataset const& data, std::string_view text, std::string const& path) {
    warn_of_lost_bytes(m.words(), text, path);
    if (data.truncated > 0)
        warn(std::to_string(data.truncated) + " rows are cut to --seq-len and lose " + std::to_string(data.cut_tokens) +
             " tokens");
    if (!data.skipped.empty())
        warn(std::to_string(data.skipped.size()) +
             " bad rows are left out; the first: " + describe(data.skipped.front()));
}

/// A number that files with other bytes do not share (FNV-1a of 64 bits): to notice, not to prove.
class fingerprint {
public:
    fingerprint& add(std::span<std::byte const> bytes) {
        for (std::byte const b : bytes) state = (state ^ static_cast<std::uint64_t>(b)) * 0x100000001b3ULL;
        return *this;
    }
    fingerprint& add(std::string_view text) { return add(std::as_bytes(std::span(text))); }
    std::string text() const {
        char room[20];
        std::snprintf(room, sizeof room, "%016llx", static_cast<unsigned long long>(state));
        return room;
    }

private:
    std::uint64_t state = 0xcbf29ce484222325ULL;
};

/// Identifies a base model without reading all of it: names, formats and shapes of its tensors, and both ends of each.
inline std::string identify(model_file const& m) {
    fingerprint f;
    for (auto const& t : m.tensors) {
        f.add(t.name).add(t.how->name);
        for (index_t const d : t.shape) f.add(std::to_string(d)).add("x");
        std::size_t const part = std::min<std::size_t>(t.data.size(), 256);
        f.add(t.data.first(part)).add(t.data.last(part));
    }
    return f.text();
}

}  // namespace tool
