// SPDX-License-Identifier: Apache-2.0
// Vocabularies for tests: a small byte-level one, and GPT-2's own.
#pragma once

#include <graft/text/json.hpp>
#include <graft/text/tokenizer.hpp>
#include <tests/support/data.hpp>

#include <algorithm>
#include <optional>
#include <sstream>

namespace graft_test {

/// All 256 bytes, what these merges make, then control tokens and one user-defined token.
inline graft::tokenizer_data small_vocabulary(std::vector<std::string> const& control = {
                                                  "<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    graft::tokenizer_data d;
    d.model = "gpt2";
    d.pre = "gpt-2";
    for (int b = 0; b < 256; ++b) {
        char const byte = static_cast<char>(static_cast<unsigned char>(b));
        d.tokens.push_back(graft::spell_bytes({&byte, 1}));
    }
    d.merges = {"h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "1 2", "12 3"};
    for (std::string merge : d.merges) d.tokens.push_back(merge.erase(merge.find(' '), 1));
    d.types.assign(d.tokens.size(), 1);
    for (auto const& s : control) {
        d.tokens.push_back(s);
        d.types.push_back(3);
    }
    d.tokens.push_back("<tool>");
    d.types.push_back(4);
    return d;
}

/// GPT-2's vocabulary from the data folder, followed by these control tokens.
inline std::optional<graft::tokenizer_data> gpt2_vocabulary(std::string const& pre = "gpt-2",
                                                            std::vector<std::string> const& control = {}) {
    auto const vocabulary = shared_data("gpt2_vocab.json"), merges = shared_data("gpt2_merges.txt");
    if (!vocabulary || !merges) return std::nullopt;
    auto const json = graft::parse_json(read_file(*vocabulary), "gpt2_vocab.json");
    REQUIRE(json.ok());
    graft::tokenizer_data d;
    d.model = "gpt2";
    d.pre = pre;
    d.tokens.resize(json->size());
    for (auto const& [spelling, id] : json->items()) d.tokens.at(id.get<std::size_t>()) = spelling;
    std::istringstream lines(read_file(*merges));
    for (std::string line; std::getline(lines, line);)
        if (!line.empty() && !line.starts_with("#version")) d.merges.push_back(line);
    d.types.assign(d.tokens.size(), 1);
    for (auto const& s : control) {
        d.tokens.push_back(s);
        d.types.push_back(3);
    }
    return d;
}

/// A tokenizer of data that is known to be good.
inline graft::tokenizer good(graft::tokenizer_data data) {
    auto t = graft::tokenizer::make(std::move(data), "test");
    INFO((t ? "" : graft::describe(t.error())));
    REQUIRE(t.ok());
    return std::move(*t);
}

}  // namespace graft_test
