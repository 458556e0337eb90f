// SPDX-License-Identifier: Apache-2.0
// From a prompt to an answer, on whatever gives the logits.                              (layer 16: io)
#pragma once

#include <graft/io/heap_arena.hpp>
#include <graft/io/opened_model.hpp>
#include <graft/train/fit.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/sampler.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

/// A `generator`, whatever its block.
class token_feed {
public:
    virtual ~token_feed() = default;
    virtual std::span<float> feed(std::span<int const> ids) = 0;
};

/// Makes feeds for so many rows of prompt and answer together.
class feed_source {
public:
    virtual ~feed_source() = default;
    virtual result<std::unique_ptr<token_feed>> feed(index_t context) = 0;
};

/// A generator in memory of its own.
template <class Block>
class block_feed final : public token_feed {
public:
    static result<std::unique_ptr<token_feed>> make(model<Block> const& m, index_t context, workers on,
                                                    adapter_settings const& a) {
        generation g;
        g.context = context, g.lanes = on.count;
        auto memory = heap_arena::make(generator<Block>::memory_bytes(m.config, g, a));
        if (!memory) return memory.error();
        return std::unique_ptr<token_feed>(new block_feed(m, g, std::move(*memory), on, a));
    }
    std::span<float> feed(std::span<int const> ids) override { return next.feed(ids); }

private:
    block_feed(model<Block> const& m, generation const& g, heap_arena own, workers on,
               adapter_settings const& a)
        : memory(std::move(own)), next(m, g, memory.bytes(), on, a) {}
    heap_arena memory;
    generator<Block> next;
};

struct answer_settings {
    index_t max_tokens = 256;
    sampler draw{};         // which token comes next; else the likeliest
    std::string system{};   // the system turn; else the model's own
    bool raw = false;       // the prompt is continued as it stands, without turns
};

/// A piece of an answer: `text` may be empty, while a character is not whole. The first has no tokens and no text: the
/// prompt has been read.
struct answer_piece {
    index_t tokens = 0;  // of the answer so far
    std::string_view text;
};

/// Why an answer ended: a token that ends the turn, the length, or a callback.
enum class answer_end : unsigned char { stop, length, told };

struct answer {
    std::string text;
    std::vector<int> ids;
    index_t prompt_tokens = 0;
    answer_end end = answer_end::length;
};

/// The ids that an answer continues.
inline result<std::vector<int>> prompt_ids(opened_model const& m, std::string_view prompt, answer_settings const& s) {
    if (prompt.empty()) return problem{cause::usage, {}, "the prompt is empty", {}, "a text", {}, {}};
    std::vector<int> ids;
    if (s.raw) {
        if (m.words.add_bos() && m.words.bos() >= 0) ids.push_back(m.words.bos());
        m.words.encode(prompt, specials::on, ids);
        return ids;
    }
    std::vector<chat_message> chat;
    if (!s.system.empty()) chat.push_back({"system", s.system});
    chat.push_back({"user", std::string(prompt)});
    auto rendered = m.chat.render(m.words, chat, true);
    if (!rendered) return rendered.error();
    return std::move(rendered->ids);
}

/// Answers. Callbacks take an `answer_piece const&`, as it comes, and return nothing or a verdict.
template <class... Callback>
result<answer> answer_to(std::string_view prompt, opened_model const& m, feed_source& source, answer_settings const& s,
                         Callback&&... callbacks) {
    constexpr bool take_pieces = (detail::hears<std::remove_reference_t<Callback>, answer_piece> && ...);
    static_assert(take_pieces, "a callback of generate takes answer_piece const&");
    constexpr bool answer_verdicts = (detail::answers<std::remove_reference_t<Callback>, answer_piece>() && ...);
    static_assert(answer_verdicts, "a callback of generate returns nothing, or a graft::verdict");

    auto const ids = prompt_ids(m, prompt, s);
    if (!ids) return ids.error();
    answer a;
    a.prompt_tokens = static_cast<index_t>(ids->size());
    index_t const room = m.file.config.context - a.prompt_tokens;
    if (room < 1 || ids->empty())
        return problem{cause::usage,
                       {},
                       room < 1 ? "the prompt is longer than the model's context" : "the prompt has no tokens",
                       {},
                       "at most " + std::to_string(m.file.config.context - 1) + " tokens",
                       std::to_string(a.prompt_tokens),
                       {}};
    index_t const most = std::min(std::max<index_t>(s.max_tokens, 0), room);
    auto const next = source.feed(a.prompt_tokens + most);
    if (!next) return next.error();
    auto logits = (*next)->feed(*ids);
    text_stream stream(m.words);
    auto const tell = [&](std::string const& piece) {
        a.text += piece;
        return detail::tell(answer_piece{static_cast<index_t>(a.ids.size()), piece}, callbacks...);
    };
    if (!tell({})) a.end = answer_end::told;
    while (a.end != answer_end::told && static_cast<index_t>(a.ids.size()) < most) {
        int const id =
            s.draw(logits.first(static_cast<std::size_t>(m.words.size())), static_cast<index_t>(a.ids.size()));
        if (m.chat.stops(id) || id == m.words.eos()) {
            a.end = answer_end::stop;
            break;
        }
        a.ids.push_back(id);
        if (!tell(stream.push(id))) a.end = answer_end::told;
        if (a.end != answer_end::told && static_cast<index_t>(a.ids.size()) < most) logits = (*next)->feed({&id, 1});
    }
    if (std::string const rest = stream.finish(); !rest.empty()) tell(rest);
    return a;
}

}  // namespace graft
