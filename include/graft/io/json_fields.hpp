// SPDX-License-Identifier: Apache-2.0
// Typed access to the fields of a JSON object from a file.                               (layer 16: io)
#pragma once

#include <graft/base/result.hpp>
#include <graft/io/escape.hpp>
#include <graft/text/json.hpp>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace graft {

/// The fields of one object, each read with the type it must have. `null` counts as absent.
class json_fields {
public:
    /// `within` names the object where it is not the whole file: "rope_scaling.".
    json_fields(nlohmann::json const& object, std::string file_name, std::string within = {})
        : from(object), file(std::move(file_name)), prefix(std::move(within)) {}

    nlohmann::json const* find(std::string const& key) const {
        auto const at = from.find(key);
        return at == from.end() || at->is_null() ? nullptr : &*at;
    }

    result<std::uint64_t> count(std::string const& key, std::optional<std::uint64_t> otherwise = {}) const {
        auto const* const v = find(key);
        if (!v) return absent(key, otherwise);
        if (!v->is_number_unsigned()) return wrong(key, "a whole number of at least 0", *v);
        return v->get<std::uint64_t>();
    }

    result<double> number(std::string const& key, std::optional<double> otherwise = {}) const {
        auto const* const v = find(key);
        if (!v) return absent(key, otherwise);
        if (!v->is_number()) return wrong(key, "a number", *v);
        return v->get<double>();
    }

    result<bool> flag(std::string const& key, std::optional<bool> otherwise = {}) const {
        auto const* const v = find(key);
        if (!v) return absent(key, otherwise);
        if (!v->is_boolean()) return wrong(key, "true or false", *v);
        return v->get<bool>();
    }

    result<std::string> text(std::string const& key, std::optional<std::string> otherwise = {}) const {
        auto const* const v = find(key);
        if (!v) return absent(key, otherwise);
        if (!v->is_string()) return wrong(key, "a string", *v);
        return v->get<std::string>();
    }

    result<std::vector<std::string>> texts(std::string const& key) const {
        auto const* const v = find(key);
        if (!v) return absent(key, std::optional<std::vector<std::string>>{});
        if (!v->is_array()) return wrong(key, "an array of strings", *v);
        std::vector<std::string> all;
        for (auto const& item : *v) {
            if (!item.is_string()) return wrong(key, "an array of strings", item);
            all.push_back(item.get<std::string>());
        }
        return all;
    }

    /// The problem of a field whose value cannot be used.
    problem wrong(std::string const& key, std::string expected, nlohmann::json const& got, std::string hint = {}) const {
        std::string const shown = got.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        return {cause::bad_file, file, "a value cannot be used", where(key), std::move(expected), escaped(shown), std::move(hint)};
    }

    std::string where(std::string const& key) const { return "key " + quoted(prefix + key); }

private:
    template <class T>
    result<T> absent(std::string const& key, std::optional<T> otherwise) const {
        if (otherwise) return *std::move(otherwise);
        return problem{cause::bad_file, file, "a required key is missing", where(key), {}, {}, {}};
    }

    nlohmann::json const& from;
    std::string file, prefix;
};

/// `file` parsed as one JSON object.
inline result<nlohmann::json> parse_json_object(std::string_view text, std::string const& file) {
    auto parsed = parse_json(text, file);
    if (parsed && !parsed->is_object()) return problem{cause::bad_file, file, "is not a JSON object", {}, "{…}", parsed->type_name(), {}};
    return parsed;
}

}  // namespace graft
