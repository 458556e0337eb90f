// SPDX-License-Identifier: Apache-2.0
// How much of the mapped weights is resident: some layers stay, the others leave as soon as they ran. (layer 16: io)
#pragma once

#include <graft/io/model_data.hpp>
#include <graft/io/page_release.hpp>
#include <graft/kernel/cross_entropy.hpp>
#include <graft/memory/visitor.hpp>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace graft {

/// The memory of mapped weights under a limit, in bytes.
struct residency_plan {
    index_t limit = 0;        // 0: none
    index_t all = 0;          // every matrix
    index_t least = 0;        // the smallest limit that works
    index_t kept = 0;         // what stays resident
    index_t passing = 0;      // the most that is resident beside it: a layer while it runs, a chunk of the head
    index_t kept_layers = 0;  // the last ones
    std::string largest{};    // what `least` is needed for

    constexpr index_t peak() const { return kept + passing; }
};

/// Keeps the resident pages of an opened model's matrices within a limit. Told what was used, through `visitor`, it
/// gives the pages of all that is not kept back to the system; they come back from the file, or from the system's cache
/// of it, when they are touched again.
///
/// What is kept is chosen once: as many layers as fit beside the largest one that passes, the last ones first, then the
/// head, then an embedding of its own. A step runs the layers 0 … N−1, then the head, then N−1 … 0. With room for C
/// layers, the least recently used policy would save C loads in each direction, which is the best that can be; keeping
/// C − 1 of them saves C − 1. But the first saves nothing when only forward passes follow each other (evaluation,
/// zeroth order), where it drops each layer just before it is needed, and it would have to be told before a layer runs
/// and not after. A layer is used twice a step and the head once, so layers come first. The embedding, of which a step
/// reads single rows, and the head pass through in pieces.
///
/// Touching a byte may map more than its page: what of the page cache's folio around it lies in one page table, up to
/// `fault_window` bytes (with pages of 4 KiB). All sizes here are counted in such windows, which makes them true upper
/// bounds, and a window is given back as a whole.
class weight_residency {
public:
    static constexpr index_t fault_window = index_t{2} << 20;

    /// `file` must outlive it. A limit below `least` is a problem that says so.
    static result<weight_residency> make(model_file const& file, index_t limit, file_calls const& calls = {}) {
        weight_residency r;
        r.about = std::make_unique<state>();
        r.about->file = &file, r.about->calls = calls;
        if (auto const done = r.about->choose(limit); !done) return done.error();
        if (limit > 0) r.about->release_all();  // what opening the file and decoding its vectors touched
        return r;
    }

    residency_plan const& plan() const { return about->sizes; }

    /// To be told what was used; null where everything may stay.
    memory_visitor visitor() {
        if (about->passing.empty()) return {};
        return {[](void* self, std::byte const* first, index_t bytes) {
                    static_cast<state*>(self)->used({first, static_cast<std::size_t>(bytes)});
                },
                about.get()};
    }
    /// Layer `layer` ran: the same for callers that have no views of its weights.
    void leave(index_t layer) {
        for (group const& g : about->groups)
            if (g.layer == layer)
                for (auto const& part : g.parts) about->used(part);
    }

private:
    using bytes_view = std::span<std::byte const>;

    /// What is kept or passes as a whole.
    struct group {
        std::string name;
        index_t layer = -1;
        std::vector<bytes_view> parts;
        index_t pass = 0;  // the most of it that is resident while it passes
    };
    /// A run of a mapped file in which nothing is kept.
    struct free_run {
        mapped_file const* file;
        bytes_view bytes;
    };

    static std::uintptr_t address(void const* p) { return reinterpret_cast<std::uintptr_t>(p); }
    static bool lies_before(bytes_view a, bytes_view b) { return address(a.data()) < address(b.data()); }

    /// Bytes of all fault windows that meet a run.
    static index_t windows(bytes_view run) {
        std::uintptr_t const w = fault_window, first = address(run.data()), last = first + run.size();
        return static_cast<index_t>((last + w - 1) / w * w - first / w * w);
    }
    /// The most that a run of `bytes` bytes can meet.
    static constexpr index_t windows(index_t bytes) { return round_up(bytes, fault_window) + fault_window; }

    struct state {
        model_file const* file = nullptr;
        file_calls calls;
        residency_plan sizes;
        std::vector<group> groups;      // in the order in which they are kept
        std::vector<free_run> passing;  // ascending

        result<void> choose(index_t limit) {
            sizes.limit = limit;
            if (auto const r = list_groups(); !r) return r;
            sizes.all = whole(groups.size());
            for (group const& g : groups)
                if (g.pass > sizes.least) sizes.least = g.pass, sizes.largest = g.name;
            if (limit != 0 && limit < sizes.least)
                return problem{cause::memory, file->path, "its weights do not fit the limit of resident memory",
                               sizes.largest, "at least " + std::to_string(sizes.least) + " bytes",
                               std::to_string(limit), "--resident-limit with as much more, or no limit"};
            std::size_t kept = groups.size();
            while (kept > 0 && limit != 0 && needed(kept) > limit) --kept;
            sizes.passing = needed(kept) - whole(kept), sizes.kept = whole(kept);
            for (std::size_t i = 0; i < kept; ++i) sizes.kept_layers += groups[i].layer >= 0;
            if (kept < groups.size()) list_free_runs(kept);
            return {};
        }

