// SPDX-License-Identifier: Apache-2.0
// --adapter PATH[:WEIGHT], which may be given several times: what is added to the model.
#pragma once

#include "command.hpp"
#include "options.hpp"

#include <graft/io/combine.hpp>
#include <graft/io/file_calls.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// "out:0.7" as a path and a weight. A path that exists with a colon in its name is that path. Returns what was
/// expected instead, or "".
inline std::string read_adapter_choice(std::string const& text, adapter_choice& to) {
    to = {text, 1};
    std::size_t const colon = text.rfind(':');
    if (text.empty()) return "PATH or PATH:WEIGHT";
    if (colon == text.npos || path_exists(text)) return "";
    std::string const path = text.substr(0, colon);
    double weight = 0;
    auto const [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), weight);
    bool const number = error == std::errc{} && end == text.data() + text.size() && std::abs(weight) <= 1e6;
    if (number && !path.empty()) return to = {path, weight}, "";
    return path_exists(path) ? "PATH or PATH:WEIGHT, a number from -1000000 to 1000000 behind the colon" : "";
}

/// The adapters of a verb, added up by their weights.
class adapter_list {
public:
    std::vector<adapter_choice> choices;

    option& declare(options& o) {
        return o
            .custom(
                "adapter", "PATH[:WEIGHT]",
                "a PEFT directory or a GGUF adapter, weight 1 unless given; several are added up",
                [this](std::string const& v) {
                    for (std::size_t at = 0; at <= v.size();) {
                        std::size_t const end = std::min(v.find(separator, at), v.size());
                        choices.emplace_back();
                        auto expected = read_adapter_choice(v.substr(at, end - at), choices.back());
                        if (!expected.empty()) return expected;
                        at = end + 1;
                    }
                    return std::string();
                },
                [this] {
                    auto all = nlohmann::json::array();
                    for (auto const& c : choices) all.push_back({{"path", c.path}, {"weight", c.weight}});
                    return choices.empty() ? nlohmann::json() : all;
                })
            .also({"lora", "adapter-path", "lora-scaled"});
    }

    /// The arguments with all --adapter in the place of the first, as options take each but once.
    static arguments gather(arguments const& all) {
        arguments out;
        std::size_t first = 0;  // where the first stands in `out`, and 1
        for (std::size_t i = 0; i < all.size(); ++i) {
            std::string name = all[i].substr(0, all[i].find('='));
            std::replace(name.begin(), name.end(), '_', '-');
            bool const inside = name.size() < all[i].size(), is_adapter = name == "--adapter" || name == "--lora" ||
                                                                          name == "--adapter-path" ||
                                                                          name == "--lora-scaled";
            if (all[i] == "--") {
                out.insert(out.end(), all.begin() + static_cast<std::ptrdiff_t>(i), all.end());
                break;
            }
            bool const has_value = inside || (i + 1 < all.size() && !all[i + 1].starts_with("--"));
            if (!is_adapter || !has_value) {
                out.push_back(all[i]);
                continue;
            }
            std::string const value = inside ? all[i].substr(name.size() + 1) : all[++i];
            if (first > 0) {
                out[first - 1] += separator + value;
            } else {
                out.push_back("--adapter=" + value);
                first = out.size();
            }
        }
        return out;
    }

private:
    static constexpr char separator = '\x1f';
};

}  // namespace tool
