// SPDX-License-Identifier: Apache-2.0
// The options of one verb: declared once, read from the command line and from a file, exact about their ranges.
#pragma once

#include <graft/base/index.hpp>
#include <graft/base/result.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace tool {
using namespace graft;

/// One option. `set` takes its text and answers "" or what it expected instead; `now` is its value.
struct option {
    std::string name, letter, kind, about;  // "rank", "r" or "", "N" ("" of a flag), help
    std::function<std::string(std::string const&)> set;
    std::function<nlohmann::json()> now;
    std::vector<std::string> aliases;  // names known from elsewhere
    bool needed = false, given = false;
    bool of_the_result = true;  // false: a run's numbers do not depend on it
    bool alone = false;         // without a value it means ""
    bool takes_object = false;  // in a file of options it may be an object, whose order counts

    option& also(std::initializer_list<char const*> names) { return aliases.assign(names.begin(), names.end()), *this; }
    option& short_form(char const* c) { return letter = c, *this; }
    option& required() { return needed = true, *this; }
    option& outside() { return of_the_result = false, *this; }
    option& may_stand_alone() { return alone = true, *this; }
    option& may_be_object() { return takes_object = true, *this; }
};

/// A value that people may expect and that is none here: refused by name, with the reason.
struct not_here {
    char const *name, *why;
};
/// Another name of a value.
struct synonym {
    char const *name, *of;
};

/// Numbers are read without the locale: whole numbers in decimal, others as in JSON. What is out of range, twice given,
/// unknown or without its value is a problem of cause::usage.
class options {
public:
    options(std::string verb, std::string about, std::string examples);

    option& text(char const* name, std::string& to, char const* kind, char const* about);
    option& count(char const* name, index_t& to, index_t least, index_t most, char const* about);
    option& seed(char const* name, std::uint64_t& to, char const* about);
    /// `above`: the lower bound itself is not allowed. `to` may be a NaN: not decided yet.
    option& number(char const* name, double& to, double least, double most, char const* about, bool above = false);
    /// In a value, _ may stand for -.
    option& choice(char const* name, std::string& to, std::vector<std::string> all, char const* about,
                   std::vector<not_here> none = {}, std::vector<synonym> synonyms = {});
    option& size(char const* name, std::uint64_t& to, char const* about);
    option& flag(char const* name, bool& to, char const* about);
    option& custom(char const* name, char const* kind, char const* about,
                   std::function<std::string(std::string const&)> set, std::function<nlohmann::json()> now);
    /// Words without a name, at most `most` of them.
    void words(char const* name, std::vector<std::string>& to, index_t most, char const* about);
    /// `--config FILE`: a JSON object of options; the command line wins.
    void config_file();

    /// False: the help was asked for and printed.
    result<bool> parse(std::vector<std::string> const& arguments);
    bool given(std::string_view name) const;
    /// All values; with `result_only` those that the numbers of a run depend on.
    nlohmann::json values(bool result_only = false) const;

private:
    option* find(std::string_view name);
    option& add(char const* name, char const* kind, char const* about);
    result<std::vector<std::string>> normalise(std::vector<std::string> const& arguments);
    result<void> read_config();
    result<void> apply(option& o, std::string const& value, std::string const& file);
    problem unknown(std::string const& what, std::string const& name, std::string const& file) const;

    std::string verb, about, examples, config;
    std::deque<option> all;
    std::vector<std::string>* free_words = nullptr;
    index_t most_words = 0;
    std::string words_name, words_about;
};

/// A problem with an option or a combination of options.
problem usage(std::string what, std::string expected = {}, std::string got = {}, std::string hint = {});
}  // namespace tool
