// SPDX-License-Identifier: Apache-2.0
// Reads Hugging Face's tokenizer.json and tokenizer_config.json.                          (layer 15: text)
#pragma once

#include <graft/text/json.hpp>
#include <graft/text/tokenizer_data.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace graft {

namespace detail {

/// The pattern of Qwen2 and, with `numbers` = "\p{N}{1,3}", of Llama-3.
inline std::string split_pattern(std::string const& numbers) {
    return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" + numbers +
           R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

/// Whether a part of a tokenizer is of this type and its settings are these; null in `wanted` stands for "absent".
inline bool is_part(nlohmann::json const& part, char const* type, nlohmann::json const& wanted) {
    if (!part.is_object()) return false;
    auto const* name = member(part, "type");
    if (name == nullptr || *name != type) return false;
    for (auto const& [key, value] : wanted.items()) {
        auto const* given = member(part, key);
        if (given == nullptr ? !value.is_null() && value != true : *given != value) return false;
    }
    return true;
}

/// GGUF's name of a pre_tokenizer, or nothing if it is none of the four known structures.
inline std::optional<std::string> name_pretokenizer(nlohmann::json const& part) {
    nlohmann::json const with_regex = {{"add_prefix_space", false},
                                       {"use_regex", true}};  // use_regex is true where absent
    nlohmann::json const without_regex = {{"add_prefix_space", false}, {"use_regex", false}};
    if (is_part(part, "ByteLevel", with_regex)) return "gpt-2";
    auto const* list = member(part, "pretokenizers");
    if (!is_part(part, "Sequence", nlohmann::json::object()) || list == nullptr || !list->is_array() ||
        list->size() != 2)
        return std::nullopt;
    auto const &first = (*list)[0], &second = (*list)[1];
    if (is_part(first, "Digits", {{"individual_digits", true}}) && is_part(second, "ByteLevel", with_regex))
        return "smollm";
    if (!is_part(first, "Split", {{"behavior", "Isolated"}, {"invert", false}}) ||
        !is_part(second, "ByteLevel", without_regex))
        return std::nullopt;
    auto const* pattern = member(first, "pattern");
    auto const* regex = pattern ? member(*pattern, "Regex") : nullptr;
    if (regex == nullptr) return std::nullopt;
    if (*regex == split_pattern(R"(\p{N})")) return "qwen2";
    if (*regex == split_pattern(R"(\p{N}{1,3})")) return "llama-bpe";
    return std::nullopt;
}

/// Reads one tokenizer.json; each step names the key it refuses.
class tokenizer_json_reader {
public:
    tokenizer_json_reader(nlohmann::json const& document, std::string const& name) : root(document), file(name) {}

    result<tokenizer_data> read() {
        data.model = "gpt2";
        for (auto step : {&tokenizer_json_reader::read_model, &tokenizer_json_reader::read_structure,
                          &tokenizer_json_reader::read_tokens, &tokenizer_json_reader::read_merges})
            if (auto const done = (this->*step)(); !done) return done.error();
        return std::move(data);
    }

    /// The token that a template puts before every text, if any.
    std::string leading_token() const {
        auto const* post = member(root, "post_processor");
        if (post == nullptr) return {};
        auto const* several = member(*post, "processors");
        nlohmann::json const one = nlohmann::json::array({*post});
        for (auto const& part : several && several->is_array() ? *several : one) {
            auto const* single = member(part, "single");
            if (!is_part(part, "TemplateProcessing", nlohmann::json::object()) || single == nullptr ||
                !single->is_array() || single->empty())
                continue;
            auto const* token = member((*single)[0], "SpecialToken");
            auto const* id = token ? member(*token, "id") : nullptr;
            if (id && id->is_string()) return *id->get_ptr<std::string const*>();
        }
        return {};
    }

private:
    problem refuse(std::string what, std::string const& key, std::string expected, nlohmann::json const* got) const {
        return {.file = file,
                .what = std::move(what),
                .where = "key '" + key + "'",
                .expected = std::move(expected),
                .got = got ? printable(json_text(*got)) : "nothing",
                .hint = {}};
    }

    result<void> read_model() {
        auto const found = json_object(root, "model", file);
        if (!found) return found.error();
        model = *found;
        auto const* type = member(*model, "type");
        if (type && *type != "BPE") return refuse("this kind of tokenizer is not supported", "model.type", "BPE", type);
        auto const is_set = [&](char const* key) {
            auto const* value = member(*model, key);
            bool const empty = value == nullptr || value->is_null() || *value == false || *value == "" || *value == 0.0;
            return empty ? nullptr : value;
        };
        for (char const* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"})
            if (auto const* value = is_set(key))
                return refuse("a setting that byte-level BPE does not use", std::string("model.") + key, "none", value);
        auto const whole = json_get_or<bool>(*model, "ignore_merges", false, file);
        if (!whole) return whole.error();
        data.ignore_merges = *whole;
        return {};
    }

    result<void> read_structure() {
        nlohmann::json const nothing;
        auto const part = [&](char const* key) -> nlohmann::json const& {
            auto const* value = member(root, key);
            return value ? *value : nothing;
        };
        auto const& normalizer = part("normalizer");
        data.nfc = is_part(normalizer, "NFC", nlohmann::json::object());
        if (!normalizer.is_null() && !*data.nfc)
            return refuse("this normalizer is not supported", "normalizer", "null or NFC", &normalizer);
        auto const& pre = part("pre_tokenizer");
        auto const name = name_pretokenizer(pre);
        if (!name)
            return refuse("unknown pre-tokenizer, and guessing one would give wrong token ids", "pre_tokenizer",
                          "that of GPT-2, SmolLM2, Qwen2 or Llama-3", &pre);
        data.pre = *name;
        auto const& decoder = part("decoder");
        if (!decoder.is_null() && !is_part(decoder, "ByteLevel", nlohmann::json::object()))
            return refuse("this decoder is not supported", "decoder", "ByteLevel", &decoder);
        return {};
    }

    result<void> read_tokens() {
        auto const vocabulary = json_object(*model, "vocab", file);
        if (!vocabulary) return vocabulary.error();
        nlohmann::json const none = nlohmann::json::array();
        nlohmann::json const* added = &none;
        if (auto const* given = member(root, "added_tokens"); given && !given->is_null()) {
            if (!given->is_array()) return refuse("a value of the wrong type", "added_tokens", "a list", given);
            added = given;
        }
        std::size_t const most = (*vocabulary)->size() + added->size();  // ids are checked against what the file holds
        data.tokens.resize(most);
        data.types.assign(most, 0);  // 0: no token has this id yet
        for (auto const& [spelling, id] : (*vocabulary)->items()) {
            if (!json_kind<int>::fits(id) || json_kind<int>::get(id) < 0)
                return refuse("a token's id is not a number", "model.vocab." + printable(spelling), "0, 1, 2, …", &id);
            if (auto const put = enter(spelling, json_kind<int>::get(id), token_kind::normal, &id); !put) return put;
        }
        for (auto const& token : *added) {
            auto const id = json_get<int>(token, "id", file);
            auto const spelling = json_get<std::string>(token, "content", file);
            auto const special = json_get_or<bool>(token, "special", false, file);
            if (!id) return id.error();
            if (!spelling) return spelling.error();
            if (!special) return special.error();
            for (char const* key : {"single_word", "lstrip", "rstrip"})
                if (auto const* value = member(token, key); value && *value != false)
                    return refuse("an added token that is matched in a way not supported",
                                  std::string("added_tokens.") + key, "false", &token);
            if (auto const put =
                    enter(*spelling, *id, *special ? token_kind::control : token_kind::user_defined, &token);
                !put)
                return put;
        }
        while (!data.types.empty() && data.types.back() == 0) {  // added tokens that the vocabulary has too
            data.types.pop_back();
            data.tokens.pop_back();
        }
        for (std::size_t id = 0; id < data.types.size(); ++id)
            if (data.types[id] == 0)
                return refuse("no token has this id", "model.vocab",
                              "ids 0 to " + std::to_string(data.types.size() - 1) + " without a hole", nullptr);
        return {};
    }

    result<void> enter(std::string const& spelling, int id, token_kind kind, nlohmann::json const* said) {
        if (id < 0 || static_cast<std::size_t>(id) >= data.tokens.size())
            return refuse("a token's id is larger than the number of tokens", "model.vocab",
                          "less than " + std::to_string(data.tokens.size()), said);
        auto const at = static_cast<std::size_t>(id);
        if (data.types[at] != 0 && data.tokens[at] != spelling)
            return refuse("two tokens have one id", "model.vocab", "'" + printable(data.tokens[at]) + "' alone", said);
        data.tokens[at] = spelling;
        data.types[at] = static_cast<int>(kind);
        return {};
    }

    result<void> read_merges() {
        auto const list = json_array(*model, "merges", file);
        if (!list) return list.error();
        data.merges.reserve((*list)->size());
        for (auto const& merge : **list) {
            auto const text = [](nlohmann::json const& x) { return x.get_ptr<std::string const*>(); };
            if (merge.is_string()) {
                data.merges.push_back(*text(merge));  // "a b", before tokenizers 0.20
            } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
                data.merges.push_back(*text(merge[0]) + " " + *text(merge[1]));
            } else {
                return refuse("a merge is not two tokens", "model.merges", "\"left right\" or [\"left\", \"right\"]",
                              &merge);
            }
        }
        return {};
    }

    nlohmann::json const& root;
    std::string const& file;
    nlohmann::json const* model = nullptr;
    tokenizer_data data;
};

/// The text of a special token in tokenizer_config.json: a string, or an object with `content`; "" if there is none.
inline result<std::string> config_token(nlohmann::json const& config, std::string const& key, std::string const& file) {
    auto const* value = member(config, key);
    if (value && value->is_object()) return json_get<std::string>(*value, "content", file);
    return json_get_or<std::string>(config, key, "", file);
}

/// chat_template is a text, or a list of named ones of which "default" counts.
inline result<std::string> config_template(nlohmann::json const& config, std::string const& file) {
    auto const* value = member(config, "chat_template");
    if (value == nullptr || !value->is_array()) return json_get_or<std::string>(config, "chat_template", "", file);
    for (auto const& item : *value)
        if (auto const* name = member(item, "name"); name && *name == "default")
            return json_get<std::string>(item, "template", file);
    return std::string();
}

}  // namespace detail

/// A tokenizer as Hugging Face stores it. `config_json` (tokenizer_config.json) may be empty: then no special token has
/// a role and there is no chat template. Normalizers, pre-tokenizers and models that are not known are refused by name.
inline result<tokenizer_data> read_tokenizer_json(std::string_view json, std::string_view config_json,
                                                  std::string const& file = "tokenizer.json",
                                                  std::string const& config_file = "tokenizer_config.json") {
    auto const root = parse_json(json, file);
    if (!root) return root.error();
    detail::tokenizer_json_reader reader(*root, file);
    auto data = reader.read();
    if (!data) return data.error();
    auto const id_of = [&](std::string const& spelling) {
        for (std::size_t id = 0; id < data->tokens.size(); ++id)
            if (data->tokens[id] == spelling) return static_cast<int>(id);
        return -1;
    };
    if (config_json.empty()) return data;
    auto const config = parse_json(config_json, config_file);
    if (!config) return config.error();
    struct special {
        char const* key;
        int* id;
    };
    for (special const r : {special{"bos_token", &data->bos}, special{"eos_token", &data->eos},
                         special{"pad_token", &data->padding}, special{"unk_token", &data->unknown}}) {
        auto const spelling = detail::config_token(*config, r.key, config_file);
        if (!spelling) return spelling.error();
        if (spelling->empty()) continue;
        *r.id = id_of(*spelling);
        if (*r.id < 0)
            return problem{.why = cause::mismatch,
                           .file = config_file,
                           .what = "a special token is not in the vocabulary of " + file,
                           .where = std::string("key '") + r.key + "'",
                           .expected = "one of its tokens",
                           .got = "'" + printable(*spelling) + "'",
                           .hint = {}};
    }
    auto text = detail::config_template(*config, config_file);
    if (!text) return text.error();
    data->chat_template = std::move(*text);
    std::string const leading = reader.leading_token();
    auto const adds = json_get_or<bool>(*config, "add_bos_token",
                                        !leading.empty() && data->bos >= 0 && id_of(leading) == data->bos, config_file);
    if (!adds) return adds.error();
    data->add_bos = *adds;
    return data;
}

}  // namespace graft
