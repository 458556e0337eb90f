// SPDX-License-Identifier: Apache-2.0
// Ids of real models: SmolLM2's against Hugging Face's (golden/smollm2.jsonl), stories260K's against the reference that
// comes with it.
#include <graft/io/model_file.hpp>
#include <graft/text/chat.hpp>
#include <tests/text/vocabulary.hpp>

#include <cstring>

using namespace graft;
using graft_test::good;

TEST_CASE("real vocabularies: SmolLM2's ids are Hugging Face's on 1,000 texts") {
    auto const path = graft_test::smollm2();
    if (!path) return;
    auto const model = open_model(path->string());
    REQUIRE(model.ok());
    auto const t = good(model->tokens);
    std::istringstream golden(graft_test::read_file(graft_test::project("tests/text/golden/smollm2.jsonl")));
    int texts = 0, different = 0, special = 0;
    for (std::string line; std::getline(golden, line); ++texts) {
        auto const row = *parse_json(line, "smollm2.jsonl", texts + 1);
        auto const text = *json_get<std::string>(row, "text", "smollm2.jsonl");
        auto const on = *json_get<std::vector<int>>(row, "ids", "smollm2.jsonl");
        auto const off = *json_get_or<std::vector<int>>(row, "off", on, "smollm2.jsonl");
        bool const same = t.encode(text, specials::on) == on && t.encode(text) == off;
        CHECK_MESSAGE(same, printable(text));
        different += !same;
        special += on != off;
    }
    CHECK(texts == 1000);
    CHECK(different == 0);
    CHECK(special > 100);
    CHECK(t.missing_bytes().size() == 21);
    auto const chat = chat_format::make(t);
    REQUIRE(chat.ok());
    CHECK(chat->name() == "chatml");
    CHECK(chat->default_system() == "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
    CHECK(chat->end_of_turn() == 2);
}

TEST_CASE("real vocabularies: stories260K's ids are the reference's") {
    auto const vocabulary = graft_test::shared_data("tok512.bin"), story = graft_test::shared_data("tinystories.txt"),
               reference = graft_test::shared_data("stories260k-reference.json");
    if (!vocabulary || !story || !reference) return;
    std::string const file = graft_test::read_file(*vocabulary);
    tokenizer_data d;
    d.model = "llama";
    d.bos = 1, d.eos = 2, d.unknown = 0;
    d.add_bos = d.add_space_prefix = true;
    for (std::size_t at = 4; at + 8 <= file.size();) {  // f32 score, i32 length, bytes
        float score = 0;
        std::int32_t size = 0;
        std::memcpy(&score, file.data() + at, 4);
        std::memcpy(&size, file.data() + at + 4, 4);
        std::string const piece = file.substr(at + 8, static_cast<std::size_t>(size));
        at += 8 + static_cast<std::size_t>(size);
        std::size_t const id = d.tokens.size();
        std::string spelt;
        for (char const c : piece) c == ' ' ? spelt += space_mark : spelt += c;
        d.tokens.push_back(id == 0 ? "<unk>" : id == 1 ? "<s>" : id == 2 ? "</s>" : spelt);
        d.types.push_back(id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1);
        d.scores.push_back(score);
    }
    auto const t = good(std::move(d));
    auto const json = *parse_json(graft_test::read_file(*reference), "stories260k-reference.json");
    auto const wanted = *json_array(json, "first_ids", "");
    // The reference's paragraphs: split at blank lines, stripped, at least 200 bytes, BOS and 255 tokens of each.
    std::string const text = graft_test::read_file(*story);
    std::size_t paragraph = 0;
    for (std::size_t at = 0; at < text.size() && paragraph < wanted->size();) {
        auto const end = std::min(text.find("\n\n", at), text.size());
        std::string part = text.substr(at, end - at);
        at = end + 2;
        while (!part.empty() && is_white_space(static_cast<unsigned char>(part.back()))) part.pop_back();
        part.erase(0, part.find_first_not_of(" \t\r\n"));
        if (part.size() < 200) continue;
        std::vector<int> ids{t.bos()};
        t.encode(part, specials::off, ids);
        CHECK(t.decode(ids, specials::off) == part);
        if (ids.size() > 256) ids.resize(256);
        CHECK(ids == (*wanted)[paragraph].get<std::vector<int>>());
        ++paragraph;
    }
    CHECK(paragraph == 5);
    auto const greedy = *json_get<std::vector<int>>(json, "greedy", "");
    std::string const said = t.decode(greedy, specials::off);
    auto const expected = *json_get<std::string>(json, "greedy_text", "");
    CHECK(" " + said == expected);
}
