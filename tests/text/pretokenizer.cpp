// SPDX-License-Identifier: Apache-2.0
// golden/splits.jsonl holds the words of Hugging Face's own regular expressions (see make_golden.py).
#include <graft/text/json.hpp>
#include <graft/text/pretokenizer.hpp>
#include <tests/support/data.hpp>

#include <sstream>

using namespace graft;

namespace {

std::vector<std::string> words(char const* how, std::string_view text) {
    std::vector<std::string> out;
    split_words(*find_pretokenizer(how), text, [&](std::string_view word) { out.emplace_back(word); });
    return out;
}

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("pretokenizer: words agree with Hugging Face on 300 texts under four patterns") {
    std::istringstream golden(graft_test::read_file(graft_test::project("tests/text/golden/splits.jsonl")));
    int texts = 0, different = 0, decomposed = 0;
    for (std::string line; std::getline(golden, line); ++texts) {
        auto const row = *parse_json(line, "splits.jsonl", texts + 1);
        auto const text = *json_get<std::string>(row, "text", "splits.jsonl");
        for (char const* how : {"gpt-2", "smollm", "qwen2", "llama-bpe"}) {
            std::vector<std::size_t> sizes;
            for (auto const& word : words(how, text)) sizes.push_back(word.size());
            bool const same = sizes == *json_get<std::vector<std::size_t>>(row, how, "splits.jsonl");
            CHECK_MESSAGE(same, how << ": " << printable(text));
            different += !same;
        }
        CHECK(nfc(text) == *json_get_or<std::string>(row, "nfc", text, "splits.jsonl"));
        decomposed += row.contains("nfc");
    }
    CHECK(texts == 300);
    CHECK(different == 0);
    CHECK(decomposed > 10);
}

TEST_CASE("pretokenizer: the patterns differ where they should") {
    CHECK(words("gpt-2", "I've 123  b\n") == list{"I", "'ve", " 123", " ", " b", "\n"});
    CHECK(words("gpt-2", "I'VE") == list{"I", "'", "VE"});
    CHECK(words("qwen2", "I'VE it'ſ") == list{"I", "'VE", " it", "'ſ"});
    CHECK(words("smollm", "a  12 b") == list{"a", "  ", "1", "2", " b"});
    CHECK(words("qwen2", "1234") == list{"1", "2", "3", "4"});
    CHECK(words("llama-bpe", "12345") == list{"123", "45"});
    CHECK(words("qwen2", "(a) !?\r\n\n x") == list{"(a", ")", " !?\r\n\n", " x"});
    CHECK(words("gpt-2", "\n\n  x") == list{"\n\n ", " x"});
    CHECK(words("qwen2", " \n \n  x") == list{" \n \n", " ", " x"});
    CHECK(words("llama-bpe", "\tx \u00a0") == list{"\tx", " \u00a0"});
}

TEST_CASE("pretokenizer: words together are the text, whatever bytes it has") {
    std::uint32_t state = 1;
    auto const draw = [&] { return state = state * 1664525 + 1013904223, state >> 8; };
    for (char const* how : {"gpt-2", "smollm", "qwen2", "llama-bpe"})
        for (int trial = 0; trial < 2000; ++trial) {
            std::string text, back;
            for (std::uint32_t n = draw() % 40; n > 0; --n)
                text += draw() % 3 ? "a1 '\n\r\t.s\xC2\x85\xE2\x80"[draw() % 14] : static_cast<char>(draw() % 256);
            for (auto const& word : words(how, text)) {
                REQUIRE(!word.empty());
                back += word;
            }
            REQUIRE(back == text);
        }
}

TEST_CASE("pretokenizer: an unknown one is refused by name") {
    auto const r = find_pretokenizer("deepseek-llm", "m.gguf");
    REQUIRE(!r.ok());
    CHECK(describe(r.error()).find("expected gpt-2, smollm, qwen2 or llama-bpe, got 'deepseek-llm'") !=
          std::string::npos);
}
