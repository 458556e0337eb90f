// SPDX-License-Identifier: Apache-2.0
// What a model file says about its tokenizer, whichever format the file has.             (layer 15: text)
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace graft {

/// Kinds of tokens, with GGUF's numbers.
enum class token_kind : int { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// A tokenizer as stored; `tokenizer::make` checks it.
struct tokenizer_data {
    std::string model;                // "gpt2": byte-level BPE; "llama": SentencePiece's scores
    std::string pre;                  // how gpt2 cuts text into words: "gpt-2", "smollm", "qwen2", "llama-bpe"
    std::vector<std::string> tokens;  // by id; normal ones of gpt2 in its byte alphabet, as in GGUF
    std::vector<int> types;           // token_kind by id; empty: all normal
    std::vector<float> scores;        // by id, for llama
    std::vector<std::string> merges;  // "left right", best first, for gpt2
    int bos = -1, eos = -1, unknown = -1, padding = -1, eot = -1;
    bool add_bos = false;
    bool add_space_prefix = false;  // llama: the text is encoded with a space before it
    bool ignore_merges = false;     // a word that is a token is taken whole (Llama-3)
    std::optional<bool> nfc;        // normalise first; absent: as the published tokenizer of `pre` does (qwen2)
    std::string chat_template;      // Jinja: compared, never run
};

}  // namespace graft
