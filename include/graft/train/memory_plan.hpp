// SPDX-License-Identifier: Apache-2.0
// The memory of a training step, before it is taken.                                     (layer 13: train)
#pragma once

#include <graft/block/adapters.hpp>
#include <graft/block/pissa.hpp>
#include <graft/block/head.hpp>
#include <graft/memory/limit.hpp>
#include <graft/rule/dora.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/kept_streams.hpp>
#include <graft/train/settings.hpp>

#include <algorithm>

namespace graft {

/// Bytes of everything a training step touches beside the weights. Each is one region of one arena.
struct training_memory {
    index_t tables = 0;       // schedules, and what is known of each layer
    index_t panels = 0;       // decoded weights, one panel per lane
    index_t batch = 0;        // positions, angles, targets
    index_t checkpoints = 0;  // the stream between blocks
    index_t stream = 0;       // the one that is computed with, and its gradient
    index_t kept = 0;         // what the strategy keeps inside blocks
    index_t block = 0;        // the block that is running; shares its place with
    index_t head = 0;         // the loss
    index_t adapters = 0;     // trained numbers, and what DoRA or a start on principal parts keeps beside them
    index_t gradients = 0, optimizer = 0;
    bool checkpoints_apart = false;  // these lie elsewhere and do not count
    index_t norms = 0, offsets = 0;  // of `adapters`: what DoRA keeps of rows' lengths, what PiSSA started from

    constexpr index_t total() const {
        return tables + panels + batch + (checkpoints_apart ? 0 : checkpoints) + stream + kept + std::max(block, head) +
               adapters + gradients + optimizer;
    }
};

/// A trained matrix, and where its numbers and its optimizer's memory begin in those of its layer.
struct placed_piece {
    piece what;
    index_t first = 0, state = 0;
};

/// How a step's memory divides, derived from the settings alone: the one place where sizes are decided.
template <class Block, GradientStrategy Strategy, Optimizer Rule, class T>
struct step_layout {
    using sizes = typename Block::sizes;
    using runs = machine<Block, T>;

    model_config const& c;
    training<Strategy, Rule> const& s;
    strategy_answers says = answers_of(s.strategy);
    adapter_settings adapter = s.adapter();
    sizes n = sized();

    /// Schedules at most: a variant has one per duty, and only strategies that say so have two variants.
    static constexpr std::size_t most_plans =
        may_estimate<Strategy> || requires(Strategy const of) { of.variants; } ? 2 * duties : duties;

    static constexpr index_t bytes(index_t numbers) {
        return round_up(numbers * static_cast<index_t>(sizeof(T)), buffer_alignment);
    }

    /// Does any layer run this variant?
    constexpr bool is_run(index_t variant) const {
        for (index_t l = 0; l < c.layers; ++l)
            if (variant_of(s.strategy, l, c.layers) == variant) return true;
        return false;
    }
    /// Is this kind of schedule ever used?
    constexpr bool uses(index_t variant, duty d) const {
        if (!is_run(variant)) return false;
        if (!says.trains) return d == duty::train;  // whose backward is empty
        if (!says.pulls()) return d == duty::skip;
        if (d == duty::train) return true;
        if (d == duty::lowest) return says.selects || variant == variant_of(s.strategy, 0, c.layers);
        if (d == duty::skip) return says.selects;
        return says.selects && says.gradient == unselected_gradient::exact;
    }
    constexpr typename runs::plan plan(index_t variant, duty d) const {
        return make_plan(runs::code, make_schedule(runs::code, s.strategy, n, role_of(d), variant), n,
                         plan_settings{static_cast<index_t>(sizeof(T)), s.lanes, says.in_place});
    }
    /// f(variant · duties + duty, plan) for each schedule that is ever used.
    constexpr void each_plan(auto&& f) const {
        for (index_t i = 0; i < says.variants * duties; ++i)
            if (duty const d = static_cast<duty>(i % duties); uses(i / duties, d))
                f(static_cast<std::size_t>(i), plan(i / duties, d));
    }
    constexpr bool trains() const { return says.trains; }
    constexpr bool pulls() const { return says.trains && says.pulls(); }
    constexpr index_t most() const { return most_trained(s.strategy, c.layers); }
    /// Streams that are kept at once.
    constexpr index_t slots() const {
        if (!pulls()) return 0;
        if (says.every > 1) return (c.layers + says.every - 1) / says.every + inner_slots();
        if (embeds_again()) return c.layers - 1;
        return says.selects && says.gradient == unselected_gradient::identity ? most() : c.layers;
    }
    /// The lowest block's input is computed once more into the place of the next block's, which was read by then.
    constexpr bool embeds_again() const {
        return s.embeds_again && pulls() && s.checkpoints == resting::same && says.every == 1 && most() == c.layers &&
               c.layers > 1;
    }
    /// Of these, streams within the run of blocks that is computed once more.
    constexpr index_t inner_slots() const { return std::min(says.every, c.layers) - 1; }
    constexpr index_t slot_bytes() const {
        return round_up(s.tokens * c.width * bytes_of<T>(s.checkpoints), buffer_alignment);
    }
    /// Every block reads its input where it is kept: no stream is ever copied.
    constexpr bool in_slots() const {
        return pulls() && s.checkpoints == resting::same && (slots() == c.layers || embeds_again()) && says.every == 1;
    }
    /// Streams that are computed with: the gradient takes the place of the last.
    constexpr index_t streams() const {
        return in_slots() ? 1 : pulls() && says.every > 1 && s.checkpoints != resting::same ? 3 : 2;
    }

