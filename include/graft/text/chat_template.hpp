// SPDX-License-Identifier: Apache-2.0
// Recognises the chat templates this library renders. A template is a program: it is read, never run. (layer 15: text)
#pragma once

#include <graft/text/utf8.hpp>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace graft {

/// How a chat is written; `chat_format` writes it.
struct chat_style {
    enum class kind : unsigned char { none, chatml, llama3 };
    kind family = kind::none;
    std::string default_system;  // chatml: the system turn where the chat begins with none; "" = no such turn
    bool begins_with_bos = false;
    bool trims = false;  // white space around each message is dropped
    bool dated = false;  // llama3: the system turn begins with knowledge and today's date (Llama-3.1, 3.2, 3.3)
};

namespace detail {

/// The template without white space between its parts, and with one spelling for what can be written in several ways:
/// quotes are ', x.role is x['role'], dashes of white-space control are gone, a line break in a string is \n.
inline std::string canonical_template(std::string_view text) {
    std::string out;
    char quote = 0;
    bool code = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char const c = text[i];
        auto const next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (quote != 0) {
            if (c == quote) {
                quote = 0;
                out += '\'';
            } else if (c == '\n') {
                out += "\\n";
            } else {
                out += c;
            }
        } else if (code && (c == '\'' || c == '"')) {
            quote = c;
            out += '\'';
        } else if (c == '{' && next == '#') {
            auto const end = text.find("#}", i + 2);
            if (end == std::string_view::npos) break;
            i = end + 1;
        } else if (c == '{' && (next == '{' || next == '%')) {
            code = true;
            out += {c, next};
            ++i;
            if (i + 1 < text.size() && (text[i + 1] == '-' || text[i + 1] == '+')) ++i;
        } else if (auto const end = text.substr(i + (c == '-' ? 1 : 0), 2); code && (end == "}}" || end == "%}")) {
            code = false;
            out += end;
            i += c == '-' ? 2 : 1;
        } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            out += c;
        }
    }
    for (std::string const name : {"role", "content"})
        for (std::string const of : {"message", "messages[0]"}) {
            std::string const dotted = of + "." + name;
            for (auto at = out.find(dotted); at != std::string::npos; at = out.find(dotted, at))
                out.replace(at, dotted.size(), of + "['" + name + "']");
        }
    return out;
}

/// The system turn that a ChatML template writes itself: '<|im_start|>system\nTEXT<|im_end|>\n' in one string, or "".
/// Every system turn in it must be such a text (one and the same), the chat's own, or in the branch for tools; else
/// nothing is recognised.
inline std::optional<std::string> literal_system(std::string_view canonical) {
    constexpr std::string_view mark = "<|im_start|>system", begin = "'<|im_start|>system\\n", end = "<|im_end|>\\n'";
    bool const tools = canonical.find("{%iftools%}") != std::string_view::npos;
    std::string found;
    for (auto at = canonical.find(mark); at != std::string_view::npos; at = canonical.find(mark, at + 1)) {
        if (at == 0 || !canonical.substr(at - 1).starts_with(begin)) return std::nullopt;
        auto const rest = canonical.substr(at - 1 + begin.size());
        if (rest.starts_with("'+messages[0]['content']+'<|im_end|>") || (tools && rest.starts_with("'}}"))) continue;
        auto const quote = rest.find('\''), to = rest.find(end);
        if (quote == std::string_view::npos || to == std::string_view::npos || to + end.size() != quote + 1)
            return std::nullopt;
        auto const text = rest.substr(0, to);
        if (text.empty() || text.find('\\') != std::string_view::npos || (!found.empty() && found != text))
            return std::nullopt;
        found = text;
    }
    return found;
}

inline bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
    for (auto const word : words)
        if (text.find(word) != std::string_view::npos) return true;
    return false;
}

inline std::optional<chat_style> chatml_style(std::string_view t) {
    // Models that think aloud, cut their own past or name turns otherwise are not plain ChatML.
    if (has_any(t, {"think", "reasoning", "strip(", "split(", "replace(", "namespace(", "[INST]", "<|start_header_id|>",
                    "|trim"}))
        return std::nullopt;
    if (!has_any(t, {"'<|im_start|>'+message['role']+'\\n'+message['content']+'<|im_end|>'+'\\n'",
                     "'<|im_start|>'+message['role']+'\\n'+message['content']+'<|im_end|>\\n'"}))
        return std::nullopt;
    auto system = literal_system(t);
    if (!system) return std::nullopt;
    bool const asks = has_any(t, {"messages[0]['role']!='system'", "messages[0]['role']=='system'"});
    if (!system->empty() && !asks) return std::nullopt;
    chat_style style{.family = chat_style::kind::chatml, .default_system = std::move(*system)};
    auto const bos = t.find("bos_token");
    if (bos != std::string_view::npos && bos > t.find("<|im_start|>")) return std::nullopt;
    style.begins_with_bos = bos != std::string_view::npos;
    return style;
}

inline std::optional<chat_style> llama3_style(std::string_view t) {
    if (has_any(t, {"think", "reasoning", "strip(", "split(", "replace(", "[INST]", "<|im_start|>"}))
        return std::nullopt;
    constexpr std::string_view head =
        "'<|start_header_id|>'+message['role']+'<|end_header_id|>\\n\\n'+message['content']";
    auto const at = t.find(head);
    if (at == std::string_view::npos) return std::nullopt;
    auto const tail = t.substr(at + head.size());
    chat_style style{.family = chat_style::kind::llama3,
                     .default_system = {},
                     .begins_with_bos = has_any(t, {"bos_token", "'<|begin_of_text|>'"})};
    style.trims = tail.starts_with("|trim+'<|eot_id|>'");
    if (!style.trims && !tail.starts_with("+'<|eot_id|>'")) return std::nullopt;
    style.dated = t.find("'Cutting Knowledge Date: December 2023\\n'") != std::string_view::npos;
    if (!style.dated && has_any(t, {"Cutting Knowledge", "'<|start_header_id|>system"}))
        return std::nullopt;  // some other system turn
    return style;
}

}  // namespace detail

/// The style of a template text, if it is one of those known: ChatML (SmolLM2, Qwen2 and Qwen2.5 with their default
/// system turns, and plain) and Llama-3 (3.0, and 3.1 to 3.3 with the date), without tools.
inline std::optional<chat_style> recognise_template(std::string_view text) {
    if (text.size() > 65536) return std::nullopt;  // ten times the longest of these
    std::string const canonical = detail::canonical_template(text);
    if (auto style = detail::chatml_style(canonical)) return style;
    return detail::llama3_style(canonical);
}

}  // namespace graft
