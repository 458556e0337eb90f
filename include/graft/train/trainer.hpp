// SPDX-License-Identifier: Apache-2.0
// One step of training: forward, backward block by block, update. Nothing allocates.     (layer 13: train)
#pragma once

#include <graft/block/adapters.hpp>
#include <graft/block/head.hpp>
#include <graft/memory/arena.hpp>
#include <graft/optimizer/norm.hpp>
#include <graft/optimizer/optimizer.hpp>
#include <graft/strategy/strategy.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/model.hpp>

#include <algorithm>
#include <cmath>

namespace graft {

/// The numbers of a training run that its memory and arithmetic depend on.
template <GradientStrategy Strategy, Optimizer Rule>
struct training {
    index_t tokens = 512;  // the most rows of one pass
    index_t rank = 8;
    double alpha = 16;
    bool rank_stabilised = false;
    unsigned targets = all_targets;
    double max_grad_norm = 1;  // of the whole gradient; 0: no clipping
    index_t lanes = 1;
    Strategy strategy{};
    Rule optimizer{};
};

/// Bytes of everything a training step touches beside the weights. Each is one region of one arena.
struct training_memory {
    index_t panels = 0;       // decoded weights, one panel per lane
    index_t batch = 0;        // positions, angles, targets
    index_t checkpoints = 0;  // the stream between blocks
    index_t kept = 0;         // what the strategy keeps inside blocks
    index_t gradient = 0;     // of the stream
    index_t block = 0;        // the block that is running; shares its place with
    index_t head = 0;         // the loss
    index_t adapters = 0, gradients = 0, optimizer = 0;

    constexpr index_t total() const {
        return panels + batch + checkpoints + kept + gradient + std::max(block, head) + adapters + gradients +
               optimizer;
    }
};

/// What one update did.
struct update_report {
    double grad_norm = 0;  // before clipping
    bool finite = true;    // false: nothing was changed
};

/// Trains the adapters of a model on an arena of `memory_plan(…).total()` bytes. `Number` is float; tests use double.
///
///     trainer<llama<lora>, mesp, adamw> t(model, settings, memory, pool.handle(nullptr, 0));
///     double loss = t.accumulate(batch, 1.0 / targets);   // any number of times
///     t.apply(learning_rate);
template <class Block, GradientStrategy Strategy, Optimizer Rule, class T = float>
class trainer {
public:
    using settings = training<Strategy, Rule>;
    using sizes = typename Block::sizes;
    using runs = machine<Block, T>;

    /// The plan: computed, not measured; `high_water()` equals it to the byte once a step has used the larger of block
    /// and head in full (the head: a target in each of `tokens` rows).
    static constexpr training_memory memory_plan(model_config const& c, settings const& s) {
        sizes const size = sizes_of(c, s.tokens, s.rank, s.targets);
        auto const p = block_plan_of(size, s);
        auto const bytes = [](index_t k) { return round_up(k * static_cast<index_t>(sizeof(T)), buffer_alignment); };
        index_t const stream = bytes(s.tokens * c.width), trained = adapter_numbers<Block>(size) * c.layers;
        training_memory m;
        m.panels = s.lanes * round_up(product_panel_bytes<T>, buffer_alignment);
        m.batch = batch_view<T>::bytes(s.tokens, c.head);
        m.checkpoints = (c.layers + 1) * stream;
        m.kept = c.layers * p.kept_bytes;
        m.gradient = stream;
        m.block = p.scratch_bytes;
        m.head = loss_head<T>::scratch_bytes(s.tokens, c.width);
        m.adapters = bytes(trained);
        m.gradients = bytes(trained);
        m.optimizer = bytes(trained * s.optimizer.state_per_parameter);
        return m;
    }

    /// `memory`: at least memory_plan(...).total() bytes, 64-byte aligned. `executor`: its lanes must be
    /// settings.lanes; its panels are replaced by the plan's. The model's layers are changed: their adapters lie in
    /// `memory` from now on.
    trainer(model<Block, T> const& m, settings const& s, std::span<std::byte> memory, workers executor = {})
        : net(m), how(s), n(sizes_of(m.config, s.tokens, s.rank, s.targets)), plan(block_plan_of(n, s)),
          planned(memory_plan(m.config, s)), place(memory), on(executor) {
        require(executor.count == s.lanes, fault::bounds, "trainer: lanes of the executor", executor.count, s.lanes);
        require(s.tokens > 0, fault::bounds, "trainer: tokens", s.tokens, 1);
        require(s.rank >= 0, fault::bounds, "trainer: rank", s.rank, 0);
        require(static_cast<index_t>(m.layers.size()) == m.config.layers, fault::shape, "trainer: layers",
                static_cast<index_t>(m.layers.size()), m.config.layers);
        auto const& c = net.config;
        on.panel_bytes = round_up(product_panel_bytes<T>, buffer_alignment);
        on.panels = place.take(planned.panels);
        view = batch_view<T>(place, how.tokens, c);
        streams = place.take_numbers<T>(planned.checkpoints / static_cast<index_t>(sizeof(T)));
        kept = place.take(planned.kept);
        gradient = place.take_numbers<T>(how.tokens * c.width);
        count = adapter_numbers<Block>(n) * c.layers;
        numbers = place.take_numbers<T>(count);
        gradients = place.take_numbers<T>(count);
        state = place.take_numbers<T>(count * how.optimizer.state_per_parameter);
        std::fill_n(state, count * how.optimizer.state_per_parameter, T{});
        working = place.take(std::max(planned.block, planned.head));
        fixed = place.taken() - round_up(std::max(planned.block, planned.head), buffer_alignment);

        index_t const each = adapter_numbers<Block>(n);
        T const scale = static_cast<T>(adapter_scale(how.alpha, std::max<index_t>(how.rank, 1), how.rank_stabilised));
        for (index_t l = 0; l < c.layers; ++l)
            lay_adapters(layer(l), n, numbers + l * each, gradients + l * each, scale);
    }
    trainer(trainer const&) = delete;
    trainer& operator=(trainer const&) = delete;

