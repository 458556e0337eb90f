// SPDX-License-Identifier: Apache-2.0
// graft tokenize, graft detokenize: text to a model's token ids, and back.
#include "options.hpp"
#include "session.hpp"

#include <graft/text/json.hpp>

#include <charconv>
#include <cstdio>

namespace tool {
namespace {

struct token_options {
    std::string model, file;
    std::vector<std::string> words;
    bool specials = false, json = false;

    options declare(bool back) {
        options o(back ? "detokenize" : "tokenize", back ? "Token ids to text." : "Text to token ids.",
                  back ? "Examples:\n"
                         "  graft detokenize --model m.gguf 9707 11 1879\n"
                         "  graft tokenize -m m.gguf 'Hello' | graft detokenize -m m.gguf"
                       : "Examples:\n"
                         "  graft tokenize --model m.gguf 'Hello, world'\n"
                         "  graft tokenize --model m.gguf --specials '<|im_start|>user' --json\n"
                         "  graft tokenize --model m.gguf --file book.txt");
        o.text("model", model, "PATH", "a GGUF file or a Hugging Face directory")
            .short_form("m")
            .required()
            .also({"model-path"});
        o.text("file", file, "FILE",
               back ? "a file of ids; else words, else stdin" : "a file of text; else words, else stdin")
            .short_form("f");
        if (!back) o.flag("specials", specials, "control tokens that the text spells out are control tokens");
        o.flag("json", json, back ? "an object with the text" : "an object with ids and the pieces they stand for");
        o.words(back ? "ID" : "TEXT", words, back ? 1 << 20 : 1, back ? "ids" : "the text");
        return o;
    }
};

/// The words of the command line, else the file, else stdin.
result<std::string> input(token_options const& o) {
    if (!o.words.empty() && !o.file.empty()) return usage("text and --file are given", "one of them", "both");
    if (!o.file.empty()) return read_text(o.file);
    std::string text;
    for (auto const& w : o.words) text += (text.empty() ? "" : " ") + w;
    if (!o.words.empty()) return text;
    return read_stdin();
}

result<tokenizer> open_tokenizer(std::string const& path) {
    auto file = open_model(path);
    if (!file) return file.error();
    return tokenizer::make(std::move(file->tokens), path);
}

result<int> to_ids(token_options const& o) {
    auto const words = open_tokenizer(o.model);
    if (!words) return words.error();
    auto const text = input(o);
    if (!text) return text.error();
    warn_of_lost_bytes(*words, *text, o.file.empty() ? "text" : o.file);
    auto const ids = words->encode(*text, o.specials ? specials::on : specials::off);
    if (o.json) {
        nlohmann::json pieces = nlohmann::json::array();
        for (int const id : ids) pieces.push_back(std::string(words->bytes(id)));
        print(nlohmann::json{{"ids", ids}, {"pieces", pieces}, {"count", ids.size()}});
        return 0;
    }
    std::string line;
    for (int const id : ids) line += (line.empty() ? "" : " ") + std::to_string(id);
    print(line);
    return 0;
}

result<int> to_text(token_options const& o) {
    auto const words = open_tokenizer(o.model);
    if (!words) return words.error();
    auto const text = input(o);
    if (!text) return text.error();
    std::vector<int> ids;
    for (std::size_t at = 0; at < text->size();) {
        std::size_t const end = std::min(text->find_first_of(" \t\r\n,", at), text->size());
        if (end > at) {
            int id = -1;
            auto const [stop, error] = std::from_chars(text->data() + at, text->data() + end, id);
            if (error != std::errc{} || stop != text->data() + end || id < 0 || id >= words->size())
                return usage("not a token id", "a whole number from 0 to " + std::to_string(words->size() - 1),
                             "'" + text->substr(at, std::min<std::size_t>(end - at, 40)) + "'");
            ids.push_back(id);
        }
        at = end + 1;
    }
    std::string const decoded = words->decode(ids);
    if (o.json)
        print(nlohmann::json{{"text", decoded}, {"count", ids.size()}});
    else
        print(decoded);
    return 0;
}

int run(arguments const& all, bool back, result<int> (*what)(token_options const&)) {
    token_options o;
    auto declared = o.declare(back);
    auto const parsed = declared.parse(all);
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    auto const done = what(o);
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace

int tokenize(arguments const& all) { return run(all, false, to_ids); }
int detokenize(arguments const& all) { return run(all, true, to_text); }

}  // namespace tool
