// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF file: parsed or refused; what is parsed can be read through every getter.
#include <graft/io/gguf.hpp>
#include <graft/io/gguf_reader.hpp>

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const bytes = std::as_bytes(std::span(data, size));
    auto const parsed = graft::parse_gguf(bytes, "fuzz.gguf");
    if (!parsed.ok()) {
        if (describe(parsed.error()).find('\n') != std::string::npos) std::abort();  // an error is one line
        return 0;
    }
    for (auto const& entry : parsed->entries) {
        if (!parsed->find(entry.key)) std::abort();
        (void)parsed->text(entry.key), (void)parsed->count(entry.key), (void)parsed->number(entry.key);
        (void)parsed->flag(entry.key), (void)parsed->texts(entry.key), (void)parsed->integers(entry.key);
        (void)parsed->numbers(entry.key);
    }
    unsigned sum = 0;
    for (auto const& tensor : parsed->tensors)
        for (std::byte const b : tensor.data)
            sum += std::to_integer<unsigned>(b);  // inside the file, or the sanitizer tells
    return sum == ~0u;
}
