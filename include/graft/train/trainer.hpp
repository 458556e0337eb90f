// SPDX-License-Identifier: Apache-2.0
// One update of training: forward, backward block by block, parameters moved. Nothing allocates.  (layer 13: train)
#pragma once

#include <graft/memory/profile.hpp>
#include <graft/optimizer/norm.hpp>
#include <graft/train/adapter_store.hpp>
#include <graft/train/constant_plan.hpp>
#include <graft/train/trainer_checks.hpp>
#include <graft/train/update_report.hpp>

#include <algorithm>
#include <cmath>

namespace graft {

/// Trains the adapters of a model on an arena of `memory_plan(…).total()` bytes. `Number` is float; tests use double.
///
///     trainer<llama<lora>, mesp, adamw> t(model, settings, memory, pool.handle(nullptr, 0));
///     auto done = t.update(batch, 1.0 / targets, learning_rate);    // one batch an update, or
///     double loss = t.accumulate(batch, 1.0 / targets);             // any number of times
///     t.apply(learning_rate);
template <class Block, GradientStrategy Strategy, Optimizer Rule, class T = float>
class trainer {
public:
    using settings = training<Strategy, Rule>;
    using sizes = typename Block::sizes;
    using runs = machine<Block, T>;
    using layout = step_layout<Block, Strategy, Rule, T>;

    /// The plan: computed, not measured; `high_water()` equals it to the byte once a step has used the larger of block
    /// and head in full (the head: a target in each of `tokens` rows).
    static constexpr training_memory memory_plan(model_config const& c, settings const& s) {
        return layout{c, s}.memory();
    }

    /// `memory`: at least memory_plan(...).total() bytes, 64-byte aligned. `executor`: its lanes must be
    /// settings.lanes; its panels are replaced by the plan's. `apart`: where settings say so, the plan's `checkpoints`
    /// bytes. The model's layers are changed: their adapters lie in `memory` from now on.
    trainer(model<Block, T> const& m, settings const& s, std::span<std::byte> memory, workers executor = {},
            std::span<std::byte> apart = {})
        : trainer(m, s, memory_plan(m.config, s), memory, executor, apart, [](trainer& me, layout const& lay) {
              lay.each_plan([&](std::size_t i, auto const& p) {
                  auto* const events = me.place.template take_numbers<packed_event>(p.size);
                  me.plans[i] = pack_plan(p, events, me.place.template take_numbers<packed_buffer>(p.count));
              });
          }) {}
    /// The same of constants: the plan is not made here, and its schedules do not lie in `memory`.
    template <auto const& Config, auto const& Settings>
    trainer(model<Block, T> const& m, constant_plan<trainer, Config, Settings>, std::span<std::byte> memory,
            workers executor = {}, std::span<std::byte> apart = {})
        : trainer(m, Settings, constant_plan<trainer, Config, Settings>::value.memory, memory, executor, apart,
                  [](trainer& me, layout const&) {
                      me.plans = constant_plan<trainer, Config, Settings>::value.plans;
                      check_constants(me.net.config, Config);
                  }) {}
    trainer(trainer const&) = delete;
    trainer& operator=(trainer const&) = delete;

    /// New adapters that change nothing yet, and an optimizer that remembers nothing.
    void start(std::uint64_t seed) {
        for (index_t l = 0; l < net.config.layers; ++l) {
            adapters.start(l, seed, working, on);
            tell_weights(l);
        }
        forget();
    }

    /// Forward and backward of one batch, and the parameters moved. `scale` times the gradient of the sum of its losses
    /// is followed. A loss that is not finite changes nothing.
    update_report update(batch const& b, double scale, double rate) {
        profiled const step(on.profile, step_part::forward);
        update_report r;
        if (!fuses()) {
            double const loss = accumulate(b, scale);
            if (std::isfinite(loss)) r = apply(rate);
            else r.finite = false, discard();
            return r.loss = loss, r;
        }
        choose();
        r.loss = forward_and_loss(b, static_cast<T>(scale));
        r.finite = std::isfinite(r.loss);
        if (!r.finite) return r;
        double squares = 0;
        ++updates;
        backward([&](index_t l) {
            double const norm = norm_of(gradient_of(l));
            squares += norm * norm;
            if (!std::isfinite(norm)) return void(r.finite = false);
            if (r.finite) move_layer(l, adapters.gradient(l), norm, rate, 1);
        });
        for (index_t l = 0; l < net.config.layers; ++l)
            if (!table[l].chosen && r.finite) move_layer(l, nullptr, 0, rate, 1);
        r.grad_norm = refined_sqrt(squares);
        return r;
    }