    constexpr stream_layout stream_settings() const {
        return {c.layers, says.every, s.tokens * c.width, slot_bytes(), s.checkpoints, in_slots(), embeds_again()};
    }

    constexpr index_t numbers_of(index_t layer) const { return adapter_numbers<Block>(adapter, n, layer); }
    constexpr index_t norms_of(index_t layer) const { return norm_numbers<Block>(adapter, n, layer); }
    constexpr index_t offsets_of(index_t layer) const {
        return n.adapter_offset ? offset_numbers<Block>(adapter, n, layer) : 0;
    }
    constexpr index_t state_of(index_t layer) const {
        index_t sum = 0;
        if (trains())
            each_piece<Block>(adapter, n, layer, [&](auto, piece const& p) { sum += state_of(p); });
        return sum;
    }
    constexpr index_t state_of(piece const& p) const {
        return round_up(s.optimizer.template state_bytes<T>(p), buffer_alignment);
    }
    /// Of all layers together, and of the largest.
    constexpr index_t all(auto&& of) const {
        index_t sum = 0;
        for (index_t l = 0; l < c.layers; ++l) sum += of(l);
        return sum;
    }
    constexpr index_t largest(auto&& of) const {
        index_t most = 0;
        for (index_t l = 0; l < c.layers; ++l) most = std::max(most, of(l));
        return most;
    }
    /// Pieces that move of the layer that has most.
    constexpr index_t pieces() const {
        if (!trains()) return 0;
        return largest([&](index_t l) {
            index_t count = 0;
            each_piece<Block>(adapter, n, l, [&](auto, piece const&) { ++count; });
            return count;
        });
    }
    /// What moving one piece takes beside it, on one lane; and what is done to a layer's adapters between passes.
    constexpr index_t moving_bytes() const {
        return largest([&](index_t l) {
            index_t most = 0;
            each_piece<Block>(adapter, n, l, [&](auto, piece const& p) {
                most = std::max(most, round_up(scratch_bytes<T>(s.optimizer, p), buffer_alignment));
            });
            return most;
        });
    }
    constexpr index_t between_bytes() const {
        index_t const between = largest([&](index_t l) {
            index_t most = 0;
            each_piece<Block>(adapter, n, l, [&](auto op, piece const& p) {
                using Op = decltype(op);
                index_t const in = Op::in_axis::of(n), out = Op::out_axis::of(n), r = n.rank;
                if (p.is == role::magnitude) most = std::max(most, bytes(norm_scratch<T>(in, out, r)));
                if (p.is == role::lora_b && s.start == adapter_start::pissa)
                    most = std::max(most, bytes(pissa_scratch<T>(in, out, r)));
            });
            return most;
        });
        return std::max(between, trains() ? s.lanes * moving_bytes() : 0);
    }
    /// Parameters are computed with in a copy of one layer's.
    constexpr bool copies() const { return s.adapters != resting::same || (trains() && !pulls()); }
    /// Gradients that exist at once.
    constexpr index_t gradient_numbers() const {
        if (!trains()) return 0;
        auto const numbers = [&](index_t l) { return numbers_of(l); };
        if (pulls() && s.updates == updating::deferred && most() == c.layers) return all(numbers);
        return largest(numbers) * (pulls() && s.updates == updating::deferred ? most() : 1);
    }

    constexpr training_memory memory() const {
        index_t scratch = 0, deepest = 0, passing = 0, kept = 0, plans = 0;
        std::array<index_t, 8> kept_of{};
        each_plan([&](std::size_t i, auto const& p) {
            plans += packed_bytes(p);
            scratch = std::max(scratch, p.scratch_bytes);
            index_t& k = kept_of[i / static_cast<std::size_t>(duties)];
            k = std::max(k, p.kept_bytes), deepest = std::max(deepest, k);
            if (static_cast<duty>(i % static_cast<std::size_t>(duties)) == duty::pass)
                passing = std::max(passing, p.kept_bytes);
        });
        for (index_t l = 0; l < c.layers; ++l)
            kept += kept_of[static_cast<std::size_t>(variant_of(s.strategy, l, c.layers))];
        auto const numbers = [&](index_t l) { return numbers_of(l); };
        training_memory m;
        m.tables = layer_table::bytes(c.layers, says.estimate.samples) + plans +
                   round_up(pieces() * static_cast<index_t>(sizeof(placed_piece)), buffer_alignment);
        m.panels = s.lanes * round_up(product_panel_bytes<T>, buffer_alignment);
        m.batch = batch_view<T>::bytes(s.tokens, c.head);
        m.checkpoints = slots() * slot_bytes(), m.checkpoints_apart = s.checkpoints_apart;
        m.stream = streams() * bytes(s.tokens * c.width);
        m.kept = says.selects ? most() * deepest + (c.layers - most()) * passing : kept;
        m.block = std::max(scratch, between_bytes());
        m.head = loss_head<T>::scratch_bytes(s.tokens, c.width);
        m.norms = bytes(all([&](index_t l) { return norms_of(l); }));
        m.offsets = bytes(all([&](index_t l) { return offsets_of(l); }));
        m.adapters = round_up(all(numbers) * bytes_of<T>(s.adapters), buffer_alignment) +
                     (copies() ? bytes(largest(numbers)) : 0) + m.norms + m.offsets;
        m.gradients = bytes(gradient_numbers());
        m.optimizer = all([&](index_t l) { return state_of(l); });
        return m;
    }

private:
    constexpr sizes sized() const {
        sizes z = sizes_of(c, s.tokens, adapter, 0, says.stored_weights);
        z.adapter_dropout = s.dropout > 0, z.adapter_offset = s.start == adapter_start::pissa;
        return z;
    }
};

}  // namespace graft
