// SPDX-License-Identifier: Apache-2.0
// A gradient strategy and an optimizer that are chosen while the program runs.           (layer 13: train)
#pragma once

#include <graft/optimizer/adamw8.hpp>
#include <graft/optimizer/lion.hpp>
#include <graft/optimizer/muon.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/optimizer/stiefel.hpp>
#include <graft/strategy/checkpoint.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/lcsb.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/strategy/mesp_published.hpp>
#include <graft/strategy/rematerialised.hpp>
#include <graft/strategy/zeroth_order.hpp>
#include <graft/train/trainer.hpp>

#include <algorithm>
#include <type_traits>

namespace graft {

/// Any of the selections of layers, each of which is told by one number.
class any_selection {
    enum class kind : unsigned char { every, strided, contiguous, random, top, importance };
    constexpr auto visit(auto&& f) const {
        switch (which) {
            case kind::strided: return f(cyclic_strided{number});
            case kind::contiguous: return f(cyclic_contiguous{number});
            case kind::random: return f(random_layers{number});
            case kind::top: return f(top_layers{number});
            case kind::importance: return f(by_importance{number});
            case kind::every: break;
        }
        return f(every_layer{});
    }

public:
    constexpr any_selection() = default;
    constexpr any_selection(every_layer) {}
    constexpr any_selection(cyclic_strided s) : which(kind::strided), number(s.groups) {}
    constexpr any_selection(cyclic_contiguous s) : which(kind::contiguous), number(s.groups) {}
    constexpr any_selection(random_layers s) : which(kind::random), number(s.count) {}
    constexpr any_selection(top_layers s) : which(kind::top), number(s.count) {}
    constexpr any_selection(by_importance s) : which(kind::importance), number(s.count) {}

    constexpr index_t most(index_t layers) const {
        return visit([&](auto const& s) { return s.most(layers); });
    }
    constexpr index_t asks() const {
        return visit([](auto const& s) { return s.asks(); });
    }
    void choose(selection_moment const& m, std::span<bool> chosen) const {
        visit([&](auto const& s) { s.choose(m, chosen); });
    }

private:
    kind which = kind::every;
    index_t number = 1;
};
static_assert(LayerSelection<any_selection>);

/// Any of the strategies, of all blocks or of those that a selection names. Schedules are data, so a choice is a value
/// like any other and nothing is compiled per choice.
class any_strategy {
    enum class kind : unsigned char { mesp, full, checkpoint, published, rematerialised, zeroth_order, inference };
    constexpr auto visit(auto&& f) const {
        switch (which) {
            case kind::full: return f(full{});
            case kind::checkpoint: return f(generic);
            case kind::published: return f(published);
            case kind::rematerialised: return f(found);
            case kind::zeroth_order: return f(estimated);
            case kind::inference: return f(inference{});
            case kind::mesp: break;
        }
        return f(sparing);
    }

public:
    constexpr any_strategy() = default;
    constexpr any_strategy(mesp s) : tile(s.tile), sparing(s) {}
    constexpr any_strategy(full) : which(kind::full) {}
    constexpr any_strategy(checkpoint s) : which(kind::checkpoint), generic(s) {}
    constexpr any_strategy(mesp_published s) : which(kind::published), published(s) {}
    constexpr any_strategy(rematerialised s) : tile(s.tile), which(kind::rematerialised), found(s) {}
    constexpr any_strategy(zeroth_order s) : tile(s.tile), which(kind::zeroth_order), estimated(s) {}
    constexpr any_strategy(inference) : which(kind::inference) {}
    template <LayerSelection Select, class Inner>
        requires std::is_constructible_v<any_selection, Select> && (!std::is_same_v<Inner, any_strategy>)
    constexpr any_strategy(lcsb<Select, Inner> s)
        : any_strategy(s.inner, any_selection(s.select), s.gradient, s.update) {}
    /// `inner` on the layers of a selection.
    constexpr any_strategy(any_strategy const& inner, any_selection layers, unselected_gradient g, unselected_update u)
        : any_strategy(inner) {
        require(answers_of(inner).trains && answers_of(inner).pulls() && !inner.selects, fault::bounds,
                "lcsb: a strategy that pulls all blocks", 0, 1);
        select = layers, selects = true, gradient = g, update = u;
    }

    constexpr void forward(auto& c) const {
        visit([&](auto const& s) { s.forward(c); });
    }
    constexpr void backward(auto& c) const {
        visit([&](auto const& s) { s.backward(c); });
    }
    constexpr strategy_answers answer() const {
        strategy_answers a = visit([](auto const& s) { return answers_of(s); });
        if (selects) a.selects = true, a.gradient = gradient, a.update = update;
        return a;
    }
    constexpr index_t variant_of(index_t layer, index_t layers) const {
        return which == kind::rematerialised ? found.variant_of(layer, layers) : 0;
    }
    constexpr index_t tile_of(index_t variant) const {
        return which == kind::rematerialised ? found.tile_of(variant) : tile;
    }
    constexpr index_t most(index_t layers) const {
        return selects ? lcsb<any_selection>{select}.most(layers) : layers;
    }
    void choose(selection_moment const& m, std::span<bool> chosen) const { select.choose(m, chosen); }

    constexpr bool trains() const { return answer().trains; }
    /// The strategy of each block it trains, where it is one of this type.
    template <GradientStrategy S>
    constexpr bool is() const {
        return visit([](auto const& s) { return std::is_same_v<std::remove_cvref_t<decltype(s)>, S>; });
    }