    /// Forward and backward of one batch. Returns the sum of its losses; `scale` times the gradient of that sum is
    /// added to the gradients (one over the targets of all batches of an update gives the mean over tokens).
    double accumulate(batch const& b, double scale) {
        require(!fuses(), fault::bounds, "trainer: batches of a fused update (use update)", 0, 1);
        profiled const step(on.profile, step_part::forward);
        if (pending == 0) choose();
        double loss = 0;
        if (pulls()) {
            loss = forward_and_loss(b, static_cast<T>(scale));
            if (says.trains) backward([](index_t) {});
        } else {
            loss = probe(b, scale);
        }
        ++pending;
        return loss;
    }

    /// The sum of the losses of one batch: forward only.
    double evaluate(batch const& b) {
        drops = 0;
        forward(b, false);
        return head_loss({}, T{});
    }

    /// Clips what was accumulated and moves the adapters. Leaves everything as it was if the gradient is not finite.
    update_report apply(double rate) {
        require(pending > 0, fault::bounds, "trainer: batches accumulated before apply", pending, 1);
        profiled const step(on.profile, step_part::update);
        pending = 0;
        return pulls() ? apply_gradients(rate) : apply_estimate(rate);
    }
    /// Forgets what was accumulated since the last update.
    void discard() { pending = 0; }

    /// All trained numbers where they rest as they are computed with; and what the optimizer remembers, layer by layer,
    /// piece by piece. Under DoRA a span that was written to is asked for again before the next pass.
    std::span<T> parameters() {
        require(how.adapters == resting::same, fault::bounds, "trainer: 16-bit adapters (use parameter_bytes)", 0, 1);
        return {reinterpret_cast<T*>(adapters.resting_bytes().data()), static_cast<std::size_t>(adapters.all())};
    }
    std::span<std::byte> parameter_bytes() { return adapters.resting_bytes(); }
    std::span<std::byte> optimizer_state() { return adapters.optimizer_state(); }
    bool optimizer_is_sound() { return adapters.optimizer_is_sound(); }
    /// What the strategy remembers from one update to the next.
    std::span<double> strategy_memory() { return table.memory(); }
    /// The gradients of all layers that are trained at this update, lowest first; of estimates and fused updates the
    /// last layer's.
    std::span<T const> accumulated() const { return adapters.all_gradients(); }
    /// Those of one layer; none where it is not trained.
    std::span<T const> gradient_of(index_t l) const {
        if (table[l].gradient < 0) return {};
        return {adapters.gradient(l), static_cast<std::size_t>(table[l].numbers)};
    }
    resting parameters_rest() const { return how.adapters; }
    index_t steps() const { return updates; }
    void resume_at(index_t step) { updates = step, pending = 0; }
    /// One batch an update, through `update` alone?
    bool fuses() const { return how.updates == updating::fused && says.trains && says.pulls(); }

