// SPDX-License-Identifier: Apache-2.0
// The adapters of all layers: where they rest, what belongs to them, how they start and move.  (layer 13: train)
#pragma once

#include <graft/memory/arena.hpp>
#include <graft/train/estimate.hpp>
#include <graft/train/memory_plan.hpp>
#include <graft/train/model.hpp>

#include <algorithm>

namespace graft {

/// Trained numbers, their gradients, an optimizer's memory of them, and what maps keep beside them. Lies in an arena;
/// what single calls need beside it is `scratch`: step_layout::between_bytes() bytes.
template <class Block, GradientStrategy Strategy, Optimizer Rule, class T>
class adapter_store {
public:
    using sizes = typename Block::sizes;
    using layer_type = layer_weights<Block, T>;
    using layout = step_layout<Block, Strategy, Rule, T>;

    adapter_store() = default;
    /// `settings`, `layers` and `states` outlive it.
    adapter_store(training<Strategy, Rule> const& settings, std::span<layer_type> layers, layer_table& states)
        : how(&settings), net(layers), table(&states), like(settings.adapter()) {}

    void take(arena& place, layout const& lay) {
        n = lay.n, like = how->adapter();
        index_t norm_count = 0, offset_count = 0, most = 0;
        for (index_t l = 0; l < static_cast<index_t>(net.size()); ++l) {
            layer_state& s = (*table)[l];
            s.first = count, s.numbers = lay.numbers_of(l), s.state = state_bytes, s.norms = norm_count;
            s.offsets = offset_count;
            count += s.numbers, state_bytes += lay.state_of(l), most = std::max(most, s.numbers);
            norm_count += lay.norms_of(l), offset_count += lay.offsets_of(l);
        }
        numbers = place.take(round_up(count * bytes_of<T>(how->adapters), buffer_alignment));
        copy = lay.copies() ? place.take_numbers<T>(most) : nullptr;
        norms = norm_count > 0 ? place.take_numbers<T>(norm_count) : nullptr;
        offsets = offset_count > 0 ? place.take_numbers<T>(offset_count) : nullptr;
        gradients = place.take_numbers<T>(lay.gradient_numbers());
        state = place.take(state_bytes);
        pieces = place.take_numbers<placed_piece>(lay.pieces());
        each_scratch = lay.moving_bytes();
    }

    bool rests() const { return how->adapters != resting::same; }
    std::byte* stored(index_t l) { return numbers + (*table)[l].first * bytes_of<T>(how->adapters); }
    T* gradient(index_t l) const {
        return (*table)[l].gradient >= 0 ? gradients + (*table)[l].gradient : nullptr;
    }
    void forget() { std::fill_n(state, state_bytes, std::byte{}); }

    /// Lets the layer's maps point to its numbers: where they rest as T, or to the copy.
    void lay(index_t l) { lay(l, rests() ? copy : reinterpret_cast<T*>(stored(l)), gradient(l)); }
    /// A layer with its adapters as T, until `close` lays what was written there to rest.
    layer_type& open(index_t l) {
        if (rests()) take_up(how->adapters, stored(l), (*table)[l].numbers, copy);
        lay(l);
        return layer(l);
    }
    void close(index_t l, std::byte* scratch) {
        each_constrained(l, [&](auto const& o, auto& w, piece const& b) {
            o.template settle<T>(b, w.B.data, w.A.data, w.A.columns, scratch);
        });
        if (rests()) lay_down(how->adapters, copy, (*table)[l].numbers, stored(l));
        (*table)[l].stale = true;
    }
    /// The layer as a pass sees it: its parameters, moved along a direction where there is one.
    layer_type& enter(index_t l, direction const& moved, std::byte* scratch, workers const& on) {
        layer_state& s = (*table)[l];
        if (may_estimate<Strategy> && moved.by != 0) {
            take_up(how->adapters, stored(l), s.numbers, copy);
            add_direction(copy, s.numbers, moved, l, on);
            lay(l, copy, nullptr);
            each_constrained(l, [&](auto const& o, auto& w, piece const& b) {
                T const* const from = reinterpret_cast<T const*>(stored(l)) + (w.B.data - copy);
                o.template retract_probe<T>(b, from, w.B.data, scratch);
            });
            s.stale = true;
        } else {
            open(l);
        }
        if (std::exchange(s.stale, moved.by != 0)) refresh(l, scratch, on);
        return layer(l);
    }

    /// New adapters that change nothing yet.
    void start(index_t l, std::uint64_t seed, std::byte* scratch, workers const& on) {
        each_adapter(l, [&](auto& w) { start_map(w, seed, scratch, on); });
        close(l, scratch);
        if (GRAFT_EXTRAS && offsets)  // of what the adapter reads as, rounded as it rests
            each_adapter(l, [&](auto& w) {
                std::copy_n(w.A.data, w.A.rows * w.A.columns, w.A0.data);
                std::copy_n(w.B.data, w.B.rows * w.B.columns, w.B0.data);
            });
        if (!norms) return;
        each_adapter(l, [&](auto& w) {
            if constexpr (requires { w.m; }) {
                row_squares(w, n, space(scratch, on), on);
                start_magnitudes(w, n, space(scratch, on), on);
            }
        });
        (*table)[l].measured = true;
        close(l, scratch);
    }

