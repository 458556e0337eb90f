// SPDX-License-Identifier: Apache-2.0
// How a text is cut into words before BPE: one hand-written scanner for each known pattern. (layer 15: text)
#pragma once

#include <graft/base/result.hpp>
#include <graft/text/unicode.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace graft {

/// The patterns this library knows, by GGUF's `tokenizer.ggml.pre`.
///
///   gpt-2      's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///   smollm     every numeric character alone; gpt-2 on what lies between
///   qwen2      (?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
///   llama-bpe  qwen2 with \p{N}{1,3}
enum class pretokenizer : unsigned char { gpt2, smollm, qwen2, llama3 };

inline result<pretokenizer> find_pretokenizer(std::string const& name, std::string const& file = "") {
    if (name == "gpt-2") return pretokenizer::gpt2;
    if (name == "smollm") return pretokenizer::smollm;
    if (name == "qwen2") return pretokenizer::qwen2;
    if (name == "llama-bpe") return pretokenizer::llama3;
    return problem{.file = file,
                   .what = "unknown pre-tokenizer, and guessing one would give wrong token ids",
                   .where = "key 'tokenizer.ggml.pre'",
                   .expected = "gpt-2, smollm, qwen2 or llama-bpe",
                   .got = "'" + printable(name) + "'",
                   .hint = "a model of the GPT-2, SmolLM2, Qwen2 or Llama-3 family"};
}

namespace detail {

/// Finds the end of the word that begins at a given byte. A byte that is not UTF-8 is a character of class other.
class word_scanner {
public:
    explicit word_scanner(std::string_view given) : text(given) {}

    index_t gpt2(index_t at) const {
        if (index_t const n = contraction(at, false)) return at + n;
        character const first = look(at);
        index_t const body = first.value == ' ' && first.valid ? at + 1 : at;
        character const c = look(body);
        if (c.bytes != 0 && c.kind != char_class::space) return run(body, c.kind);
        return spaces(at);
    }

    /// The qwen2 pattern with \p{N}{1,numbers}.
    index_t qwen2(index_t at, int numbers) const {
        if (index_t const n = contraction(at, true)) return at + n;
        character const first = look(at);
        if (first.kind == char_class::letter) return run(at, char_class::letter);
        if (first.kind == char_class::number) {
            index_t end = at + first.bytes;
            for (int taken = 1; taken < numbers; ++taken) {
                character const c = look(end);
                if (c.bytes == 0 || c.kind != char_class::number) break;
                end += c.bytes;
            }
            return end;
        }
        character const second = look(at + first.bytes);
        if (!first.breaks() && second.bytes != 0 && second.kind == char_class::letter)
            return run(at + first.bytes, char_class::letter);
        index_t const body = first.value == ' ' && first.valid ? at + 1 : at;
        character const c = look(body);
        if (c.bytes != 0 && c.kind == char_class::other) {
            index_t end = run(body, char_class::other);
            while (look(end).breaks()) ++end;
            return end;
        }
        return breaks_or_spaces(at);
    }

private:
    struct character {
        char32_t value;
        index_t bytes;
        bool valid;
        char_class kind;
        bool breaks() const { return valid && (value == '\r' || value == '\n'); }
    };

    character look(index_t at) const {
        code_point const c = decode_utf8(text, at);
        return {c.value, c.bytes, c.valid, c.valid ? classify(c.value) : char_class::other};
    }

    index_t run(index_t at, char_class kind) const {
        for (;;) {
            character const c = look(at);
            if (c.bytes == 0 || c.kind != kind) return at;
            at += c.bytes;
        }
    }

    /// \s+(?!\S)|\s+ : before a visible character the last white space is left for what follows, unless it is alone.
    index_t spaces(index_t at) const {
        index_t end = at, last = at;
        for (character c = look(at); c.bytes != 0 && c.kind == char_class::space; c = look(end)) {
            last = end;
            end += c.bytes;
        }
        bool const at_end = end == static_cast<index_t>(text.size());
        return at_end || last == at ? end : last;
    }

    /// \s*[\r\n]+ first: up to the last line break of the white space.
    index_t breaks_or_spaces(index_t at) const {
        index_t broken = at, end = at;
        for (character c = look(at); c.bytes != 0 && c.kind == char_class::space; c = look(end)) {
            end += c.bytes;
            if (c.breaks()) broken = end;
        }
        return broken != at ? broken : spaces(at);
    }

    /// Bytes of 's 't 're 've 'm 'll 'd at `at`, or 0. Ignoring case, U+017F (ſ) is an s, as in Unicode's case folding.
    index_t contraction(index_t at, bool any_case) const {
        if (look(at).value != '\'') return 0;
        auto const letter = [&](index_t i) -> char32_t {
            code_point const c = decode_utf8(text, i);
            if (!c.valid) return 0;
            return any_case && c.value >= 'A' && c.value <= 'Z' ? c.value + 32
                   : any_case && c.value == 0x17F               ? 's'
                                                                : c.value;
        };
        char32_t const a = letter(at + 1);
        if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1 + decode_utf8(text, at + 1).bytes;
        char32_t const b = letter(at + 2);
        bool const two = (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l');
        return two ? 3 : 0;
    }

    std::string_view text;
};

}  // namespace detail

/// Calls emit(word) for every word of `text` in order; together they are the text.
/// cost: O(n); each pattern looks at a character a bounded number of times.
template <class Emit>
void split_words(pretokenizer how, std::string_view text, Emit&& emit) {
    auto const size = static_cast<index_t>(text.size());
    auto const cut = [](std::string_view whole, index_t from, index_t to) {
        return whole.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from));
    };
    if (how == pretokenizer::smollm) {
        for (index_t at = 0; at < size;) {
            index_t end = at, digit = 0;
            while (end < size) {
                code_point const c = decode_utf8(text, end);
                if (c.valid && is_rust_numeric(c.value)) {
                    digit = c.bytes;
                    break;
                }
                end += c.bytes;
            }
            split_words(pretokenizer::gpt2, cut(text, at, end), emit);  // its end is an end of text for the pattern
            if (digit != 0) emit(cut(text, end, end + digit));
            at = end + digit;
        }
        return;
    }
    detail::word_scanner const scan(text);
    for (index_t at = 0; at < size;) {
        index_t const end =
            how == pretokenizer::gpt2 ? scan.gpt2(at) : scan.qwen2(at, how == pretokenizer::qwen2 ? 1 : 3);
        emit(cut(text, at, end));
        at = end;
    }
}

}  // namespace graft
