// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, as the model's published tokenizer does it.                 (layer 15: text)
#pragma once

#include <graft/text/tokenizer_checks.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

/// Whether control tokens spelt out in a text ("<|im_end|>") are control tokens. Off for data: only the chat format may
/// end a turn.
enum class specials : unsigned char { off, on };

/// A checked vocabulary. Encoding never fails: any bytes have ids, and but for normal form C (qwen2) and bytes the
/// vocabulary lacks (`missing_bytes`) they come back from decode.
class tokenizer {
public:
    /// cost: O(bytes of the vocabulary). `file` is named in problems.
    static result<tokenizer> make(tokenizer_data data, std::string const& file = "") {
        if (auto const checked = check_tokens(data, file); !checked) return checked.error();
        tokenizer t(std::move(data));
        auto const& list = t.stored.tokens;
        for (int id = 0; id < t.size(); ++id) {
            std::string const& spelling = list[static_cast<std::size_t>(id)];
            if (t.kind(id) == token_kind::unused) continue;
            if (int const first = t.index.insert(list, id); first != id) return duplicate_token(list, first, id, file);
            bool const control = t.kind(id) == token_kind::control || t.kind(id) == token_kind::unknown;
            if (control || t.kind(id) == token_kind::user_defined) t.added.insert(spelling, id, control);
            t.longest = std::max(t.longest, spelling.size());
        }
        t.byte_level = t.stored.model == "gpt2";
        t.find_bytes();
        if (!t.byte_level) {
            if (auto const checked = check_scores(t.stored, t.byte_ids, file); !checked) return checked.error();
            return t;
        }
        auto const pre = find_pretokenizer(t.stored.pre, file);
        if (!pre) return pre.error();
        t.cut = *pre;
        t.normalises = t.stored.nfc.value_or(*pre == pretokenizer::qwen2);
        auto merges = read_merges(t.stored, t.index, file);
        if (!merges) return merges.error();
        t.merges = std::move(*merges);
        return t;
    }

    /// Token ids of a text; adds neither begin nor end of text.
    std::vector<int> encode(std::string_view text, specials parsed = specials::off) const {
        std::vector<int> ids;
        encode(text, parsed, ids);
        return ids;
    }

    /// The same, appended to `out`. cost: O(n log n) for one word of n bytes, O(n) for many.
    void encode(std::string_view text, specials parsed, std::vector<int>& out) const {
        scratch lists;
        std::size_t from = 0;
        for (std::size_t at = 0; at < text.size();) {
            auto const token = added.match(text, at, parsed == specials::on);
            if (token.id < 0) {
                ++at;
                continue;
            }
            encode_plain(text.substr(from, at - from), lists, out);
            out.push_back(token.id);
            from = at += static_cast<std::size_t>(token.bytes);
        }
        encode_plain(text.substr(from), lists, out);
    }

    /// The bytes of the tokens; control tokens as they are spelt, or left out. Ids outside the vocabulary give nothing.
    std::string decode(std::span<int const> ids, specials shown = specials::on) const {
        std::string out;
        bool first = true;
        for (int const id : ids) {
            if (is_control(id) && shown == specials::off) continue;
            auto piece = bytes(id);
            if (first && !is_control(id)) {
                if (drops_space() && piece.starts_with(' ')) piece.remove_prefix(1);
                first = false;
            }
            out += piece;
        }
        return out;
    }

    /// What one token stands for; empty for an id outside the vocabulary.
    std::string_view bytes(int id) const {
        return has(id) ? std::string_view(spelt[static_cast<std::size_t>(id)]) : "";
    }

    /// id of the token that the file spells so, or -1.
    int find(std::string_view spelling) const { return index.find(stored.tokens, spelling); }

    int size() const { return static_cast<int>(stored.tokens.size()); }
    bool has(int id) const { return id >= 0 && id < size(); }

    /// Control, unknown and unused tokens: they have a meaning, not a text.
    bool is_control(int id) const {
        if (!has(id)) return false;
        token_kind const k = kind(id);
        return k == token_kind::control || k == token_kind::unknown || k == token_kind::unused;
    }
    token_kind kind(int id) const { return kind_of(stored, static_cast<std::size_t>(id)); }

    int bos() const { return stored.bos; }
    int eos() const { return stored.eos; }
    int end_of_turn() const { return stored.eot >= 0 ? stored.eot : stored.eos; }
    bool add_bos() const { return stored.add_bos && stored.bos >= 0; }

    /// Decoding drops the space that encoding put before the text.
    bool drops_space() const { return !byte_level && stored.add_space_prefix; }

    /// Bytes no token stands for (SmolLM2 lacks 21 control and non-UTF-8 bytes); encoding leaves them out.
    std::vector<unsigned char> missing_bytes() const {
        std::vector<unsigned char> out;
        for (std::size_t b = 0; b < 256; ++b)
            if (byte_ids[b] < 0) out.push_back(static_cast<unsigned char>(b));
        return out;
    }

