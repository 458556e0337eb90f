// SPDX-License-Identifier: Apache-2.0
// Writes a GGUF file: keys, then tensors that are streamed one after the other.          (layer 16: io)
#pragma once

#include <graft/io/atomic_file.hpp>
#include <graft/io/gguf.hpp>

#include <concepts>
#include <cstring>
#include <type_traits>

namespace graft {

/// First `set` the keys and `declare` every tensor; then `open`, `write` the tensors' bytes in the order of their
/// declaration and in pieces of any size, and `commit`. Offsets and padding are what strict readers demand: each tensor
/// starts at the running sum of the padded sizes before it. Memory: the header only.
class gguf_writer {
public:
    /// A number, by its own type.
    template <class T>
    requires std::is_arithmetic_v<T>
    void set(std::string_view key, T value) {
        begin(key, type_of<T>());
        put(value);
    }
    void set(std::string_view key, std::string_view value) {
        begin(key, gguf_type::string);
        put_string(value);
    }
    void set(std::string_view key, char const* value) { set(key, std::string_view(value)); }

    /// An array of numbers or of strings.
    template <class T>
    requires std::is_arithmetic_v<T>
    void set(std::string_view key, std::vector<T> const& values) {
        begin_array(key, type_of<T>(), values.size());
        for (T const v : values) put(v);
    }
    void set(std::string_view key, std::vector<std::string> const& values) {
        begin_array(key, gguf_type::string, values.size());
        for (std::string const& v : values) put_string(v);
    }

    /// A value as another file has it.
    void copy(gguf_entry const& e) {
        if (e.type == gguf_type::array)
            begin_array(e.key, e.element, e.count);
        else
            begin(e.key, e.type);
        if (e.type == gguf_type::string) put(static_cast<std::uint64_t>(e.data.size()));
        entries.insert(entries.end(), e.data.begin(), e.data.end());
    }

    /// A tensor to come, innermost dimension first.
    result<void> declare(std::string_view name, std::uint32_t type_code, std::vector<std::uint64_t> const& dims) {
        ggml_type const* const type = find_ggml_type(type_code);
        std::uint64_t numbers = 0, bytes = 0;
        if (name.empty() || name.size() > 63)
            return bad(name, "has a name that GGUF cannot hold", "1 to 63 bytes", std::to_string(name.size()));
        if (!type || dims.empty() || dims.size() > 4)
            return bad(name, "has no type or no shape that GGUF can hold", "1 to 4 dimensions", {});
        if (dims[0] % type->block != 0)
            return bad(name, "has rows that are not whole blocks", "a multiple of " + std::to_string(type->block),
                       std::to_string(dims[0]));
        if (!checked_product(dims, numbers) || !checked_mul(numbers / type->block, type->bytes, bytes))
            return bad(name, "is too large", {}, {});
        std::uint64_t end = 0, padded = 0;
        if (!checked_add(next_offset, bytes, end) || !checked_align(end, alignment, padded))
            return bad(name, "is too large", {}, {});
        append(infos, static_cast<std::uint64_t>(name.size()));
        infos.insert(infos.end(), as_bytes(name).begin(), as_bytes(name).end());
        append(infos, static_cast<std::uint32_t>(dims.size()));
        for (std::uint64_t const d : dims) append(infos, d);
        append(infos, type_code), append(infos, next_offset);
        sizes.push_back({std::string(name), bytes});
        next_offset = padded;
        return {};
    }

    /// Starts the file: everything up to the tensors' bytes.
    result<void> open(std::string const& path, save_options const& options = {}) {
        auto opened = atomic_file::create(path, options);
        if (!opened) return opened.error();
        file = std::move(*opened);
        std::vector<std::byte> head;
        head.insert(head.end(), as_bytes("GGUF").begin(), as_bytes("GGUF").end());
        append(head, std::uint32_t{3}), append(head, static_cast<std::uint64_t>(sizes.size())),
            append(head, entry_count);
        for (auto const* part : {&head, &entries, &infos})
            if (auto const r = file.write(*part); !r) return r;
        if (!sizes.empty())
            if (auto const r = pad(); !r) return r;
        return skip_empty();
    }

    /// The next bytes of the tensor in turn; one call may not reach into the following tensor.
    result<void> write(std::span<std::byte const> bytes) {
        if (current == sizes.size() || bytes.size() > sizes[current].bytes - written)
            return problem{cause::io, file.path(), "is given more bytes than were declared", {}, {}, {}, {}};
        if (auto const r = file.write(bytes); !r) return r;
        written += bytes.size();
        return skip_empty();
    }

    /// Bytes written so far, padding included.
    std::uint64_t size() const { return file.size(); }

    /// Puts the finished file in place; a problem where tensors are missing.
    result<void> commit() {
        if (current != sizes.size())
            return problem{cause::io,
                           file.path(),
                           "is not complete",
                           "tensor " + in_quotes(sizes[current].name),
                           std::to_string(sizes[current].bytes) + " bytes",
                           std::to_string(written),
                           {}};
        return file.commit();
    }

private:
    struct declared {
        std::string name;
        std::uint64_t bytes;
    };
    static constexpr std::uint64_t alignment = 32;

    template <class T>
    static constexpr gguf_type type_of() {
        if constexpr (std::same_as<T, bool>)
            return gguf_type::boolean;
        else if constexpr (std::same_as<T, float>)
            return gguf_type::float32;
        else if constexpr (std::same_as<T, double>)
            return gguf_type::float64;
        else if constexpr (sizeof(T) == 1)
            return std::signed_integral<T> ? gguf_type::int8 : gguf_type::uint8;
        else if constexpr (sizeof(T) == 2)
            return std::signed_integral<T> ? gguf_type::int16 : gguf_type::uint16;
        else if constexpr (sizeof(T) == 4)
            return std::signed_integral<T> ? gguf_type::int32 : gguf_type::uint32;
        else
            return std::signed_integral<T> ? gguf_type::int64 : gguf_type::uint64;
    }

    template <class T>
    static void append(std::vector<std::byte>& to, T value) {
        std::byte raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof(T));
        to.insert(to.end(), raw, raw + sizeof(T));
    }
    template <class T>
    void put(T value) {
        append(entries, value);
    }
    void put_string(std::string_view s) {
        put(static_cast<std::uint64_t>(s.size()));
        entries.insert(entries.end(), as_bytes(s).begin(), as_bytes(s).end());
    }
    void begin(std::string_view key, gguf_type type) {
        put_string(key);
        put(static_cast<std::uint32_t>(type));
        ++entry_count;
    }
    void begin_array(std::string_view key, gguf_type element, std::uint64_t count) {
        begin(key, gguf_type::array);
        put(static_cast<std::uint32_t>(element)), put(count);
    }

    static problem bad(std::string_view name, std::string what, std::string expected, std::string got) {
        return {cause::bad_file, {}, std::move(what), "tensor " + in_quotes(name), std::move(expected),
                std::move(got),  {}};
    }

    result<void> pad() {
        std::byte const zeros[alignment] = {};
        return file.write(
            std::span(zeros).first(static_cast<std::size_t>((alignment - file.size() % alignment) % alignment)));
    }
    result<void> skip_empty() {
        for (; current < sizes.size() && written == sizes[current].bytes; ++current, written = 0)
            if (auto const r = pad(); !r) return r;
        return {};
    }

    std::vector<std::byte> entries, infos;
    std::uint64_t entry_count = 0, next_offset = 0, written = 0;
    std::vector<declared> sizes;
    std::size_t current = 0;
    atomic_file file;
};

}  // namespace graft
