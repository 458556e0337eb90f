// SPDX-License-Identifier: Apache-2.0
// Copies a GGUF model with its matrices in another format, a row at a time.              (layer 16: io)
#pragma once

#include <graft/io/gguf_reader.hpp>
#include <graft/io/gguf_writer.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/quant/encode.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace graft {

/// What became of a model's tensors.
struct requantize_report {
    std::uint64_t converted = 0, narrowed = 0, kept = 0;  // narrowed: to f16, rows not being whole blocks
    std::uint64_t bytes_before = 0, bytes_after = 0;
};

namespace detail {

/// The format a tensor gets: `target` for a matrix with whole blocks, f16 for other matrices; vectors stay as they are.
inline format const* new_format(gguf_tensor const& t, format const& target) {
    if (t.rank < 2) return nullptr;
    return t.dims[0] % static_cast<std::uint64_t>(target.block) == 0 ? &target : &f16;
}

/// Rows of floats into a tensor of a file, in its format.
class row_encoder {
public:
    row_encoder(gguf_writer& to, format const& into, gguf_tensor const& t, std::string const& from_file)
        : out(&to),
          how(&into),
          tensor(&t),
          file(&from_file),
          encoded(static_cast<std::size_t>(into.row_bytes(static_cast<index_t>(t.dims[0])))) {}

    /// A problem where a number does not fit the format.
    result<void> write(std::span<float const> row) {
        float const most = how->type == weight_type::f32    ? std::numeric_limits<float>::max()
                           : how->type == weight_type::bf16 ? 3.3e38f
                                                            : 65504.0f;  // a half holds no more
        for (float const x : row)
            if (!(std::abs(x) <= most))
                return problem{cause::bad_file,
                               *file,
                               "a number does not fit the new format",
                               "tensor " + in_quotes(tensor->name),
                               "at most " + std::to_string(most),
                               std::to_string(x),
                               {}};
        encode(*how, row.data(), std::ssize(row), encoded.data());
        return out->write(encoded);
    }
    /// The row last written, as it will be read.
    void decode(std::span<float> row) const { how->decode(encoded.data(), 0, std::ssize(row), row.data()); }

private:
    gguf_writer* out;
    format const* how;
    gguf_tensor const* tensor;
    std::string const* file;
    std::vector<std::byte> encoded;
};

/// Decodes and encodes all rows of a tensor; needs memory for one row.
inline result<void> convert_rows(gguf_writer& out, gguf_tensor const& t, format const& from, format const& to,
                                 std::string const& file) {
    auto const columns = static_cast<index_t>(t.dims[0]);
    auto const stride = static_cast<std::size_t>(from.row_bytes(columns));
    std::vector<float> row(static_cast<std::size_t>(columns));
    row_encoder rows(out, to, t, file);
    for (std::size_t at = 0; at < t.data.size(); at += stride) {
        from.decode(t.data.data() + at, 0, columns, row.data());
        if (auto const r = rows.write(row); !r) return r;
    }
    return {};
}

/// A GGUF model whose tensors another file is to have in new formats: opened, and in one piece.
inline result<gguf> whole_gguf(mapped_file const& file) {
    auto g = parse_gguf(file.bytes(), file.path());
    if (!g) return g.error();
    auto const shards = g->count("split.count", 1);
    if (!shards) return shards.error();
    if (*shards > 1)
        return problem{cause::bad_file,          file.path(), "is one part of a split model",
                       "key 'split.count'",      "1",         std::to_string(*shards),
                       "joining the parts first"};
    return g;
}

/// The keys of a file, those that name the format of its matrices for `target` (null: as they were).
inline void copy_keys(gguf_writer& out, gguf const& g, format const* target) {
    for (gguf_entry const& e : g.entries)
        if (e.key != "general.alignment" &&
            (!target || (e.key != "general.file_type" && e.key != "general.quantization_version")))
            out.copy(e);
    if (!target) return;
    out.set("general.file_type", file_type_of(target->type));
    if (target->block > 1) out.set("general.quantization_version", std::uint32_t{2});
}

}  // namespace detail

/// Writes `to_path` with the matrices of `from_path` in `target` (one that `encodes`); metadata stays but for the keys
/// that name the format. Memory: the header and one row.
inline result<requantize_report> requantize(std::string const& from_path, std::string const& to_path,
                                            format const& target, save_options options = {}) {
    if (!encodes(target))
        return problem{
            cause::usage, {}, "this format can only be read", {}, "f32, f16, bf16, q4_0, q4_1, q5_0, q5_1 or q8_0",
            target.name,  {}};
    auto const file = mapped_file::open(from_path);
    if (!file) return file.error();
    auto const g = detail::whole_gguf(*file);
    if (!g) return g.error();
    gguf_writer out;
    detail::copy_keys(out, *g, &target);
    requantize_report report;
    for (gguf_tensor const& t : g->tensors) {
        format const *const from = find_format(t.type->code), *const to = detail::new_format(t, target);
        if (to && !from)
            return problem{cause::bad_file,
                           from_path,
                           "a weight has a format that is not supported",
                           "tensor " + in_quotes(t.name),
                           {},
                           t.type->name,
                           {}};
        std::vector<std::uint64_t> const dims(t.dims.begin(), t.dims.begin() + t.rank);
        if (auto const r = out.declare(t.name, to ? ggml_type_of(*to) : t.type->code, dims); !r) return r.error();
        ++(!to || to == from ? report.kept : to == &target ? report.converted : report.narrowed);
        report.bytes_before += t.data.size();
    }
    options.inputs.push_back(from_path);
    if (auto const r = out.open(to_path, options); !r) return r.error();
    std::uint64_t const head = out.size();
    for (gguf_tensor const& t : g->tensors) {
        format const *const from = find_format(t.type->code), *const to = detail::new_format(t, target);
        auto const r = !to || to == from ? out.write(t.data) : detail::convert_rows(out, t, *from, *to, from_path);
        if (!r) return r.error();
    }
    report.bytes_after = out.size() - head;
    if (auto const r = out.commit(); !r) return r.error();
    return report;
}

}  // namespace graft
