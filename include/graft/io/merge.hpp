// SPDX-License-Identifier: Apache-2.0
// A copy of a GGUF model with an adapter merged into its matrices, a row at a time.      (layer 16: io)
#pragma once

#include <graft/io/adapted_rows.hpp>
#include <graft/io/model_file.hpp>
#include <graft/io/requantize.hpp>

#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graft {

struct merge_options {
    format const* type = nullptr;  // of matrices; null: as each is
    save_options save{};
};

/// What became of one adapted matrix W' = W + ΔW. The norms are Frobenius's.
struct merged_tensor {
    std::string name;
    format const *from = nullptr, *to = nullptr;
    double delta = 0;  // ‖ΔW‖
    double lost = 0;   // ‖W' as stored − W'‖: what the format cannot hold
    double share() const { return delta > 0 ? lost / delta : 0; }
};

struct merge_report {
    std::vector<merged_tensor> tensors;  // the adapted ones, in the file's order
    double delta = 0, lost = 0;          // of all of them
    std::uint64_t bytes_before = 0, bytes_after = 0;
    double share() const { return delta > 0 ? lost / delta : 0; }
};

namespace detail {

/// The pairs by the names of the tensors that they change.
inline std::map<std::string_view, lora_pair> pairs_of_tensors(gguf const& g, adapter const& a, model_config const& c) {
    std::map<std::string_view, lora_pair> all;
    for (lora_pair p : a.pairs) {
        gguf_tensor const* const t = g.tensor(*gguf_module(p.module) + ".weight");  // check_adapter found the module
        to_interleaved(p, c.pairing == rope_pairing::interleaved ? heads_of(c, p.module) : 0, c.head);
        if (t) all.emplace(t->name, std::move(p));
    }
    return all;
}

/// The format of a tensor in the merged file; null where its bytes are copied.
inline result<format const*> merged_format(gguf_tensor const& t, bool adapted, format const* target,
                                           std::string const& file) {
    format const* const from = find_format(t.type->code);
    format const* const to = target ? new_format(t, *target) : adapted ? from : nullptr;
    if (!to || (to == from && !adapted)) return static_cast<format const*>(nullptr);
    if (from && encodes(*to)) return to;
    return problem{cause::usage,
                   file,
                   from ? "a matrix that is to change has a format that can only be read"
                        : "a weight has a format that is not supported",
                   "tensor " + in_quotes(t.name),
                   "f32, f16, bf16, q4_0, q4_1, q5_0, q5_1 or q8_0",
                   t.type->name,
                   from ? "another format for the merged matrices: --type q8_0, q4_1, f16" : ""};
}

/// W + s B A, or DoRA's diag(m / n)(W + s B A), row by row.
inline result<merged_tensor> merge_rows(gguf_writer& out, gguf_tensor const& t, lora_pair const& p, double s,
                                        format const& to, std::string const& file) {
    merged_tensor m{std::string(t.name), find_format(t.type->code), &to};
    weight const w(t.data.data(), static_cast<index_t>(t.dims[1]), static_cast<index_t>(t.dims[0]), *m.from);
    adapted_rows rows(p, s);
    row_encoder encoder(out, to, t, file);
    std::vector<float> row(static_cast<std::size_t>(w.columns));
    double delta = 0, lost = 0;
    for (index_t o = 0; o < w.rows; ++o) {
        double k = 1;
        if (!p.m.empty()) {
            double const n = rows.length(w, o);
            if (!(n > 0))
                return bad_pair(cause::mismatch, file, p.module, "DoRA divides by the length of a row that is zero");
            k = static_cast<double>(p.m[static_cast<std::size_t>(o)]) / n;
        }
        auto const exact = rows.row(w, o);
        auto const frozen = rows.frozen_row();
        for (std::size_t i = 0; i < row.size(); ++i) {
            row[i] = static_cast<float>(k * exact[i]);
            double const d = k * exact[i] - static_cast<double>(frozen[i]);
            delta += d * d;
        }
        if (auto const r = encoder.write(row); !r) return r.error();
        encoder.decode(row);
        for (std::size_t i = 0; i < row.size(); ++i) {
            double const d = static_cast<double>(row[i]) - k * exact[i];
            lost += d * d;
        }
    }
    m.delta = std::sqrt(delta), m.lost = std::sqrt(lost);
    return m;
}

}  // namespace detail

/// Writes `output`: the GGUF model with W' = W + s B A (DoRA: diag(m / n)(W + s B A)) in the place of every adapted
/// matrix, in its own format or in another; everything else stays, byte for byte where no format is asked for.
/// Memory: the header, the adapter, and a few rows.
inline result<merge_report> merge(std::string const& model, adapter const& a, std::string const& output,
                                  merge_options options = {}) {
    if (options.type && !encodes(*options.type))
        return problem{cause::usage,
                       {},
                       "this format can only be read",
                       {},
                       "f32, f16, bf16, q4_0, q4_1, q5_0, q5_1 or q8_0",
                       options.type->name,
                       {}};
    if (is_directory(model))
        return problem{cause::usage,
                       model,
                       "is a directory",
                       {},
                       "a GGUF file, for one is written",
                       {},
                       "converting the model to GGUF first"};
    auto const opened = open_model(model, {.tokenizer = false});
    if (!opened) return opened.error();
    model_config const& c = opened->config;
    if (auto const r = check_adapter(a, c); !r) return r.error();
    auto const file = mapped_file::open(model);
    if (!file) return file.error();
    auto const g = detail::whole_gguf(*file);
    if (!g) return g.error();

    auto const pairs = detail::pairs_of_tensors(*g, a, c);
    gguf_writer out;
    detail::copy_keys(out, *g, options.type);
    std::vector<format const*> chosen;
    merge_report report;
    for (gguf_tensor const& t : g->tensors) {
        auto const to = detail::merged_format(t, pairs.contains(t.name), options.type, model);
        if (!to) return to.error();
        chosen.push_back(*to);
        std::vector<std::uint64_t> const dims(t.dims.begin(), t.dims.begin() + t.rank);
        if (auto const r = out.declare(t.name, *to ? ggml_type_of(**to) : t.type->code, dims); !r) return r.error();
        report.bytes_before += t.data.size();
    }
    options.save.inputs.push_back(model);
    if (auto const r = out.open(output, options.save); !r) return r.error();
    std::uint64_t const head = out.size();
    for (std::size_t i = 0; i < g->tensors.size(); ++i) {
        gguf_tensor const& t = g->tensors[i];
        if (auto const p = pairs.find(t.name); p != pairs.end()) {
            auto merged = detail::merge_rows(out, t, p->second, scale(a, p->second), *chosen[i], model);
            if (!merged) return merged.error();
            report.delta = std::hypot(report.delta, merged->delta), report.lost = std::hypot(report.lost, merged->lost);
            report.tensors.push_back(std::move(*merged));
        } else if (auto const r = chosen[i]
                                      ? detail::convert_rows(out, t, *find_format(t.type->code), *chosen[i], model)
                                      : out.write(t.data);
                   !r) {
            return r.error();
        }
    }
    report.bytes_after = out.size() - head;
    if (auto const r = out.commit(); !r) return r.error();
    return report;
}

}  // namespace graft
