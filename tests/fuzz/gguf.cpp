// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF file: parsed or refused; what is parsed can be read through every getter, and as an
// adapter of a small model.
#include <graft/io/adapter_gguf.hpp>
#include <graft/io/gguf.hpp>
#include <graft/io/gguf_reader.hpp>

#include <tests/fuzz/one_line.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const bytes = std::as_bytes(std::span(data, size));
    auto const parsed = graft::parse_gguf(bytes, "fuzz.gguf");
    if (!one_line(parsed)) return 0;
    for (auto const& entry : parsed->entries) {
        if (!parsed->find(entry.key)) std::abort();
        one_line(parsed->text(entry.key)), one_line(parsed->count(entry.key)), one_line(parsed->number(entry.key));
        one_line(parsed->flag(entry.key)), one_line(parsed->texts(entry.key)), one_line(parsed->integers(entry.key));
        one_line(parsed->numbers(entry.key));
    }
    unsigned sum = 0;
    for (auto const& tensor : parsed->tensors)
        for (std::byte const b : tensor.data) sum += std::to_integer<unsigned>(b);  // inside, or the sanitizer tells

    graft::model_config small;
    small.layers = 2, small.width = 8, small.heads = 2, small.kv_heads = 1, small.head = 4, small.hidden = 12;
    one_line(graft::parse_adapter_gguf(bytes, "fuzz.gguf", small));
    return sum == ~0u;
}
