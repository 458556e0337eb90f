// SPDX-License-Identifier: Apache-2.0
// What a GGUF file holds: metadata by key with typed getters, and tensors by name.       (layer 16: io)
#pragma once

#include <graft/base/result.hpp>
#include <graft/io/byte_reader.hpp>
#include <graft/io/checked.hpp>
#include <graft/io/gguf_types.hpp>
#include <graft/io/in_quotes.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace graft {

/// One metadata value, still in the file's bytes, which outlive it. `data` is a string's characters, an array's
/// elements, or the number itself; it has been checked to lie in the file and to hold `count` whole elements.
struct gguf_entry {
    std::string_view key;
    gguf_type type = gguf_type::uint8;
    gguf_type element = gguf_type::uint8;  // of an array
    std::uint64_t count = 1;               // of an array
    std::span<std::byte const> data;
};

/// One tensor. `dims[0]` is the innermost extent: a linear map of out × in has dims {in, out}.
struct gguf_tensor {
    std::string_view name;
    ggml_type const* type = nullptr;
    std::uint32_t rank = 0;
    std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
    std::uint64_t offset = 0;  // from the start of the tensors' data
    std::span<std::byte const> data;
};

/// A parsed GGUF file. It points into the bytes it was parsed from and owns none of them.
class gguf {
public:
    std::string file;
    std::uint32_t version = 3;
    std::uint64_t alignment = 32;
    std::vector<gguf_entry> entries;
    std::vector<gguf_tensor> tensors;
    std::vector<std::string> warnings;

    gguf_entry const* find(std::string_view key) const { return look_up(entries, entry_order, key, &gguf_entry::key); }
    gguf_tensor const* tensor(std::string_view name) const {
        return look_up(tensors, tensor_order, name, &gguf_tensor::name);
    }

    /// A string.
    result<std::string> text(std::string_view key, std::optional<std::string> otherwise = {}) const {
        gguf_entry const* const e = find(key);
        if (!e && otherwise) return *otherwise;
        if (!e) return missing(key);
        if (e->type != gguf_type::string) return mistyped(*e, "a string");
        return std::string(as_text(e->data));
    }

    /// A whole number ≥ 0, whichever integer type it has. An array of equal numbers (one per layer) counts as that
    /// number.
    result<std::uint64_t> count(std::string_view key, std::optional<std::uint64_t> otherwise = {}) const {
        gguf_entry const* const e = find(key);
        if (!e && otherwise) return *otherwise;
        if (!e) return missing(key);
        gguf_type const type = e->type == gguf_type::array ? e->element : e->type;
        if (!is_integer(type) || e->count == 0) return mistyped(*e, "a whole number");
        std::optional<std::uint64_t> found;
        for (std::uint64_t i = 0; i < e->count; ++i) {
            std::int64_t const value = integer_at(*e, type, i);
            if (value < 0 && type != gguf_type::uint64)
                return wrong(*e, "a whole number of at least 0", std::to_string(value));
            if (found && *found != static_cast<std::uint64_t>(value))
                return wrong(*e, "the same number for every layer", "different ones");
            found = static_cast<std::uint64_t>(value);
        }
        return *found;
    }

    /// A number with a fraction.
    result<double> number(std::string_view key, std::optional<double> otherwise = {}) const {
        gguf_entry const* const e = find(key);
        if (!e && otherwise) return *otherwise;
        if (!e) return missing(key);
        if (e->type == gguf_type::float32) return static_cast<double>(load_number<float>(e->data.data()));
        if (e->type == gguf_type::float64) return load_number<double>(e->data.data());
        return mistyped(*e, "f32 or f64");
    }

    /// True or false.
    result<bool> flag(std::string_view key, std::optional<bool> otherwise = {}) const {
        gguf_entry const* const e = find(key);
        if (!e && otherwise) return *otherwise;
        if (!e) return missing(key);
        if (e->type != gguf_type::boolean) return mistyped(*e, "bool");
        auto const value = std::to_integer<unsigned>(e->data[0]);
        if (value > 1) return wrong(*e, "0 or 1", std::to_string(value));
        return value == 1;
    }

    /// An array of strings.
    result<std::vector<std::string>> texts(std::string_view key) const {
        gguf_entry const* const e = find(key);
        if (!e) return missing(key);
        if (e->type != gguf_type::array || e->element != gguf_type::string) return mistyped(*e, "an array of strings");
        std::vector<std::string> all;
        byte_reader from(e->data);
        for (std::uint64_t i = 0, length = 0; i < e->count; ++i) {
            std::span<std::byte const> characters;
            if (!from.take(length) || !from.take(length, characters)) return wrong(*e, "whole strings", "less");
            all.emplace_back(as_text(characters));
        }
        return all;
    }

