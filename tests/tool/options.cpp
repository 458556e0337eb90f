// SPDX-License-Identifier: Apache-2.0
// Options as people mistype them: always exit code 2, one line that names the option, and what was meant.
#include <tests/tool/process.hpp>

#include <algorithm>

using namespace graft_test;

namespace {

struct mistake {
    std::vector<std::string> options;
    std::string says;
};

}  // namespace

TEST_CASE(
    "options: a wrong value, a wrong name, a missing or double option ends with code 2 and says what was expected") {
    std::vector<mistake> const all{
        {{"--rank", "0"}, "--rank cannot have this value: expected a whole number from 1 to 4096, got '0'"},
        {{"--rank", "-1"}, "got '-1'"},
        {{"--rank", "1e9"}, "got '1e9'"},
        {{"--rank", "8x"}, "got '8x'"},
        {{"--rank", ""}, "got ''"},
        {{"--rank="}, "got ''"},
        {{"--rank", "0x10"}, "got '0x10'"},
        {{"--rank", "99999999999999999999999"}, "--rank"},
        {{"--rank", "4", "--rank", "8"}, "--rank is given twice"},
        {{"--lora-r", "4", "-r", "8"}, "--rank is given twice"},
        {{"--rank"}, "--rank needs a value"},
        {{"--rank", "--steps", "3"}, "--rank needs a value"},
        {{"--lr", "nan"}, "--lr"},
        {{"--lr", "inf"}, "--lr"},
        {{"--lr", "-1"}, "--lr"},
        {{"--lr", "1e-400"}, "--lr"},
        {{"--lr", "1,5"}, "with a point for decimals"},
        {{"--seq-len", "0"}, "--seq-len"},
        {{"--seq-len", "1"}, "--seq-len"},
        {{"--batch-size", "0"}, "--batch-size"},
        {{"--epochs", "0"}, "--epochs"},
        {{"--steps", "0"}, "--steps"},
        {{"--steps", "3", "--epochs", "2"}, "--steps and --epochs"},
        {{"--warmup-steps", "3", "--warmup-ratio", "0.1"}, "--warmup-steps and --warmup-ratio"},
        {{"--resume", "--overwrite"}, "--resume and --overwrite"},
        {{"--resume=yes"}, "takes no value"},
        {{"--optimizer", "foo"}, "expected adamw, adamw8, sgd, lion, muon or stiefel"},
        {{"--optimizer", "adam"}, "did you mean adamw?"},
        {{"--method", "stiefel"}, "stiefel is an optimizer"},
        {{"--method", "doar"}, "did you mean dora?"},
        {{"--retraction", "polar"}, "Try: --optimizer stiefel, or no --retraction"},
        {{"--stiefel-momentum", "sgd"}, "expected --optimizer stiefel"},
        {{"--momentum", "0.9"}, "expected --optimizer sgd, muon or stiefel, got --optimizer adamw"},
        {{"--momentum", "1", "--optimizer", "sgd"}, "--momentum"},
        {{"--optimizer", "stiefel", "--momentum", "0.9"}, "--stiefel-momentum sgd, or --beta1"},
        {{"--optimizer", "sgd", "--nesterov"}, "looks ahead along a momentum"},
        {{"--optimizer", "muon", "--nesterov"}, "expected --optimizer sgd"},
        {{"--no-nesterov"}, "expected --optimizer muon"},
        {{"--beta1", "0.9", "--optimizer", "sgd"}, "--beta1 has no meaning here"},
        {{"--adam-beta2", "1"}, "--beta2"},
        {{"--adam-epsilon", "1e-6", "--optimizer", "lion"}, "expected --optimizer adamw, adamw8 or stiefel"},
        {{"--adam-epsilon", "0"}, "above 0"},
        {{"--lr-ratio-b", "-1"}, "--lr-ratio-b"},
        {{"--optimizer", "stiefel", "--adapter-type", "f16"}, "--adapter-type f32"},
        {{"--optimizer", "stiefel", "--init", "gaussian"}, "--init pissa, or no --init"},
        {{"--init", "loftq"}, "expected kaiming, gaussian, orthogonal or pissa"},
        {{"--rank-pattern", "q_proj=4"}, "an object of JSON, or @FILE"},
        {{"--rank-pattern", "[4]"}, R"({"PATTERN": NUMBER, ...} or @FILE)"},
        {{"--rank-pattern", "{}"}, R"({"PATTERN": NUMBER, ...} or @FILE)"},
        {{"--rank-pattern", R"({"q_proj": 4.5})"}, "whole numbers from 1 to 4096"},
        {{"--rank-pattern", R"({"q_proj": 0})"}, "whole numbers from 1 to 4096"},
        {{"--rank-pattern", R"({"q_proj": 4, "q_proj": 5})"}, "--rank-pattern"},
        {{"--rank-pattern", R"({"q_(proj": 4})"}, "--rank-pattern cannot have this value: expected patterns"},
        {{"--rank-pattern", "@no-file"}, "a file that can be read"},
        {{"--alpha-pattern", R"({"q_proj": "8"})"}, "numbers above 0"},
        {{"--scheduler", "polynomial"}, "expected cosine, linear, constant, cosine-with-restarts or inverse-sqrt"},
        {{"--num-cycles", "2"}, "--scheduler cosine-with-restarts, or no --num-cycles"},
        {{"--lr-min", "1e-5", "--scheduler", "constant"}, "a constant rate does not fall"},
        {{"--lr-min", "1"}, "--lr-min is above --lr"},
        {{"--dropout", "0.1", "--strategy", "zo"}, "zeroth-order compares losses"},
        {{"--adapter", "out", "--rank-pattern", R"({"q_proj": 4})"}, "--rank-pattern is the adapter's own"},
        {{"--adapter", "out", "--init", "pissa"}, "--init is the adapter's own"},
        {{"--strategy", "lcbs"}, "did you mean lcsb?"},
        {{"--strategy", "lcsb", "--strategy", "mesp"}, "--strategy is given twice"},
        {{"--strategy", "full", "--checkpoint-every", "2"}, "Try: --strategy mesp, or no --checkpoint-every"},
        {{"--strategy", "lcsb", "--lcsb-inner", "full", "--tile", "32"}, "--lcsb-inner mesp"},
        {{"--strategy", "lcsb", "--lcsb-inner", "zeroth-order"}, "--lcsb-inner"},
        {{"--groups", "2"}, "--groups has no meaning here: expected --strategy lcsb, got --strategy mesp"},
        {{"--strategy", "lcsb", "--select", "random", "--groups", "2"}, "Try: --layers-per-step"},
        {{"--strategy", "lcsb", "--layers-per-step", "2"}, "Try: --groups, or --select random"},
        {{"--strategy", "lcsb", "--select", "cylic"}, "did you mean cyclic?"},
        {{"--zo-samples", "2"}, "--strategy zeroth-order, or no --zo-samples"},
        {{"--zo-one-point", "--strategy", "lcsb"}, "--strategy zeroth-order"},
        {{"--strategy", "zo", "--zo-epsilon", "0"}, "--zo-epsilon"},
        {{"--strategy", "zo", "--phases", "two"}, "--strategy mesp"},
        {{"--strategy", "zo", "--checkpoint-type", "f16"}, "keeps inputs of blocks"},
        {{"--strategy", "zo", "--checkpoint-file"}, "keeps inputs of blocks"},
        {{"--strategy", "zo", "--update", "fused"}, "--update deferred"},
        {{"--update", "fused", "--max-grad-norm", "1"}, "--max-grad-norm 0, or --update deferred"},
        {{"--update", "fused", "--grad-accum", "2"}, "--grad-accum 1, or --update deferred"},
        {{"--checkpoint-type", "q8_0"}, "expected f32, f16 or bf16"},
        {{"--memory-budget", "200Q"}, "--memory-budget"},
        {{"--dropout", "1"}, "--dropout"},
        {{"--strategy", "full", "--tile", "32"}, "--strategy mesp"},
        {{"--targets", "q_porj"}, "did you mean q_proj?"},
        {{"--targets", "q_proj,q_proj"}, "each name once"},
        {{"--targets", ""}, "--targets"},
        {{"--lerning-rate", "1"}, "unknown option '--lerning-rate'. Try: --learning-rate"},
        {{"--sequence"}, "unknown option '--sequence'"},
        {{"-x"}, "unknown option '-x'"},
        {{"--memory-budget", "12 apples"}, "--memory-budget"},
        {{"--seed", "-4"}, "--seed"},
        {{"stray"}, "stray"},
    };
    for (auto const& m : all) {
        std::vector<std::string> line{"finetune", "-m", "no-model", "-d", "no-data", "-o", "no-output"};
        line.insert(line.end(), m.options.begin(), m.options.end());
        auto const r = tool(line);
        CAPTURE(m.says);
        CAPTURE(r.err);
        CHECK(r.code == 2);
        CHECK(r.says(m.says));
        CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
    }
}

TEST_CASE("options: more than the model has is refused with the most that works") {
    for (mistake const& m :
         {mistake{{"--rank", "129"}, "above a dimension of k_proj, v_proj: expected at most 128"},
          {{"--rank", "129"}, "Try: --rank 128, or --targets without k_proj, v_proj"},
          {{"--strategy", "lcsb", "--groups", "25"}, "Try: --groups 24"},
          {{"--strategy", "lcsb", "--select", "top", "--layers-per-step", "25"}, "at most 24, got 25"},
          {{"--checkpoint-every", "25"}, "--checkpoint-every 24"},
          {{"--seq-len", "40000"}, "Try: --seq-len 32768"}}) {
        std::vector<std::string> line{"plan", "--shape", "qwen2.5-0.5b"};
        line.insert(line.end(), m.options.begin(), m.options.end());
        auto const r = tool(line);
        CAPTURE(r.err);
        CHECK(r.code == 2);
        CHECK(r.says(m.says));
    }
    CHECK(tool({"plan", "--shape", "qwen2.5-0.5b", "--rank", "129", "--targets", "q_proj,down_proj"}).code == 0);
    CHECK(tool({"plan", "--shape", "qwen2.5-0.5b", "--resident-limit", "1G"}).code == 2);
    CHECK(
        tool({"plan", "--shape", "qwen2.5-0.5b", "--dora-norm", "attached"}).says("--method dora, or no --dora-norm"));
}

TEST_CASE("options: a file of options is read, the command line wins, and its mistakes are told by key") {
    scratch_folder const folder;
    std::string const file = (folder.path / "run.json").string();
    auto const plan = [&](std::string const& text, std::vector<std::string> more = {}) {
        std::ofstream(file) << text;
        more.insert(more.begin(), {"finetune", "-m", "no-model", "-d", "no-data", "-o", "no-output", "--config", file});
        return tool(more);
    };
    auto const bad = [&](std::string const& text, std::string const& says) {
        auto const r = plan(text);
        CAPTURE(r.err);
        CHECK(r.code == 2);
        CHECK(r.says(says));
    };
    CHECK(plan(R"({"rank": 4, "lr": 1e-3, "targets": ["q_proj", "v_proj"], "resume": false})").code == 6);  // no model
    bad(R"({"rnak": 4})", "unknown option 'rnak'. Try: rank");
    bad(R"({"rank": "x"})", "key 'rank'");
    bad(R"({"rank": 4.5})", "key 'rank'");
    bad(R"({"rank": [1]})", "key 'rank'");
    bad(R"({"rank": true})", "key 'rank'");
    bad(R"({"resume": 1})", "key 'resume'");
    bad(R"({"rank": null})", "key 'rank'");
    bad(R"([1])", "not an object of options");
    CHECK(plan(R"({"rank": 4, "rank": 5})").code == 3);
    CHECK(plan(R"({"rank": 0})", {"--rank", "4"}).code ==
          6);  // the command line wins: the file's value is not looked at
    CHECK(tool({"finetune", "--config", "no-file"}).code == 6);
}

TEST_CASE("options: names from elsewhere, underscores and = are the same option") {
    auto const rank = [](std::vector<std::string> more) {
        more.insert(more.begin(), {"plan", "--shape", "smollm2-135m", "--json", "--threads", "1"});
        auto const r = tool(more);
        CAPTURE(r.err);
        REQUIRE(r.code == 0);
        return r.json()["adapters_bytes"].get<double>();
    };
    double const sixteen = rank({"--rank", "16"});
    CHECK(rank({"-r", "16"}) == sixteen);
    CHECK(rank({"--lora-rank=16"}) == sixteen);
    CHECK(rank({"--lora_r", "16"}) == sixteen);
    CHECK(rank({"--rank", "8"}) == sixteen / 2);
    for (char const* const name : {"adamw", "adamw_torch"}) CHECK(rank({"--optim", name, "-r", "16"}) == sixteen);
    CHECK(rank({"--init_lora_weights", "true", "-r", "16"}) == sixteen);
}

TEST_CASE("options: verbs without arguments, unknown verbs and help") {
    CHECK(tool({}).code == 2);
    CHECK(tool({"--help"}).code == 0);
    CHECK(tool({"--version"}).code == 0);
    auto const r = tool({"finetun", "--json"});
    CHECK(r.code == 2);
    CHECK(r.says("Try: finetune"));
    CHECK(r.json()["error"]["try"] == "finetune");
    CHECK(tool({"chat"}).says("comes with a later version"));
    for (char const* const verb :
         {"finetune", "generate", "eval", "plan", "inspect", "tokenize", "detokenize", "quantize", "merge",
          "convert"}) {
        auto const help = tool({verb, "--help"});
        CHECK(help.code == 0);
        CHECK(help.out.find("Examples:") != std::string::npos);
        CHECK(help.err.empty());
    }
}
