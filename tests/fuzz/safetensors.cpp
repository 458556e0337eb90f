// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file, and any text as the header of one: parsed or refused; data lies in the file.
#include <graft/io/safetensors.hpp>

#include <tests/fuzz/one_line.hpp>

#include <cstring>

namespace {

unsigned parse(std::span<std::byte const> bytes) {
    auto const parsed = graft::parse_safetensors(bytes, "fuzz.safetensors");
    unsigned sum = 0;
    if (one_line(parsed))
        for (auto const& tensor : parsed->tensors)
            for (std::byte const b : tensor.data)
                sum += std::to_integer<unsigned>(b);  // inside, or the sanitizer tells
    return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    unsigned sum = parse(std::as_bytes(std::span(data, size)));

    // The first byte says how many bytes of the rest are tensor data; what is before is a header of the right length.
    if (size == 0) return 0;
    std::size_t const tail = data[0] < size - 1 ? data[0] : 0;
    std::uint64_t const header = size - 1 - tail;
    std::vector<std::byte> file(8 + size - 1);
    std::memcpy(file.data(), &header, 8);
    std::memcpy(file.data() + 8, data + 1, size - 1);
    sum += parse(file);
    return sum == ~0u;
}
