// SPDX-License-Identifier: Apache-2.0
// Strict JSON from outside: bounded depth, no duplicate keys, errors with line and column. (layer 15: text)
#pragma once

#include <graft/base/result.hpp>
#include <graft/text/utf8.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace graft {

/// Objects and arrays may nest this deep in what comes from outside.
inline constexpr std::size_t json_depth = 64;

namespace detail {

/// "line 3:17" of a byte in a text whose first line has the number `first_line`; columns count bytes from 1.
inline std::string line_column(std::string_view text, std::size_t at, index_t first_line) {
    index_t line = first_line, column = 1;
    for (char const c : text.substr(0, at)) {
        if (c == '\n') {
            ++line;
            column = 1;
        } else {
            ++column;
        }
    }
    return "line " + std::to_string(line) + ":" + std::to_string(column);
}

/// Bytes of a text that count how many of them the parser has taken (its callbacks are not told).
struct counting_iterator {
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = char const*;
    using reference = char const&;

    char const* at;
    std::size_t* taken;
    char const& operator*() const { return *at; }
    counting_iterator& operator++() { return ++at, ++*taken, *this; }
    counting_iterator operator++(int) {
        counting_iterator const before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(counting_iterator const& a, counting_iterator const& b) { return a.at == b.at; }
    friend bool operator!=(counting_iterator const& a, counting_iterator const& b) { return a.at != b.at; }
};

/// Builds the value and refuses what nlohmann would accept: duplicate keys, depth. Nothing here throws.
class strict_json {
public:
    using json = nlohmann::json;
    json root;
    std::string what, expected, got;  // the first problem
    std::size_t where = 0;            // bytes taken when it was met
    bool at_key = false;              // the problem is a key that ends there

    explicit strict_json(std::size_t const* counter) : taken(counter) {}

    bool null() { return put(nullptr); }
    bool boolean(bool x) { return put(x); }
    bool number_integer(json::number_integer_t x) { return put(x); }
    bool number_unsigned(json::number_unsigned_t x) { return put(x); }
    bool number_float(json::number_float_t x, json::string_t const&) { return put(x); }
    bool string(json::string_t& x) { return put(std::move(x)); }
    bool binary(json::binary_t&) { return stop("not JSON", "", ""); }
    bool start_object(std::size_t) { return open(json::object()); }
    bool start_array(std::size_t) { return open(json::array()); }
    bool end_object() { return parents.pop_back(), true; }
    bool end_array() { return parents.pop_back(), true; }
    bool key(json::string_t& name) {
        auto const [place, fresh] = parents.back()->get_ref<json::object_t&>().emplace(name, nullptr);
        if (!fresh) {
            at_key = true;
            return stop("the key is there twice", "each key once", "'" + printable(name) + "'");
        }
        member = &place->second;
        return true;
    }
    bool parse_error(std::size_t position, std::string const& token, json::exception const& error) {
        // "[…] parse error at line 1, column 2: syntax error while parsing value - WHAT; last read: …; expected …"
        std::string text = error.what();
        auto const after = [&](char const* mark) {
            auto const found = text.find(mark);
            std::string tail = found == std::string::npos ? "" : text.substr(found + std::string_view(mark).size());
            if (found != std::string::npos) text.resize(found);
            return tail;
        };
        std::string const wanted = after("; expected ");
        after("; last read: ");
        std::string const reason = after(" - ");
        stop("not valid JSON", printable(wanted), "'" + printable(token, 40) + "'");
        what += ": " + (reason.empty() ? std::string("a number out of range") : printable(reason));
        where = position;
        return false;
    }

private:
    bool stop(char const* problem, std::string wanted, std::string given) {
        what = problem;
        expected = std::move(wanted);
        got = std::move(given);
        where = *taken;
        return false;
    }
    template <class T>
    json* place(T&& x) {
        if (parents.empty()) return root = std::forward<T>(x), &root;
        if (parents.back()->is_array()) {
            auto& items = parents.back()->get_ref<json::array_t&>();
            return items.emplace_back(std::forward<T>(x)), &items.back();
        }
        return *member = std::forward<T>(x), member;
    }
    template <class T>
    bool put(T&& x) {
        return place(std::forward<T>(x)), true;
    }
    bool open(json value) {
        if (parents.size() == json_depth)
            return stop("nested too deep", "at most " + std::to_string(json_depth) + " levels", "more");
        parents.push_back(place(std::move(value)));
        return true;
    }

