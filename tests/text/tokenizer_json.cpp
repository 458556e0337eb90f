// SPDX-License-Identifier: Apache-2.0
#include <graft/text/tokenizer_json.hpp>
#include <tests/text/vocabulary.hpp>

using namespace graft;
using graft_test::good;

namespace {

using nlohmann::json;

json byte_level(bool regex) {
    return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", regex}};
}

json split(char const* regex) {
    json const cut = {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
    return {{"type", "Sequence"}, {"pretokenizers", {cut, byte_level(false)}}};
}

char const* const qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
char const* const llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// tokenizer.json of five tokens, one merge, and two added tokens, one of which the vocabulary has too.
json document() {
    json const control = {{"id", 5},         {"content", "<|im_end|>"}, {"single_word", false}, {"lstrip", false},
                          {"rstrip", false}, {"normalized", false},     {"special", true}};
    json user = control;
    user["id"] = 3, user["content"] = "Ċ", user["special"] = false;
    return {{"version", "1.0"},
            {"added_tokens", {control, user}},
            {"normalizer", nullptr},
            {"pre_tokenizer", byte_level(true)},
            {"post_processor", nullptr},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"byte_fallback", false},
              {"ignore_merges", false},
              {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"Ċ", 3}, {"Ġ", 4}}},
              {"merges", {"a b"}}}}};
}

result<tokenizer_data> read(json const& j, std::string const& config = "") {
    return read_tokenizer_json(json_text(j), config);
}

std::string refusal(json const& j, std::string const& config = "") {
    auto const r = read(j, config);
    return r ? "" : describe(r.error());
}

bool has(std::string const& text, char const* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("tokenizer.json: tokens, kinds, merges and roles") {
    auto const r = read(document(), R"({"eos_token": {"content": "<|im_end|>", "lstrip": false}, "bos_token": null,
        "pad_token": "<|im_end|>", "add_bos_token": false, "chat_template": "{{ messages }}"})");
    REQUIRE(r.ok());
    CHECK(r->model == "gpt2");
    CHECK(r->pre == "gpt-2");
    CHECK(r->tokens == std::vector<std::string>{"a", "b", "ab", "Ċ", "Ġ", "<|im_end|>"});
    CHECK(r->types == std::vector<int>{1, 1, 1, 4, 1, 3});
    CHECK(r->merges == std::vector<std::string>{"a b"});
    CHECK(r->eos == 5);
    CHECK(r->padding == 5);
    CHECK(r->bos == -1);
    CHECK(r->chat_template == "{{ messages }}");
    CHECK(r->nfc == false);
    auto const t = good(*r);
    CHECK(t.encode("ab<|im_end|>", specials::on) == std::vector<int>{2, 5});
    auto pairs = document();
    pairs["model"]["merges"] = json::array({json::array({"a", "b"})});  // the newer spelling
    CHECK(read(pairs)->merges == r->merges);
}

TEST_CASE("tokenizer.json: the four known pre-tokenizers, and none else") {
    auto j = document();
    auto const pre = [&](json part) {
        j["pre_tokenizer"] = std::move(part);
        auto const r = read(j);
        return r ? r->pre : describe(r.error());
    };
    json const digits = {{"type", "Digits"}, {"individual_digits", true}};
    CHECK(pre(byte_level(true)) == "gpt-2");
    CHECK(pre({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}) == "gpt-2");  // older files
    CHECK(pre({{"type", "Sequence"}, {"pretokenizers", {digits, byte_level(true)}}}) == "smollm");
    CHECK(pre(split(qwen2)) == "qwen2");
    CHECK(pre(split(llama3)) == "llama-bpe");
    auto prefixed = byte_level(true);
    prefixed["add_prefix_space"] = true;
    auto removed = split(qwen2);
    removed["pretokenizers"][0]["behavior"] = "Removed";
    auto together = digits;
    together["individual_digits"] = false;
    for (json const& unknown : {prefixed, byte_level(false), removed, split(R"(\p{L}+)"), split(R"((a+)+$)"),
                                json{{"type", "Metaspace"}}, json(nullptr), json(3), json{{"type", "Sequence"}},
                                json{{"type", "Sequence"}, {"pretokenizers", json::array()}},
                                json{{"type", "Sequence"}, {"pretokenizers", {together, byte_level(true)}}}})
        CHECK(has(pre(unknown), "unknown pre-tokenizer"));
}

TEST_CASE("tokenizer.json: normalizers, roles and leading tokens") {
    auto j = document();
    j["normalizer"] = {{"type", "NFC"}};
    CHECK(read(j)->nfc == true);
    j["normalizer"] = {{"type", "Lowercase"}};
    CHECK(has(refusal(j), "this normalizer is not supported (key 'normalizer')"));
    j = document();
    j["post_processor"] = {
        {"type", "Sequence"},
        {"processors",
         {byte_level(true),
          {{"type", "TemplateProcessing"}, {"single", {{{"SpecialToken", {{"id", "<|im_end|>"}, {"type_id", 0}}}}}}}}}};
    CHECK(read(j, R"({"bos_token":"<|im_end|>"})")->add_bos);
    CHECK(!read(j, R"({"bos_token":"a"})")->add_bos);
    CHECK(!read(j, R"({"bos_token":"<|im_end|>","add_bos_token":false})")->add_bos);
    CHECK(read(document(), R"({"chat_template":[{"name":"tools","template":"x"},{"name":"default","template":"y"}]})")
              ->chat_template == "y");
    CHECK(has(refusal(document(), R"({"eos_token":"</s>"})"), "a special token is not in the vocabulary"));
    CHECK(has(refusal(document(), R"({"eos_token":7})"),
              "tokenizer_config.json: a value of the wrong type (key 'eos_token')"));
    CHECK(has(refusal(document(), "{"), "tokenizer_config.json: not valid JSON"));
}

