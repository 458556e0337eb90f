// SPDX-License-Identifier: Apache-2.0
#include <graft/text/tokenizer.hpp>
#include <tests/text/vocabulary.hpp>

using namespace graft;
using graft_test::good;
using graft_test::small_vocabulary;

namespace {

std::vector<std::string> pieces(tokenizer const& t, std::vector<int> const& ids) {
    std::vector<std::string> out;
    for (int const id : ids) out.push_back(t.data().tokens[static_cast<std::size_t>(id)]);
    return out;
}

using list = std::vector<std::string>;

/// "" if the vocabulary is accepted, else what is said.
std::string refusal(tokenizer_data d) {
    auto const t = tokenizer::make(std::move(d), "m.gguf");
    return t ? "" : describe(t.error());
}

bool has(std::string const& text, char const* part) { return text.find(part) != std::string::npos; }

/// A SentencePiece vocabulary with every byte and a few scored pieces.
tokenizer_data scored() {
    tokenizer_data d;
    d.model = "llama";
    d.tokens = {"<unk>", "<s>", "</s>"};
    d.types = {2, 3, 3};
    for (int b = 0; b < 256; ++b) {
        d.tokens.push_back(byte_spelling(static_cast<unsigned char>(b)));
        d.types.push_back(6);
    }
    for (char const* piece : {"▁", "a", "b", "ab", "▁a", "▁ab", "é"}) {
        d.tokens.push_back(piece);
        d.types.push_back(1);
    }
    d.scores.assign(d.tokens.size(), 0);
    d.scores[262] = 3;  // ab
    d.scores[263] = 2;  // ▁a
    d.scores[264] = 1;  // ▁ab
    d.unknown = 0, d.bos = 1, d.eos = 2;
    d.add_space_prefix = true;
    return d;
}

}  // namespace

TEST_CASE("tokenizer: merges in order of rank, words apart") {
    auto const t = good(small_vocabulary());
    CHECK(pieces(t, t.encode("hello world 123")) == list{"hello", "Ġworld", "Ġ", "123"});
    CHECK(pieces(t, t.encode("hell")) == list{"hell"});
    CHECK(pieces(t, t.encode("o hello")) == list{"o", "Ġ", "hello"});
    CHECK(t.encode("").empty());
    CHECK(t.missing_bytes().empty());
}

TEST_CASE("tokenizer: control tokens are parsed only when asked, user-defined ones always") {
    auto const t = good(small_vocabulary());
    int const end = t.find("<|im_end|>"), tool = t.find("<tool>");
    auto const on = t.encode("he<|im_end|>he<tool>", specials::on);
    CHECK(on == std::vector<int>{t.find("he"), end, t.find("he"), tool});
    auto const off = t.encode("he<|im_end|>he<tool>");
    CHECK(std::count(off.begin(), off.end(), end) == 0);
    CHECK(off.back() == tool);
    CHECK(t.decode(off) == "he<|im_end|>he<tool>");
    CHECK(t.decode(on) == "he<|im_end|>he<tool>");
    CHECK(t.decode(on, specials::off) == "hehe<tool>");
    CHECK(t.is_control(end));
    CHECK(!t.is_control(tool));
}

TEST_CASE("tokenizer: any bytes come back, under every pattern") {
    std::uint32_t state = 3;
    auto const draw = [&](std::uint32_t below) { return state = state * 1664525 + 1013904223, (state >> 8) % below; };
    for (char const* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
        auto d = small_vocabulary();
        d.pre = pre;
        d.nfc = false;  // normal form changes the text
        auto const t = good(d);
        for (int trial = 0; trial < 1000; ++trial) {
            std::string text;
            for (std::uint32_t n = draw(50); n > 0; --n)
                text += draw(2) ? static_cast<char>(draw(256)) : "hello wrd123 \n<|im_end|>"[draw(24)];
            auto const ids = t.encode(text, trial % 2 ? specials::on : specials::off);
            REQUIRE(t.decode(ids) == text);
            for (int const id : ids) REQUIRE(t.has(id));
        }
    }
}

