// SPDX-License-Identifier: Apache-2.0
// Reads a safetensors file: a JSON header, then bytes that the tensors tile exactly.     (layer 16: io)
#pragma once

#include <graft/io/byte_reader.hpp>
#include <graft/io/checked.hpp>
#include <graft/io/identify.hpp>
#include <graft/io/json_file.hpp>
#include <graft/quant/formats.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace graft {

/// One number type, and whether a weight can have it.
struct safetensors_type {
    std::string_view name;
    std::uint64_t bytes;
    bool is_weight = false;
    weight_type weight = weight_type::f32;
};

inline constexpr std::array<safetensors_type, 18> safetensors_types{{
    {"F32", 4, true, weight_type::f32},
    {"F16", 2, true, weight_type::f16},
    {"BF16", 2, true, weight_type::bf16},
    {"F64", 8},
    {"I64", 8},
    {"U64", 8},
    {"I32", 4},
    {"U32", 4},
    {"I16", 2},
    {"U16", 2},
    {"I8", 1},
    {"U8", 1},
    {"BOOL", 1},
    {"F8_E4M3", 1},
    {"F8_E5M2", 1},
    {"F8_E8M0", 1},
    {"F8_E4M3FNUZ", 1},
    {"F8_E5M2FNUZ", 1},
}};

constexpr safetensors_type const* find_safetensors_type(std::string_view name) {
    for (safetensors_type const& t : safetensors_types)
        if (t.name == name) return &t;
    return nullptr;
}

/// One tensor, row-major, outermost dimension first. `data` points into the file's bytes.
struct safetensors_tensor {
    std::string name;
    safetensors_type const* type = nullptr;
    std::vector<std::uint64_t> shape;
    std::span<std::byte const> data;
};

/// A parsed file, tensors sorted by name. It points into the bytes it was parsed from and owns none of them.
struct safetensors {
    std::string file;
    std::vector<safetensors_tensor> tensors;
    std::map<std::string, std::string> metadata;

    safetensors_tensor const* find(std::string_view name) const {
        auto const at =
            std::lower_bound(tensors.begin(), tensors.end(), name, [](auto const& t, auto n) { return t.name < n; });
        return at != tensors.end() && at->name == name ? &*at : nullptr;
    }
};

namespace detail {

inline problem bad_tensor(std::string const& file, std::string_view name, std::string what, std::string expected = {},
                          std::string got = {}) {
    return {cause::bad_file, file, std::move(what), "tensor " + in_quotes(name), std::move(expected),
            std::move(got),  {}};
}

/// One header entry; its bytes are [begin, begin + length) of `data`.
inline result<safetensors_tensor> safetensors_entry(std::string const& file, std::string const& name,
                                                    nlohmann::json const& entry, std::span<std::byte const> data) {
    auto const whole = [](nlohmann::json const& list) {
        return list.is_array() &&
               std::all_of(list.begin(), list.end(), [](auto const& n) { return n.is_number_unsigned(); });
    };
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
        return bad_tensor(file, name, "is not described by dtype, shape and data_offsets");
    auto const &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
    safetensors_tensor t;
    t.name = name;
    if (!dtype.is_string()) return bad_tensor(file, name, "has a dtype that is not a string");
    t.type = find_safetensors_type(dtype.get_ref<std::string const&>());
    if (!t.type)
        return bad_tensor(file, name, "has a dtype that is not supported", "F32, F16 or BF16",
                          printable(dtype.get_ref<std::string const&>()));
    if (!whole(shape)) return bad_tensor(file, name, "has a shape that is not a list of whole numbers");
    if (!whole(offsets) || offsets.size() != 2)
        return bad_tensor(file, name, "has data_offsets that are not two whole numbers");
    for (auto const& d : shape) t.shape.push_back(d.get<std::uint64_t>());
    auto const begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
    if (begin > end || end > data.size())
        return bad_tensor(file, name, "does not lie in the file", "offsets up to " + std::to_string(data.size()),
                          std::to_string(begin) + " to " + std::to_string(end));
    std::uint64_t bytes = 0;
    if (!checked_product(t.shape, bytes) || !checked_mul(bytes, t.type->bytes, bytes))
        return bad_tensor(file, name, "has more numbers than can be counted");
    if (bytes != end - begin)
        return bad_tensor(file, name, "has a shape that does not fit its bytes", std::to_string(bytes) + " bytes",
                          std::to_string(end - begin));
    t.data = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(bytes));
    return t;
}

