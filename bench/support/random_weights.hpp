// SPDX-License-Identifier: Apache-2.0
// A model of random weights in a mapped file, of any shape: for what depends on sizes and formats alone.
#pragma once

#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/model.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <utility>
#include <vector>

namespace bench {

using namespace graft;

/// Random matrices in an unlinked file that is mapped read-only, as a model's are. Rows repeat after 61: neither time
/// nor memory depends on their values.
class weight_file {
public:
    weight_file() : file(std::tmpfile()) {
        if (!file) std::perror("a temporary file"), std::exit(1);
    }
    ~weight_file() {
        if (base) ::munmap(base, static_cast<std::size_t>(size));
        std::fclose(file);
    }
    weight_file(weight_file const&) = delete;
    weight_file& operator=(weight_file const&) = delete;

    /// Appends a matrix and returns its offset.
    index_t append(index_t rows, index_t columns, format const& how) {
        auto& pool = pools[{columns, &how}];
        if (pool.empty()) {
            std::vector<float> row(static_cast<std::size_t>(columns));
            for (std::uint64_t r = 0; r < 61; ++r) {
                for (std::size_t j = 0; j < row.size(); ++j)
                    row[j] =
                        static_cast<float>((2 * uniform(r, 1, 0, j) - 1) / std::sqrt(static_cast<double>(columns)));
                auto& bytes = pool.emplace_back(static_cast<std::size_t>(how.row_bytes(columns)));
                encode(how, row.data(), columns, bytes.data());
            }
        }
        index_t const at = size;
        for (index_t i = 0; i < rows; ++i, size += how.row_bytes(columns)) {
            auto const& bytes = pool[static_cast<std::size_t>(i) % pool.size()];
            if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size())
                std::perror("random weights"), std::exit(1);
        }
        return at;
    }
    std::byte const* map() {
        std::fflush(file);
        void* const at = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, ::fileno(file), 0);
        if (at == MAP_FAILED) std::perror("random weights"), std::exit(1);
        return base = static_cast<std::byte*>(at);
    }
    index_t size = 0;

private:
    std::FILE* file;
    std::byte* base = nullptr;
    std::map<std::pair<index_t, format const*>, std::deque<std::vector<std::byte>>> pools;
};

/// Matrices in `how`; where that is under eight bits a number the embedding is q8_0, as in real files. Norms are ones,
/// biases zeros. The head is the embedding.
template <class Block, class T = float>
class random_model {
public:
    random_model(model_config const& c, format const& how)
        : layers(static_cast<std::size_t>(c.layers)),
          ones(static_cast<std::size_t>(std::max(c.width, c.heads * c.head)), 1.0f),
          zeros(ones.size(), 0.0f) {
        auto const n = sizes_of(c, 1);
        std::vector<index_t> offsets;
        each_matrix(n, [&](weight&, index_t out, index_t in) { offsets.push_back(file.append(out, in, how)); });
        format const& embedding = how.bytes < how.block ? *find_format("q8_0") : how;
        index_t const embedding_at = file.append(c.vocabulary, c.width, embedding);
        std::byte const* const base = file.map();
        std::size_t next = 0;
        each_matrix(n, [&](weight& w, index_t out, index_t in) { w = {base + offsets[next++], out, in, how}; });
        for (auto& layer : layers)
            layer.visit([&](auto op, auto& w) {
                using Op = decltype(op);
                if constexpr (requires { w.w; })
                    w.w = ones.data();
                else if constexpr (requires { w.b; })
                    w.b = Op::has_bias ? zeros.data() : nullptr;
            });
        net = {c, {base + embedding_at, c.vocabulary, c.width, embedding}, {}, ones.data(), layers};
        net.head = net.embedding;
    }
    random_model(random_model const&) = delete;
    random_model& operator=(random_model const&) = delete;

    index_t mapped_bytes() const { return file.size; }
    model<Block, T> net;

private:
    void each_matrix(auto const& n, auto&& f) {
        for (auto& layer : layers)
            layer.visit([&](auto op, auto& w) {
                using Op = decltype(op);
                if constexpr (requires { w.W; }) f(w.W, Op::out_axis::of(n), Op::in_axis::of(n));
            });
    }
    std::vector<layer_weights<Block, T>> layers;
    std::vector<float> ones, zeros;
    weight_file file;
};

/// Rows of random tokens, each of which predicts the next.
class random_batch {
public:
    random_batch(index_t rows, index_t vocabulary, std::uint64_t seed = 3) {
        for (index_t i = 0; i <= rows; ++i)
            ids.push_back(
                static_cast<int>(uniform(seed, 3, 0, static_cast<std::uint64_t>(i)) * static_cast<double>(vocabulary)));
        targets.assign(ids.begin() + 1, ids.end());
        ids.pop_back();
    }
    operator graft::batch() const { return {ids, targets, {&start, 1}}; }

private:
    std::vector<int> ids, targets;
    index_t start = 0;
};

}  // namespace bench