TEST_CASE("tokenizer.json: what does not fit is refused by its key") {
    auto const with = [](auto change) {
        auto j = document();
        change(j);
        return refusal(j);
    };
    CHECK(with([](auto&) {}).empty());
    CHECK(has(with([](auto& j) { j["model"]["type"] = "Unigram"; }),
              "(key 'model.type'): expected BPE, got \"Unigram\""));
    CHECK(has(with([](auto& j) { j["model"]["byte_fallback"] = true; }), "model.byte_fallback"));
    CHECK(has(with([](auto& j) { j["model"]["dropout"] = 0.1; }), "model.dropout"));
    CHECK(has(with([](auto& j) { j["model"]["end_of_word_suffix"] = "</w>"; }), "model.end_of_word_suffix"));
    CHECK(has(with([](auto& j) { j["model"]["vocab"]["a"] = 9; }), "a token's id is larger than the number of tokens"));
    CHECK(has(with([](auto& j) { j["model"]["vocab"]["a"] = 2000000000; }), "a token's id is larger"));
    CHECK(has(with([](auto& j) { j["model"]["vocab"]["a"] = -1; }), "a token's id is not a number"));
    CHECK(has(with([](auto& j) { j["model"]["vocab"]["a"] = 1; }), "two tokens have one id"));
    CHECK(has(with([](auto& j) { j["model"]["vocab"].erase("b"); }), "no token has this id"));
    CHECK(has(with([](auto& j) { j["added_tokens"][0]["id"] = 1; }), "two tokens have one id"));
    CHECK(has(with([](auto& j) { j["added_tokens"][0]["lstrip"] = true; }), "added_tokens.lstrip"));
    CHECK(has(with([](auto& j) { j["added_tokens"][0].erase("content"); }), "a key is missing (key 'content')"));
    CHECK(has(with([](auto& j) { j["added_tokens"] = 3; }), "added_tokens"));
    CHECK(has(with([](auto& j) { j["model"]["merges"] = {3}; }), "a merge is not two tokens"));
    CHECK(has(with([](auto& j) { j["model"].erase("merges"); }), "a key is missing (key 'merges')"));
    CHECK(has(with([](auto& j) { j["decoder"] = {{"type", "WordPiece"}}; }), "this decoder is not supported"));
    CHECK(has(with([](auto& j) { j = 3; }), "a key is missing (key 'model')"));
}

TEST_CASE("tokenizer.json: every truncation is refused, every changed byte read or refused") {
    std::string const good_text = json_text(document());
    for (std::size_t n = 0; n < good_text.size(); ++n)
        REQUIRE(!read_tokenizer_json(std::string_view(good_text).substr(0, n), "").ok());
    int accepted = 0, refused = 0;
    for (std::size_t i = 0; i < good_text.size(); ++i)
        for (int const b : {0, 9, 10, 34, 44, 45, 48, 49, 57, 58, 91, 92, 93, 97, 123, 125, 128, 195, 255}) {
            std::string bad = good_text;
            bad[i] = static_cast<char>(static_cast<unsigned char>(b));
            auto const r = read_tokenizer_json(bad, "");
            if (r) {
                auto const t = tokenizer::make(*r);
                if (t) CHECK(t->decode(t->encode("ab", specials::on)).size() <= 2);
            }
            ++(r ? accepted : refused);
        }
    CHECK(accepted > 100);
    CHECK(refused > accepted);
}

TEST_CASE("tokenizer.json: GPT-2's vocabulary written so is read as it was") {
    auto const d = graft_test::gpt2_vocabulary();
    if (!d) return;
    auto j = document();
    j["added_tokens"] = {{{"id", 50256}, {"content", "<|endoftext|>"}, {"special", true}}};
    j["model"]["vocab"] = json::object();
    for (std::size_t id = 0; id < d->tokens.size(); ++id) j["model"]["vocab"][d->tokens[id]] = id;
    j["model"]["merges"] = d->merges;
    auto const r = read(j, R"({"eos_token":"<|endoftext|>","bos_token":"<|endoftext|>"})");
    REQUIRE(r.ok());
    CHECK(r->tokens == d->tokens);
    CHECK(r->merges == d->merges);
    CHECK(r->types[50256] == 3);
    auto const t = good(*r);
    CHECK(t.encode("Hello world<|endoftext|>", specials::on) == std::vector<int>{15496, 995, 50256});
    CHECK(!t.add_bos());
}