    /// New adapters that change nothing yet, and an optimizer that remembers nothing.
    void start(std::uint64_t seed) {
        for (index_t l = 0; l < net.config.layers; ++l) start_adapters(layer(l), l, seed);
        std::fill_n(state, count * how.optimizer.state_per_parameter, T{});
        updates = 0, pending = 0;
    }

    /// Forward and backward of one batch. Returns the sum of its losses; `scale` times the gradient of that sum is
    /// added to the gradients (one over the targets of all batches of an update gives the mean over tokens).
    double accumulate(batch const& b, double scale) {
        forward(b);
        index_t const rows = view.rows, width = net.config.width;
        matrix<T> const g{gradient, rows, width, &on};
        double const loss = head_loss(g, static_cast<T>(scale));
        for (index_t l = net.config.layers; l-- > 0;) runs::backward(block(l));
        ++pending;
        return loss;
    }

    /// The sum of the losses of one batch: forward only.
    double evaluate(batch const& b) {
        forward(b);
        return head_loss({}, T{});
    }

    /// Clips what was accumulated and moves the adapters. Leaves everything as it was if the gradient is not finite.
    update_report apply(double rate) {
        require(pending > 0, fault::bounds, "trainer: batches accumulated before apply", pending, 1);
        update_report r;
        r.grad_norm = global_norm(gradients, count, on);
        r.finite = std::isfinite(r.grad_norm);
        pending = 0;
        if (!r.finite) return r;
        ++updates;
        how.optimizer.apply(
            update<T>{numbers, gradients, state, count, rate, clip_scale(r.grad_norm, how.max_grad_norm), updates}, on);
        return r;
    }
    /// Forgets what was accumulated since the last update.
    void discard() { pending = 0; }

    /// All trained numbers, their gradients, and what the optimizer remembers: what a checkpoint holds.
    std::span<T> parameters() { return {numbers, static_cast<std::size_t>(count)}; }
    std::span<T const> accumulated() const { return {gradients, static_cast<std::size_t>(count)}; }
    std::span<T> optimizer_state() {
        return {state, static_cast<std::size_t>(count * how.optimizer.state_per_parameter)};
    }
    index_t steps() const { return updates; }
    void resume_at(index_t step) { updates = step, pending = 0; }

    layer_weights<Block, T>& layer(index_t l) { return net.layers[static_cast<std::size_t>(l)]; }
    model<Block, T> const& of() const { return net; }
    sizes const& dimensions() const { return n; }
    training_memory const& memory() const { return planned; }
    /// The end of the memory that was really used so far, in bytes.
    index_t high_water() const { return fixed + round_up(std::max(reached_block, reached_head), buffer_alignment); }

private:
    static constexpr auto block_plan_of(sizes const& n, settings const& s) {
        return make_plan(runs::code, make_schedule(runs::code, s.strategy), n,
                         plan_settings{static_cast<index_t>(sizeof(T)), s.strategy.tile, s.lanes});
    }

    T* stream(index_t l) {
        return streams +
               l * (round_up(how.tokens * net.config.width * static_cast<index_t>(sizeof(T)), buffer_alignment) /
                    static_cast<index_t>(sizeof(T)));
    }

    typename runs::place block(index_t l) {
        return {n, around, layer(l), on, plan, view.rows, working, kept + l * plan.kept_bytes,
                stream(l), stream(l + 1), gradient, pending == 0, &reached_block};
    }

    void forward(batch const& b) {
        view.set(b, net.config);
        around = view.around(net.config);
        embed(matrix<T>{stream(0), view.rows, net.config.width, &on}, net.embedding, b.ids);
        for (index_t l = 0; l < net.config.layers; ++l) runs::forward(block(l));
    }

    double head_loss(matrix<T> g, T scale) {
        loss_head<T> const head{net.head, net.norm, net.config.norm_epsilon};
        index_t const rows = static_cast<index_t>(view.targets().size());
        reached_head = std::max(reached_head, loss_head<T>::scratch_bytes(rows, net.config.width));
        return head(matrix<T>{stream(net.config.layers), view.rows, net.config.width, &on}, view.rows_with_target(),
                    view.targets(), g, scale, reinterpret_cast<T*>(working));
    }

    model<Block, T> net;
    settings how;
    sizes n;
    typename runs::plan plan;
    training_memory planned;
    arena place;
    workers on;
    batch_view<T> view;
    surroundings<T> around;
    T *streams = nullptr, *gradient = nullptr, *numbers = nullptr, *gradients = nullptr, *state = nullptr;
    std::byte *kept = nullptr, *working = nullptr;
    index_t count = 0, updates = 0, pending = 0, fixed = 0, reached_block = 0, reached_head = 0;
};

}  // namespace graft
