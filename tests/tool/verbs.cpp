// SPDX-License-Identifier: Apache-2.0
// The verbs beside finetune, as processes: results, and bad input told in one line.
#include <tests/tool/chat_model.hpp>
#include <tests/tool/process.hpp>

#include <algorithm>

using namespace graft_test;
namespace fs = std::filesystem;

namespace {

struct files {
    scratch_folder folder;
    std::string model = path("tiny.gguf"), data = path("rows.jsonl");
    files() { write_chat_model(model), write_rows(data); }
    std::string path(std::string const& name) const { return (folder.path / name).string(); }
    std::string put(std::string const& name, std::string const& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }
};

/// One line of error with this code, and the same code in the object.
void refused(ended const& r, int code, std::string const& says) {
    CAPTURE(r.err);
    CAPTURE(says);
    CHECK(r.code == code);
    CHECK(r.says("error: "));
    CHECK(r.says(says));
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
    auto const j = r.json();
    CHECK((j.is_object() && j.contains("error") && j["error"]["code"] == code));
}

}  // namespace

TEST_CASE("tokenize, detokenize: what goes in comes out") {
    files const f;
    std::string const text = "the theatre, he said: \xc3\xa9\xf0\x9f\x98\x80 <|im_end|>\t123\xff";
    auto const ids = tool({"tokenize", "-m", f.model}, text);
    REQUIRE(ids.code == 0);
    CHECK(tool({"detokenize", "-m", f.model}, ids.out).out == text + "\n");
    auto const j = tool({"tokenize", "-m", f.model, "--json", "--specials", "<|im_start|>the"}).json();
    CHECK(j["ids"][0] == 258);
    CHECK(j["count"] == j["ids"].size());
    CHECK(tool({"tokenize", "-m", f.model, "--json", "<|im_start|>the"}).json()["ids"][0] != 258);
    CHECK(tool({"tokenize", "-m", f.model, "--file", f.put("t.txt", text)}).out == ids.out);
    CHECK(tool({"detokenize", "-m", f.model, "104,101"}).out == tool({"detokenize", "-m", f.model, "104", "101"}).out);
    refused(tool({"detokenize", "-m", f.model, "--json", "260"}), 2, "from 0 to 259");
    refused(tool({"detokenize", "-m", f.model, "--json", "--", "-1"}), 2, "from 0 to 259");
    refused(tool({"tokenize", "-m", f.model, "--json", "--file", f.path("none")}), 6, "none");
}

TEST_CASE("generate: the same prompt and seed give the same answer, wherever the prompt comes from") {
    files const f;
    std::vector<std::string> const line{"generate", "-m", f.model, "--max-tokens", "12", "--threads", "1"};
    auto const with = [&](std::vector<std::string> more, std::string const& input = "") {
        more.insert(more.begin(), line.begin(), line.end());
        return tool(more, input);
    };
    auto const greedy = with({"--prompt", "hello"});
    REQUIRE(greedy.code == 0);
    CHECK(with({}, "hello\n").out == greedy.out);
    auto const j = with({"--prompt", "hello", "--json"}).json();
    std::string ids;
    for (auto const& id : j["ids"]) ids += std::to_string(id.get<int>()) + " ";
    CHECK(tool({"detokenize", "-m", f.model}, ids).out == greedy.out);
    CHECK(j["tokens"].get<int>() <= 12);
    CHECK(j["prompt_tokens"].get<int>() > 5);
    CHECK((j["finish"] == "length" || j["finish"] == "stop"));
    auto const raw = with({"--prompt", "hello", "--raw", "--json"}).json();
    CHECK(raw["prompt_tokens"] == 4);  // he, l, l, o

    auto const drawn = with({"--prompt", "hello", "--temperature", "1.5", "--seed", "3"}).out;
    CHECK(with({"--prompt", "hello", "--temperature", "1.5", "--seed", "3"}).out == drawn);
    CHECK(with({"--prompt", "hello", "--temperature", "1.5", "--seed", "4"}).out != drawn);
    CHECK(with({"--prompt", "hello", "--temperature", "1.5", "--top-k", "1"}).out == greedy.out);

    refused(with({"--json"}), 2, "prompt is empty");
    refused(with({"--json", "--prompt", std::string(600, 'x')}), 2, "longer than the model's context");
    refused(with({"--json", "--prompt", "x", "--raw", "--system", "y"}), 2, "--system");
    refused(with({"--json", "--prompt", "x", "--chat-format", "alpaca"}), 2, "chatml, llama3 or none");
    refused(with({"--json", "--prompt", "x", "--adapter", f.path("none")}), 6, "none");
    refused(with({"--json", "--prompt", "x", "--adapter", f.model}), 4, f.model);
}

