// SPDX-License-Identifier: Apache-2.0
// A file that is one JSON object.                                                        (layer 16: io)
#pragma once

#include <graft/io/byte_reader.hpp>
#include <graft/io/in_quotes.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/text/json.hpp>

namespace graft {

/// The text as one JSON object, or the problem with it.
inline result<nlohmann::json> parse_json_object(std::string_view text, std::string const& file) {
    auto parsed = parse_json(text, file);
    if (parsed && !parsed->is_object())
        return problem{cause::bad_file, file, "is not a JSON object", {}, "{…}", parsed->type_name(), {}};
    return parsed;
}

inline result<nlohmann::json> read_json_object(std::string const& path) {
    auto const file = mapped_file::open(path, file_access::read);
    if (!file) return file.error();
    return parse_json_object(as_text(file->bytes()), path);
}

/// The problem of a field whose value cannot be used.
inline problem bad_field(std::string const& file, std::string const& key, std::string expected,
                         nlohmann::json const& got, std::string hint = {}) {
    return {cause::bad_file,          file,
            "a value cannot be used", "key " + in_quotes(key),
            std::move(expected),      printable(json_text(got), 60),
            std::move(hint)};
}

/// object[key] where it is there and not null.
inline nlohmann::json const* find_field(nlohmann::json const& object, std::string const& key) {
    auto const at = object.find(key);
    return at == object.end() || at->is_null() ? nullptr : &*at;
}

}  // namespace graft