TEST_CASE("tokenizer: normal form C goes with qwen2, unless the file says otherwise") {
    auto d = small_vocabulary();
    d.pre = "qwen2";
    CHECK(good(d).decode(good(d).encode("e\u0301")) == "é");
    d.nfc = false;
    CHECK(good(d).decode(good(d).encode("e\u0301")) == "e\u0301");
    d.pre = "gpt-2";
    d.nfc.reset();
    CHECK(good(d).decode(good(d).encode("e\u0301")) == "e\u0301");
}

TEST_CASE("tokenizer: with ignore_merges a word that is a token is taken whole") {
    auto d = small_vocabulary();
    d.tokens.push_back("xyz");  // no merge makes it
    d.types.push_back(1);
    CHECK(pieces(good(d), good(d).encode("xyz")) == list{"x", "y", "z"});
    d.ignore_merges = true;
    CHECK(pieces(good(d), good(d).encode("xyz")) == list{"xyz"});
    d.types.back() = 3;  // never a control token
    CHECK(pieces(good(d), good(d).encode("xyz")) == list{"x", "y", "z"});
}

TEST_CASE("tokenizer: bytes without a token are left out and can be asked for") {
    auto d = small_vocabulary();
    d.tokens[4] = "unrelated";
    auto const t = good(d);
    CHECK(t.missing_bytes() == std::vector<unsigned char>{4});
    CHECK(t.decode(t.encode("a\x04z")) == "az");
}

TEST_CASE("tokenizer: a million bytes of one kind come back") {
    auto d = small_vocabulary();
    for (std::string s = "a"; s.size() < 64; s += s) {  // as real vocabularies have it: a a, aa aa, …
        d.merges.push_back(s + " " + s);
        d.tokens.push_back(s + s);
        d.types.push_back(1);
    }
    auto const t = good(d);
    std::string smileys;
    for (int i = 0; i < 250000; ++i) smileys += "😀";
    for (std::string const& text : {std::string(1000000, 'a'), std::string(1000000, '^'), std::string(1000000, ' '),
                                    std::string(1000000, '\xFF'), std::string(1000000, '<'), smileys})
        CHECK(t.decode(t.encode(text)) == text);
    CHECK(t.encode(std::string(1000000, 'a')).size() == 1000000 / 64);
}

TEST_CASE("tokenizer: a SentencePiece vocabulary joins by score and falls back to bytes") {
    auto const t = good(scored());
    CHECK(pieces(t, t.encode("ab")) == list{"▁ab"});
    CHECK(pieces(t, t.encode("aab")) == list{"▁a", "ab"});
    CHECK(pieces(t, t.encode("é ü")) == list{"▁", "é", "▁", "<0xC3>", "<0xBC>"});
    CHECK(pieces(t, t.encode("<s>", specials::on)) == list{"<s>"});
    CHECK(t.encode("").empty());
    for (std::string const text : {"ab ab", "  a", "\xFF\xC3", "a\nb", "<s>"}) CHECK(t.decode(t.encode(text)) == text);
    CHECK(t.bytes(3 + '\n') == "\n");
    std::string const long_text(200000, 'a');
    CHECK(t.decode(t.encode(long_text)) == long_text);
    auto d = scored();
    d.add_space_prefix = false;
    CHECK(pieces(good(d), good(d).encode("ab")) == list{"ab"});
}

TEST_CASE("tokenizer: streamed text holds back unfinished characters and nothing else") {
    auto const t = good(small_vocabulary());
    for (std::string const text : {"hello é€😀 world", "\xFF\xE2\x82 x", "é\xC3"}) {
        text_stream stream(t);
        std::string all;
        for (int const id : t.encode(text)) {
            std::string const part = stream.push(id);
            CHECK(part.size() == static_cast<std::size_t>(complete_utf8(part)));
            all += part;
        }
        CHECK(all + stream.finish() == text);
    }
    text_stream stream(t);
    CHECK(stream.push(t.find("<|im_end|>")).empty());
    CHECK(stream.push(-5).empty());
    CHECK(stream.push(1 << 30).empty());
    auto const llama = good(scored());
    text_stream spaced(llama);
    std::string all;
    for (int const id : llama.encode("ab ab")) all += spaced.push(id);
    CHECK(all == "ab ab");
}

