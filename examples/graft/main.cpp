// SPDX-License-Identifier: Apache-2.0
// graft: fine-tunes language models and uses what comes out. This file: verbs and exit codes.
#include "command.hpp"
#include "signals.hpp"
#include "spelling.hpp"

#include <graft/text/json.hpp>
#include <graft/text/utf8.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>

namespace tool {

int refuse(problem const& p, bool json) {
    static constexpr char const* names[] = {"", "bug", "usage", "bad_file", "mismatch", "memory", "io", "diverged"};
    int const code = static_cast<int>(p.why);
    std::fprintf(stderr, "error: %s\n", printable(describe(p), 8000).c_str());
    if (json) {
        nlohmann::json e{{"code", code}, {"cause", names[code]}};
        for (auto const& [name, text] : {std::pair{"file", &p.file},
                                         {"what", &p.what},
                                         {"where", &p.where},
                                         {"expected", &p.expected},
                                         {"got", &p.got},
                                         {"try", &p.hint}})
            if (!text->empty()) e[name] = *text;
        print(nlohmann::json{{"error", e}});
    }
    return code;
}

void print(nlohmann::json const& j) { print(json_text(j)); }
void print(std::string const& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
}
void warn(std::string const& text) { std::fprintf(stderr, "warning: %s\n", printable(text, 2000).c_str()); }

namespace {

struct verb {
    char const* name;
    int (*run)(arguments const&);
    char const* about;
};
constexpr verb verbs[] = {
    {"finetune", finetune, "trains a LoRA adapter on a data file"},
    {"generate", generate, "answers a prompt, with or without an adapter"},
    {"eval", eval, "the mean loss and the perplexity on a data file"},
    {"plan", plan, "the bytes of a training step, without running one"},
    {"inspect", inspect, "what a model, an adapter or a checkpoint holds"},
    {"tokenize", tokenize, "text to token ids"},
    {"detokenize", detokenize, "token ids to text"},
    {"quantize", quantize, "a copy of a model in another weight format"},
    {"merge", merge, "a copy of a model with adapters merged into its weights"},
    {"convert", convert, "an adapter in another format: PEFT's directory, llama.cpp's GGUF"},
};
constexpr char const* later[] = {"chat"};

void help() {
    std::printf("graft %s: fine-tunes language models where memory is scarce\n\nUsage: graft VERB [OPTIONS]\n\n",
                GRAFT_VERSION);
    for (auto const& v : verbs) std::printf("  %-12s %s\n", v.name, v.about);
    std::printf(
        "\n`graft VERB --help` lists a verb's options, with examples.\n"
        "Exit codes: 0 done, 1 a bug, 2 usage, 3 bad input file, 4 files that do not belong together, 5 memory,\n"
        "6 input/output, 7 training diverged, 130 and 143 stopped by a signal (finetune: after the running\n"
        "step, with a valid checkpoint; a second signal stops at once, with the last one saved).\n");
}

int run(arguments const& all, bool json) {
    if (all.empty()) return help(), static_cast<int>(cause::usage);
    std::string const& first = all[0];
    if (first == "--help" || first == "-h" || first == "help") return help(), 0;
    if (first == "--version") return std::printf("graft %s (%s)\n", GRAFT_VERSION, GRAFT_ARCHITECTURE), 0;
    for (auto const& v : verbs)
        if (first == v.name) return v.run({all.begin() + 1, all.end()});
    std::vector<std::string> names;
    for (auto const& v : verbs) names.emplace_back(v.name);
    problem p{cause::usage,         {}, "unknown verb '" + printable(first) + "'", {}, listed(names), {},
              nearest(first, names)};
    if (std::find(std::begin(later), std::end(later), first) != std::end(later))
        p.what = "the verb '" + first + "' comes with a later version", p.hint.clear();
    return refuse(p, json);
}

}  // namespace

/// What should not have happened, as a problem of exit code 1.
problem bug(std::string what, std::string expected, std::string got, std::string where) {
    return {static_cast<cause>(1), {}, "a bug in graft: " + std::move(what), std::move(where), std::move(expected),
            std::move(got),        {}};
}

}  // namespace tool

int main(int argc, char** argv) {
    tool::prepare_signals();
    tool::arguments const all(argv + std::min(argc, 1), argv + argc);
    bool const json = tool::wants_json(all);
    int code = 1;
    try {
        code = tool::run(all, json);
    } catch (std::bad_alloc const&) {
        code =
            tool::refuse({graft::cause::memory, {}, "out of memory", {}, {}, {}, "a smaller model or --seq-len"}, json);
    } catch (graft::failure const& f) {
        auto const& d = f.details;
        code = tool::refuse(tool::bug(d.what, std::to_string(d.wanted), std::to_string(d.given),
                                      d.file + (":" + std::to_string(d.line))),
                            json);
    } catch (std::exception const& e) {
        code = tool::refuse(tool::bug(e.what(), {}, {}, {}), json);
    }
    if (std::fflush(stdout) != 0 && code == 0) {
        std::fprintf(stderr, "error: standard output cannot be written\n");
        code = static_cast<int>(graft::cause::io);
    }
    return code;
}
