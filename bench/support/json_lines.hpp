// SPDX-License-Identifier: Apache-2.0
// Results as lines of JSON.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdio>

namespace bench {

using json = nlohmann::ordered_json;

inline void print(json const& line) {
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
}

}  // namespace bench
