// SPDX-License-Identifier: Apache-2.0
// graft generate: answers a prompt, token by token, with the keys and values of the past kept.
#include "heap_arena.hpp"
#include "options.hpp"
#include "run_options.hpp"
#include "session.hpp"
#include "signals.hpp"

#include <graft/io/laid_adapter.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/text/json.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/sampler.hpp>

#include <chrono>
#include <cstdio>

namespace tool {
namespace {

struct generate_options {
    std::string model, adapter, prompt, system, chat_format;
    bool raw = false, json = false;
    index_t max_tokens = 256, threads = 0;
    sampler draw;

    options declare() {
        options o("generate", "Answers a prompt. The answer goes to stdout as it grows.",
                  "Examples:\n"
                  "  graft generate --model m.gguf --prompt 'What is graft?'\n"
                  "  graft generate --model m.gguf --adapter out --temperature 0.7 --top-p 0.9 --seed 1 < prompt.txt\n"
                  "  graft generate --model m.gguf --raw --prompt 'Once upon a time' --max-tokens 100 --json");
        o.text("model", model, "PATH", "a GGUF file or a Hugging Face directory")
            .short_form("m")
            .required()
            .also({"model-path"});
        o.text("adapter", adapter, "PATH", "a PEFT directory or a GGUF adapter").also({"lora", "adapter-path"});
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

/// The ids that the answer continues.
result<std::vector<int>> prompt_ids(session const& s, generate_options const& o) {
    std::string text = o.prompt;
    if (text.empty()) {
        auto read = read_stdin();
        if (!read) return read.error();
        text = std::move(*read);
        if (text.ends_with('\n')) text.pop_back();
    }
    if (text.empty()) return usage("the prompt is empty", "--prompt TEXT, or text on stdin");
    warn_of_lost_bytes(s.words, text, "prompt");
    std::vector<int> ids;
    if (o.raw) {
        if (s.words.add_bos() && s.words.bos() >= 0) ids.push_back(s.words.bos());
        s.words.encode(text, specials::on, ids);
        return ids;
    }
    std::vector<chat_message> chat;
    if (!o.system.empty()) chat.push_back({"system", o.system});
    chat.push_back({"user", text});
    auto rendered = s.chat.render(s.words, chat, true);
    if (!rendered) return rendered.error();
    return std::move(rendered->ids);
}

template <class Block>
result<int> answer(session const& s, generate_options const& o) {
    auto bound = bind_model<Block>(s.file);
    if (!bound) return bound.error();
    auto const laid = lay_adapter(*bound, o.adapter);
    if (!laid) return laid.error();
    auto const ids = prompt_ids(s, o);
    if (!ids) return ids.error();

    index_t const prompt = static_cast<index_t>(ids->size()), room = s.file.config.context - prompt;
    if (room < 1)
        return usage("the prompt is longer than the model's context",
                     "at most " + std::to_string(s.file.config.context - 1) + " tokens", std::to_string(prompt));
    thread_pool pool(lanes_of(o.threads));
    generation g;
    g.context = prompt + std::min(o.max_tokens, room), g.lanes = pool.lanes();
    auto const memory = heap_arena::make(generator<Block>::memory_bytes(s.file.config, g, laid->rank, laid->targets));
    if (!memory) return memory.error();
    generator<Block> next(bound->net, g, memory->bytes(), pool.handle(nullptr, 0), laid->rank, laid->targets);

    using clock = std::chrono::steady_clock;
    auto const began = clock::now();
    auto logits = next.feed(*ids);
    auto const prompted = clock::now();
    text_stream stream(s.words);
    std::string text;
    std::vector<int> said;
    bool stopped = false;
    auto const show = [&](std::string const& piece) {
        text += piece;
        if (!o.json) std::fwrite(piece.data(), 1, piece.size(), stdout), std::fflush(stdout);
    };
    stop_between_steps();
    while (!asked_to_stop && static_cast<index_t>(said.size()) < g.context - prompt) {
        int const id =
            o.draw(logits.first(static_cast<std::size_t>(s.words.size())), static_cast<index_t>(said.size()));
        if ((stopped = s.chat.stops(id) || id == s.words.eos())) break;
        said.push_back(id);
        show(stream.push(id));
        if (next.position() < g.context) logits = next.feed({&id, 1});
    }
    show(stream.finish());
    auto const seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
    double const spent = seconds(prompted, clock::now());
    if (o.json)
        print(nlohmann::json{{"text", text},
                             {"ids", said},
                             {"prompt_tokens", prompt},
                             {"tokens", said.size()},
                             {"finish", stopped         ? "stop"
                                        : asked_to_stop ? "signal"
                                                        : "length"},
                             {"prompt_seconds", seconds(began, prompted)},
                             {"seconds", spent},
                             {"tokens_per_second", spent > 0 ? static_cast<double>(said.size()) / spent : 0}});
    else
        std::fputc('\n', stdout);
    return asked_to_stop ? 128 + asked_to_stop : 0;
}

}  // namespace

int generate(arguments const& all) {
    generate_options o;
    auto declared = o.declare();
    auto const parsed = declared.parse(all);
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    if (o.raw && !o.system.empty())
        return refuse(usage("--system has no place in a raw prompt", "--system or --raw", "both"), o.json);
    auto const s = open_session(o.model, o.chat_format);
    if (!s) return refuse(s.error(), o.json);
    auto const done =
        with_block(s->file.config.arch, [&]<class Block>(std::type_identity<Block>) { return answer<Block>(*s, o); });
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace tool
