// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: parsed or refused; the data of what is parsed lies in the file.
#include <graft/io/safetensors.hpp>

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const parsed = graft::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
    if (!parsed.ok()) {
        if (describe(parsed.error()).find('\n') != std::string::npos) std::abort();  // an error is one line
        return 0;
    }
    unsigned sum = 0;
    for (auto const& tensor : parsed->tensors)
        for (std::byte const b : tensor.data) sum += std::to_integer<unsigned>(b);
    return sum == ~0u;
}
