// SPDX-License-Identifier: Apache-2.0
// Chats as token ids, with the spans a model is trained to say.                          (layer 15: text)
#pragma once

#include <graft/base/result.hpp>
#include <graft/text/chat_template.hpp>
#include <graft/text/tokenizer.hpp>
#include <graft/text/unicode.hpp>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

/// One message of a chat; role: system, user or assistant.
struct chat_message {
    std::string role, content;
};

/// ids[first, last) is what one turn says: an assistant's with the token that ends its turn, another's without.
struct chat_turn {
    std::string role;
    index_t first, last;
};

/// A rendered chat. target[i] is 1 where the model is to learn ids[i]: what assistants say, and that they stop.
struct chat_tokens {
    std::vector<int> ids;
    std::vector<unsigned char> target;
    std::vector<chat_turn> turns;
};

/// Writes chats the way the model was taught to read them. Control tokens are placed by id; the text of messages is
/// encoded with specials off, so that no data can end a turn.
///
/// An assistant's header and what it says are encoded apart, so that the ids of a prompt are a prefix of the ids of the
/// whole chat, whatever follows; a published template differs only for a reply that begins with white space.
/// The date of Llama-3.1 to 3.3 is the templates' own fallback (26 Jul 2024), never the clock: a run can be repeated.
/// `none` is for base models: everything but the assistant's text is prompt, and eos ends the assistant's text.
class chat_format {
public:
    /// name: chatml, llama3, none; "" recognises the model's own template. Without a template, "" is `none`.
    static result<chat_format> make(tokenizer const& tokens, std::string_view name = "", std::string const& file = "") {
        chat_style style;
        if (name.empty() && !tokens.data().chat_template.empty()) {
            auto const known = recognise_template(tokens.data().chat_template);
            if (!known)
                return problem{
                    .why = cause::usage,
                    .file = file,
                    .what =
                        "the model's chat template is not one this program knows (templates are compared, never run)",
                    .where = "key 'tokenizer.chat_template'",
                    .expected = "ChatML or Llama-3",
                    .got = "'" + printable(tokens.data().chat_template, 60) + "'",
                    .hint = "--chat-format chatml, llama3 or none"};
            style = *known;
        } else if (name == "chatml" || name == "llama3") {
            auto const known = recognise_template(tokens.data().chat_template);
            auto const wanted = name == "chatml" ? chat_style::kind::chatml : chat_style::kind::llama3;
            if (known && known->family == wanted) {
                style = *known;  // with this model's own default system turn
            } else {
                bool const llama = wanted == chat_style::kind::llama3;
                style = {
                    .family = wanted, .default_system = {}, .begins_with_bos = llama, .trims = llama, .dated = false};
            }
        } else if (!name.empty() && name != "none") {
            return problem{.why = cause::usage,
                           .file = file,
                           .what = "unknown chat format",
                           .where = {},
                           .expected = "chatml, llama3 or none",
                           .got = "'" + printable(name) + "'",
                           .hint = {}};
        }
        return bind(tokens, std::move(style), file);
    }

    std::string_view name() const {
        return style.family == chat_style::kind::chatml   ? "chatml"
               : style.family == chat_style::kind::llama3 ? "llama3"
                                                          : "none";
    }
    bool plain() const { return style.family == chat_style::kind::none; }

    /// The token an assistant's turn ends with; -1 where a base model has no eos.
    int end_of_turn() const { return end; }

    /// Generation ends at this token.
    bool stops(int id) const { return id >= 0 && (id == end || id == end_of_text); }

    /// The system turn of a chat that brings none; "" = none.
    std::string const& default_system() const { return style.default_system; }

    /// The ids of a chat; `ask` adds the header after which the assistant speaks.
    result<chat_tokens> render(tokenizer const& tokens, std::span<chat_message const> chat, bool ask = false) const {
        chat_tokens out;
        for (auto const& m : chat)
            if (m.role != "system" && m.role != "user" && m.role != "assistant")
                return problem{.file = {},
                               .what = "a message of an unknown role",
                               .where = {},
                               .expected = "system, user or assistant",
                               .got = "'" + printable(m.role) + "'",
                               .hint = {}};
        if (style.begins_with_bos || (plain() && tokens.add_bos())) add(out, tokens.bos());
        if (plain()) return render_plain(tokens, chat, std::move(out));
        bool const has_system = !chat.empty() && chat.front().role == "system";
        if (style.dated) {
            std::string const told = has_system ? said(chat.front()) : std::string();
            turn(tokens, out, "system", "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n" + told);
            if (has_system) chat = chat.subspan(1);
        } else if (!has_system && !style.default_system.empty()) {
            turn(tokens, out, "system", style.default_system);
        }
        for (auto const& m : chat) turn(tokens, out, m.role, said(m));
        if (ask) open(tokens, out, "assistant", "");
        return out;
    }

