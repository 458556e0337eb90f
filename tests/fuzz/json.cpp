// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: parsed or refused in one line; what is parsed is written and parsed again to the same value.
#include <graft/text/json.hpp>

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const text(reinterpret_cast<char const*>(data), size);
    auto const parsed = graft::parse_json(text, "fuzz.json");
    if (!parsed.ok()) {
        if (describe(parsed.error()).find('\n') != std::string::npos) std::abort();
        return 0;
    }
    auto const again = graft::parse_json(parsed->dump(), "again.json");
    if (!again.ok() || *again != *parsed) std::abort();
    return 0;
}
