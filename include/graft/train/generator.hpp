// SPDX-License-Identifier: Apache-2.0
// The next token, one after another, with the keys and values of the past kept.          (layer 13: train)
#pragma once

#include <graft/block/head.hpp>
#include <graft/memory/arena.hpp>
#include <graft/strategy/strategy.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/model.hpp>

#include <algorithm>

namespace graft {

/// What generation is planned for.
struct generation {
    index_t context = 1024;  // the most rows of prompt and answer together
    index_t chunk = 64;      // rows of the prompt that run at once
    index_t lanes = 1;
};

/// Feeds tokens to a model and gives the logits of what comes next, on an arena of `memory_bytes(…)` bytes.
template <class Block, class T = float>
class generator {
public:
    using sizes = typename Block::sizes;
    using runs = machine<Block, T>;

    static constexpr index_t memory_bytes(model_config const& c, generation const& g, adapter_settings const& a = {}) {
        return regions(c, g, sizes_of(c, g.chunk, a, g.context)).total;
    }

    /// `a`: what the adapters in the model's layers are like; ranks up to its largest.
    generator(model<Block, T> const& m, generation const& g, std::span<std::byte> memory, workers executor = {},
              adapter_settings const& a = {})
        : net(m),
          how(g),
          n(sizes_of(m.config, g.chunk, a, g.context)),
          plan(block_plan_of(n, g)),
          on(executor) {
        require(executor.count == g.lanes, fault::bounds, "generator: lanes of the executor", executor.count, g.lanes);
        require(g.chunk > 0, fault::bounds, "generator: rows of a chunk", g.chunk, 1);
        require(static_cast<index_t>(m.layers.size()) == m.config.layers, fault::shape, "generator: layers",
                static_cast<index_t>(m.layers.size()), m.config.layers);
        for (auto const& layer : m.layers)  // the plan's scratch is for adapters of `rank` on `targets`
            layer.visit([&](auto op, auto const& w) {
                if constexpr (requires { w.A; }) {
                    index_t const planned = decltype(op)::adapter_rank(n);
                    require(w.A.rows <= planned, fault::shape, "generator: rank of an adapter", w.A.rows, planned);
                }
            });
        arena place(memory);
        auto const& c = net.config;
        auto const r = regions(c, g, n);
        on.panel_bytes = round_up(product_panel_bytes<T>, buffer_alignment);
        on.panels = place.take(r.panels);
        view = batch_view<T>(place, g.chunk, c);
        stream = r.stream, keys = r.keys;
        streams = place.take_numbers<T>(2 * r.stream);
        scratch = place.take(r.block);
        cache = place.take_numbers<T>(c.layers * 2 * r.keys);
        last = place.take_numbers<T>(c.width);
        out = place.take_numbers<T>(c.vocabulary);
    }
    generator(generator const&) = delete;
    generator& operator=(generator const&) = delete;

    /// Forgets the past.
    void clear() { past = 0; }
    index_t position() const { return past; }

    /// Appends tokens to the past; returns the logits after the last of them (vocabulary numbers, until the next call).
    std::span<T> feed(std::span<int const> ids) {
        require(!ids.empty(), fault::bounds, "generator: tokens", 0, 1);
        require(past + static_cast<index_t>(ids.size()) <= how.context, fault::bounds, "generator: rows of context",
                past + static_cast<index_t>(ids.size()), how.context);
        while (!ids.empty()) {
            auto const part = ids.first(std::min(ids.size(), static_cast<std::size_t>(how.chunk)));
            run(part);
            ids = ids.subspan(part.size());
        }
        return {out, static_cast<std::size_t>(net.config.vocabulary)};
    }

private:
    struct layout {
        index_t panels, stream, block, keys, total;
    };
    static constexpr auto block_plan_of(sizes const& n, generation const& g) {
        return make_plan(runs::code, make_schedule(runs::code, inference{}, n), n,
                         plan_settings{static_cast<index_t>(sizeof(T)), g.lanes});
    }
    static constexpr layout regions(model_config const& c, generation const& g, sizes const& n) {
        constexpr index_t t = static_cast<index_t>(sizeof(T));
        auto const padded = [](index_t b) { return round_up(b, buffer_alignment); };
        layout r{};
        r.panels = g.lanes * padded(product_panel_bytes<T>);
        r.stream = padded(g.chunk * c.width * t) / t;
        r.block = block_plan_of(n, g).scratch_bytes;
        r.keys = g.context * c.kv_heads * c.head;
        r.total = r.panels + batch_view<T>::bytes(g.chunk, c.head) + 2 * r.stream * t + padded(r.block) +
                  padded(c.layers * 2 * r.keys * t) + padded(c.width * t) + padded(c.vocabulary * t);
        return r;
    }

    void run(std::span<int const> ids) {
        auto const& c = net.config;
        index_t const rows = static_cast<index_t>(ids.size());
        view.set({ids, {}, {}}, c, past);
        auto around = view.around(c);
        T *entry = streams, *exit = streams + stream;
        embed(matrix<T>{entry, rows, c.width, &on}, net.embedding, ids);
        for (index_t l = 0; l < c.layers; ++l) {
            around.cache = {cache + 2 * l * keys, cache + (2 * l + 1) * keys, past, how.context};
            runs::forward({n, around, net.layers[static_cast<std::size_t>(l)], on, plan.view(), rows, scratch, nullptr,
                           entry, exit, nullptr});
            std::swap(entry, exit);
        }
        past += rows;
        matrix<T> const z{last, 1, c.width, &on};
        rms_norm(z, matrix<T>{entry, rows, c.width, &on}.slice(rows - 1, 1), net.norm, c.norm_epsilon);
        logits(matrix<T>{out, 1, c.vocabulary, &on}, z, net.head);
    }

    model<Block, T> net;
    generation how;
    sizes n;
    typename runs::packed plan;
    workers on;
    batch_view<T> view;
    T *streams = nullptr, *cache = nullptr, *last = nullptr, *out = nullptr;
    std::byte* scratch = nullptr;
    index_t stream = 0, keys = 0;  // numbers of one stream, and of the keys (or values) of one layer
    index_t past = 0;
};

}  // namespace graft
