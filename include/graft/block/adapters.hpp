// SPDX-License-Identifier: Apache-2.0
// The trained numbers of a block's adapters: which matrices, how many numbers, where they lie.  (layer 12: block)
#pragma once

#include <graft/block/adapter_settings.hpp>
#include <graft/optimizer/optimizer.hpp>
#include <graft/program/machine.hpp>

#include <cstdint>

namespace graft {

/// f(op, piece) for every trained matrix of one layer, in the order in which they lie: the maps in running order, A
/// before B before the magnitudes.
template <class Block>
constexpr void each_piece(adapter_settings const& s, typename Block::sizes const& n, index_t layer, auto&& f) {
    [&]<class... Op>(list<Op...>) {
        ([&] {
            if constexpr (requires { Op::adapter_rank(n); }) {
                index_t const r = s.rank_of(layer, Op::bit), in = Op::in_axis::of(n), out = Op::out_axis::of(n);
                if (r == 0) return;
                f(Op{}, piece{role::lora_a, r, in});
                f(Op{}, piece{role::lora_b, out, r});
                if (s.norm != adapter_norm::none) f(Op{}, piece{role::magnitude, out, 1});
            }
        }(), ...);
    }(ops<Block>{});
}

/// Trained numbers of one layer.
template <class Block>
constexpr index_t adapter_numbers(adapter_settings const& s, typename Block::sizes const& n, index_t layer = 0) {
    index_t sum = 0;
    each_piece<Block>(s, n, layer, [&](auto, piece const& p) { sum += p.count(); });
    return sum;
}

/// Numbers that DoRA's maps of one layer keep beside the trained ones: m / ‖row‖ and ‖row of W‖² of each row.
template <class Block>
constexpr index_t norm_numbers(adapter_settings const& s, typename Block::sizes const& n, index_t layer = 0) {
    index_t sum = 0;
    each_piece<Block>(s, n, layer, [&](auto, piece const& p) { sum += p.is == role::magnitude ? 2 * p.rows : 0; });
    return sum;
}

/// Numbers of a frozen copy of A and B, one layer's.
template <class Block>
constexpr index_t offset_numbers(adapter_settings const& s, typename Block::sizes const& n, index_t layer = 0) {
    index_t sum = 0;
    each_piece<Block>(s, n, layer, [&](auto, piece const& p) { sum += p.is == role::magnitude ? 0 : p.count(); });
    return sum;
}

/// Where a layer's adapters and what belongs to them lie; null: nowhere.
template <class T>
struct adapter_places {
    T *numbers = nullptr, *gradients = nullptr;
    T* norms = nullptr;    // what DoRA keeps
    T* offsets = nullptr;  // frozen copies of A and B
};

namespace detail {

/// A map's adapter of rank r and what belongs to it, from the next numbers of each kind; none of rank 0. One function
/// for all maps whose weights have one type.
template <class W, class T>
[[gnu::noinline]] void lay_map(W& w, index_t r, index_t in, index_t out, bool norms, adapter_places<T>& at) {
    w.A = w.B = w.dA = w.dB = {};
    if constexpr (GRAFT_EXTRAS) w.A0 = w.B0 = {};
    if constexpr (requires { w.m; }) w.m = w.dm = {}, w.k = w.squares = nullptr;
    if (r == 0) return;
    auto const next = [](T*& from, index_t rows, index_t columns) {
        matrix<T> const m = from ? matrix<T>{from, rows, columns} : matrix<T>{};
        if (from) from += rows * columns;
        return m;
    };
    auto const pair = [&](T*& from, matrix<T>& a, matrix<T>& b) { a = next(from, r, in), b = next(from, out, r); };
    pair(at.numbers, w.A, w.B), pair(at.gradients, w.dA, w.dB);
    if constexpr (GRAFT_EXTRAS) pair(at.offsets, w.A0, w.B0);
    if constexpr (requires { w.m; })
        if (norms) {
            w.m = next(at.numbers, out, 1), w.dm = next(at.gradients, out, 1);
            w.k = next(at.norms, out, 1).data, w.squares = next(at.norms, out, 1).data;
        }
}

}  // namespace detail

/// Lets the adapters of layer `which` lie there.
template <class Block, class T>
void lay_adapters(layer_weights<Block, T>& layer, index_t which, adapter_settings const& s,
                  typename Block::sizes const& n, adapter_places<T> at) {
    std::uint32_t map = 0;
    layer.visit([&](auto op, auto& w) {
        using Op = decltype(op);
        if constexpr (requires { w.A; }) {
            w.place = static_cast<std::uint32_t>(which) * 64 + ++map;
            w.s = static_cast<T>(s.scale_of(which, Op::bit));
            detail::lay_map(w, s.rank_of(which, Op::bit), Op::in_axis::of(n), Op::out_axis::of(n),
                            s.norm != adapter_norm::none, at);
        }
    });
}

namespace detail {

template <class W>
constexpr bool without_magnitude = requires(W w) { w.A; } && !requires(W w) { w.m; };

}  // namespace detail

/// Can the block's maps carry magnitudes (`llama<dora>`)?
template <class Block, class T>
constexpr bool carries_magnitudes() {
    return []<class... Op>(list<Op...>) {
        return !(detail::without_magnitude<typename rule<typename Op::kind>::template weights<T>> || ...);
    }(ops<Block>{});
}

}  // namespace graft