    /// One step of the optimizer; without gradients (null) where a layer was not trained.
    void move(index_t l, T const* g, double rate, double scale, index_t step, std::uint64_t update_number,
              std::byte* scratch, workers const& on) {
        layer_state& s = (*table)[l];
        T* at = reinterpret_cast<T*>(stored(l));
        if (rests()) take_up(how->adapters, stored(l), s.numbers, at = copy);
        index_t const many = place_pieces(l);
        on.each(many, [&](index_t i, index_t lane) {
            placed_piece const& p = pieces[i];
            how->optimizer.apply(update<T>{p.what, at + p.first, g ? g + p.first : nullptr, state + s.state + p.state,
                                           scratch + lane * each_scratch, rate * how->rates.of(p.what.is), scale,
                                           step});
        });
        if (rests())
            lay_down_randomly(how->adapters, copy, s.numbers, stored(l), how->seed,
                              rounding_stream + static_cast<std::uint32_t>(l), update_number);
        s.stale = true;
    }

    index_t all() const { return count; }
    std::span<T const> all_gradients() const { return {gradients, static_cast<std::size_t>(table->gradients)}; }
    T* first_gradient() const { return gradients; }
    /// To be read or written at once: what DoRA keeps beside the adapters is found anew after this call.
    std::span<std::byte> resting_bytes() {
        for (index_t l = 0; l < static_cast<index_t>(net.size()); ++l) (*table)[l].stale = true;
        return {numbers, static_cast<std::size_t>(count * bytes_of<T>(how->adapters))};
    }
    std::span<std::byte> optimizer_state() { return {state, static_cast<std::size_t>(state_bytes)}; }
    /// Is every number that the optimizer remembers finite?
    bool optimizer_is_sound() {
        bool all = true;
        for (index_t l = 0; state_bytes > 0 && l < static_cast<index_t>(net.size()); ++l)
            for (index_t i = 0, many = place_pieces(l); i < many; ++i)
                all = all && sound<T>(how->optimizer, state + (*table)[l].state + pieces[i].state, pieces[i].what);
        return all;
    }
    layer_type& layer(index_t l) { return net[static_cast<std::size_t>(l)]; }
    /// Lets another view of layer l have its adapters at `at`, as T, with what else belongs to them.
    void lay_view(layer_type& view, index_t l, T* at, T* g = nullptr) {
        layer_state const& s = (*table)[l];
        lay_adapters(view, l, like, n,
                     adapter_places<T>{at, g, norms ? norms + s.norms : nullptr,
                                       offsets ? offsets + s.offsets : nullptr});
    }
    index_t numbers_of(index_t l) const { return (*table)[l].numbers; }

private:
    static constexpr std::uint32_t rounding_stream = 0x726e0000;  // and the layer

    void lay(index_t l, T* at, T* g) { lay_view(layer(l), l, at, g); }

    /// f(optimizer, weights, piece of B) for the maps of an open layer whose B the optimizer keeps orthonormal.
    void each_constrained(index_t l, auto&& f) {
        if constexpr (requires { how->optimizer.template settle<T>(piece{}, nullptr, nullptr, index_t{}, nullptr); })
            layer(l).visit([&](auto, auto& w) {
                if constexpr (requires { w.A; }) {
                    piece const b{role::lora_b, w.B.rows, w.B.columns};
                    if (w.A && how->optimizer.constrains(b)) f(how->optimizer, w, b);
                }
            });
    }

    static workspace<T> space(std::byte* scratch, workers const& on) { return {reinterpret_cast<T*>(scratch), &on}; }
    /// f(weights) for the adapted maps of a layer, opened.
    void each_adapter(index_t l, auto&& f) {
        open(l).visit([&](auto, auto& w) {
            if constexpr (requires { w.A; })
                if (w.A) f(w);
        });
    }

    void start_map(auto& w, std::uint64_t seed, std::byte* scratch, workers const& on) {
        piece const b{role::lora_b, w.B.rows, w.B.columns};
        if (GRAFT_EXTRAS && how->start == adapter_start::pissa) {
            pissa_start(w, seed, space(scratch, on), on);
        } else if (constrains(how->optimizer, b)) {
            if constexpr (requires { how->optimizer.template start<T>(b, w.B.data, seed, w.place, scratch); })
                how->optimizer.template start<T>(b, w.B.data, seed, w.place, scratch);
            std::fill_n(w.A.data, w.A.rows * w.A.columns, T{});
        } else {
            start_pair(GRAFT_EXTRAS ? how->start : adapter_start::kaiming, w.A, w.B, seed, w.place);
        }
    }

    void refresh(index_t l, std::byte* scratch, workers const& on) {
        if (!norms) return;
        layer(l).visit([&](auto, auto& w) {
            if constexpr (requires { w.m; }) {
                if (!w.m) return;
                if (!(*table)[l].measured) row_squares(w, n, space(scratch, on), on);
                refresh_norms(w, n, space(scratch, on), on);
            }
        });
        (*table)[l].measured = true;
    }

    /// Fills `pieces` with those of a layer.
    index_t place_pieces(index_t l) {
        index_t many = 0, first = 0, at = 0;
        each_piece<Block>(like, n, l, [&](auto, piece const& p) {
            pieces[many++] = {p, first, at};
            first += p.count();
            at += round_up(how->optimizer.template state_bytes<T>(p), buffer_alignment);
        });
        return many;
    }

    training<Strategy, Rule> const* how = nullptr;
    std::span<layer_type> net;
    layer_table* table = nullptr;
    adapter_settings like;
    sizes n{};
    std::byte *numbers = nullptr, *state = nullptr;
    T *copy = nullptr, *gradients = nullptr, *norms = nullptr, *offsets = nullptr;
    placed_piece* pieces = nullptr;
    index_t count = 0, state_bytes = 0, each_scratch = 0;
};

}  // namespace graft
