// SPDX-License-Identifier: Apache-2.0
// Writes a safetensors file, laid out as the reference implementation does.              (layer 16: io)
#pragma once

#include <graft/io/atomic_file.hpp>
#include <graft/io/safetensors.hpp>

#include <map>

namespace graft {

/// A tensor to be written: `type` is one of `safetensors_types`' names, `data` all its bytes.
struct tensor_to_write {
    std::string name;
    std::string_view type;
    std::vector<std::uint64_t> shape;
    std::span<std::byte const> data;
};

/// Wide types first, then by name; the header padded with spaces to a multiple of 8 bytes, so that data is aligned.
inline result<void> write_safetensors(std::string const& path, std::span<tensor_to_write const> tensors,
                                      std::map<std::string, std::string> const& metadata,
                                      save_options const& options = {}) {
    std::vector<tensor_to_write const*> order;
    for (auto const& t : tensors) order.push_back(&t);
    auto const width = [](tensor_to_write const* t) {
        auto const* const type = find_safetensors_type(t->type);
        return type ? type->bytes : 0;
    };
    std::sort(order.begin(), order.end(),
              [&](auto a, auto b) { return width(a) != width(b) ? width(a) > width(b) : a->name < b->name; });

    auto const string = [](std::string const& s) { return json_text(nlohmann::json(s)); };
    std::string header = "{", separator;
    if (!metadata.empty()) {
        header += "\"__metadata__\":{";
        for (auto const& [key, value] : metadata) {
            header += separator + string(key) + ":" + string(value);
            separator = ",";
        }
        header += "}";
    }
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        tensor_to_write const& t = *order[i];
        std::uint64_t bytes = 0, end = 0;
        if (width(&t) == 0 || !valid_utf8(t.name) || t.name == "__metadata__" ||
            (i > 0 && order[i - 1]->name == t.name))
            return detail::bad_tensor(path, t.name, "has a type or a name that cannot be written");
        if (!checked_product(t.shape, bytes) || !checked_mul(bytes, width(&t), bytes) || bytes != t.data.size() ||
            !checked_add(offset, bytes, end))
            return detail::bad_tensor(path, t.name, "has a shape that does not fit its bytes", std::to_string(bytes),
                                      std::to_string(t.data.size()));
        header += separator + string(t.name) + ":{\"dtype\":\"" + std::string(t.type) + "\",\"shape\":[";
        for (std::size_t d = 0; d < t.shape.size(); ++d) header += (d ? "," : "") + std::to_string(t.shape[d]);
        header += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
        separator = ",";
        offset = end;
    }
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');

    auto file = atomic_file::create(path, options);
    if (!file) return file.error();
    auto const length = static_cast<std::uint64_t>(header.size());
    if (auto const r = file->write(std::as_bytes(std::span(&length, 1))); !r) return r;
    if (auto const r = file->write(as_bytes(header)); !r) return r;
    for (auto const* t : order)
        if (auto const r = file->write(t->data); !r) return r;
    return file->commit();
}

}  // namespace graft
