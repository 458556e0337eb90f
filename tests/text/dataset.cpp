// SPDX-License-Identifier: Apache-2.0
#include <graft/text/dataset.hpp>
#include <tests/text/vocabulary.hpp>

#include <set>

using namespace graft;

namespace {

/// A small ChatML model and a base model, to render rows with.
struct models {
    tokenizer chat, base;
    chat_format chatml, plain;
};

models const& shared() {
    static models const all = [] {
        auto d = graft_test::small_vocabulary();
        d.eos = static_cast<int>(d.tokens.size()) - 2;
        auto chat = graft_test::good(d);
        d.eos = static_cast<int>(d.tokens.size()) - 4;
        auto base = graft_test::good(d);
        auto chatml = *chat_format::make(chat, "chatml");
        auto plain = *chat_format::make(base);
        return models{std::move(chat), std::move(base), std::move(chatml), std::move(plain)};
    }();
    return all;
}

result<dataset> chat_rows(std::string_view text, dataset_options options = {}) {
    return read_dataset(text, "d.jsonl", shared().chat, shared().chatml, options);
}

result<dataset> base_rows(std::string_view text, dataset_options options = {}) {
    return read_dataset(text, "d.jsonl", shared().base, shared().plain, options);
}

std::string learnt(training_example const& e) {
    std::string out;
    for (std::size_t i = 0; i < e.ids.size(); ++i)
        if (e.target[i]) out += shared().chat.bytes(e.ids[i]);
    return out;
}

std::string whole(training_example const& e) { return shared().chat.decode(e.ids); }

std::string refusal(result<dataset> const& r) { return r ? "" : describe(r.error()); }

bool has(std::string const& text, char const* part) { return text.find(part) != std::string::npos; }

char const* const two_turns = R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
                              R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})";

}  // namespace

TEST_CASE("dataset: every shape of rows gives the same chat") {
    char const* const rows[] = {
        R"({"messages":[{"role":"user","content":"he"},{"role":"assistant","content":"hello"}]})",
        R"({"conversations":[{"from":"human","value":"he"},{"from":"gpt","value":"hello"}]})",
        R"({"prompt":"he","completion":"hello"})",
        R"({"question":"he","answer":"hello"})",
        R"({"prompt":[{"role":"user","content":"he"}],"completion":[{"role":"assistant","content":"hello"}]})",
        R"({"instruction":"he","output":"hello"})",
        R"({"instruction":"he","input":"","output":"hello","system":"","history":[]})"};
    char const* const kinds[] = {"messages",          "ShareGPT",    "prompt/completion", "prompt/completion",
                                 "prompt/completion", "instruction", "instruction"};
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        auto const d = chat_rows(rows[i]);
        REQUIRE_MESSAGE(d.ok(), refusal(d));
        CHECK(d->kind == kinds[i]);
        REQUIRE(d->examples.size() == 1);
        CHECK(whole(d->examples[0]) == "<|im_start|>user\nhe<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n");
        CHECK(learnt(d->examples[0]) == "hello<|im_end|>");
        CHECK(d->tokens == static_cast<index_t>(d->examples[0].ids.size()));
        CHECK(d->target_tokens == 2);
    }
    auto const full = chat_rows(R"({"instruction":"do","input":"he","output":"o","system":"S","history":[["q","r"]]})");
    CHECK(whole(full->examples[0]) ==
          "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nr<|im_end|>\n"
          "<|im_start|>user\ndo\nhe<|im_end|>\n<|im_start|>assistant\no<|im_end|>\n");
}

TEST_CASE("dataset: a base model reads plain text and learns the completion and eos") {
    auto const d = base_rows(R"({"prompt":"he","completion":" world"})");
    CHECK(whole(d->examples[0]) == "he world<|endoftext|>");
    CHECK(learnt(d->examples[0]) == " world<|endoftext|>");
    auto const t = base_rows(R"({"text":"hello world<|im_end|>"})");
    CHECK(t->kind == "text");
    CHECK(whole(t->examples[0]) == "hello world<|im_end|><|endoftext|>");
    CHECK(t->target_tokens == t->tokens - 1);  // nothing comes before the first token
    CHECK(t->examples[0].target[0] == 0);
    auto const& ids = t->examples[0].ids;  // what a row spells out is no control token
    CHECK(std::count(ids.begin(), ids.end(), shared().base.find("<|im_end|>")) == 0);
}

TEST_CASE("dataset: train on all assistant turns, the last, or everything") {
    CHECK(learnt(chat_rows(two_turns)->examples[0]) == "b<|im_end|>d<|im_end|>");
    CHECK(learnt(chat_rows(two_turns, {.on = train_on::last})->examples[0]) == "d<|im_end|>");
    auto const full = chat_rows(two_turns, {.on = train_on::full});
    CHECK(full->target_tokens == full->tokens - 1);
    CHECK(*find_train_on("last") == train_on::last);
    CHECK(find_train_on("some").error().why == cause::usage);
    auto const prompt = chat_rows(
        R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],)"
        R"("completion":[{"role":"assistant","content":"d"}]})");
    CHECK(learnt(prompt->examples[0]) == "d<|im_end|>");  // the assistant's turn in the prompt is given
    CHECK(whole(prompt->examples[0]) == whole(chat_rows(two_turns)->examples[0]));
}