/// No hole, no overlap, no tail.
inline result<void> tile(safetensors const& s, std::span<std::byte const> data) {
    std::vector<safetensors_tensor const*> order;
    for (auto const& t : s.tensors) order.push_back(&t);
    std::sort(order.begin(), order.end(), [](auto a, auto b) {
        return a->data.data() != b->data.data() ? a->data.data() < b->data.data() : a->data.size() < b->data.size();
    });
    std::size_t end = 0;
    for (auto const* t : order) {
        auto const begin = static_cast<std::size_t>(t->data.data() - data.data());
        if (begin != end)
            return bad_tensor(s.file, t->name, begin < end ? "overlaps another tensor" : "leaves a hole before it",
                              "offset " + std::to_string(end), std::to_string(begin));
        end = begin + t->data.size();
    }
    if (end != data.size())
        return problem{cause::bad_file,
                       s.file,
                       "has bytes that belong to no tensor",
                       {},
                       std::to_string(end) + " bytes of tensors",
                       std::to_string(data.size()),
                       {}};
    return {};
}

}  // namespace detail

/// Reads the header and checks every tensor against the file's bytes, which are not touched themselves.
inline result<safetensors> parse_safetensors(std::span<std::byte const> bytes, std::string const& file) {
    byte_reader from(bytes);
    std::uint64_t length = 0;
    std::span<std::byte const> header;
    if (bytes.size() >= 4 && as_text(bytes.first(4)) == "GGUF") return wrong_kind(file, "a safetensors file", bytes);
    if (!from.take(length)) return wrong_kind(file, "a safetensors file", bytes);
    if (length > 100'000'000 || !from.take(length, header)) {
        problem p = wrong_kind(file, "a safetensors file", bytes);
        std::uint64_t const most = std::min<std::uint64_t>(100'000'000, from.left());
        if (p.got == std::string("a safetensors file"))
            p = {cause::bad_file,
                 file,
                 "has a header longer than the file",
                 "at byte 0",
                 "at most " + std::to_string(most) + " bytes",
                 std::to_string(length),
                 "downloading it again"};
        return p;
    }
    std::string_view const text = as_text(header);
    std::size_t const first = text.find_first_not_of(" \t\r\n");
    if (first == text.npos || text[first] != '{') return wrong_kind(file, "a safetensors file", bytes);
    auto const parsed = parse_json_object(text, file);
    if (!parsed) return parsed.error();

    safetensors out;
    out.file = file;
    std::span<std::byte const> const data = bytes.subspan(static_cast<std::size_t>(from.position()));
    for (auto const& [name, entry] : parsed->items()) {
        if (name == "__metadata__") {
            if (!entry.is_object())
                return problem{
                    cause::bad_file, file, "has metadata that is not an object", "key '__metadata__'", {}, {}, {}};
            for (auto const& [key, value] : entry.items()) {
                if (!value.is_string())
                    return problem{
                        cause::bad_file, file, "has metadata that is not text", "key " + in_quotes(key), {}, {}, {}};
                out.metadata[key] = value.get<std::string>();
            }
            continue;
        }
        auto tensor = detail::safetensors_entry(file, name, entry, data);
        if (!tensor) return tensor.error();
        out.tensors.push_back(std::move(*tensor));
    }
    std::sort(out.tensors.begin(), out.tensors.end(), [](auto const& a, auto const& b) { return a.name < b.name; });
    if (auto const r = detail::tile(out, data); !r) return r.error();
    return out;
}

}  // namespace graft
