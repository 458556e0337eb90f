// SPDX-License-Identifier: Apache-2.0
// One block on a bench: random weights and inputs, run by the machine as its plan says.
#pragma once

#include <graft/program/machine.hpp>
#include <graft/rule/rules.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>

#include <tests/support/random_model.hpp>

namespace graft_test {

inline constexpr transformer_sizes bench_sizes{
    .tokens = 9, .width = 12, .heads = 4, .kv_heads = 2, .head = 6, .hidden = 8, .rank = 2};

template <class Block>
struct bench_top {
    transformer_sizes n;
    using runs = machine<Block, double>;
    typename runs::plan plan;
    typename runs::packed packed{plan};
    layer_weights<Block, double> weights;
    std::deque<std::vector<std::byte>> matrices;
    std::deque<std::vector<float>> vectors;
    std::vector<double> adapters, gradients, cosines, sines, entry, exit, gradient, cotangent,
        norms;
    std::vector<index_t> first_key{0, 0, 0, 0, 0, 5, 5, 5, 5};
    surroundings<double> around;
    workers on;
    std::vector<std::byte> panel;
    poisoned_memory memory;

    template <class Strategy>
    explicit bench_top(Strategy s, transformer_sizes const& sizes = bench_sizes)
        : n(sizes), plan(make_plan(runs::code, make_schedule(runs::code, s, n), n, {sizeof(double), 1})),
          panel(static_cast<std::size_t>(product_panel_bytes<double>) + 64),
          memory(plan.scratch_bytes + plan.kept_bytes + 64) {
        std::uint64_t seed = 100;
        auto const fill = [&](std::vector<double>& v, index_t count, double size) {
            ++seed;
            for (index_t i = 0; i < count; ++i) v.push_back(size * noise(seed, static_cast<std::uint64_t>(i)));
        };
        fill(entry, n.tokens * n.width, 1), fill(cotangent, n.tokens * n.width, 1);
        exit.resize(entry.size()), gradient.resize(entry.size());
        weights.visit([&](auto op, auto& w) {
            using Op = decltype(op);
            if constexpr (requires { w.W; }) {
                index_t const out = Op::out_axis::of(n), in = Op::in_axis::of(n);
                auto& m = matrices.emplace_back(static_cast<std::size_t>(out * in) * sizeof(float));
                ++seed;
                for (index_t i = 0; i < out * in; ++i)
                    reinterpret_cast<float*>(m.data())[i] =
                        static_cast<float>(0.5 * noise(seed, static_cast<std::uint64_t>(i)));
                w.W = {m.data(), out, in, f32};
                if constexpr (Op::has_bias) w.b = vector(out, seed);
            } else if constexpr (requires { w.w; }) {
                w.w = vector(n.width, seed);
            }
            if constexpr (requires { w.A; }) {
                fill(adapters, (n.rank * 2 + (n.norm == adapter_norm::none ? 0 : 1)) * n.width, 0.5);
                gradients.resize(adapters.size());
                w.A = {adapters.data(), n.rank, n.width}, w.B = {adapters.data() + n.rank * n.width, n.width, n.rank};
                w.dA = {gradients.data(), n.rank, n.width},
                w.dB = {gradients.data() + n.rank * n.width, n.width, n.rank};
                w.s = 0.7;
                if constexpr (requires { w.m; })
                    if (n.norm != adapter_norm::none) {
                        auto const m = adapters.data() + n.rank * 2 * n.width;
                        for (index_t o = 0; o < n.width; ++o) m[o] += 1.5;
                        norms.resize(static_cast<std::size_t>(2 * n.width));
                        w.m = {m, n.width, 1}, w.dm = {gradients.data() + n.rank * 2 * n.width, n.width, 1};
                        w.k = norms.data(), w.squares = norms.data() + n.width;
                    }
            }
        });
        index_t const half = n.head / 2;
        cosines.resize(static_cast<std::size_t>(n.tokens * half)), sines.resize(cosines.size());
        std::vector<index_t> positions;
        for (index_t i = 0; i < n.tokens; ++i) positions.push_back(i - first_key[static_cast<std::size_t>(i)]);
        rope_table(matrix<double>{cosines.data(), n.tokens, half}, matrix<double>{sines.data(), n.tokens, half},
                   std::span<index_t const>(positions), 50.0);
        around = {1e-5, rope_pairing::interleaved, cosines.data(), sines.data(), first_key.data(), {}};
        auto const at = reinterpret_cast<std::uintptr_t>(panel.data());
        on.panels = panel.data() + (64 - at % 64) % 64, on.panel_bytes = product_panel_bytes<double>;
    }
    float const* vector(index_t count, std::uint64_t& seed) {
        auto& v = vectors.emplace_back();
        ++seed;
        for (index_t i = 0; i < count; ++i)
            v.push_back(static_cast<float>(1 + 0.4 * noise(seed, static_cast<std::uint64_t>(i))));
        return v.data();
    }
    typename runs::place place() {
        std::byte* const at = memory.span.data();
        return {n,
                around,
                weights,
                on,
                packed.view(),
                n.tokens,
                at,
                at + plan.scratch_bytes,
                entry.data(),
                exit.data(),
                gradient.data(),
                true,
                nullptr};
    }
    /// Lengths of rows as the adapters are now.
    void refresh() {
        weights.visit([&](auto, auto& w) {
            if constexpr (requires { w.m; }) {
                std::vector<double> space(
                    static_cast<std::size_t>(norm_scratch<double>(n.width, n.width, n.rank)));
                row_squares(w, n, workspace<double>{space.data(), &on}, on);
                refresh_norms(w, n, workspace<double>{space.data(), &on}, on);
            }
        });
    }
    /// <cotangent, block(entry)>
    double value() {
        refresh();
        runs::forward(place());
        double s = 0;
        for (std::size_t i = 0; i < exit.size(); ++i) s += cotangent[i] * exit[i];
        return s;
    }
    void pull() {
        refresh();
        runs::forward(place());
        gradient = cotangent;
        runs::backward(place());
    }
    double worst(std::vector<double>& of, std::vector<double> const& given) {
        double w = 0;
        for (std::size_t i = 0; i < of.size(); ++i) {
            double const keep = of[i], e = 1e-6;
            of[i] = keep + e;
            double const above = value();
            of[i] = keep - e;
            double const below = value();
            of[i] = keep;
            double const numeric = (above - below) / (2 * e);
            double const error = std::abs(numeric - given[i]) / (1e-8 + 1e-6 * std::abs(given[i]));
            w = std::isnan(error) ? 1e9 : std::max(w, error);
        }
        return w;
    }
};

}  // namespace graft_test