    /// Plain text of a base model: prompt, then completion and eos, of which the latter two are learnt.
    chat_tokens render(tokenizer const& tokens, std::string_view prompt, std::string_view completion) const {
        chat_tokens out;
        if (tokens.add_bos()) add(out, tokens.bos());
        say(tokens, out, "user", prompt);
        say(tokens, out, "assistant", completion);
        return out;
    }

private:
    static result<chat_format> bind(tokenizer const& tokens, chat_style style, std::string const& file) {
        chat_format f;
        f.style = std::move(style);
        f.end_of_text = tokens.eos();
        std::string missing;
        auto const need = [&](char const* spelling) {
            int const id = tokens.find(spelling);
            bool const there = id >= 0 && tokens.kind(id) != token_kind::normal;
            if (!there) missing += (missing.empty() ? "" : ", ") + std::string(spelling);
            return there ? id : -1;
        };
        if (f.style.family == chat_style::kind::chatml) {
            f.start = need("<|im_start|>");
            f.end = need("<|im_end|>");
        } else if (f.style.family == chat_style::kind::llama3) {
            f.start = need("<|start_header_id|>");
            f.header_end = need("<|end_header_id|>");
            f.end = need("<|eot_id|>");
        } else {
            f.end = tokens.eos();
        }
        if (f.style.begins_with_bos && tokens.bos() < 0)
            missing += (missing.empty() ? "" : ", ") + std::string("a begin-of-text token");
        if (!missing.empty())
            return problem{.why = cause::mismatch,
                           .file = file,
                           .what = "the vocabulary lacks control tokens of the chat format " + std::string(f.name()),
                           .where = {},
                           .expected = std::move(missing),
                           .got = "none",
                           .hint = "--chat-format none for a base model"};
        return f;
    }

    static void add(chat_tokens& out, int id, bool learnt = false) {
        if (id < 0) return;
        out.ids.push_back(id);
        out.target.push_back(learnt ? 1 : 0);
    }

    static void add_text(tokenizer const& tokens, chat_tokens& out, std::string_view text, bool learnt = false) {
        tokens.encode(text, specials::off, out.ids);
        out.target.resize(out.ids.size(), learnt ? 1 : 0);
    }

    /// The message as the template writes it.
    std::string said(chat_message const& m) const {
        std::string_view text = m.content;
        if (!style.trims) return m.content;
        auto const blank = [](char32_t c) {
            return is_white_space(c) || (c >= 0x1C && c <= 0x1F);
        };  // as Python's strip
        while (!text.empty()) {
            code_point const c = decode_utf8(text, 0);
            if (!c.valid || !blank(c.value)) break;
            text.remove_prefix(static_cast<std::size_t>(c.bytes));
        }
        while (!text.empty()) {
            std::size_t size = 1;
            while (size < 4 && size < text.size() &&
                   (static_cast<unsigned char>(text[text.size() - size]) & 0xC0U) == 0x80U)
                ++size;
            code_point const c = decode_utf8(text, static_cast<index_t>(text.size() - size));
            if (!c.valid || !blank(c.value)) break;
            text.remove_suffix(size);
        }
        return std::string(text);
    }

    /// A turn's header and `text`, encoded as one.
    void open(tokenizer const& tokens, chat_tokens& out, std::string const& role, std::string_view text) const {
        add(out, start);
        if (style.family == chat_style::kind::llama3) {
            add_text(tokens, out, role);
            add(out, header_end);
            add_text(tokens, out, "\n\n" + std::string(text));
        } else {
            add_text(tokens, out, role + "\n" + std::string(text));
        }
    }

    void turn(tokenizer const& tokens, chat_tokens& out, std::string const& role, std::string const& text) const {
        bool const learnt = role == "assistant";
        auto const here = [&] { return static_cast<index_t>(out.ids.size()); };
        chat_turn t{role, 0, 0};
        if (learnt) {
            open(tokens, out, role, "");
            t.first = here();
            add_text(tokens, out, text, true);
            add(out, end, true);
            t.last = here();
        } else {
            chat_tokens header;
            open(tokens, header, role, "");
            t.first = here() + static_cast<index_t>(header.ids.size());
            open(tokens, out, role, text);
            t.last = here();
            t.first = std::min(t.first, t.last);
            add(out, end);
        }
        out.turns.push_back(std::move(t));
        if (style.family == chat_style::kind::chatml) add_text(tokens, out, "\n");
    }

    void say(tokenizer const& tokens, chat_tokens& out, std::string const& role, std::string_view text) const {
        bool const learnt = role == "assistant";
        auto const first = static_cast<index_t>(out.ids.size());
        add_text(tokens, out, text, learnt);
        if (learnt) add(out, end, true);
        out.turns.push_back({role, first, static_cast<index_t>(out.ids.size())});
    }

    /// Each message but the assistant's ends its line.
    chat_tokens render_plain(tokenizer const& tokens, std::span<chat_message const> chat, chat_tokens out) const {
        for (auto const& m : chat) say(tokens, out, m.role, m.role == "assistant" ? m.content : m.content + "\n");
        return out;
    }

    chat_style style;
    int start = -1, header_end = -1, end = -1, end_of_text = -1;
};

}  // namespace graft