    /// A layer with its adapters as T, until `close_layer` lays them to rest again.
    layer_weights<Block, T>& open_layer(index_t l) { return adapters.open(l); }
    void close_layer(index_t l) { adapters.close(l, working); }
    layer_weights<Block, T>& layer(index_t l) { return adapters.layer(l); }
    /// Copies of the layers' views, with the adapters as T at `numbers` (as many as there are parameters), also where
    /// they rest in 16 bits; their lengths of rows are those of now.
    void lay_views(std::span<layer_weights<Block, T>> views, T* at) {
        take_up(how.adapters, adapters.resting_bytes().data(), adapters.all(), at);
        for (index_t l = 0; l < net.config.layers; at += adapters.numbers_of(l++)) {
            adapters.enter(l, {}, working, on);
            views[static_cast<std::size_t>(l)] = layer(l);
            adapters.lay_view(views[static_cast<std::size_t>(l)], l, at);
        }
    }
    /// Makes what the layers keep beside their adapters that of their adapters now.
    void refresh() {
        for (index_t l = 0; l < net.config.layers; ++l) adapters.enter(l, {}, working, on);
    }
    model<Block, T> const& of() const { return net; }
    sizes const& dimensions() const { return n; }
    training_memory const& memory() const { return planned; }
    /// The end of the memory that was really used so far, in bytes.
    index_t high_water() const { return fixed + round_up(std::max(reached_block, reached_head), buffer_alignment); }
    /// Who is told of weights and kept streams that were used.
    void watch(memory_visitors who) { told = who; }
    /// Whose table the steps to come are added to (evaluations are not); null: nobody's.
    void watch(step_profile* table_of_time) {
        require(!table_of_time || GRAFT_EXTRAS, fault::bounds, "trainer: profiles, without GRAFT_EXTRAS", 1, 0);
        require(!table_of_time || table_of_time->lanes() >= on.count, fault::bounds, "trainer: lanes of a profile",
                table_of_time ? table_of_time->lanes() : 0, on.count);
        on.profile = table_of_time;
    }

private:
    /// Not from losses alone.
    bool pulls() const { return !may_estimate<Strategy> || says.pulls(); }
    /// `lay_plans(trainer, layout)` sets `plans`.
    trainer(model<Block, T> const& m, settings const& s, training_memory const& memory_of, std::span<std::byte> memory,
            workers executor, std::span<std::byte> apart, auto lay_plans)
        : net(m), how(s), planned(memory_of), place(memory), on(executor) {
        check_training(net, how, executor, static_cast<index_t>(apart.size()), planned.checkpoints);
        layout const lay = plan_of();
        auto const& c = net.config;
        n = lay.n, says = lay.says;
        on.panel_bytes = round_up(product_panel_bytes<T>, buffer_alignment);
        on.panels = place.take(planned.panels);
        table = layer_table(place, c.layers, says.estimate.samples);
        lay_plans(*this, lay);
        view = batch_view<T>(place, how.tokens, c);
        std::byte* const slots = how.checkpoints_apart ? apart.data() : place.take(planned.checkpoints);
        kept = place.take(planned.kept);
        std::array<T*, 3> working_streams{};
        for (index_t i = 0; i < lay.streams(); ++i)
            working_streams[static_cast<std::size_t>(i)] = place.take_numbers<T>(how.tokens * c.width);
        streams = {lay.stream_settings(), slots, working_streams, table};
        adapters = {how, net.layers, table};
        adapters.take(place, lay);
        working = place.take(std::max(planned.block, planned.head));
        fixed = place.taken() - round_up(std::max(planned.block, planned.head), buffer_alignment);
        forget();
        for (index_t l = 0; l < c.layers; ++l) adapters.lay(l);
    }

    layout plan_of() const { return {net.config, how}; }

    /// Nothing remembered: no updates, no lengths of gradients, no losses.
    void forget() {
        adapters.forget();
        table.forget();
        updates = pending = 0;
        choose();
    }

    /// What each layer does in the next update.
    void choose() {
        table.choose(how.strategy, says, updates + 1, how.seed, fuses(),
                     [&](index_t l) { return plan_for(l).kept_bytes; });
    }
    plan_view const& plan_for(index_t l) const {
        return plans[static_cast<std::size_t>(variant_of(how.strategy, l, net.config.layers) * duties +
                                               static_cast<index_t>(table[l].does))];
    }

    // ------------------------------------------------------------------ one block

    typename runs::place block(index_t l, T* entry, T* exit, T* gradient) {
        profiled const entering(on.profile, work_kind::adapters);
        auto const& adapted = adapters.enter(l, moved, working, on);
        return {n,    around, adapted, on,   plan_for(l), view.rows,           working,
                kept + table[l].kept,  entry, exit, gradient, pending == 0, &reached_block, table[l].chosen};
    }
    void run_forward(index_t l, T* entry, T* exit) {
        runs::forward(block(l, entry, exit, nullptr));
        tell_weights(l);
        if (moved.by != 0) adapters.lay(l);
    }
    void tell_weights(index_t l) {
        if (!told.weights) return;
        profiled const telling(on.profile, work_kind::memory);
        layer(l).visit([&](auto, auto const& w) {
            if constexpr (requires { w.W; }) told.weights(w.W);
        });
    }