    index_t tile = 0;  // of the one that was chosen

private:
    kind which = kind::mesp;
    mesp sparing{};
    checkpoint generic{};
    mesp_published published{};
    rematerialised found{};
    zeroth_order estimated{};
    any_selection select{};
    bool selects = false;
    unselected_gradient gradient = unselected_gradient::identity;
    unselected_update update = unselected_update::zero_gradient;
};
static_assert(GradientStrategy<any_strategy>);

/// Any of the retractions.
class any_retraction {
    enum class kind : unsigned char { cholesky_qr, polar, cayley };

public:
    constexpr any_retraction() = default;
    constexpr any_retraction(cholesky_qr) {}
    constexpr any_retraction(polar) : which(kind::polar) {}
    constexpr any_retraction(cayley) : which(kind::cayley) {}

    static constexpr index_t scratch_bytes(index_t columns) {
        return std::max(
            {cholesky_qr::scratch_bytes(columns), polar::scratch_bytes(columns), cayley::scratch_bytes(columns)});
    }
    template <class T>
    void retract(T* to, T const* from, T const* d, double t, index_t rows, index_t columns, std::byte* scratch) const {
        auto const with = [&](auto const& r) { r.retract(to, from, d, t, rows, columns, scratch); };
        if (which == kind::polar) return with(polar{});
        if (which == kind::cayley) return with(cayley{});
        with(cholesky_qr{});
    }

private:
    kind which = kind::cholesky_qr;
};
static_assert(Retraction<any_retraction>);

/// Any of the ways to step along the manifold, with its own numbers.
class any_momentum {
    enum class kind : unsigned char { descent, adam, projected };
    constexpr auto visit(auto&& f) const {
        if (which == kind::adam) return f(adam);
        if (which == kind::projected) return f(projected);
        return f(descent);
    }

public:
    constexpr any_momentum() = default;
    constexpr any_momentum(riemannian_sgd m) : descent(m) {}
    constexpr any_momentum(riemannian_adam m) : which(kind::adam), adam(m) {}
    constexpr any_momentum(projected_adamw m) : which(kind::projected), projected(m) {}

    template <class T>
    constexpr index_t state_bytes(piece const& p) const {
        return visit([&](auto const& m) { return m.template state_bytes<T>(p); });
    }
    template <class T>
    constexpr index_t room(piece const& p) const {
        return visit([&](auto const& m) { return m.template room<T>(p); });
    }
    template <class T>
    void step(update<T> const& u, any_retraction const& r, detail::tangent_space const& at, T* d,
              std::byte* scratch) const {
        visit([&](auto const& m) { m.step(u, r, at, d, scratch); });
    }

private:
    kind which = kind::descent;
    riemannian_sgd descent{};
    riemannian_adam adam{};
    projected_adamw projected{};
};

using any_stiefel = stiefel<any_retraction, any_momentum>;

/// Any of the optimizers, with its own numbers.
class any_optimizer {
    enum class kind : unsigned char { adam, adam8, descent, signs, orthogonal, manifold };
    constexpr auto visit(auto&& f) const {
        switch (which) {
            case kind::adam8: return f(adam8);
            case kind::descent: return f(descent);
            case kind::signs: return f(signs);
            case kind::orthogonal: return f(orthogonal);
            case kind::manifold: return f(manifold);
            case kind::adam: break;
        }
        return f(adam);
    }

public:
    constexpr any_optimizer() = default;
    constexpr any_optimizer(adamw o) : adam(o) {}
    constexpr any_optimizer(adamw8 o) : which(kind::adam8), adam8(o) {}
    constexpr any_optimizer(sgd o) : which(kind::descent), descent(o) {}
    constexpr any_optimizer(lion o) : which(kind::signs), signs(o) {}
    constexpr any_optimizer(muon o) : which(kind::orthogonal), orthogonal(o) {}
    template <class R, class M>
    constexpr any_optimizer(stiefel<R, M> o) : which(kind::manifold), manifold{o.retraction, o.momentum, o.rest} {}

    template <class T>
    constexpr index_t state_bytes(piece const& p) const {
        return visit([&](auto const& o) { return o.template state_bytes<T>(p); });
    }
    template <class T>
    constexpr index_t scratch_bytes(piece const& p) const {
        return visit([&](auto const& o) { return graft::scratch_bytes<T>(o, p); });
    }
    template <class T>
    bool sound(std::byte const* state, piece const& p) const {
        return visit([&](auto const& o) { return graft::sound<T>(o, state, p); });
    }
    constexpr bool constrains(piece const& p) const {
        return visit([&](auto const& o) { return graft::constrains(o, p); });
    }
    template <class T>
    void apply(update<T> const& u) const {
        visit([&](auto const& o) { o.apply(u); });
    }
    // Of pieces that are constrained (`stiefel`).
    template <class T>
    void start(piece const& p, T* b, std::uint64_t seed, std::uint32_t place, std::byte* scratch) const {
        manifold.start(p, b, seed, place, scratch);
    }
    template <class T>
    void settle(piece const& p, T* b, T* a, index_t a_columns, std::byte* scratch) const {
        manifold.settle(p, b, a, a_columns, scratch);
    }
    template <class T>
    void retract_probe(piece const& p, T const* from, T* at, std::byte* scratch) const {
        manifold.retract_probe(p, from, at, scratch);
    }

private:
    kind which = kind::adam;
    adamw adam{};
    adamw8 adam8{};
    sgd descent{};
    lion signs{};
    muon orthogonal{};
    any_stiefel manifold{};
};
static_assert(Optimizer<any_optimizer>);

using any_training = training<any_strategy, any_optimizer>;

}  // namespace graft