    tokenizer_data const& data() const { return stored; }

    /// Heap memory of the vocabulary, its merges and its tables (added tokens, which are few, left out).
    index_t memory_bytes() const {
        std::size_t bytes = stored.types.capacity() * sizeof(int) + stored.scores.capacity() * sizeof(float);
        for (auto const* const list : {&stored.tokens, &stored.merges, &spelt}) {
            bytes += list->capacity() * sizeof(std::string);
            for (std::string const& s : *list)
                if (s.capacity() > std::string{}.capacity()) bytes += s.capacity() + 1;
        }
        return static_cast<index_t>(bytes) + index.memory_bytes() + merges.memory_bytes();
    }

private:
    struct scratch {
        byte_pair_encoder pairs;
        score_merger scores;
    };

    explicit tokenizer(tokenizer_data data) : stored(std::move(data)) { byte_ids.fill(-1); }

    /// The token of each byte, and the bytes of each token.
    void find_bytes() {
        for (std::size_t b = 0; b < 256; ++b) {
            char const byte = static_cast<char>(static_cast<unsigned char>(b));
            byte_ids[b] = find(byte_level ? spell_bytes({&byte, 1}) : byte_spelling(static_cast<unsigned char>(b)));
        }
        spelt.reserve(stored.tokens.size());
        for (int id = 0; id < size(); ++id) {
            std::string const& s = stored.tokens[static_cast<std::size_t>(id)];
            token_kind const k = kind(id);
            bool const raw = k != token_kind::normal && k != token_kind::byte;
            spelt.push_back(raw ? s : byte_level ? read_spelling(s).value_or(s) : read_piece(s, k));
        }
        if (byte_level) return;
        for (std::size_t b = 0; b < 256; ++b)
            if (byte_ids[b] >= 0)
                spelt[static_cast<std::size_t>(byte_ids[b])] = static_cast<char>(static_cast<unsigned char>(b));
    }

    void encode_plain(std::string_view text, scratch& lists, std::vector<int>& out) const {
        if (text.empty()) return;
        if (!byte_level) return encode_scores(text, lists, out);
        std::string const normal = normalises ? nfc(text) : std::string();
        split_words(cut, normalises ? std::string_view(normal) : text, [&](std::string_view word) {
            if (stored.ignore_merges) {
                int const id = word.size() <= longest ? find(spell_bytes(word)) : -1;
                if (id >= 0 && kind(id) == token_kind::normal) return out.push_back(id);
            }
            lists.pairs.encode(word, byte_ids, merges, out);
        });
    }

    void encode_scores(std::string_view text, scratch& lists, std::vector<int>& out) const {
        std::string marked = stored.add_space_prefix ? std::string(space_mark) : std::string();
        for (char const c : text) c == ' ' ? marked += space_mark : marked += c;
        auto const piece = [&](std::string_view part) -> score_merger::piece {
            int const id = find(part);
            if (id < 0 || (kind(id) != token_kind::normal && kind(id) != token_kind::user_defined)) return {};
            return {id, stored.scores[static_cast<std::size_t>(id)]};
        };
        lists.scores.encode(marked, longest, piece, [&](std::string_view part, score_merger::piece p) {
            if (p.id >= 0) return out.push_back(p.id);
            for (char const c : part)
                if (int const id = byte_ids[static_cast<unsigned char>(c)]; id >= 0 || stored.unknown >= 0)
                    out.push_back(id >= 0 ? id : stored.unknown);
        });
    }

    tokenizer_data stored;
    token_index index;
    added_tokens added;
    merge_table merges;
    std::array<int, 256> byte_ids{};  // token of each byte, -1: none
    std::vector<std::string> spelt;   // bytes of each token
    std::size_t longest = 0;          // bytes of the longest spelling
    pretokenizer cut = pretokenizer::gpt2;
    bool byte_level = true, normalises = false;
};

/// Text of tokens that come one by one; bytes of an unfinished character are held back until it is whole.
class text_stream {
public:
    explicit text_stream(tokenizer const& vocabulary) : tokens(&vocabulary) {}

    /// What became readable with this token. Control tokens have no text.
    std::string push(int id) {
        if (tokens->is_control(id)) return {};
        auto piece = tokens->bytes(id);
        if (first && tokens->drops_space() && piece.starts_with(' ')) piece.remove_prefix(1);
        first = false;
        held += piece;
        std::string ready = held.substr(0, static_cast<std::size_t>(complete_utf8(held)));
        held.erase(0, ready.size());
        return ready;
    }

    /// What is left at the end: the bytes of a character that never became whole.
    std::string finish() { return std::exchange(held, {}); }

private:
    tokenizer const* tokens;
    std::string held;
    bool first = true;
};

}  // namespace graft