    // ------------------------------------------------------------------ from block to block

    /// Runs all blocks; the streams that a backward will need are kept if asked. Leaves the last stream in `top`.
    void forward(batch const& b, bool keeping) {
        auto const& c = net.config;
        T* x = streams.place_of(0, nullptr, keeping);
        enter(b, x);
        profiled const pass(on.profile, work_kind::memory, step_part::forward);
        for (index_t l = 0; l < c.layers; ++l) {
            bool const keeps = keeping && streams.keeps(l);
            if (keeps) streams.keep(l, x, view.rows * c.width, told.checkpoints);
            T* const y = streams.place_of(l + 1, x, keeping);
            run_forward(l, x, y);
            if (keeps) streams.leave(l, told.checkpoints);
            x = y;
        }
        top = x;
    }

    /// What is made once per batch, and the first stream.
    void enter(batch const& b, T* x) {
        profiled const entering(on.profile, work_kind::embedding, step_part::forward);
        view.set(b, net.config);
        around = view.around(net.config);
        around.dropout = {drops, how.seed,
                          static_cast<std::uint64_t>(updates) << 20 | static_cast<std::uint64_t>(pending)};
        ids = b.ids;
        embed_batch(x);
    }
    void embed_batch(T* x) {
        embed(matrix<T>{x, view.rows, net.config.width, &on}, net.embedding, ids, told.weights);
    }

    double forward_and_loss(batch const& b, T scale) {
        drops = how.dropout;
        forward(b, says.trains);
        return head_loss(matrix<T>{top, view.rows, net.config.width, &on}, scale);
    }

    /// From the gradient of the last stream, which lies in its place, down to the lowest block that is trained.
    /// `pulled(l)` after each block whose gradients are there.
    void backward(auto&& pulled) {
        profiled const pass(on.profile, work_kind::memory, step_part::backward);
        index_t const layers = net.config.layers, every = says.every, count_of = view.rows * net.config.width;
        for (index_t l = layers; l-- > table.lowest;) {
            if (every > 1 && (l == layers - 1 || l % every == every - 1)) run_between(l - l % every, l);
            if (table[l].does == duty::skip) continue;
            T* const entry = streams.get(l, count_of, top);
            if (streams.made_again(l)) embed_batch(entry);
            runs::backward(block(l, entry, nullptr, top));
            streams.leave(l, told.checkpoints);
            tell_weights(l);
            if (table[l].chosen) pulled(l);
        }
    }
    /// The streams from that of layer `first`, which is kept, to that of layer `last`.
    void run_between(index_t first, index_t last) {
        profiled const pass(on.profile, work_kind::memory, step_part::recomputed);
        index_t const count_of = view.rows * net.config.width;
        T* x = streams.get(first, count_of, top);
        for (index_t l = first; l < last; ++l) {
            T* const y = streams.again(l + 1, top, x);
            run_forward(l, x, y);
            streams.keep(l + 1, y, count_of, told.checkpoints);
            x = y;
        }
    }

    double head_loss(matrix<T> g, T scale) {
        profiled const last(on.profile, work_kind::cross_entropy, step_part::head);
        loss_head<T> const head{net.head, net.norm, net.config.norm_epsilon, told.weights};
        index_t const rows = static_cast<index_t>(view.targets().size());
        reached_head = std::max(reached_head, loss_head<T>::scratch_bytes(rows, net.config.width));
        return head(matrix<T>{top, view.rows, net.config.width, &on}, view.rows_with_target(), view.targets(), g, scale,
                    reinterpret_cast<T*>(working));
    }

    // ------------------------------------------------------------------ parameters

    double norm_of(std::span<T const> g) const {
        profiled const norm(on.profile, work_kind::gradient_norm, step_part::update);
        return global_norm(g.data(), static_cast<index_t>(g.size()), on);
    }
    /// Moves one layer; without gradients where it was not trained.
    void move_layer(index_t l, T const* g, double norm, double rate, double scale) {
        if (!g && says.update == unselected_update::none) return;
        profiled const moving(on.profile, work_kind::optimizer, step_part::update);
        index_t step = updates;
        if (g) table.length_of(l) = norm, ++table.updates_of(l);
        if (says.selects && says.update == unselected_update::none) step = static_cast<index_t>(table.updates_of(l));
        adapters.move(l, g, rate, scale, step, static_cast<std::uint64_t>(updates), working, on);
    }