TEST_CASE("dataset: byte order mark, CRLF and blank lines are fine, and so is a missing last line end") {
    std::string const row = R"({"prompt":"a","completion":"b"})";
    auto const d = chat_rows("\xEF\xBB\xBF\r\n" + row + "\r\n\n  \t\n" + row);
    REQUIRE(d.ok());
    CHECK(d->rows == 2);
    CHECK(d->examples[0].line == 2);
    CHECK(d->examples[1].line == 5);
}

TEST_CASE("dataset: other keys stay with the row, and say whether it is held out") {
    auto const d = chat_rows(
        "{\"prompt\":\"a\",\"completion\":\"b\",\"key\":\"K\",\"n\":[1]}\n"
        "{\"prompt\":\"a\",\"completion\":\"c\",\"split\":\"held_out\"}\n{\"prompt\":\"a\",\"completion\":\"d\","
        "\"split\":\"train\"}\n");
    REQUIRE(d.ok());
    CHECK(json_text(d->examples[0].extra) == R"({"key":"K","n":[1]})");
    CHECK(d->examples[0].messages[0].content == "a");
    CHECK(!d->examples[0].held_out);
    CHECK(d->examples[1].held_out);
    CHECK(!d->examples[2].held_out);
    auto const s = split_rows(*d, 0.5, 1);
    CHECK(s.validation == std::vector<index_t>{1});
    CHECK(s.train == std::vector<index_t>{0, 2});
}

TEST_CASE("dataset: rows are cut at seq_len, and the loss is counted") {
    auto const whole_row = chat_rows(two_turns);
    auto const n = whole_row->tokens;
    auto const exact = chat_rows(two_turns, {.seq_len = n});
    CHECK(exact->truncated == 0);
    auto const shorter = chat_rows(two_turns, {.seq_len = n - 1});
    CHECK(shorter->truncated == 1);
    CHECK(shorter->cut_tokens == 1);
    CHECK(shorter->tokens == n - 1);
    CHECK(shorter->examples[0].target.size() == static_cast<std::size_t>(n - 1));
    CHECK(has(refusal(chat_rows(two_turns, {.seq_len = 5})),
              "d.jsonl: nothing to learn is left of this row after cutting it to 5"));
    CHECK(has(refusal(chat_rows(two_turns, {.seq_len = 1})), "nothing to learn"));
}

TEST_CASE("dataset: a row with nothing to learn is an error with its line") {
    std::string const good =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n";
    for (char const* bad : {R"({"messages":[]})", R"({"messages":[{"role":"user","content":"a"}]})",
                            R"({"messages":[{"role":"assistant","content":""}]})"})
        CHECK(has(refusal(chat_rows(good + bad)), "this row has nothing to learn (line 2:1)"));
    CHECK(has(refusal(base_rows(R"({"prompt":"a","completion":""})")), "this row has nothing to learn (line 1:1)"));
    CHECK(has(refusal(base_rows(R"({"text":""})")), "nothing to learn"));
    CHECK(has(refusal(base_rows(R"({"text":"a"})")), "nothing to learn"));  // one token has nothing before it
}

TEST_CASE("dataset: what is wrong with a row is said with its line and key") {
    std::string const good =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n";
    auto const after = [&](char const* row) { return refusal(chat_rows(good + row)); };
    CHECK(after("").empty());
    CHECK(has(after("{\"messages\":[1,}"), "d.jsonl: not valid JSON: unexpected '}'"));
    CHECK(has(after("{\"messages\":[1,}"), "(line 2:16)"));
    CHECK(has(after("{\"messages\":[],\"messages\":[]}"), "twice (line 2:16)"));
    CHECK(has(after("{\"prompt\":\"a\",\"completion\":\"b\"}"), "a key is missing (line 2:1, key 'messages')"));
    CHECK(has(after("3"), "a key is missing"));
    CHECK(has(after("{\"messages\":{}}"), "expected a list"));
    CHECK(has(after("{\"messages\":[{\"role\":\"user\"}]}"), "key 'content'"));
    CHECK(has(after("{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}"),
              "a message of an unknown role (line 2:1, key 'role')"));
    CHECK(has(after("{\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[1]}]}"),
              "tool calls are not supported"));
    CHECK(has(after("{\"messages\":[],\"tools\":[{}]}"), "rows with tools are not supported"));
    CHECK(has(refusal(chat_rows("{\"chosen\":\"a\",\"rejected\":\"b\"}")), "a row of no known shape (line 1:1)"));
    CHECK(has(refusal(chat_rows("[1,2]")), "a JSON list is not JSONL"));
    CHECK(has(refusal(chat_rows("")), "no rows"));
    CHECK(has(refusal(chat_rows("\n\r\n")), "no rows"));
    CHECK(has(refusal(chat_rows(R"({"instruction":"a","output":"b","history":[["x"]]})")), "key 'history'"));
    CHECK(has(refusal(chat_rows(R"({"prompt":3,"completion":"b"})")), "key 'prompt'"));
}

