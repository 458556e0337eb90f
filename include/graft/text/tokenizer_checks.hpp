// SPDX-License-Identifier: Apache-2.0
// What a stored vocabulary must satisfy before a tokenizer is made of it.                 (layer 15: text)
#pragma once

#include <graft/base/result.hpp>
#include <graft/text/bpe.hpp>
#include <graft/text/byte_alphabet.hpp>
#include <graft/text/pretokenizer.hpp>
#include <graft/text/score_merge.hpp>
#include <graft/text/token_index.hpp>
#include <graft/text/tokenizer_data.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

namespace graft {

/// How SentencePiece spells a space: ▁ (U+2581).
inline constexpr std::string_view space_mark = "\xE2\x96\x81";

/// The kind of a token; where the file gives none, all are normal.
inline token_kind kind_of(tokenizer_data const& data, std::size_t id) {
    return data.types.empty() ? token_kind::normal : static_cast<token_kind>(data.types[id]);
}

/// How SentencePiece vocabularies spell the token of a byte: <0x0A>.
inline std::string byte_spelling(unsigned char byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    return {'<', '0', 'x', digits[byte >> 4U], digits[byte & 15U], '>'};
}

/// The bytes of a SentencePiece token: ▁ is a space in normal ones.
inline std::string read_piece(std::string_view spelling, token_kind kind) {
    std::string out;
    for (std::size_t at = 0; at < spelling.size();) {
        bool const space = kind == token_kind::normal && spelling.substr(at, space_mark.size()) == space_mark;
        out += space ? ' ' : spelling[at];
        at += space ? space_mark.size() : 1;
    }
    return out;
}

inline problem bad_vocabulary(std::string const& file, std::string what, std::string where, std::string expected,
                              std::string got) {
    return {.file = file,
            .what = std::move(what),
            .where = std::move(where),
            .expected = std::move(expected),
            .got = std::move(got),
            .hint = {}};
}

inline problem duplicate_token(std::vector<std::string> const& tokens, int first, int second, std::string const& file) {
    return bad_vocabulary(
        file, "a token is there twice", "token " + std::to_string(second), "each spelling once",
        "'" + printable(tokens[static_cast<std::size_t>(second)]) + "', which is token " + std::to_string(first));
}

/// Counts, kinds and the ids of special tokens.
inline result<void> check_tokens(tokenizer_data const& data, std::string const& file) {
    if (data.model != "gpt2" && data.model != "llama")
        return bad_vocabulary(file, "unknown kind of tokenizer", "key 'tokenizer.ggml.model'",
                              "gpt2 (byte-level BPE) or llama (SentencePiece)", "'" + printable(data.model) + "'");
    std::size_t const n = data.tokens.size();
    if (n == 0) return bad_vocabulary(file, "the vocabulary is empty", "", "at least one token", "none");
    if (n > (std::size_t{1} << 30U))
        return bad_vocabulary(file, "too many tokens", "", "at most 2^30", std::to_string(n));
    if (!data.types.empty() && data.types.size() != n)
        return bad_vocabulary(file, "token types do not match the tokens", "", std::to_string(n),
                              std::to_string(data.types.size()));
    if (!data.scores.empty() && data.scores.size() != n)
        return bad_vocabulary(file, "token scores do not match the tokens", "", std::to_string(n),
                              std::to_string(data.scores.size()));
    for (std::size_t id = 0; id < n; ++id) {
        if (!data.types.empty() && (data.types[id] < 1 || data.types[id] > 6))
            return bad_vocabulary(file, "unknown token type", "token " + std::to_string(id), "1 to 6",
                                  std::to_string(data.types[id]));
        token_kind const k = kind_of(data, id);
        bool const matched = k == token_kind::control || k == token_kind::unknown || k == token_kind::user_defined;
        if (matched && data.tokens[id].empty())
            return bad_vocabulary(file, "a special token has no text", "token " + std::to_string(id),
                                  "at least one byte", "none");
    }
    struct named {
        char const* name;
        int id;
    };
    for (named const special : {named{"bos", data.bos}, named{"eos", data.eos}, named{"unknown", data.unknown},
                                named{"padding", data.padding}, named{"eot", data.eot}})
        if (special.id < -1 || (special.id >= 0 && static_cast<std::size_t>(special.id) >= n))
            return bad_vocabulary(file, "a special token is outside the vocabulary",
                                  std::string("key '") + special.name + "_token_id'", "less than " + std::to_string(n),
                                  std::to_string(special.id));
    return {};
}

/// Scores of a SentencePiece vocabulary, and that every byte has a token or an unknown one stands in.
inline result<void> check_scores(tokenizer_data const& data, std::array<int, 256> const& byte_ids,
                                 std::string const& file) {
    if (data.scores.size() != data.tokens.size())
        return bad_vocabulary(file, "a SentencePiece vocabulary needs a score for each token",
                              "key 'tokenizer.ggml.scores'", std::to_string(data.tokens.size()),
                              std::to_string(data.scores.size()));
    for (std::size_t id = 0; id < data.scores.size(); ++id)
        if (!std::isfinite(data.scores[id]))
            return bad_vocabulary(file, "a token's score is not finite", "token " + std::to_string(id), "a number",
                                  std::to_string(data.scores[id]));
    for (std::size_t b = 0; b < 256; ++b)
        if (byte_ids[b] < 0 && data.unknown < 0)
            return bad_vocabulary(file, "neither a token for a byte nor an unknown token", "",
                                  byte_spelling(static_cast<unsigned char>(b)), "nothing");
    return {};
}

/// The merges, by ids: both sides and what they make must be tokens, and none may make a control token of plain text.
inline result<merge_table> read_merges(tokenizer_data const& data, token_index const& index, std::string const& file) {
    if (data.merges.size() >= most_merges)
        return bad_vocabulary(file, "too many merges", "", "less than " + std::to_string(most_merges),
                              std::to_string(data.merges.size()));
    merge_table table;
    table.reserve(data.merges.size());
    for (std::size_t rank = 0; rank < data.merges.size(); ++rank) {
        std::string_view const line = data.merges[rank];
        auto const wrong = [&](char const* what, char const* expected) {
            return bad_vocabulary(file, what, "merge " + std::to_string(rank), expected, "'" + printable(line) + "'");
        };
        auto const gap = line.find(' ');
        if (gap == std::string_view::npos || gap == 0 || gap + 1 == line.size() ||
            line.find(' ', gap + 1) != std::string_view::npos)
            return wrong("a merge is not two tokens", "'left right'");
        std::string joined(line);
        joined.erase(gap, 1);
        int const left = index.find(data.tokens, line.substr(0, gap));
        int const right = index.find(data.tokens, line.substr(gap + 1));
        int const both = index.find(data.tokens, joined);
        if (left < 0 || right < 0 || both < 0)
            return wrong("a merge names a token that is not there", "two tokens whose join is one");
        token_kind const k = kind_of(data, static_cast<std::size_t>(both));
        if (k != token_kind::normal && k != token_kind::user_defined)
            return wrong("a merge makes a control token out of plain text", "a normal token");
        if (!table.insert(left, right, {static_cast<int>(rank), both}))
            return wrong("a merge is there twice", "each pair once");
    }
    return table;
}

}  // namespace graft
