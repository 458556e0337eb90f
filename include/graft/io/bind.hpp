// SPDX-License-Identifier: Apache-2.0
// From an opened model file to a model: every operation's weights become views of it.     (layer 16: io)
#pragma once

#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/io/model_file.hpp>
#include <graft/train/model.hpp>

#include <deque>
#include <string>
#include <type_traits>
#include <vector>

namespace graft {

/// A model whose matrices lie in the file (which must outlive it) and whose few vectors were decoded to floats.
template <class Block, class T = float>
struct bound_model {
    model<Block, T> net;
    std::vector<layer_weights<Block, T>> layers;
    std::deque<std::vector<float>> vectors;  // norms and biases
    index_t private_bytes = 0;               // of the two above

    bound_model() = default;
    bound_model(bound_model&&) = default;  // the spans in `net` point into heap memory that moves along
    bound_model& operator=(bound_model&&) = default;
};

/// Binds all weights of a block's equations by their names. The file was checked when it was opened; what is missing
/// all the same is reported.
template <class Block, class T = float>
result<bound_model<Block, T>> bind_model(model_file const& file) {
    bound_model<Block, T> m;
    std::optional<problem> wrong;
    auto const find = [&](std::string const& name) -> stored_tensor const* {
        auto const* const found = file.find(name);
        if (!found && !wrong)
            wrong = problem{cause::bad_file,
                            file.path,
                            "a weight is missing",
                            "tensor '" + name + "'",
                            "",
                            "",
                            "another copy of the model"};
        return found;
    };
    auto const matrix_of = [&](std::string const& name) {
        auto const* const found = find(name);
        return found ? as_weight(*found) : weight{};
    };
    auto const vector_of = [&](std::string const& name) -> float const* {
        auto const* const found = find(name);
        if (!found) return nullptr;
        auto numbers = to_floats(*found);
        if (!numbers) {
            if (!wrong) wrong = numbers.error();
            return nullptr;
        }
        m.vectors.push_back(std::move(*numbers));
        return m.vectors.back().data();
    };

    m.layers.resize(static_cast<std::size_t>(file.config.layers));
    for (std::size_t l = 0; l < m.layers.size(); ++l) {
        std::string const prefix = "model.layers." + std::to_string(l) + ".";
        bind_layer<Block, T>(
            m.layers[l], [&](std::string_view name) { return matrix_of(prefix + std::string(name) + ".weight"); },
            [&](std::string_view name, bool is_bias) {
                return vector_of(prefix + std::string(name) + (is_bias ? ".bias" : ".weight"));
            });
    }
    m.net.config = file.config;
    m.net.embedding = matrix_of("model.embed_tokens.weight");
    m.net.head = file.config.tied_head ? m.net.embedding : matrix_of("lm_head.weight");
    m.net.norm = vector_of("model.norm.weight");
    m.net.layers = m.layers;
    if (wrong) return *wrong;
    m.private_bytes = static_cast<index_t>(m.layers.size() * sizeof(layer_weights<Block, T>));
    for (auto const& v : m.vectors) m.private_bytes += static_cast<index_t>(v.size() * sizeof(float));
    return m;
}

/// Calls f(std::type_identity<Block>{}) with the block of an architecture, its linear maps carrying LoRA: the one place
/// where a number from a file becomes a type.
template <class F>
decltype(auto) with_block(architecture arch, F&& f) {
    switch (arch) {
        case architecture::qwen2:
            return f(std::type_identity<qwen2<dora>>{});
        case architecture::llama:
            break;
    }
    return f(std::type_identity<llama<dora>>{});
}

}  // namespace graft
