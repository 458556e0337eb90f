// SPDX-License-Identifier: Apache-2.0
// Reads a regular expression of Python's into the steps of a machine of states.       (layer 16: io)
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

namespace detail {

/// One step of a compiled pattern. Jumps are relative, so that a piece of code can be repeated as it is.
struct pattern_step {
    enum kind : unsigned char { one, either, go, start, end, last_end, edge, no_edge, ahead, not_ahead, found };
    kind is = found;
    std::int32_t a = 0, b = 0;      // either: both ways on; go: the way on; ahead: steps of what must follow
    std::bitset<256> characters{};  // one
};
using pattern_code = std::vector<pattern_step>;

/// Reads a pattern and writes its code. What a pattern matches is a matter of yes or no here, so that groups need no
/// numbers and lazy repeats are repeats. The first problem is kept in `wrong`.
class pattern_reader {
public:
    static constexpr std::size_t longest = 1000, most_steps = 4000;

    explicit pattern_reader(std::string_view pattern) : text(pattern) {}
    pattern_code read() {
        for (char const c : text)
            if (static_cast<unsigned char>(c) >= 128) fail("a pattern of ASCII characters, as names of modules are");
        if (text.size() > longest) fail("at most " + std::to_string(longest) + " characters");
        pattern_code code;
        if (wrong.empty()) code = alternatives(0, false);
        if (wrong.empty() && at < text.size()) fail("no ')' without its '('");
        code.push_back({});
        return code;
    }
    std::string wrong;

private:
    using kind = pattern_step::kind;
    using characters = std::bitset<256>;

    void fail(std::string what) {
        if (wrong.empty()) wrong = std::move(what);
        at = text.size();
    }
    bool more() const { return at < text.size(); }
    bool next(char c) { return more() && text[at] == c ? ++at, true : false; }
    bool next(std::string_view s) { return text.substr(at).starts_with(s) ? at += s.size(), true : false; }

    static pattern_code single(kind k) { return {pattern_step{k}}; }
    static pattern_code single(characters const& set) { return {pattern_step{kind::one, 0, 0, set}}; }
    void append(pattern_code& to, pattern_code const& more_code) {
        if (to.size() + more_code.size() > most_steps)
            return fail("a pattern of at most " + std::to_string(most_steps) + " steps, repeats written out");
        to.insert(to.end(), more_code.begin(), more_code.end());
    }
    static pattern_step jump(kind k, std::ptrdiff_t a, std::ptrdiff_t b = 0) {
        return {k, static_cast<std::int32_t>(a), static_cast<std::int32_t>(b)};
    }

    pattern_code alternatives(int depth, bool looks_ahead) {
        if (depth > 50) return fail("at most 50 groups inside each other"), pattern_code{};
        pattern_code code = sequence(depth, looks_ahead);
        while (wrong.empty() && next('|')) {
            pattern_code const other = sequence(depth, looks_ahead);
            auto const size = std::ssize(code);
            code.insert(code.begin(), jump(kind::either, 1, size + 2));
            code.push_back(jump(kind::go, std::ssize(other) + 1));
            append(code, other);
        }
        return code;
    }

    pattern_code sequence(int depth, bool looks_ahead) {
        pattern_code code;
        while (wrong.empty() && more() && text[at] != '|' && text[at] != ')') {
            bool counts = true;  // an assertion of a place cannot be repeated
            pattern_code piece = atom(depth, looks_ahead, counts);
            repeat(piece, counts);
            append(code, piece);
        }
        return code;
    }

    /// The numbers of a repeat that stands here, most = -1 without a limit; false, and nothing read, where none does.
    bool quantifier(std::ptrdiff_t& least, std::ptrdiff_t& most) {
        if (next('*')) return least = 0, most = -1, true;
        if (next('+')) return least = 1, most = -1, true;
        if (next('?')) return least = 0, most = 1, true;
        std::size_t const before = at;
        if (!next('{') || (more() && text[at] == '}')) return at = before, false;
        auto const digit = [&] { return more() && text[at] >= '0' && text[at] <= '9'; };
        auto const number = [&]() -> std::ptrdiff_t {
            if (!digit()) return -1;
            std::ptrdiff_t n = 0;
            for (; digit(); ++at) n = std::min<std::ptrdiff_t>(10 * n + (text[at] - '0'), 100000);
            return n;
        };
        std::ptrdiff_t const low = number();
        bool const two = next(',');
        std::ptrdiff_t const high = two ? number() : low;
        if (!next('}')) return at = before, false;
        least = low < 0 ? 0 : low, most = high;
        return true;
    }
    void repeat(pattern_code& piece, bool counts) {
        std::ptrdiff_t least = 1, most = 1;
        if (!wrong.empty() || !quantifier(least, most)) return;
        if (!counts) return fail("something before a repeat");
        if (most >= 0 && most < least) return fail("a repeat whose second number is not below its first");
        if (!next('?') && more() && text[at] == '+') return fail("no possessive repeat");
        std::ptrdiff_t again = 0;
        if (quantifier(again, again)) return fail("one repeat of a thing, not several");
        pattern_code all;
        for (std::ptrdiff_t i = 0; i < least && wrong.empty(); ++i) append(all, piece);
        auto const size = std::ssize(piece);
        pattern_code optional{jump(kind::either, 1, size + 1)};
        optional.insert(optional.end(), piece.begin(), piece.end());
        if (most < 0) {
            optional[0].b = static_cast<std::int32_t>(size + 2);
            optional.push_back(jump(kind::go, -(size + 1)));
            append(all, optional);
        }
        for (std::ptrdiff_t i = least; i < most && wrong.empty(); ++i) append(all, optional);
        piece = std::move(all);
    }

