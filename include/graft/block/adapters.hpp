// SPDX-License-Identifier: Apache-2.0
// The trained numbers of a block's adapters: how many, how scaled, where they start.     (layer 12: block)
#pragma once

#include <graft/base/random.hpp>
#include <graft/block/scaling.hpp>
#include <graft/program/machine.hpp>

#include <cmath>
#include <cstdint>

namespace graft {

/// Numbers of all adapters of one layer: A (rank × in) and B (out × rank) of each map that carries one.
template <class Block>
constexpr index_t adapter_numbers(typename Block::sizes const& n) {
    index_t sum = 0;
    [&]<class... Op>(list<Op...>) {
        ([&] {
            if constexpr (requires { Op::adapter_rank(n); })
                sum += Op::adapter_rank(n) * (Op::in_axis::of(n) + Op::out_axis::of(n));
        }(), ...);
    }(ops<Block>{});
    return sum;
}

/// Lets a layer's adapters lie at `numbers`, their gradients at `gradients` (null: none), in running order, A before B.
template <class Block, class T>
void lay_adapters(layer_weights<Block, T>& layer, typename Block::sizes const& n, T* numbers, T* gradients, T scale) {
    layer.visit([&](auto op, auto& w) {
        using Op = decltype(op);
        if constexpr (requires { w.A; }) {
            index_t const r = Op::adapter_rank(n), in = Op::in_axis::of(n), out = Op::out_axis::of(n);
            w.A = w.B = w.dA = w.dB = {};
            w.s = scale;
            if (r == 0) return;
            auto const next = [&](T*& at, index_t rows, index_t columns) {
                matrix<T> const m = at ? matrix<T>{at, rows, columns} : matrix<T>{};
                if (at) at += rows * columns;
                return m;
            };
            w.A = next(numbers, r, in), w.B = next(numbers, out, r);
            w.dA = next(gradients, r, in), w.dB = next(gradients, out, r);
        }
    });
}

/// A ~ U(±1/√in), B = 0: the map starts as the frozen one (PEFT's default). A pure function of seed, layer and index.
template <class Block, class T>
void start_adapters(layer_weights<Block, T>& layer, index_t which, std::uint64_t seed) {
    std::uint64_t map = 0;
    layer.visit([&](auto, auto& w) {
        if constexpr (requires { w.A; }) {
            ++map;
            if (!w.A) return;
            double const bound = 1 / std::sqrt(static_cast<double>(w.A.columns));
            for (index_t i = 0; i < w.A.rows * w.A.columns; ++i) {
                double const u =
                    uniform(seed, static_cast<std::uint64_t>(which) * 64 + map, 0, static_cast<std::uint64_t>(i));
                w.A.data[i] = static_cast<T>(bound * (2 * u - 1));
            }
            for (index_t i = 0; i < w.B.rows * w.B.columns; ++i) w.B.data[i] = T{};
        }
    });
}

}  // namespace graft