TEST_CASE("eval: the mean is that of its examples, whatever the threads") {
    files const f;
    auto const one = tool({"eval", "-m", f.model, "-d", f.data, "--json", "--threads", "1"}).json();
    auto const two = tool({"eval", "-m", f.model, "-d", f.data, "--json", "--threads", "2"}).json();
    CHECK(one["loss"] == two["loss"]);
    double sum = 0, tokens = 0;
    for (auto const& e : one["examples"]) {
        sum += e["loss"].get<double>() * e["tokens"].get<double>();
        tokens += e["tokens"].get<double>();
    }
    CHECK(one["examples"].size() == 13);
    CHECK(one["tokens"] == tokens);
    CHECK(one["loss"].get<double>() == doctest::Approx(sum / tokens));
    CHECK(one["perplexity"].get<double>() == doctest::Approx(std::exp(sum / tokens)));
    CHECK(one["loss"].get<double>() > 4);  // random weights: about log 260
    CHECK(tool({"eval", "-m", f.model, "-d", f.data, "--split", "held_out", "--json"}).json()["examples"].size() == 3);
    auto const full = tool({"eval", "-m", f.model, "-d", f.data, "--json", "--train-on", "full"}).json();
    CHECK(full["tokens"].get<double>() > tokens);

    refused(tool({"eval", "-m", f.model, "--json", "-d",
                  f.put("bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": 3}\n")}),
            3, "line 2");
    refused(tool({"eval", "-m", f.model, "--json", "-d", f.put("empty.jsonl", "")}), 3, "empty.jsonl");
    refused(tool({"eval", "-m", f.model, "--json", "-d",
                  f.put("silent.jsonl", R"({"messages": [{"role": "user", "content": "a"}]})")}),
            3, "silent.jsonl");
    refused(tool({"eval", "-m", f.model, "--json", "-d", f.path("none")}), 6, "none");
}

TEST_CASE("plan: the parts make up the peak, for files and for named shapes") {
    files const f;
    for (auto const& which :
         {std::vector<std::string>{"--model", f.model}, {"--shape", "qwen2.5-0.5b", "--weights", "q8_0"}})
        for (char const* const strategy : {"mesp", "full", "checkpoint", "mesp-published", "lcsb", "zeroth-order"}) {
            std::vector<std::string> line{"plan", "--json", "--strategy", strategy, "--threads", "2"};
            line.insert(line.end(), which.begin(), which.end());
            auto const r = tool(line);
            CAPTURE(r.err);
            REQUIRE(r.code == 0);
            auto const j = r.json();
            auto const of = [&](char const* name) { return j[name].get<double>(); };
            CHECK(of("peak_bytes") == of("tables_bytes") + of("panels_bytes") + of("batch_bytes") +
                                          of("checkpoints_bytes") + of("kept_bytes") + of("stream_bytes") +
                                          std::max(of("block_bytes"), of("head_bytes")) + of("adapters_bytes") +
                                          of("gradients_bytes") + of("optimizer_bytes"));
            CHECK(of("total_bytes") ==
                  of("peak_bytes") + of("weights_private_bytes") + of("tokenizer_and_reader_bytes"));
            CHECK((of("kept_bytes") > 0) == (std::string(strategy) == "full"));
            CHECK((of("checkpoints_bytes") > 0) == (std::string(strategy) != "zeroth-order"));
            CHECK(of("weights_mapped_bytes") > 0);
            CHECK(of("tokenizer_and_reader_bytes") > 0);
            CHECK(of("optimizer_bytes") > 0);
        }
    refused(tool({"plan", "--json"}), 2, "--model PATH or --shape NAME");
    refused(tool({"plan", "--json", "--shape", "smollm2-135m", "--model", f.model}), 2, "both");
    refused(tool({"plan", "--json", "--shape", "smolm2-135m"}), 2, "did you mean smollm2-135m?");
    refused(tool({"plan", "--json", "--model", f.model, "--seq-len", "600"}), 2, "longer than the model's context");
}

TEST_CASE("inspect: models, adapters and checkpoints say what they are") {
    files const f;
    CHECK(tool({"inspect", f.model}).out.find("tiny llama") != std::string::npos);
    auto const m = tool({"inspect", f.model, "--json"}).json();
    CHECK(m["layers"] == 2);
    CHECK(m["chat_format"] == "chatml");
    CHECK(m["tensors"].size() == 2 + 2 * 9);
    REQUIRE(tool({"finetune", "-m", f.model, "-d", f.data, "-o", f.path("out"), "--steps", "1", "--rank", "3",
                  "--targets", "q_proj,down_proj"})
                .code == 0);
    auto const a = tool({"inspect", f.path("out"), "--json"}).json();
    CHECK(a["rank"] == 3);
    CHECK(a["targets"] == nlohmann::json({"down_proj", "q_proj"}));
    CHECK(tool({"inspect", f.path("out") + "/adapter.gguf", "--json"}).json()["kind"] == "GGUF adapter");
    CHECK(tool({"inspect", f.path("out") + "/adapter_model.safetensors", "--json"}).json()["tensors"].size() == 8);
    auto const c = tool({"inspect", f.path("out") + "/checkpoints", "--json"}).json();
    CHECK(c["step"] == 1);
    CHECK(c["run"]["options"]["rank"] == 3);
    CHECK(tool({"inspect", f.path("out") + "/checkpoints/step-1"}).code == 0);
    refused(tool({"inspect", "--json", f.put("page.gguf", "<!DOCTYPE html><html></html>")}), 3, "page.gguf");
    refused(tool({"inspect", "--json", f.folder.path.string()}), 3, "nothing that is known");
    refused(tool({"inspect", "--json", "/dev/null"}), 6, "/dev/null");
    refused(tool({"inspect", "--json"}), 2, "PATH");
}

TEST_CASE("quantize: a copy keeps the loss and replaces nothing") {
    files const f;
    auto const loss = [&](std::string const& model) {
        auto const r = tool({"eval", "-m", model, "-d", f.data, "--json"});
        INFO(r.err);
        REQUIRE(r.code == 0);
        return r.json()["loss"].get<double>();
    };
    double const exact = loss(f.model);
    for (auto const& [name, near] :
         {std::pair{"f32", 0.0}, {"f16", 1e-3}, {"bf16", 1e-2}, {"q8_0", 1e-2}, {"q5_1", 5e-2}, {"q4_0", 0.2}}) {
        std::string const type = name;
        CAPTURE(type);
        std::string const copy = f.path(type + ".gguf");
        auto const r = tool({"quantize", "-m", f.model, "--type", type, "-o", copy, "--json"});
        INFO(r.err);
        REQUIRE(r.code == 0);
        CHECK(r.json()["converted"].get<int>() + r.json()["kept"].get<int>() == 20);
        CHECK(std::abs(loss(copy) - exact) <= near);
    }
    auto const before = read_file(f.model);
    refused(tool({"quantize", "--json", "-m", f.model, "--type", "f16", "-o", f.model, "--overwrite"}), 2, "input");
    refused(tool({"quantize", "--json", "-m", f.model, "--type", "f16", "-o", f.path("f16.gguf")}), 6, "already there");
    refused(tool({"quantize", "--json", "-m", f.model, "--type", "q4_k", "-o", f.path("x")}), 2,
            "can be read but not written");
    CHECK(read_file(f.model) == before);
}

TEST_CASE("models: what cannot be one is told apart, whichever verb meets it") {
    files const f;
    auto const model = read_file(f.model);
    refused(tool({"eval", "--json", "-d", f.data, "-m", f.path("none.gguf")}), 6, "none.gguf");
    refused(tool({"eval", "--json", "-d", f.data, "-m",
                  f.put("lfs.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")}),
            3, "lfs.gguf");
    refused(tool({"eval", "--json", "-d", f.data, "-m", f.put("cut.gguf", model.substr(0, model.size() - 1000))}), 3,
            "cut.gguf");
    refused(tool({"eval", "--json", "-d", f.data, "-m", f.put("head.gguf", model.substr(0, 100))}), 3, "head.gguf");
    fs::create_directory(f.path("dir"));
    refused(tool({"eval", "--json", "-d", f.data, "-m", f.path("dir")}), 6, "dir");
}
