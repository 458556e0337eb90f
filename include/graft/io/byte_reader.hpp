// SPDX-License-Identifier: Apache-2.0
// A cursor on little-endian bytes that never passes their end.                           (layer 16: io)
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace graft {

static_assert(std::endian::native == std::endian::little,
              "the file formats are little-endian, and so must the machine be");

/// The number of type T at `from`, which need not be aligned.
template <class T>
T load_number(std::byte const* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

/// Takes numbers and runs of bytes off the front. Each `take` says whether there was enough; nothing moves where not.
class byte_reader {
public:
    explicit byte_reader(std::span<std::byte const> bytes) : all(bytes) {}

    std::uint64_t position() const { return at; }
    std::uint64_t left() const { return all.size() - at; }

    template <class T>
    [[nodiscard]] bool take(T& value) {
        if (left() < sizeof(T)) return false;
        value = load_number<T>(all.data() + at);
        at += sizeof(T);
        return true;
    }

    [[nodiscard]] bool take(std::uint64_t count, std::span<std::byte const>& bytes) {
        if (left() < count) return false;
        bytes = all.subspan(at, static_cast<std::size_t>(count));
        at += static_cast<std::size_t>(count);
        return true;
    }

private:
    std::span<std::byte const> all;
    std::size_t at = 0;
};

/// Bytes as characters, and characters as bytes; nothing is copied.
inline std::string_view as_text(std::span<std::byte const> bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}
inline std::span<std::byte const> as_bytes(std::string_view text) {
    return {reinterpret_cast<std::byte const*>(text.data()), text.size()};
}

}  // namespace graft
