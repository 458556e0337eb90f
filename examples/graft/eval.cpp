// SPDX-License-Identifier: Apache-2.0
// graft eval: the mean loss of a model on a data file, and the perplexity that it means.
#include "adapter_option.hpp"
#include "evaluator.hpp"
#include "options.hpp"
#include "session.hpp"

#include <graft/text/json.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>

namespace tool {
namespace {

struct eval_options {
    adapter_list adapters;
    std::string model, data, chat_format, train_on = "all", split = "all";
    bool json = false;
    index_t seq_len = 512, threads = 0;
    double skip_bad = 0;

    options declare() {
        options o("eval", "The mean loss per token of a model on a data file.",
                  "Examples:\n"
                  "  graft eval --model m.gguf --data rows.jsonl\n"
                  "  graft eval --model m.gguf --adapter out --data rows.jsonl --split held_out --json\n"
                  "  graft eval --model m.gguf --data book.txt --seq-len 1024");
        o.text("model", model, "PATH", "a GGUF file or a Hugging Face directory")
            .short_form("m")
            .required()
            .also({"model-path"});
        adapters.declare(o);
        o.text("data", data, "FILE", "JSON Lines, or plain text (.txt)").short_form("d").required().also({"file"});
        o.choice("train-on", train_on, {"all", "last", "full"},
                 "the tokens that count: those of all assistant turns, of the last, all tokens");
        o.choice("split", split, {"all", "train", "held_out"}, "the rows that count, by their \"split\"");
        o.text("chat-format", chat_format, "NAME", "chatml, llama3 or none; else by the model's template");
        o.count("seq-len", seq_len, 2, 1 << 20, "tokens of a row; longer ones are cut")
            .also({"max-seq-length", "max-seq-len"});
        o.number("skip-bad", skip_bad, 0, 100, "percent of rows that may be bad and are left out");
        o.count("threads", threads, 0, 256, "0: as many as the machine has; results do not depend on it")
            .short_form("t");
        o.flag("json", json, "an object, with the loss of every example");
        return o;
    }
};

result<int> measure(any_model const& m, dataset const& data, eval_options const& o) {
    auto const carried = open_chosen(o.adapters.choices, m.config());
    if (!carried) return carried.error();
    auto runs = forward_only(m, *carried ? &**carried : nullptr, o.seq_len, o.threads);
    if (!runs) return runs.error();

    auto const began = std::chrono::steady_clock::now();
    double loss = 0;
    index_t targets = 0, rows = 0;
    nlohmann::json each = nlohmann::json::array();
    std::vector<index_t> chosen;
    for (std::size_t i = 0; i < data.examples.size(); ++i)
        if (o.split == "all" || data.examples[i].held_out == (o.split == "held_out"))
            chosen.push_back(static_cast<index_t>(i));
    if (chosen.empty())
        return problem{cause::bad_file, o.data, "no row belongs to the split", {}, o.split, "none", "--split all"};
    auto const run = [&](std::span<index_t const> some) {
        packed_update const u = pack_examples(data.examples, some, o.seq_len);
        loss_sum const l = runs->evaluate(u);
        loss += l.sum, targets += l.targets, rows += u.rows;
        if (o.json)
            each.push_back({{"line", data.examples[static_cast<std::size_t>(some[0])].line},
                            {"tokens", l.targets},
                            {"loss", l.sum / static_cast<double>(std::max<index_t>(l.targets, 1))}});
    };
    if (o.json)
        for (index_t const& i : chosen) run({&i, 1});
    else
        run(chosen);
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    double const mean = loss / static_cast<double>(std::max<index_t>(targets, 1));
    if (o.json) {
        print(nlohmann::json{{"loss", mean},
                             {"perplexity", std::exp(mean)},
                             {"tokens", targets},
                             {"rows", rows},
                             {"seconds", seconds},
                             {"skipped", data.skipped.size()},
                             {"truncated", data.truncated},
                             {"examples", each}});
    } else {
        std::printf("loss        %.4f\nperplexity  %.3f\ntokens      %td that count, of %td, in %.1f s\n", mean,
                    std::exp(mean), targets, rows, seconds);
    }
    return 0;
}

}  // namespace

int eval(arguments const& all) {
    eval_options o;
    auto declared = o.declare();
    auto const parsed = declared.parse(adapter_list::gather(all));
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    auto const s = open_session(o.model, o.chat_format);
    if (!s) return refuse(s.error(), o.json);
    auto const text = read_text(o.data);
    if (!text) return refuse(text.error(), o.json);
    auto const on = find_train_on(o.train_on);
    if (!on) return refuse(on.error(), o.json);
    auto const data = read_dataset(*text, o.data, s->words(), s->chat(),
                                   {.seq_len = o.seq_len, .on = *on, .skip_bad = o.skip_bad / 100});
    if (!data) return refuse(data.error(), o.json);
    warn_of_data(*s, *data, *text, o.data);
    auto const done = measure(*s, *data, o);
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace tool
