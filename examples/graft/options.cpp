// SPDX-License-Identifier: Apache-2.0
// The options of one verb: aliases, ranges, files of options, and what to say about a misspelt one.
#include "options.hpp"
#include "spelling.hpp"

#include <graft/io/mapped_file.hpp>
#include <graft/text/json.hpp>
#include <graft/text/utf8.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace tool {

problem usage(std::string what, std::string expected, std::string got, std::string hint) {
    return {cause::usage, {}, std::move(what), {}, std::move(expected), std::move(got), std::move(hint)};
}

namespace {

std::string quoted(std::string const& s) { return "'" + printable(s) + "'"; }

}  // namespace

options::options(std::string v, std::string a, std::string e)
    : verb(std::move(v)), about(std::move(a)), examples(std::move(e)) {}

void options::words(char const* name, std::vector<std::string>& to, index_t most, char const* help) {
    free_words = &to, most_words = most, words_name = name, words_about = help;
}

void options::config_file() {
    text("config", config, "FILE", "options from a JSON object of names and values; the command line wins")
        .short_form("c")
        .outside();
}

option* options::find(std::string_view name) {
    for (auto& o : all)
        if (o.name == name || std::find(o.aliases.begin(), o.aliases.end(), name) != o.aliases.end()) return &o;
    return nullptr;
}

bool options::given(std::string_view name) const {
    return std::any_of(all.begin(), all.end(), [&](option const& o) { return o.name == name && o.given; });
}

nlohmann::json options::values(bool result_only) const {
    nlohmann::json j = nlohmann::json::object();
    for (auto const& o : all)
        if (!result_only || o.of_the_result) j[o.name] = o.now();
    return j;
}

problem options::unknown(std::string const& what, std::string const& name, std::string const& file) const {
    std::vector<std::string> known{"help"};
    for (auto const& o : all) {
        known.push_back(o.name);
        known.insert(known.end(), o.aliases.begin(), o.aliases.end());
    }
    std::string const close = nearest(name, known);
    std::string const dashes = file.empty() ? "--" : "";
    problem p = usage("unknown " + what + " '" + dashes + printable(name) + "'", {}, {},
                      close.empty() || close == name ? "graft " + verb + " --help" : dashes + close);
    p.file = file;
    return p;
}

/// Long options under their own names and apart from their values; what follows a value's option is left alone.
result<std::vector<std::string>> options::normalise(std::vector<std::string> const& arguments) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string const& a = arguments[i];
        if (a == "--") {
            out.insert(out.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
            break;
        }
        bool const is_long = a.size() > 2 && a.starts_with("--"), is_short = !is_long && a.size() == 2 && a[0] == '-';
        option* o = nullptr;
        std::string name = is_long ? a.substr(2, a.find('=') - 2) : a;
        bool const has_value = is_long && a.find('=') != a.npos;
        if (is_long) {
            std::replace(name.begin(), name.end(), '_', '-');
            o = find(name);
            if (!o && name != "help") return unknown("option", name, {});
        } else if (is_short) {
            for (auto& x : all)
                if (!x.letter.empty() && x.letter[0] == a[1]) o = &x;
        }
        if (!o) {
            bool const is_number = a.size() > 1 && a[0] == '-' && a[1] >= '0' && a[1] <= '9';
            if (a.size() > 1 && a[0] == '-' && a != "-h" && a != "--help" && !is_number)
                return usage("unknown option '" + printable(a) + "'", {}, {}, "graft " + verb + " --help");
            out.push_back(a);
            continue;
        }
        std::string const shown = "--" + o->name;
        if (o->given) return usage(shown + " is given twice", "it once");
        o->given = true;
        out.push_back(shown);
        if (o->kind.empty()) {
            if (has_value) return usage(shown + " takes no value", "no value", quoted(a.substr(a.find('=') + 1)));
        } else if (has_value) {
            out.push_back(a.substr(a.find('=') + 1));
        } else {
            bool const at_end = i + 1 == arguments.size(), next_starts = !at_end && arguments[i + 1].starts_with("--"),
                       next_is_option = next_starts && find(std::string_view(arguments[i + 1]).substr(2));
            if (o->alone && (at_end || arguments[i + 1].starts_with("-"))) {
                out.emplace_back();
                continue;
            }
            if (at_end || next_is_option)
                return usage(shown + " needs a value", o->kind, next_is_option ? quoted(arguments[i + 1]) : "nothing");
            out.push_back(arguments[++i]);
        }
    }
    return out;
}