        /// The layers from the last to the first, the head, an embedding of its own.
        result<void> list_groups() {
            auto const& c = file->config;
            groups.resize(static_cast<std::size_t>(c.layers));
            for (index_t l = 0; l < c.layers; ++l) {
                group& g = groups[static_cast<std::size_t>(c.layers - 1 - l)];
                g.layer = l, g.name = "layer " + std::to_string(l);
            }
            group head, embedding;
            head.name = "the head", embedding.name = "the embedding";
            for (stored_tensor const& t : file->tensors) {
                if (t.shape.size() != 2) continue;  // norms and biases were decoded when the model was bound
                if (!mapping_of(t.data))
                    return problem{cause::usage, file->path, "its weights were read into memory and cannot leave it",
                                   {}, "mapped weights", {}, "no limit of resident memory"};
                auto const split = split_layer(t.name);
                bool const is_embedding = t.name == "model.embed_tokens.weight";
                index_t const row = t.how->row_bytes(t.columns()), rows = t.rows();
                if (split) {
                    groups[static_cast<std::size_t>(c.layers - 1 - split->layer)].parts.push_back(t.data);
                    continue;
                }
                group& g = is_embedding && !c.tied_head ? embedding : head;
                g.parts.push_back(t.data);
                index_t const at_once = &g == &head ? std::min(rows, cross_entropy_chunk) : 1;
                g.pass = std::min(windows(at_once * row), windows(t.data));
            }
            if (!head.parts.empty()) groups.push_back(std::move(head));
            if (!embedding.parts.empty()) groups.push_back(std::move(embedding));
            for (group& g : groups) {
                join(g.parts);
                for (bytes_view const part : g.parts) g.pass += g.layer >= 0 ? windows(part) : 0;
            }
            return {};
        }

        /// Parts of one file whose windows meet become one.
        void join(std::vector<bytes_view>& parts) const {
            std::sort(parts.begin(), parts.end(), lies_before);
            std::vector<bytes_view> joined;
            for (bytes_view const p : parts) {
                std::uintptr_t const w = fault_window, first = address(p.data()), last = first + p.size();
                bytes_view* const back = joined.empty() ? nullptr : &joined.back();
                if (back && first / w <= (address(back->data()) + back->size()) / w &&
                    mapping_of(*back) == mapping_of(p))
                    *back = {back->data(), std::max<std::size_t>(back->size(), last - address(back->data()))};
                else
                    joined.push_back(p);
            }
            parts = std::move(joined);
        }

        /// What the first `kept` groups are, in ascending order.
        std::vector<bytes_view> held(std::size_t kept) const {
            std::vector<bytes_view> all;
            for (group const& g : std::span(groups).first(kept)) all.insert(all.end(), g.parts.begin(), g.parts.end());
            join(all);
            return all;
        }
        index_t whole(std::size_t kept) const {
            index_t sum = 0;
            for (bytes_view const part : held(kept)) sum += windows(part);
            return sum;
        }
        /// The peak with the first `kept` groups kept.
        index_t needed(std::size_t kept) const {
            index_t pass = 0;
            for (std::size_t i = kept; i < groups.size(); ++i) pass = std::max(pass, groups[i].pass);
            return whole(kept) + pass;
        }

        mapped_file const* mapping_of(bytes_view run) const {
            for (mapped_file const& f : file->files)
                if (auto const all = f.bytes(); f.is_mapped() && address(run.data()) >= address(all.data()) &&
                                                address(run.data()) + run.size() <= address(all.data()) + all.size())
                    return &f;
            return nullptr;
        }

        void list_free_runs(std::size_t kept) {
            auto const stays = held(kept);
            for (mapped_file const& f : file->files) {
                if (!f.is_mapped()) continue;
                bytes_view rest = f.bytes();
                for (bytes_view const h : stays) {
                    if (address(h.data()) < address(rest.data()) ||
                        address(h.data()) >= address(rest.data()) + rest.size())
                        continue;
                    std::size_t const before = address(h.data()) - address(rest.data());
                    if (before > 0) passing.push_back({&f, rest.first(before)});
                    rest = rest.subspan(before + h.size());
                }
                if (!rest.empty()) passing.push_back({&f, rest});
            }
            std::sort(passing.begin(), passing.end(),
                      [](free_run const& a, free_run const& b) { return lies_before(a.bytes, b.bytes); });
        }

        /// Gives back the windows of a run, as far as nothing in them is kept.
        void used(bytes_view run) const {
            std::uintptr_t const w = fault_window, first = address(run.data()) / w * w,
                                 last = (address(run.data()) + run.size() + w - 1) / w * w;
            auto in = std::upper_bound(passing.begin(), passing.end(), run,
                                       [](bytes_view at, free_run const& r) { return lies_before(at, r.bytes); });
            if (in != passing.begin()) --in;
            for (; in != passing.end() && address(in->bytes.data()) < last; ++in) {
                std::uintptr_t const start = address(in->bytes.data()), from = std::max(start, first),
                                     to = std::min(start + in->bytes.size(), last);
                if (from < to) release_pages(*in->file, in->bytes.subspan(from - start, to - from), calls);
            }
        }

        void release_all() const {
            for (free_run const& r : passing) release_pages(*r.file, r.bytes, calls);
        }
    };

    std::unique_ptr<state> about;
};

}  // namespace graft
