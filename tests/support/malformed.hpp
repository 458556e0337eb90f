// SPDX-License-Identifier: Apache-2.0
// Good files made bad: GGUF files edited by name, and every truncation and every byte of a small file.
#pragma once

#include <graft/io/gguf_reader.hpp>
#include <graft/io/gguf_writer.hpp>
#include <graft/io/mapped_file.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace graft_test {

/// A GGUF file whose keys and tensors can be changed and which can be written again.
class gguf_edit {
public:
    explicit gguf_edit(std::string const& path) {
        auto opened = graft::mapped_file::open(path, graft::file_access::read);
        if (!opened) throw opened.error();
        file = std::move(*opened);
        auto parsed = graft::parse_gguf(file.bytes(), path);
        if (!parsed) throw parsed.error();
        for (auto const& e : parsed->entries) original.push_back(e);
        for (auto const& t : parsed->tensors)
            tensors.push_back({std::string(t.name),
                               t.type->code,
                               {t.dims.begin(), t.dims.begin() + t.rank},
                               {t.data.begin(), t.data.end()}});
    }

    template <class T>
    void set(std::string const& key, T const& value) {
        remove(key);
        changes.set(key, value);
    }
    void remove(std::string const& key) {
        std::erase_if(original, [&](auto const& e) { return e.key == key; });
    }
    void rename(std::string const& from, std::string const& to) { find(from).name = to; }
    void add(std::string const& name, std::uint32_t type, std::vector<std::uint64_t> const& dims) {
        tensors.push_back({name, type, dims, {}});
        resize(tensors.back());
    }
    void retype(std::string const& name, std::uint32_t type, std::vector<std::uint64_t> const& dims) {
        auto& t = find(name);
        t.type = type, t.dims = dims;
        resize(t);
    }

    void write(std::string const& path) {
        graft::gguf_writer w = std::move(changes);
        for (auto const& e : original) w.copy(e);
        for (auto const& t : tensors)
            if (auto const r = w.declare(t.name, t.type, t.dims); !r) throw r.error();
        if (auto const r = w.open(path, {true, {}, {}}); !r) throw r.error();
        for (auto const& t : tensors)
            if (auto const r = w.write(t.data); !r) throw r.error();
        if (auto const r = w.commit(); !r) throw r.error();
    }

private:
    struct tensor {
        std::string name;
        std::uint32_t type;
        std::vector<std::uint64_t> dims;
        std::vector<std::byte> data;
    };
    tensor& find(std::string const& name) {
        return *std::find_if(tensors.begin(), tensors.end(), [&](auto const& t) { return t.name == name; });
    }
    static void resize(tensor& t) {
        auto const* const type = graft::find_ggml_type(t.type);
        std::uint64_t bytes = type->bytes;
        for (std::uint64_t const d : t.dims) bytes *= d;
        t.data.resize(static_cast<std::size_t>(bytes / type->block));
    }

    graft::mapped_file file;
    std::vector<graft::gguf_entry> original;
    std::vector<tensor> tensors;
    graft::gguf_writer changes;
};

/// Calls f(bytes) with every shorter beginning of `good`, and with `good` with every byte replaced by every value.
/// The bytes lie in an allocation of exactly their size, so that a sanitizer sees the first one too many.
template <class F>
void every_damage(std::vector<std::byte> const& good, F&& f) {
    for (std::size_t n = 0; n < good.size(); ++n) {
        std::vector<std::byte> const shorter(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n));
        f(std::span<std::byte const>(shorter));
    }
    std::vector<std::byte> bytes = good;
    bytes.shrink_to_fit();
    for (std::size_t i = 0; i < good.size(); ++i) {
        for (unsigned v = 0; v < 256; ++v) {
            bytes[i] = static_cast<std::byte>(v);
            f(std::span<std::byte const>(bytes));
        }
        bytes[i] = good[i];
    }
}

}  // namespace graft_test