    pattern_code atom(int depth, bool looks_ahead, bool& counts) {
        if (std::ptrdiff_t n = 0; quantifier(n, n)) return fail("something before a repeat"), pattern_code{};
        char const c = text[at++];
        characters set;
        switch (c) {
            case '(':
                return group(depth, looks_ahead);
            case '[':
                return single(characters_in_brackets());
            case '.':
                return single(set.set().reset('\n'));
            case '^':
                return counts = false, single(kind::start);
            case '$':
                return counts = false, single(kind::end);
            case '\\':
                break;
            default:
                return single(set.set(static_cast<unsigned char>(c)));
        }
        constexpr std::pair<char, kind> places[] = {
            {'A', kind::start}, {'Z', kind::last_end}, {'b', kind::edge}, {'B', kind::no_edge}};
        for (auto const& [letter, what] : places)
            if (next(letter)) return counts = false, single(what);
        bool is_class = false;
        return single(escaped(is_class));
    }

    pattern_code group(int depth, bool looks_ahead) {
        bool ahead = false, absent = false;
        if (next("?#")) {
            while (more() && text[at] != ')') ++at;
            if (!next(')')) fail("a ')' at the end of each comment");
            return {};
        }
        if (next("?P<")) {
            while (more() && text[at] != '>') ++at;
            if (!next('>')) fail("a '>' after the name of a group");
        } else if (next("?=") || (absent = next("?!"))) {
            ahead = true;
            if (looks_ahead) fail("no look ahead inside another");
        } else if (next('?') && !next(':')) {
            fail("groups (…), (?:…), (?P<name>…), (?=…) and (?!…) alone: no flags, no looking back, no conditions");
        }
        pattern_code code = alternatives(depth + 1, looks_ahead || ahead);
        if (!next(')')) fail("a ')' for each '('");
        if (!ahead) return code;
        code.push_back({});
        code.insert(code.begin(), jump(absent ? kind::not_ahead : kind::ahead, std::ssize(code)));
        return code;
    }

    /// What stands after a backslash, as characters. `is_class`: it is more than one.
    characters escaped(bool& is_class) {
        characters set;
        if (!more()) return fail("something after the last backslash"), set;
        char const c = text[at++];
        auto const fill = [&](auto&& belongs, bool inverted) {
            for (int i = 0; i < 256; ++i) set[static_cast<std::size_t>(i)] = belongs(i) != inverted;
            is_class = true;
            return set;
        };
        switch (c) {
            case 'd':
            case 'D':
                return fill([](int i) { return i >= '0' && i <= '9'; }, c == 'D');
            case 'w':
            case 'W':
                return fill(is_word, c == 'W');
            case 's':
            case 'S':
                return fill([](int i) { return i == ' ' || (i >= 9 && i <= 13) || (i >= 28 && i <= 31); }, c == 'S');
            case 'x': {
                int value = 0;
                for (int k = 0; k < 2; ++k) {
                    char const h = more() ? text[at++] : 'x';
                    int const digit = h >= '0' && h <= '9'   ? h - '0'
                                      : h >= 'a' && h <= 'f' ? h - 'a' + 10
                                      : h >= 'A' && h <= 'F' ? h - 'A' + 10
                                                             : -1;
                    if (digit < 0) return fail("two hexadecimal digits after \\x"), set;
                    value = 16 * value + digit;
                }
                return set.set(static_cast<std::size_t>(value));
            }
            default:
                break;
        }
        constexpr std::string_view letters = "abfnrtv", meant = "\a\b\f\n\r\t\v";
        if (auto const known = letters.find(c); known != letters.npos)
            return set.set(static_cast<unsigned char>(meant[known]));
        if (c >= '0' && c <= '9') return fail("no reference to a group, no octal number"), set;
        if (is_word(c) && c != '_') return fail(std::string("no \\") + c), set;
        return set.set(static_cast<unsigned char>(c));
    }

    characters characters_in_brackets() {
        characters set;
        bool const inverted = next('^');
        for (bool first = true;; first = false) {
            if (!more()) return fail("a ']' for each '['"), set;
            if (!first && next(']')) return inverted ? ~set : set;
            bool is_class = false;
            characters const low = character_in_brackets(is_class);
            bool const spans = text.substr(at).starts_with('-') && at + 1 < text.size() && text[at + 1] != ']';
            if (!spans) {
                set |= low;
                continue;
            }
            ++at;
            characters const high = character_in_brackets(is_class);
            if (is_class || !wrong.empty()) return fail("single characters at both ends of a range"), set;
            std::size_t from = 0, to = 0;
            while (!low[from]) ++from;
            while (!high[to]) ++to;
            if (from > to) return fail("a range whose second end is not below its first"), set;
            for (std::size_t i = from; i <= to; ++i) set.set(i);
        }
    }
    characters character_in_brackets(bool& is_class) {
        if (next('\\')) return escaped(is_class);
        return characters{}.set(static_cast<unsigned char>(text[at++]));
    }

    static bool is_word(int i) {
        return (i >= '0' && i <= '9') || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z') || i == '_';
    }

    std::string_view text;
    std::size_t at = 0;
};

}  // namespace detail

}  // namespace graft
