// SPDX-License-Identifier: Apache-2.0
// What every verb is: a function of its arguments that gives an exit code; and how problems are told.
#pragma once

#include <graft/base/result.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace tool {
using namespace graft;

using arguments = std::vector<std::string>;

/// Each runs one verb. A problem becomes one line on stderr and the exit code of its cause.
int finetune(arguments const&);
int generate(arguments const&);
int eval(arguments const&);
int plan(arguments const&);
int inspect(arguments const&);
int tokenize(arguments const&);
int detokenize(arguments const&);
int quantize(arguments const&);
int merge(arguments const&);
int convert(arguments const&);

/// Whether results and problems are wanted as JSON, also where the options cannot be read.
inline bool wants_json(arguments const& all) { return std::find(all.begin(), all.end(), "--json") != all.end(); }
/// `error: …` on stderr; with `json` also an object on stdout. Returns the exit code.
int refuse(problem const& p, bool json);
/// A line of JSON, or of text, on stdout.
void print(nlohmann::json const& j);
void print(std::string const& text);
/// `warning: …` on stderr.
void warn(std::string const& text);

}  // namespace tool