    update_report apply_gradients(double rate) {
        update_report r;
        double squares = 0;
        for (index_t l = 0; l < net.config.layers; ++l)
            if (auto const g = gradient_of(l); !g.empty()) {
                double const length = norm_of(g);
                squares += length * length;
            }
        r.grad_norm = refined_sqrt(squares);
        r.finite = std::isfinite(r.grad_norm);
        if (!r.finite) return r;
        ++updates;
        double const scale = clip_scale(r.grad_norm, how.max_grad_norm);
        for (index_t l = 0; l < net.config.layers; ++l) {
            auto const g = gradient_of(l);
            move_layer(l, g.empty() ? nullptr : g.data(),
                       says.selects && !g.empty() ? norm_of(g) : 0, rate, scale);
        }
        return r;
    }

    // ------------------------------------------------------------------ gradients from losses alone

    /// Which direction sample k of this update takes, and how far along it.
    direction along(index_t k, double by) const {
        auto const samples = static_cast<std::uint64_t>(says.estimate.samples);
        return {how.seed, static_cast<std::uint64_t>(updates) * samples + static_cast<std::uint64_t>(k), by};
    }
    /// The losses of one batch at the probed points; their differences are added up over the batches of an update.
    double probe(batch const& b, double scale) {
        auto const& e = says.estimate;
        double sum = 0;
        for (index_t k = 0; k < e.samples; ++k) {
            double& d = table.differences()[k];
            if (pending == 0) d = 0;
            for (int sign : {1, -1}) {
                if (e.one_point && sign < 0) continue;
                moved = along(k, sign * e.epsilon), drops = 0;
                forward(b, false);
                double const loss = head_loss({}, T{});
                sum += loss, d += sign * scale * loss;
            }
        }
        moved = {};
        return sum / static_cast<double>(e.samples * (e.one_point ? 1 : 2));
    }
    update_report apply_estimate(double rate) {
        auto const& e = says.estimate;
        auto const samples = static_cast<double>(e.samples);
        update_report r;
        double squares = 0, mean = 0;
        for (index_t k = 0; k < e.samples; ++k) {
            double& d = table.differences()[k];
            mean += d / samples;
            d = !e.one_point ? d / (2 * e.epsilon) : table.knows_loss() != 0 ? (d - table.last_loss()) / e.epsilon : 0;
            d /= samples, squares += d * d;
        }
        r.grad_norm =
            refined_sqrt(squares * static_cast<double>(adapters.all()));  // expected: directions are all but orthogonal
        r.finite = std::isfinite(r.grad_norm);
        if (!r.finite) return r;
        if (e.one_point) table.last_loss() = mean, table.knows_loss() = 1;
        double const scale = clip_scale(r.grad_norm, how.max_grad_norm);
        for (index_t l = 0; l < net.config.layers; ++l) {
            T* const g = adapters.first_gradient();
            std::fill_n(g, table[l].numbers, T{});
            for (index_t k = 0; k < e.samples; ++k)
                add_direction(g, table[l].numbers, along(k, table.differences()[k]), l, on);
            ++updates, move_layer(l, g, 0, rate, scale), --updates;
        }
        ++updates;
        return r;
    }

    model<Block, T> net;
    settings how;
    sizes n{};
    strategy_answers says{};
    std::array<plan_view, layout::most_plans> plans{};  // per variant and duty
    training_memory planned;
    arena place;
    workers on;
    memory_visitors told;
    batch_view<T> view;
    surroundings<T> around;
    std::span<int const> ids;  // of the batch that runs
    layer_table table;
    kept_streams<T> streams;
    adapter_store<Block, Strategy, Rule, T> adapters;
    T* top = nullptr;
    std::byte *kept = nullptr, *working = nullptr;
    direction moved{};
    double drops = 0;  // of the pass that runs
    index_t updates = 0, pending = 0, fixed = 0, reached_block = 0, reached_head = 0;
};

}  // namespace graft
