// SPDX-License-Identifier: Apache-2.0
// A chat model of a few thousand random numbers, and rows to train it on: whole runs of the tool take milliseconds.
#pragma once

#include <graft/base/random.hpp>
#include <graft/io/gguf_writer.hpp>
#include <graft/io/tensor_names.hpp>
#include <graft/text/byte_alphabet.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

namespace graft_test {

struct chat_model_options {
    graft::architecture arch = graft::architecture::llama;
    graft::index_t layers = 2, width = 32;
    std::uint64_t seed = 1;
    float scale = 1;  // of the first matrix; infinity makes every loss a NaN
    int broken = -1;  // a byte whose embedding is infinite: a row of data with it has no finite loss, others have
};

/// Two layers, 260 tokens (all bytes, two merges, ChatML's control tokens), random weights in f32.
inline void write_chat_model(std::string const& path, chat_model_options const& o = {}) {
    using namespace graft;
    model_config c;
    c.arch = o.arch, c.layers = o.layers, c.width = o.width, c.heads = 2, c.kv_heads = 1, c.head = 16, c.hidden = 256,
    c.context = 512;
    c.tied_head = o.broken < 0;
    c.qkv_bias = o.arch == architecture::qwen2;
    std::vector<std::string> tokens;
    std::vector<std::int32_t> types;
    for (unsigned byte = 0; byte < 256; ++byte) {
        char const one = static_cast<char>(byte);
        tokens.push_back(spell_bytes({&one, 1})), types.push_back(1);
    }
    for (char const* merged : {"he", "th"}) tokens.emplace_back(merged), types.push_back(1);
    for (char const* control : {"<|im_start|>", "<|im_end|>"}) tokens.emplace_back(control), types.push_back(3);
    c.vocabulary = static_cast<index_t>(tokens.size());

    gguf_writer out;
    std::string const arch = o.arch == architecture::qwen2 ? "qwen2" : "llama";
    out.set("general.architecture", arch);
    out.set("general.name", "tiny " + arch);
    for (auto const& [key, value] : {std::pair{"embedding_length", c.width},
                                     {"feed_forward_length", c.hidden},
                                     {"block_count", c.layers},
                                     {"attention.head_count", c.heads},
                                     {"attention.head_count_kv", c.kv_heads},
                                     {"vocab_size", c.vocabulary},
                                     {"context_length", c.context},
                                     {"attention.key_length", c.head},
                                     {"attention.value_length", c.head},
                                     {"rope.dimension_count", c.head}})
        out.set(arch + "." + key, static_cast<std::uint32_t>(value));
    out.set(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
    out.set(arch + ".rope.freq_base", 10000.0f);
    out.set("tokenizer.ggml.model", "gpt2");
    out.set("tokenizer.ggml.pre", o.arch == architecture::qwen2 ? "qwen2" : "smollm");
    out.set("tokenizer.ggml.tokens", tokens);
    out.set("tokenizer.ggml.token_type", types);
    out.set("tokenizer.ggml.merges", std::vector<std::string>{"h e", "t h"});
    out.set("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(c.vocabulary - 1));
    out.set("tokenizer.ggml.add_bos_token", false);
    out.set("tokenizer.chat_template",
            "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
            "'<|im_end|>' + '\n'}}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
    auto const expected = expected_tensors(c);
    for (auto const& e : expected) REQUIRE(out.declare(e.gguf_name, 0, {e.shape.rbegin(), e.shape.rend()}));
    REQUIRE(out.open(path, {.overwrite = true, .inputs = {}, .calls = {}}));
    std::uint64_t stream = 0;
    for (auto const& e : expected) {
        std::size_t count = 1;
        for (index_t const d : e.shape) count *= static_cast<std::size_t>(d);
        std::vector<float> numbers(count, 1.0f);
        bool const matrix = e.shape.size() == 2, first = ++stream == 1;
        double const bound = matrix ? std::sqrt(3.0 / static_cast<double>(e.shape[1])) : 0;
        for (std::size_t i = 0; matrix && i < count; ++i)
            numbers[i] = static_cast<float>(bound * (2 * uniform(o.seed, stream, 0, i) - 1)) * (first ? o.scale : 1.0f);
        if (first && o.broken >= 0) numbers[static_cast<std::size_t>(o.broken * c.width)] = INFINITY;
        REQUIRE(out.write(std::as_bytes(std::span(numbers))));
    }
    REQUIRE(out.commit());
}

/// `count` rows to train on and three held out.
inline void write_rows(std::string const& path, int count = 10) {
    std::ofstream out(path);
    for (int i = 0; i < count + 3; ++i)
        out << R"({"messages": [{"role": "user", "content": "the number )" << i % 5
            << R"("}, {"role": "assistant", "content": "he says )" << i % 5 << i % 3 << "\"}]"
            << (i < count ? "" : R"(, "split": "held_out")") << "}\n";
}

}  // namespace graft_test
