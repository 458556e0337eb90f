// SPDX-License-Identifier: Apache-2.0
// Any text as a JSONL data set: rows or a refusal.
#include <graft/text/rows.hpp>

#include <tests/fuzz/one_line.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    one_line(graft::read_rows(text, "fuzz.jsonl"));
    one_line(graft::read_rows(text, "fuzz.jsonl", 1));  // bad rows are left out
    return 0;
}
