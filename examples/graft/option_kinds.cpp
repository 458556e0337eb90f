// SPDX-License-Identifier: Apache-2.0
// The kinds of values that options take, each exact about what it accepts.
#include "options.hpp"
#include "spelling.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tool {

namespace {

template <class N>
bool read_number(std::string const& text, N& to) {
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::string shortest(double x) {
    char room[32];
    return {room, std::to_chars(room, room + sizeof room, x).ptr};
}

}  // namespace

option& options::add(char const* name, char const* kind, char const* help) {
    all.push_back({});
    all.back().name = name, all.back().kind = kind, all.back().about = help;
    return all.back();
}

option& options::custom(char const* name, char const* kind, char const* help,
                        std::function<std::string(std::string const&)> set, std::function<nlohmann::json()> now) {
    option& o = add(name, kind, help);
    o.set = std::move(set), o.now = std::move(now);
    return o;
}

option& options::text(char const* name, std::string& to, char const* kind, char const* help) {
    return custom(
        name, kind, help,
        [&to](std::string const& v) -> std::string {
            if (v.empty()) return "some text";
            return to = v, "";
        },
        [&to] { return nlohmann::json(to); });
}

option& options::count(char const* name, index_t& to, index_t least, index_t most, char const* help) {
    return custom(
        name, "N", help,
        [&to, least, most](std::string const& v) -> std::string {
            index_t n = 0;
            if (!read_number(v, n) || n < least || n > most)
                return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
            return to = n, "";
        },
        [&to, least] { return to < least ? nlohmann::json() : nlohmann::json(to); });
}

option& options::seed(char const* name, std::uint64_t& to, char const* help) {
    return custom(
        name, "N", help,
        [&to](std::string const& v) -> std::string {
            std::uint64_t n = 0;
            if (!read_number(v, n)) return "a whole number from 0 to 18446744073709551615";
            return to = n, "";
        },
        [&to] { return nlohmann::json(to); });
}

option& options::number(char const* name, double& to, double least, double most, char const* help, bool above) {
    return custom(
        name, "X", help,
        [&to, least, most, above](std::string const& v) -> std::string {
            double x = 0;
            if (!read_number(v, x) || !std::isfinite(x) || x < least || x > most || (above && x <= least))
                return "a number " + std::string(above ? "above " : "from ") + shortest(least) +
                       (above ? ", up to " : " to ") + shortest(most) + ", with a point for decimals";
            return to = x, "";
        },
        [&to] { return std::isnan(to) ? nlohmann::json() : nlohmann::json(to); });
}

option& options::choice(char const* name, std::string& to, std::vector<std::string> known, char const* help,
                        std::vector<not_here> none, std::vector<synonym> synonyms) {
    return custom(
        name, "NAME", help,
        [&to, known, none, synonyms](std::string const& given) -> std::string {
            std::string v = given;
            if (std::find(known.begin(), known.end(), v) == known.end()) std::replace(v.begin(), v.end(), '_', '-');
            for (auto const& s : synonyms)
                if (v == s.name) v = s.of;
            if (std::find(known.begin(), known.end(), v) != known.end()) return to = v, "";
            for (auto const& n : none)
                if (given == n.name || v == n.name) return listed(known) + " (" + n.name + " " + n.why + ")";
            std::string const close = nearest(v, known);
            return listed(known) + (close.empty() ? "" : " (did you mean " + close + "?)");
        },
        [&to] { return nlohmann::json(to); });
}

option& options::size(char const* name, std::uint64_t& to, char const* help) {
    return custom(
        name, "BYTES", help,
        [&to](std::string const& v) -> std::string {
            constexpr struct {
                char const* name;
                double factor;
            } units[] = {{"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"KB", 1e3},   {"MB", 1e6},
                         {"GB", 1e9},     {"K", 0x1p10},   {"M", 0x1p20},   {"G", 0x1p30}, {"", 1}};
            for (auto const& u : units) {
                if (!v.ends_with(u.name)) continue;
                double x = 0;
                if (read_number(v.substr(0, v.size() - std::string_view(u.name).size()), x) && x >= 1 &&
                    x * u.factor < 0x1p60)
                    return to = static_cast<std::uint64_t>(x * u.factor), "";
                break;
            }
            return "bytes, or a number with KB, MB, GB, or K, M, G (also KiB, MiB, GiB) of 1024";
        },
        [&to] { return to ? nlohmann::json(to) : nlohmann::json(); });
}

option& options::flag(char const* name, bool& to, char const* help) {
    return custom(
        name, "", help,
        [&to](std::string const& v) -> std::string {
            if (v != "true" && v != "false") return "true or false";
            return to = v == "true", "";
        },
        [&to] { return nlohmann::json(to); });
}

}  // namespace tool