    std::size_t const* taken;
    std::vector<json*> parents;
    json* member = nullptr;
};

}  // namespace detail

/// The value a JSON text says. `first_line` is the number of its first line, for files of which it is a part.
inline result<nlohmann::json> parse_json(std::string_view text, std::string const& file, index_t first_line = 1) {
    auto const wrong = [&](std::string what, std::size_t at, std::string expected, std::string got) {
        return problem{.file = file,
                       .what = std::move(what),
                       .where = detail::line_column(text, at, first_line),
                       .expected = std::move(expected),
                       .got = std::move(got),
                       .hint = {}};
    };
    if (auto const nul = text.find('\0'); nul != std::string_view::npos)  // nlohmann would take it for the end
        return wrong("not valid JSON", nul, "text", "a zero byte");
    if (text.empty()) return wrong("not valid JSON", 0, "a value", "nothing");
    std::size_t taken = 0;
    detail::strict_json builder(&taken);
    detail::counting_iterator const first{text.data(), &taken}, last{text.data() + text.size(), &taken};
    if (nlohmann::json::sax_parse(first, last, &builder, nlohmann::json::input_format_t::json, true))
        return std::move(builder.root);
    std::size_t at = builder.where == 0 ? 0 : builder.where - 1;
    if (builder.at_key)  // back to the quote that opens it: the one with an even number of backslashes before
        for (bool opens = false; at > 0 && !opens;) {
            --at;
            std::size_t slashes = 0;
            while (slashes < at && text[at - 1 - slashes] == '\\') ++slashes;
            opens = text[at] == '"' && slashes % 2 == 0;
        }
    return wrong(builder.what, at, builder.expected, builder.got);
}

/// Text of a value; never throws (strings that are not UTF-8 are repaired). indent < 0: on one line.
inline std::string json_text(nlohmann::json const& value, int indent = -1) {
    return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

namespace detail {

template <class T>
struct json_kind;
template <>
struct json_kind<bool> {
    static constexpr char const* name = "true or false";
    static bool fits(nlohmann::json const& x) { return x.is_boolean(); }
    static bool get(nlohmann::json const& x) { return *x.get_ptr<bool const*>(); }
};
template <>
struct json_kind<std::string> {
    static constexpr char const* name = "a string";
    static bool fits(nlohmann::json const& x) { return x.is_string(); }
    static std::string get(nlohmann::json const& x) { return *x.get_ptr<std::string const*>(); }
};
template <class T>
requires std::is_integral_v<T>
struct json_kind<T> {
    static constexpr char const* name = "an integer in range";
    static bool fits(nlohmann::json const& x) {
        if (auto const* u = x.get_ptr<std::uint64_t const*>()) return std::in_range<T>(*u);
        auto const* i = x.get_ptr<std::int64_t const*>();
        return i != nullptr && std::in_range<T>(*i);
    }
    static T get(nlohmann::json const& x) {
        if (auto const* u = x.get_ptr<std::uint64_t const*>()) return static_cast<T>(*u);
        return static_cast<T>(*x.get_ptr<std::int64_t const*>());
    }
};
template <class T>
requires std::is_floating_point_v<T>
struct json_kind<T> {
    static constexpr char const* name = "a number";
    static bool fits(nlohmann::json const& x) { return x.is_number(); }
    static T get(nlohmann::json const& x) { return x.get<T>(); }
};
template <class T>
struct json_kind<std::vector<T>> {
    static constexpr char const* name = "a list of one type of values";
    static bool fits(nlohmann::json const& x) {
        if (!x.is_array()) return false;
        for (auto const& item : x)
            if (!json_kind<T>::fits(item)) return false;
        return true;
    }
    static std::vector<T> get(nlohmann::json const& x) {
        std::vector<T> all;
        all.reserve(x.size());
        for (auto const& item : x) all.push_back(json_kind<T>::get(item));
        return all;
    }
};

inline problem wrong_value(nlohmann::json const* value, std::string const& key, char const* expected,
                           std::string const& file) {
    return {.file = file,
            .what = value ? "a value of the wrong type" : "a key is missing",
            .where = "key '" + printable(key) + "'",
            .expected = expected,
            .got = value ? printable(json_text(*value), 60) : "nothing",
            .hint = {}};
}

inline nlohmann::json const* member(nlohmann::json const& object, std::string const& key) {
    if (!object.is_object()) return nullptr;
    auto const at = object.find(key);
    return at == object.end() ? nullptr : &*at;
}

}  // namespace detail

/// object[key] as a T: bool, std::string, an integer (range checked; 2.0 is none), float, double, or a vector of those.
template <class T>
result<T> json_get(nlohmann::json const& object, std::string const& key, std::string const& file) {
    auto const* value = detail::member(object, key);
    if (value && detail::json_kind<T>::fits(*value)) return detail::json_kind<T>::get(*value);
    return detail::wrong_value(value, key, detail::json_kind<T>::name, file);
}

/// The same, or `otherwise` where the key is absent or null.
template <class T>
result<T> json_get_or(nlohmann::json const& object, std::string const& key, std::type_identity_t<T> otherwise,
                      std::string const& file) {
    auto const* value = detail::member(object, key);
    if (value == nullptr || value->is_null()) return T(std::move(otherwise));
    return json_get<T>(object, key, file);
}

/// object[key], which must be an object; it lives as long as `object`.
inline result<nlohmann::json const*> json_object(nlohmann::json const& object, std::string const& key,
                                                 std::string const& file) {
    auto const* value = detail::member(object, key);
    if (value && value->is_object()) return value;
    return detail::wrong_value(value, key, "an object", file);
}

/// object[key], which must be a list; it lives as long as `object`.
inline result<nlohmann::json const*> json_array(nlohmann::json const& object, std::string const& key,
                                                std::string const& file) {
    auto const* value = detail::member(object, key);
    if (value && value->is_array()) return value;
    return detail::wrong_value(value, key, "a list", file);
}

}  // namespace graft