TEST_CASE("tokenizer: copies and moved ones work alone") {
    auto original = std::make_unique<tokenizer>(good(small_vocabulary()));
    tokenizer const copy = *original;
    tokenizer const moved = std::move(*original);
    original.reset();
    CHECK(copy.encode("hello") == moved.encode("hello"));
    CHECK(copy.decode(moved.encode("hello")) == "hello");
}

TEST_CASE("tokenizer: a bad vocabulary is refused, each fault by name") {
    CHECK(refusal(small_vocabulary()).empty());
    CHECK(refusal(scored()).empty());
    auto const with = [](auto change, tokenizer_data d = small_vocabulary()) {
        return change(d), refusal(std::move(d));
    };
    CHECK(has(with([](auto& d) { d.model = "bert"; }), "unknown kind of tokenizer"));
    CHECK(has(with([](auto& d) { d.pre = "falcon"; }), "unknown pre-tokenizer"));
    CHECK(has(with([](auto& d) { d.tokens.clear(), d.types.clear(); }), "the vocabulary is empty"));
    CHECK(has(with([](auto& d) { d.types.pop_back(); }), "token types do not match"));
    CHECK(has(with([](auto& d) { d.types[5] = 7; }), "unknown token type (token 5): expected 1 to 6, got 7"));
    CHECK(has(with([](auto& d) { d.types[5] = 0; }), "unknown token type"));
    CHECK(has(with([](auto& d) { d.tokens[7] = d.tokens[3]; }), "a token is there twice (token 7)"));
    CHECK(has(with([](auto& d) { d.tokens.back() = ""; }), "a special token has no text"));
    CHECK(has(with([](auto& d) { d.bos = 5000; }), "outside the vocabulary (key 'bos_token_id')"));
    CHECK(has(with([](auto& d) { d.eot = -2; }), "outside the vocabulary (key 'eot_token_id')"));
    CHECK(has(with([](auto& d) { d.merges.push_back("h zz"); }), "names a token that is not there (merge 11)"));
    CHECK(has(with([](auto& d) { d.merges.push_back("h l"); }), "names a token that is not there"));
    CHECK(has(with([](auto& d) { d.merges.push_back("h e"); }), "a merge is there twice"));
    for (char const* bad : {"", "h", " h", "h ", "h e l", " "})
        CHECK(has(with([&](auto& d) { d.merges.push_back(bad); }), "a merge is not two tokens"));
    CHECK(has(with([](auto& d) { d.types[256] = 3; }), "a control token out of plain text (merge 0)"));
    CHECK(has(with([](auto& d) { d.scores.clear(); }, scored()), "needs a score for each token"));
    CHECK(has(with([](auto& d) { d.scores[9] = std::numeric_limits<float>::quiet_NaN(); }, scored()), "not finite"));
    CHECK(has(with([](auto& d) { d.tokens[10] = "gone", d.unknown = -1; }, scored()),
              "nor an unknown token: expected <0x07>"));
    CHECK(with([](auto& d) { d.tokens[7] = d.tokens[3], d.types[7] = 5; }).empty());  // unused: no spelling of its own
}

TEST_CASE("tokenizer: GPT-2's ids are Hugging Face's on 300 texts") {
    auto d = graft_test::gpt2_vocabulary();
    if (!d) return;
    auto const t = good(std::move(*d));
    std::istringstream golden(graft_test::read_file(graft_test::project("tests/text/golden/splits.jsonl")));
    int texts = 0, different = 0;
    for (std::string line; std::getline(golden, line); ++texts) {
        auto const row = *parse_json(line, "splits.jsonl", texts + 1);
        auto const text = *json_get<std::string>(row, "text", "splits.jsonl");
        auto const ids = t.encode(text);
        different += ids != *json_get<std::vector<int>>(row, "ids", "splits.jsonl");
        CHECK(t.decode(ids) == text);
    }
    CHECK(texts == 300);
    CHECK(different == 0);
}
