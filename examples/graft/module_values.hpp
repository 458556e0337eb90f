// SPDX-License-Identifier: Apache-2.0
// Numbers for modules whose names match patterns: what PEFT calls rank_pattern and alpha_pattern.
#pragma once

#include "options.hpp"

#include <graft/io/module_pattern.hpp>
#include <graft/io/opened_model.hpp>
#include <graft/text/json.hpp>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// {"PATTERN": number, ...}. A pattern matches a module's name, "model.layers.3.self_attn.q_proj", or its end after a
/// point; of several that match, the first one's number counts.
struct module_values {
    struct entry {
        std::string key;
        module_pattern names;
        double value;
    };
    double most;
    bool whole;  // numbers are whole
    std::vector<entry> entries{};

    /// An object's text, or @FILE. "", or what was expected instead.
    std::string read(std::string const& given) {
        std::string text = given;
        if (given.starts_with('@')) {
            auto const file = read_text(given.substr(1));
            if (!file) return "a file that can be read (" + describe(file.error()) + ")";
            text = *file;
        }
        auto const json = parse_json(text, {});
        if (!json) return "an object of JSON, or @FILE (" + describe(json.error()) + ")";
        if (!json->is_object() || json->empty()) return expected();
        entries.clear();
        auto const in_order = nlohmann::ordered_json::parse(text);
        for (auto const& [key, value] : in_order.items()) {
            if (!value.is_number() || (whole && !value.is_number_integer())) return expected();
            double const x = value.get<double>();
            if (!std::isfinite(x) || x <= 0 || x > most) return expected();
            auto names = module_pattern::of_key(key);
            if (!names) return "patterns (" + describe(names.error()) + ")";
            entries.push_back({key, std::move(*names), x});
        }
        return "";
    }

    /// The entry that decides about a module; null: none matches.
    entry const* of(std::string_view module) const {
        for (entry const& e : entries)
            if (e.names.begins(module)) return &e;
        return nullptr;
    }

    /// Its text, patterns in their order; null without any.
    nlohmann::json json() const {
        if (entries.empty()) return {};
        nlohmann::ordered_json all = nlohmann::ordered_json::object();
        for (entry const& e : entries) {
            if (whole)
                all[e.key] = static_cast<index_t>(e.value);
            else
                all[e.key] = e.value;
        }
        return all.dump();
    }

private:
    std::string expected() const {
        return "{\"PATTERN\": NUMBER, ...} or @FILE, with " +
               std::string(whole ? "whole numbers from 1 to " : "numbers above 0, up to ") +
               std::to_string(static_cast<index_t>(most));
    }
};

}  // namespace tool
