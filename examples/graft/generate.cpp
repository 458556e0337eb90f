// SPDX-License-Identifier: Apache-2.0
// graft generate: answers a prompt, token by token, with the keys and values of the past kept.
#include "adapter_option.hpp"
#include "options.hpp"
#include "session.hpp"
#include "signals.hpp"

#include <graft/text/json.hpp>

#include <chrono>
#include <cstdio>

namespace tool {
namespace {

struct generate_options {
    std::string model, prompt, system, chat_format;
    adapter_list adapters;
    bool raw = false, json = false;
    index_t max_tokens = 256, threads = 0;
    sampler draw;

    options declare() {
        options o("generate", "Answers a prompt. The answer goes to stdout as it grows.",
                  "Examples:\n"
                  "  graft generate --model m.gguf --prompt 'What is graft?'\n"
                  "  graft generate --model m.gguf --adapter out --temperature 0.7 --top-p 0.9 --seed 1 < prompt.txt\n"
                  "  graft generate --model m.gguf --adapter A:0.7 --adapter B --prompt 'Hello'\n"
                  "  graft generate --model m.gguf --raw --prompt 'Once upon a time' --max-tokens 100 --json");
        o.text("model", model, "PATH", "a GGUF file or a Hugging Face directory")
            .short_form("m")
            .required()
            .also({"model-path"});
        adapters.declare(o);
        o.text("prompt", prompt, "TEXT", "what the user says; else it is read from stdin").short_form("p");
        o.text("system", system, "TEXT", "the system turn; else the model's own");
        o.flag("raw", raw, "the prompt is continued as it stands, without turns");
        o.text("chat-format", chat_format, "NAME", "chatml, llama3 or none; else by the model's template");
        o.count("max-tokens", max_tokens, 1, 1 << 20, "the longest answer")
            .short_form("n")
            .also({"n-predict", "max-new-tokens"});
        o.number("temperature", draw.temperature, 0, 100, "0: always the likeliest token").also({"temp"});
        o.number("top-p", draw.top_p, 0, 1, "draw among the fewest tokens that make up this probability", true);
        o.count("top-k", draw.top_k, 0, 1 << 24, "draw among so many likeliest tokens, 0: all");
        o.seed("seed", draw.seed, "what the draws depend on");
        o.count("threads", threads, 0, 256, "0: as many as the machine has").short_form("t");
        o.flag("json", json, "the answer as an object, at the end");
        return o;
    }
};

/// What the user says: the option's text, or standard input without its last line end.
result<std::string> prompt_text(any_model const& m, generate_options const& o) {
    std::string text = o.prompt;
    if (text.empty()) {
        auto read = read_stdin();
        if (!read) return read.error();
        text = std::move(*read);
        if (text.ends_with('\n')) text.pop_back();
    }
    if (text.empty()) return usage("the prompt is empty", "--prompt TEXT, or text on stdin");
    warn_of_lost_bytes(m.words(), text, "prompt");
    return text;
}

result<int> say(any_model const& m, generate_options const& o) {
    auto runs = m.generator({o.adapters.choices, o.threads});
    if (!runs) return runs.error();
    auto const prompt = prompt_text(m, o);
    if (!prompt) return prompt.error();

    using clock = std::chrono::steady_clock;
    auto const began = clock::now();
    auto prompted = began;
    stop_between_steps();
    auto const said = runs->generate(*prompt, {o.max_tokens, o.draw, o.system, o.raw}, [&](answer_piece const& p) {
        if (p.tokens == 0) prompted = clock::now();
        if (!o.json) std::fwrite(p.text.data(), 1, p.text.size(), stdout), std::fflush(stdout);
        return asked_to_stop ? verdict::stop : verdict::go_on;
    });
    if (!said) return said.error();
    auto const seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
    double const spent = seconds(prompted, clock::now());
    if (o.json)
        print(nlohmann::json{{"text", said->text},
                             {"ids", said->ids},
                             {"prompt_tokens", said->prompt_tokens},
                             {"tokens", said->ids.size()},
                             {"finish", said->end == answer_end::stop   ? "stop"
                                        : said->end == answer_end::told ? "signal"
                                                                        : "length"},
                             {"prompt_seconds", seconds(began, prompted)},
                             {"seconds", spent},
                             {"tokens_per_second", spent > 0 ? static_cast<double>(said->ids.size()) / spent : 0}});
    else
        std::fputc('\n', stdout);
    return asked_to_stop ? 128 + asked_to_stop : 0;
}

}  // namespace

int generate(arguments const& all) {
    generate_options o;
    auto declared = o.declare();
    auto const parsed = declared.parse(adapter_list::gather(all));
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    if (o.raw && !o.system.empty())
        return refuse(usage("--system has no place in a raw prompt", "--system or --raw", "both"), o.json);
    auto const s = open_session(o.model, o.chat_format);
    if (!s) return refuse(s.error(), o.json);
    auto const done = say(*s, o);
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace tool