TEST_CASE("dataset: bad rows may be skipped up to a share, and are counted") {
    std::string text;
    for (int i = 0; i < 9; ++i) text += "{\"prompt\":\"a\",\"completion\":\"b\"}\n";
    text += "{\"prompt\":\"a\",\"completion\":\"\"}\n";
    CHECK(!chat_rows(text).ok());
    auto const d = chat_rows(text, {.skip_bad = 0.1});
    REQUIRE(d.ok());
    CHECK(d->examples.size() == 9);
    CHECK(d->rows == 10);
    REQUIRE(d->skipped.size() == 1);
    CHECK(d->skipped[0].where == "line 10:1");
    CHECK(!chat_rows(text, {.skip_bad = 0.05}).ok());
    CHECK(!chat_rows(text + "{\n", {.skip_bad = 0.1}).ok());
    CHECK(chat_rows(text + "{\n", {.skip_bad = 0.2})->skipped.size() == 2);
    CHECK(!chat_rows("{\n{\n", {.skip_bad = 1}).ok());
}

TEST_CASE("dataset: plain text is cut in blocks that predict each token but the first once") {
    std::string const text = "hello world hello world hello world, he said; 123 and hello";
    auto const ids = shared().base.encode(text);
    auto const d = read_dataset(text, "a.txt", shared().base, shared().plain, {.seq_len = 7});
    REQUIRE(d.ok());
    CHECK(d->kind == "plain text");
    std::vector<int> predicted;
    for (auto const& e : d->examples) {
        CHECK(e.ids.size() <= 7);
        for (std::size_t i = 0; i < e.ids.size(); ++i)
            if (e.target[i]) predicted.push_back(e.ids[i]);
    }
    CHECK(predicted == std::vector<int>(ids.begin() + 1, ids.end()));
    CHECK(d->target_tokens == static_cast<index_t>(ids.size()) - 1);
    auto begun = shared().base.data();
    begun.bos = begun.eos, begun.add_bos = true;
    auto const t = graft_test::good(begun);
    auto const b = read_text_dataset(text, "a.txt", t, {.seq_len = 7});
    CHECK(b->target_tokens == static_cast<index_t>(ids.size()));
    for (auto const& e : b->examples) CHECK(e.ids[0] == t.bos());
    CHECK(!read_text_dataset("a", "a.txt", shared().base).ok());
    CHECK(!read_text_dataset(text, "a.txt", shared().base, {.seq_len = 1}).ok());
    CHECK(!read_text_dataset("", "a.txt", t).ok());
}

TEST_CASE("dataset: orders and splits are functions of their seeds") {
    auto const a = shuffled(1000, 7, 0);
    CHECK(a == shuffled(1000, 7, 0));
    CHECK(a != shuffled(1000, 7, 1));
    CHECK(a != shuffled(1000, 8, 0));
    CHECK(std::set<index_t>(a.begin(), a.end()).size() == 1000);
    CHECK(*std::max_element(a.begin(), a.end()) == 999);
    CHECK(shuffled(0, 1, 1).empty());
    CHECK(shuffled(1, 1, 1) == std::vector<index_t>{0});
    // Each of three comes first about a third of the time: 3000 draws, six standard deviations.
    int first[3] = {};
    for (std::uint64_t epoch = 0; epoch < 3000; ++epoch) ++first[shuffled(3, 1, epoch)[0]];
    for (int const count : first) CHECK(std::abs(count - 1000) < 155);
    dataset d;
    d.examples.resize(100);
    auto const s = split_rows(d, 0.2, 3);
    CHECK(s.validation.size() == 20);
    CHECK(s.train.size() == 80);
    CHECK(s.validation == split_rows(d, 0.2, 3).validation);
    CHECK(s.validation != split_rows(d, 0.2, 4).validation);
    CHECK(split_rows(d, 0, 3).validation.empty());
    CHECK(split_rows(d, 1, 3).train.size() == 1);
    CHECK(split_rows(d, 0.0001, 3).validation.size() == 1);
    d.examples.resize(1);
    CHECK(split_rows(d, 0.5, 3).validation.empty());
}

TEST_CASE("dataset: the real data sets are read") {
    auto const path = graft_test::shared_data("gsm8k-test.jsonl");
    if (!path) return;
    auto const d = chat_rows(graft_test::read_file(*path), {.seq_len = 100000});
    REQUIRE(d.ok());
    CHECK(d->examples.size() == 1319);
    CHECK(d->truncated == 0);
}

TEST_CASE("dataset: a split that nobody knows is refused, not trained on") {
    for (char const* split : {"\"heldout\"", "3", "\"\""}) {
        auto const r = base_rows(std::string("{\"text\":\"he he\"}\n{\"text\":\"he he\",\"split\":") + split + "}\n");
        CHECK(has(refusal(r), "line 2, key 'split'"));
    }
    CHECK(base_rows("{\"text\":\"he he\",\"split\":\"train\"}\n").ok());
}
