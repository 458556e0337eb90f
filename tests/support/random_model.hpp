// SPDX-License-Identifier: Apache-2.0
// A model of random weights in memory, for tests of what runs on models.
#pragma once

#include <graft/base/random.hpp>
#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>
#include <graft/train/model.hpp>

#include <deque>
#include <string>
#include <vector>

namespace graft_test {

using namespace graft;

/// Uniform in ±1, a pure function of seed and index.
inline double noise(std::uint64_t seed, std::uint64_t index) { return 2 * uniform(seed, 7, 0, index) - 1; }

inline model_config tiny_config() {
    model_config c;
    c.layers = 2, c.width = 32, c.heads = 4, c.kv_heads = 2, c.head = 8, c.hidden = 64, c.vocabulary = 37,
    c.context = 64;
    c.norm_epsilon = 1e-5, c.rope_base = 100;
    return c;
}

template <class Block, class T>
struct random_model {
    model<Block, T> net;
    std::vector<layer_weights<Block, T>> layers;
    std::deque<std::vector<std::byte>> matrices;
    std::deque<std::vector<float>> vectors;
    std::uint64_t seed;

    /// Matrices in `how` (rows must be whole blocks), uniform of standard deviation about `spread` / √columns.
    random_model(model_config c, format const& how, std::uint64_t s = 1, double spread = 1) : seed(s) {
        net.config = c;
        layers.resize(static_cast<std::size_t>(c.layers));
        auto const n = sizes_of(c, 1);
        for (auto& layer : layers) {
            layer.visit([&](auto op, auto& w) {
                using Op = decltype(op);
                if constexpr (requires { w.W; }) {
                    w.W = matrix_of(Op::out_axis::of(n), Op::in_axis::of(n), how, spread);
                    if constexpr (Op::has_bias) w.b = vector_of(Op::out_axis::of(n), 0, 0.3);
                } else if constexpr (requires { w.w; }) {
                    w.w = vector_of(c.width, 1, 0.3);
                }
            });
        }
        net.embedding = matrix_of(c.vocabulary, c.width, how, std::sqrt(static_cast<double>(c.width)));
        net.head = c.tied_head ? net.embedding : matrix_of(c.vocabulary, c.width, how, spread);
        net.norm = vector_of(c.width, 1, 0.3);
        net.layers = layers;
    }
    random_model(random_model const&) = delete;
    random_model& operator=(random_model const&) = delete;

    weight matrix_of(index_t rows, index_t columns, format const& how, double spread) {
        auto& bytes = matrices.emplace_back(static_cast<std::size_t>(rows * how.row_bytes(columns)));
        double const size = spread * std::sqrt(3.0 / static_cast<double>(columns));
        std::vector<float> row(static_cast<std::size_t>(columns));
        ++seed;
        for (index_t i = 0; i < rows; ++i) {
            for (index_t j = 0; j < columns; ++j)
                row[static_cast<std::size_t>(j)] =
                    static_cast<float>(size * noise(seed, static_cast<std::uint64_t>(i * columns + j)));
            encode(how, row.data(), columns, bytes.data() + i * how.row_bytes(columns));
        }
        return {bytes.data(), rows, columns, how};
    }
    float const* vector_of(index_t count, double centre, double spread) {
        auto& v = vectors.emplace_back(static_cast<std::size_t>(count));
        ++seed;
        for (index_t i = 0; i < count; ++i)
            v[static_cast<std::size_t>(i)] =
                static_cast<float>(centre + spread * noise(seed, static_cast<std::uint64_t>(i)));
        return v.data();
    }
};

/// Memory as a plan asks for it: aligned, and full of numbers nobody should read.
struct poisoned_memory {
    std::vector<std::byte> bytes;
    std::span<std::byte> span;
    explicit poisoned_memory(index_t size) : bytes(static_cast<std::size_t>(size + 128), std::byte{0xff}) {
        auto const at = reinterpret_cast<std::uintptr_t>(bytes.data());
        span = {bytes.data() + (64 - at % 64) % 64, static_cast<std::size_t>(size)};
    }
};

}  // namespace graft_test
