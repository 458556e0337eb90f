// SPDX-License-Identifier: Apache-2.0
// Any bytes as a .npy file, and any text as the header of one: read or refused, as every type and several ranks.
#include <graft/io/npy.hpp>

#include <tests/fuzz/one_line.hpp>

namespace {

template <class T>
void read(std::span<std::byte const> bytes) {
    using graft::conversion;
    one_line(graft::parse_npy<T, 0>(bytes, "fuzz.npy"));
    one_line(graft::parse_npy<T, 1>(bytes, "fuzz.npy", conversion::rounding));
    if (auto const x = graft::parse_npy<T, 2>(bytes, "fuzz.npy"); one_line(x))
        if (x->count() != x->size(0) * x->size(1)) std::abort();
    one_line(graft::parse_npy<T, 3>(bytes, "fuzz.npy", conversion::rounding));
}

void read_all(std::span<std::byte const> bytes) {
    one_line(graft::parse_npy_header(bytes, "fuzz.npy"));
    read<float>(bytes), read<double>(bytes), read<std::int32_t>(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    read_all(std::as_bytes(std::span(data, size)));

    // The first byte says how many bytes of the rest are numbers; what is before is a header of the right length.
    if (size == 0) return 0;
    std::size_t const tail = data[0] < size - 1 ? data[0] : 0, header = size - 1 - tail;
    if (header > 0xffff) return 0;
    std::string file = "\x93NUMPY";
    file += {'\1', '\0', static_cast<char>(header & 255), static_cast<char>(header >> 8)};
    file.append(reinterpret_cast<char const*>(data + 1), size - 1);
    read_all(graft::as_bytes(file));
    return 0;
}
