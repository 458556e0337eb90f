// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: parsed or refused; what is parsed is written and parsed again to the same value.
#include <graft/text/json.hpp>

#include <tests/fuzz/one_line.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const text(reinterpret_cast<char const*>(data), size);
    auto const parsed = graft::parse_json(text, "fuzz.json");
    if (!one_line(parsed)) return 0;
    auto const again = graft::parse_json(parsed->dump(), "again.json");
    if (!again.ok() || *again != *parsed) std::abort();
    return 0;
}