    /// An array of whole numbers that fit in an int.
    result<std::vector<int>> integers(std::string_view key) const {
        gguf_entry const* const e = find(key);
        if (!e) return missing(key);
        if (e->type != gguf_type::array || !is_integer(e->element)) return mistyped(*e, "an array of whole numbers");
        std::vector<int> all;
        for (std::uint64_t i = 0; i < e->count; ++i) {
            std::int64_t const value = integer_at(*e, e->element, i);
            if (value < INT32_MIN || value > INT32_MAX) return wrong(*e, "numbers of 32 bits", std::to_string(value));
            all.push_back(static_cast<int>(value));
        }
        return all;
    }

    /// An array of f32.
    result<std::vector<float>> numbers(std::string_view key) const {
        gguf_entry const* const e = find(key);
        if (!e) return missing(key);
        if (e->type != gguf_type::array || e->element != gguf_type::float32) return mistyped(*e, "an array of f32");
        std::vector<float> all;
        for (std::size_t i = 0; i < e->count; ++i)
            all.push_back(load_number<float>(e->data.data() + i * sizeof(float)));
        return all;
    }

    /// Builds the indices behind `find` and `tensor`; the name that occurs twice, if one does.
    std::optional<std::string_view> index_entries() { return build(entries, entry_order, &gguf_entry::key); }
    std::optional<std::string_view> index_tensors() { return build(tensors, tensor_order, &gguf_tensor::name); }

private:
    static bool is_integer(gguf_type t) {
        return size_of(t) != 0 && t != gguf_type::float32 && t != gguf_type::float64 && t != gguf_type::boolean;
    }

    static std::int64_t integer_at(gguf_entry const& e, gguf_type type, std::uint64_t i) {
        std::byte const* const at =
            e.data.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(size_of(type));
        switch (type) {
            case gguf_type::uint8:
                return load_number<std::uint8_t>(at);
            case gguf_type::int8:
                return load_number<std::int8_t>(at);
            case gguf_type::uint16:
                return load_number<std::uint16_t>(at);
            case gguf_type::int16:
                return load_number<std::int16_t>(at);
            case gguf_type::uint32:
                return load_number<std::uint32_t>(at);
            case gguf_type::int32:
                return load_number<std::int32_t>(at);
            default:
                return load_number<std::int64_t>(at);
        }
    }

    problem missing(std::string_view key) const {
        return {cause::bad_file,
                file,
                "a required key is missing",
                "key " + in_quotes(key),
                {},
                {},
                "a model converted by a current converter"};
    }
    problem wrong(gguf_entry const& e, std::string expected, std::string got) const {
        return {cause::bad_file, file, "a value cannot be used", "key " + in_quotes(e.key), std::move(expected),
                std::move(got),  {}};
    }
    problem mistyped(gguf_entry const& e, std::string expected) const {
        std::string got = name_of(e.type);
        if (e.type == gguf_type::array) got = std::string("array of ") + name_of(e.element);
        return {cause::bad_file, file, "a value has the wrong type", "key " + in_quotes(e.key), std::move(expected),
                std::move(got),  {}};
    }

    // Sorted positions and not a hash table: no choice of names makes either slow.
    template <class Item>
    static std::optional<std::string_view> build(std::vector<Item> const& items, std::vector<std::uint32_t>& order,
                                                 std::string_view Item::*name) {
        order.resize(items.size());
        for (std::size_t i = 0; i < items.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
        std::sort(order.begin(), order.end(), [&](auto a, auto b) { return items[a].*name < items[b].*name; });
        for (std::size_t i = 1; i < order.size(); ++i)
            if (items[order[i - 1]].*name == items[order[i]].*name) return items[order[i]].*name;
        return std::nullopt;
    }
    template <class Item>
    static Item const* look_up(std::vector<Item> const& items, std::vector<std::uint32_t> const& order,
                               std::string_view wanted, std::string_view Item::*name) {
        auto const at =
            std::lower_bound(order.begin(), order.end(), wanted, [&](auto i, auto w) { return items[i].*name < w; });
        return at != order.end() && items[*at].*name == wanted ? &items[*at] : nullptr;
    }

    std::vector<std::uint32_t> entry_order, tensor_order;
};

}  // namespace graft
