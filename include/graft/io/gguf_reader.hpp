// SPDX-License-Identifier: Apache-2.0
// Bytes to a parsed GGUF file: every number is checked before it is used.                (layer 16: io)
#pragma once

#include <graft/io/gguf.hpp>
#include <graft/io/identify.hpp>

namespace graft {

namespace detail {

class gguf_parser {
public:
    gguf_parser(std::span<std::byte const> bytes, std::string const& file) : all(bytes), from(bytes) {
        out.file = file;
    }

    result<gguf> run() {
        if (all.size() < 4 || as_text(all.first(4)) != "GGUF") return wrong_kind(out.file, "a GGUF file", all);
        std::uint32_t magic = 0;
        std::uint64_t tensor_count = 0, entry_count = 0;
        if (!from.take(magic) || !from.take(out.version)) return cut_off("the header");
        if ((out.version & 0xFFFF) == 0 && out.version != 0)
            return bad("is big-endian", "a little-endian file", {}, "converting the model for little-endian machines");
        if (out.version < 2 || out.version > 3)
            return bad("has a version that is not supported", "2 or 3", std::to_string(out.version),
                       "a model converted by a current converter");
        if (!from.take(tensor_count) || !from.take(entry_count)) return cut_off("the header");
        // A tensor's record takes at least 24 bytes, a key's at least 12: what the file cannot hold is not counted to.
        if (tensor_count > from.left() / 24) return too_many("tensors", tensor_count, from.left() / 24);
        if (entry_count > from.left() / 12) return too_many("keys", entry_count, from.left() / 12);

        for (std::uint64_t i = 0; i < entry_count; ++i)
            if (auto const r = entry(); !r) return r.error();
        if (auto const twice = out.index_entries()) return bad("has a key twice", {}, in_quotes(*twice));
        if (auto const r = alignment(); !r) return r.error();
        for (std::uint64_t i = 0; i < tensor_count; ++i)
            if (auto const r = tensor(); !r) return r.error();
        if (auto const twice = out.index_tensors()) return bad("has a tensor twice", {}, in_quotes(*twice));
        if (auto const r = place(); !r) return r.error();
        return std::move(out);
    }

private:
    problem bad(std::string what, std::string expected = {}, std::string got = {}, std::string hint = {}) const {
        return {cause::bad_file,     out.file,       std::move(what), "at byte " + std::to_string(from.position()),
                std::move(expected), std::move(got), std::move(hint)};
    }
    problem bad_tensor(gguf_tensor const& t, std::string what, std::string expected = {}, std::string got = {}) const {
        return {cause::bad_file, out.file, std::move(what), "tensor " + in_quotes(t.name), std::move(expected),
                std::move(got),  {}};
    }
    problem cut_off(std::string const& within) const {
        return bad("ends inside " + within, "more bytes", std::to_string(from.left()) + " left",
                   "downloading it again");
    }
    problem too_many(std::string const& what, std::uint64_t count, std::uint64_t most) const {
        return bad("counts more " + what + " than it can hold", "at most " + std::to_string(most),
                   std::to_string(count));
    }

    result<std::string_view> string(std::string const& what, std::uint64_t longest) {
        std::uint64_t length = 0;
        std::span<std::byte const> characters;
        if (!from.take(length)) return cut_off(what);
        if (length > from.left())
            return bad(what + " is longer than the file", "at most " + std::to_string(from.left()) + " bytes",
                       std::to_string(length));
        if (length > longest)
            return bad(what + " is too long", "at most " + std::to_string(longest) + " bytes", std::to_string(length));
        if (!from.take(length, characters)) return cut_off(what);
        return as_text(characters);
    }

    result<gguf_type> type() {
        std::uint32_t code = 0;
        if (!from.take(code)) return cut_off("a value's type");
        if (code >= gguf_type_count) return bad("has a value of an unknown type", "0 to 12", std::to_string(code));
        return static_cast<gguf_type>(code);
    }

    result<void> entry() {
        gguf_entry e;
        auto const key = string("a key", 65535);
        if (!key) return key.error();
        if (key->empty()) return bad("has an empty key");
        e.key = *key;
        auto const t = type();
        if (!t) return t.error();
        e.type = *t;
        if (e.type == gguf_type::string) {
            auto const s = string("the value of " + in_quotes(e.key), UINT64_MAX);
            if (!s) return s.error();
            e.data = as_bytes(*s);
        } else if (e.type == gguf_type::array) {
            if (auto const r = array(e); !r) return r.error();
        } else if (!from.take(size_of(e.type), e.data)) {
            return cut_off("the value of " + in_quotes(e.key));
        }
        out.entries.push_back(e);
        return {};
    }

    result<void> array(gguf_entry& e) {
        auto const element = type();
        if (!element) return element.error();
        e.element = *element;
        if (!from.take(e.count)) return cut_off("the length of " + in_quotes(e.key));
        if (e.element == gguf_type::array)
            return bad("has an array of arrays", "an array of numbers or strings", "key " + in_quotes(e.key));
        std::uint64_t const smallest = e.element == gguf_type::string ? 8 : size_of(e.element);
        if (e.count > from.left() / smallest)
            return bad("the array " + in_quotes(e.key) + " is longer than the file",
                       "at most " + std::to_string(from.left() / smallest) + " elements", std::to_string(e.count));
        if (e.element != gguf_type::string)
            return from.take(e.count * smallest, e.data) ? result<void>{} : cut_off(in_quotes(e.key));
        auto const start = static_cast<std::size_t>(from.position());
        for (std::uint64_t i = 0; i < e.count; ++i)
            if (auto const s = string("a string of " + in_quotes(e.key), UINT64_MAX); !s) return s.error();
        e.data = all.subspan(start, static_cast<std::size_t>(from.position()) - start);
        return {};
    }