result<void> options::apply(option& o, std::string const& value, std::string const& file) {
    std::string expected = o.set(value);
    if (expected.empty()) return {};
    problem p = usage(file.empty() ? "--" + o.name + " cannot have this value" : "an option cannot have this value",
                      std::move(expected), quoted(value));
    if (!file.empty()) p.file = file, p.where = "key '" + o.name + "'";
    return p;
}

result<void> options::read_config() {
    auto file = mapped_file::open(config, file_access::read);
    if (!file) return file.error();
    auto const bytes = file->bytes();
    std::string_view const all_text(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    auto json = parse_json(all_text, config);
    if (!json) return json.error();
    problem p = usage("not an object of options", "{\"option\": value, ...}", json->type_name());
    p.file = config;
    if (!json->is_object()) return p;
    auto const in_order = nlohmann::ordered_json::parse(all_text);
    for (auto const& [key, value] : json->items()) {
        std::string name = key;
        std::replace(name.begin(), name.end(), '_', '-');
        option* const o = find(name);
        if (!o || o->name == "config") return unknown("option", key, config);
        std::string text = value.is_string() ? value.get<std::string>() : json_text(value);
        bool const object = value.is_object() && o->takes_object;
        if (object) text = in_order[key].dump();
        bool whole = (object || !value.is_object()) && !value.is_null() && o->kind.empty() == value.is_boolean();
        if (value.is_array()) {
            text.clear();
            for (auto const& x : value) {
                whole = whole && x.is_string();
                if (whole) text += (text.empty() ? "" : ",") + x.get<std::string>();
            }
        }
        if (!whole) {
            p.what = "an option cannot have this value", p.where = "key '" + printable(key) + "'";
            p.expected = o->kind.empty()   ? "true or false"
                         : o->takes_object ? "an object, or @FILE"
                                           : "text or a number";
            p.got = value.type_name();
            return p;
        }
        if (o->given) continue;  // the command line wins
        if (auto r = apply(*o, text, config); !r) return r.error();
        o->given = true;
    }
    return {};
}

result<bool> options::parse(std::vector<std::string> const& arguments) {
    auto plain = normalise(arguments);
    if (!plain) return plain.error();

    CLI::App app(about, "graft " + verb);
    app.get_formatter()->column_width(36);
    app.footer(examples);
    app.set_help_flag("-h,--help", "prints this and stops");
    std::vector<std::pair<option*, std::string>> values;
    for (auto& o : all) {
        std::string const names = (o.letter.empty() ? "" : "-" + o.letter + ",") + "--" + o.name;
        std::string help = o.about;
        for (auto const& a : o.aliases) help += (&a == &o.aliases.front() ? " (also --" : ", --") + a;
        if (!o.aliases.empty()) help += ")";
        if (o.kind.empty()) {
            app.add_flag_callback(
                names, [&] { values.emplace_back(&o, "true"); }, help);
        } else {
            auto* const added = app.add_option_function<std::string>(
                names, [&](std::string const& v) { values.emplace_back(&o, v); }, help);
            auto const now = o.now();
            std::string const shown = o.needed ? " needed"
                                      : now.is_null() || now == ""
                                          ? ""
                                          : "=" + (now.is_string() ? now.get<std::string>() : json_text(now));
            added->option_text(o.kind + shown);
        }
    }
    if (free_words) app.add_option(words_name, *free_words, words_about)->expected(0, static_cast<int>(most_words));
    try {
        std::reverse(plain->begin(), plain->end());  // as App::parse(vector) wants it
        app.parse(*plain);
    } catch (CLI::CallForHelp const&) {
        std::fputs(app.help().c_str(), stdout);
        return false;
    } catch (CLI::ParseError const& e) {
        return usage(printable(e.what(), 400), {}, {}, "graft " + verb + " --help");
    }
    for (auto const& [o, value] : values)
        if (auto r = apply(*o, value, {}); !r) return r.error();
    if (!config.empty())
        if (auto r = read_config(); !r) return r.error();
    for (auto const& o : all)
        if (o.needed && !o.given) return usage("--" + o.name + " is missing", o.kind, {}, "graft " + verb + " --help");
    return true;
}

}  // namespace tool
