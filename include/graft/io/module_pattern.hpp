// SPDX-License-Identifier: Apache-2.0
// Patterns over module names, as PEFT's configurations hold them.                        (layer 16: io)
#pragma once

#include <graft/base/result.hpp>
#include <graft/io/in_quotes.hpp>
#include <graft/io/pattern_code.hpp>

namespace graft {

/// A regular expression of Python's `re`, as far as it says yes or no: all of it but flags, references to groups,
/// looking back, and possessive repeats. It runs as a set of states: text × steps of time, whatever the pattern.
class module_pattern {
public:
    /// A problem (without a file) where the pattern is none, or uses what is not understood.
    static result<module_pattern> make(std::string_view pattern) {
        detail::pattern_reader reader(pattern);
        module_pattern made;
        made.code = reader.read();
        if (!reader.wrong.empty())
            return problem{cause::bad_file, {}, "a pattern cannot be used", {}, reader.wrong, in_quotes(pattern), {}};
        return made;
    }
    /// What PEFT makes of a key of rank_pattern or alpha_pattern.
    static result<module_pattern> of_key(std::string_view key) { return make("(.*\\.)?(" + std::string(key) + ")$"); }

    /// Python's re.match: the pattern holds from the first character on.
    bool begins(std::string_view text) const { return runs(0, text, 0, false); }
    /// Python's re.fullmatch: and up to the last.
    bool covers(std::string_view text) const { return runs(0, text, 0, true); }

private:
    using step = detail::pattern_step;

    /// Whether the code from `first` on matches the text from `from` on.
    bool runs(std::size_t first, std::string_view text, std::size_t from, bool whole) const {
        std::vector<std::size_t> now, next, met(code.size(), 0), waiting;
        bool found = false;
        auto const enter = [&](std::vector<std::size_t>& states, std::size_t start, std::size_t at) {
            waiting.assign(1, start);
            while (!waiting.empty()) {
                std::size_t const i = waiting.back();
                waiting.pop_back();
                if (met[i] == at + 1) continue;
                met[i] = at + 1;
                step const& s = code[i];
                auto const on = [&](std::ptrdiff_t by) {
                    waiting.push_back(static_cast<std::size_t>(static_cast<std::ptrdiff_t>(i) + by));
                };
                if (s.is == step::one)
                    states.push_back(i);
                else if (s.is == step::found)
                    found = found || !whole || at == text.size();
                else if (s.is == step::either)
                    on(s.b), on(s.a);
                else if (s.is == step::go)
                    on(s.a);
                else if (s.is == step::ahead || s.is == step::not_ahead) {
                    if (runs(i + 1, text, at, false) == (s.is == step::ahead)) on(s.a + 1);
                } else if (holds(s.is, text, at))
                    on(1);
            }
        };
        enter(now, first, from);
        for (std::size_t at = from; !found && at < text.size() && !now.empty(); ++at) {
            next.clear();
            for (std::size_t const i : now)
                if (code[i].characters[static_cast<unsigned char>(text[at])]) enter(next, i + 1, at + 1);
            now.swap(next);
        }
        return found;
    }

    /// Whether a place of the text is what an assertion says.
    static bool holds(step::kind what, std::string_view text, std::size_t at) {
        auto const word = [&](std::size_t i) {
            return i < text.size() && ((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'z') ||
                                       (text[i] >= 'A' && text[i] <= 'Z') || text[i] == '_');
        };
        bool const last = at == text.size(), edge = (at > 0 && word(at - 1)) != word(at);
        switch (what) {
            case step::start:
                return at == 0;
            case step::end:
                return last || (at + 1 == text.size() && text[at] == '\n');
            case step::last_end:
                return last;
            case step::edge:
                return edge;
            default:
                return !edge;
        }
    }

    detail::pattern_code code;
};

}  // namespace graft