    result<void> alignment() {
        gguf_entry const* const e = out.find("general.alignment");
        if (!e) return {};
        if (e->type != gguf_type::uint32)
            return problem{cause::bad_file,  out.file, "a value has the wrong type", "key 'general.alignment'", "u32",
                           name_of(e->type), {}};
        out.alignment = load_number<std::uint32_t>(e->data.data());
        if (out.alignment == 0 || (out.alignment & (out.alignment - 1)) != 0 || out.alignment > (1u << 20))
            return problem{cause::bad_file,
                           out.file,
                           "a value cannot be used",
                           "key 'general.alignment'",
                           "a power of two up to 1048576",
                           std::to_string(out.alignment),
                           {}};
        return {};
    }

    result<void> tensor() {
        gguf_tensor t;
        auto const name = string("a tensor's name", 64);
        if (!name) return name.error();
        if (name->empty() || name->find('\0') != name->npos)
            return bad("has a tensor whose name is empty or has a zero byte", {}, in_quotes(*name));
        t.name = *name;
        if (!from.take(t.rank)) return cut_off("tensor " + in_quotes(t.name));
        if (t.rank < 1 || t.rank > 4)
            return bad_tensor(t, "has an impossible number of dimensions", "1 to 4", std::to_string(t.rank));
        for (std::uint32_t i = 0; i < t.rank; ++i)
            if (!from.take(t.dims[i])) return cut_off("tensor " + in_quotes(t.name));
        std::uint32_t code = 0;
        if (!from.take(code) || !from.take(t.offset)) return cut_off("tensor " + in_quotes(t.name));
        t.type = find_ggml_type(code);
        if (!t.type) return bad_tensor(t, "has an unknown type", {}, std::to_string(code));
        out.tensors.push_back(t);
        return {};
    }

    /// The bytes of each tensor: inside the file, aligned, and none of them in two tensors.
    result<void> place() {
        if (out.tensors.empty()) return {};
        std::uint64_t start = 0;
        if (!checked_align(from.position(), out.alignment, start) || start > all.size())
            return cut_off("the padding before its tensors");
        std::span<std::byte const> const data = all.subspan(static_cast<std::size_t>(start));
        for (gguf_tensor& t : out.tensors) {
            auto const bytes = size(t);
            if (!bytes) return bytes.error();
            if (t.offset % out.alignment != 0)
                return bad_tensor(t, "is not aligned",
                                  "an offset that is a multiple of " + std::to_string(out.alignment),
                                  std::to_string(t.offset));
            if (t.offset > data.size() || *bytes > data.size() - t.offset)
                return bad_tensor(t, "does not lie in the file",
                                  std::to_string(*bytes) + " bytes from byte " + std::to_string(t.offset),
                                  std::to_string(data.size()) + " bytes of tensors");
            t.data = data.subspan(static_cast<std::size_t>(t.offset), static_cast<std::size_t>(*bytes));
        }
        return disjoint(data);
    }

    result<std::uint64_t> size(gguf_tensor const& t) const {
        std::uint64_t numbers = 0, bytes = 0;
        for (std::uint64_t const d : t.dims)
            if (d > INT64_MAX) return bad_tensor(t, "has an impossible dimension", {}, std::to_string(d));
        if (t.dims[0] % t.type->block != 0)
            return bad_tensor(t, "has rows that are not whole blocks", "a multiple of " + std::to_string(t.type->block),
                              std::to_string(t.dims[0]));
        if (!checked_product(t.dims, numbers) || !checked_mul(numbers / t.type->block, t.type->bytes, bytes))
            return bad_tensor(t, "has more numbers than can be counted");
        return bytes;
    }

    result<void> disjoint(std::span<std::byte const> data) {
        std::vector<gguf_tensor const*> order;
        for (gguf_tensor const& t : out.tensors)
            if (!t.data.empty()) order.push_back(&t);
        std::sort(order.begin(), order.end(), [](auto a, auto b) { return a->offset < b->offset; });
        std::uint64_t end = 0;
        for (gguf_tensor const* t : order) {
            if (t->offset < end)
                return bad_tensor(*t, "overlaps another tensor", "byte " + std::to_string(end) + " or later",
                                  std::to_string(t->offset));
            end = t->offset + t->data.size();
        }
        std::uint64_t padded = 0;
        if (checked_align(end, out.alignment, padded) && data.size() > padded)
            out.warnings.push_back(std::to_string(data.size() - padded) + " bytes follow the last tensor");
        return {};
    }

    std::span<std::byte const> all;
    byte_reader from;
    gguf out;
};

}  // namespace detail

/// Reads keys and tensors from the bytes of a GGUF file, version 2 or 3. Tensors may lie in any order and with gaps.
/// cost: O(bytes) memory, O(n log n) for n names; the tensors' own bytes are not touched.
inline result<gguf> parse_gguf(std::span<std::byte const> bytes, std::string const& file) {
    return detail::gguf_parser(bytes, file).run();
}

}  // namespace graft
