// SPDX-License-Identifier: Apache-2.0
// Opens a model from a GGUF file: architectures llama and qwen2.                         (layer 16: io)
#pragma once

#include <graft/io/gguf_reader.hpp>
#include <graft/io/model_data.hpp>

#include <set>

namespace graft {

namespace detail {

/// The configuration that the keys give. The vocabulary is the embedding's rows.
inline result<model_config> read_gguf_config(gguf const& g, std::vector<std::string>& warnings) {
    auto const unsupported = [&](std::string what, std::string const& key, std::string expected, std::string got,
                                 std::string hint = {}) {
        return problem{cause::bad_file,     g.file,         std::move(what), "key " + in_quotes(key),
                       std::move(expected), std::move(got), std::move(hint)};
    };
    auto const type = g.text("general.type", "model");
    if (!type) return type.error();
    if (*type != "model")
        return problem{cause::mismatch,
                       g.file,
                       "is not a model",
                       "key 'general.type'",
                       "model",
                       printable(*type),
                       "passing an adapter where adapters are asked for"};
    auto const arch = g.text("general.architecture");
    if (!arch) return arch.error();
    model_config c;
    if (*arch == "llama")
        c.arch = architecture::llama, c.pairing = rope_pairing::interleaved;
    else if (*arch == "qwen2")
        c.arch = architecture::qwen2, c.pairing = rope_pairing::half_split, c.qkv_bias = true;
    else
        return unsupported("the architecture is not supported", "general.architecture", "llama or qwen2",
                           printable(*arch), "SmolLM2, Llama, TinyLlama or Qwen2.5 models");

    auto const key = [&](char const* name) { return *arch + "." + name; };
    std::optional<problem> first;
    auto const size = [&](char const* name, std::optional<std::uint64_t> otherwise = {}) -> index_t {
        auto const n = as_index(g.count(key(name), otherwise), g.file, key(name));
        if (!n && !first) first = n.error();
        return n ? *n : 0;
    };
    auto const real = [&](char const* name, std::optional<double> otherwise = {}) -> double {
        auto const n = g.number(key(name), otherwise);
        if (!n && !first) first = n.error();
        return n ? *n : 0;
    };
    c.layers = size("block_count");
    c.width = size("embedding_length");
    c.hidden = size("feed_forward_length");
    c.context = size("context_length");
    c.heads = size("attention.head_count");
    c.kv_heads = size("attention.head_count_kv", static_cast<std::uint64_t>(c.heads));
    c.norm_epsilon = real("attention.layer_norm_rms_epsilon");
    c.rope_base = real("rope.freq_base", 10000.0);
    if (first) return *first;
    if (c.heads == 0) return unsupported("a value cannot be used", key("attention.head_count"), "at least 1", "0");
    bool const given = g.find(key("attention.key_length")) != nullptr;
    if (!given && c.width % c.heads != 0)
        return unsupported("a value cannot be used", key("attention.head_count"),
                           "a divisor of the width " + std::to_string(c.width), std::to_string(c.heads));
    c.head = size("attention.key_length", static_cast<std::uint64_t>(c.width / c.heads));
    index_t const value_head = size("attention.value_length", static_cast<std::uint64_t>(c.head));
    index_t const turned = size("rope.dimension_count", static_cast<std::uint64_t>(c.head));
    index_t const experts = size("expert_count", 0);
    index_t const window = size("attention.sliding_window", 0);
    double const linear = real("rope.scale_linear", 1.0), factor = real("rope.scaling.factor", 1.0);
    auto const scaling = g.text(key("rope.scaling.type"), "none");
    if (first) return *first;
    if (!scaling) return scaling.error();
    if (value_head != c.head)
        return unsupported("heads of keys and values differ", key("attention.value_length"), std::to_string(c.head),
                           std::to_string(value_head));
    if (turned != c.head)
        return unsupported("RoPE turns only a part of each head", key("rope.dimension_count"), std::to_string(c.head),
                           std::to_string(turned));
    if (experts != 0)
        return unsupported("is a mixture of experts", key("expert_count"), "0", std::to_string(experts),
                           "a dense model");
    bool const scaled = (*scaling != "none" && *scaling != "" && factor != 1) || linear != 1;
    if (scaled || (*scaling != "none" && *scaling != "" && *scaling != "linear"))
        return unsupported("this scaling of RoPE is not supported", key("rope.scaling.type"),
                           "none, or Llama 3's factors as a tensor", printable(*scaling));
    if (window > 0 && window < c.context) {
        warnings.push_back("attention slides over " + std::to_string(window) +
                           " tokens: the context is limited to that");
        c.context = window;
    }
    return c;
}

/// The tokenizer's lists, each as long as the token list, every id inside it.
inline result<tokenizer_data> read_gguf_tokens(gguf const& g) {
    tokenizer_data t;
    auto const model = g.text("tokenizer.ggml.model");
    if (!model) return model.error();
    if (*model != "gpt2" && *model != "llama")
        return problem{
            cause::bad_file,   g.file, "the tokenizer is not supported", "key 'tokenizer.ggml.model'", "gpt2 or llama",
            printable(*model), {}};
    t.model = *model;
    auto const pre = g.text("tokenizer.ggml.pre", "");
    if (!pre) return pre.error();
    t.pre = *pre;
    auto tokens = g.texts("tokenizer.ggml.tokens");
    if (!tokens) return tokens.error();
    t.tokens = std::move(*tokens);
    auto const as_long = [&](std::size_t n, char const* key) -> result<void> {
        if (n == t.tokens.size()) return {};
        return problem{cause::bad_file,
                       g.file,
                       "a list of the tokenizer is not as long as the tokens",
                       "key " + in_quotes(key),
                       std::to_string(t.tokens.size()),
                       std::to_string(n),
                       {}};
    };
    if (g.find("tokenizer.ggml.token_type")) {
        auto types = g.integers("tokenizer.ggml.token_type");
        if (!types) return types.error();
        if (auto const r = as_long(types->size(), "tokenizer.ggml.token_type"); !r) return r.error();
        t.types = std::move(*types);
    } else {
        t.types.assign(t.tokens.size(), 1);
    }
    if (g.find("tokenizer.ggml.scores")) {
        auto scores = g.numbers("tokenizer.ggml.scores");
        if (!scores) return scores.error();
        if (auto const r = as_long(scores->size(), "tokenizer.ggml.scores"); !r) return r.error();
        t.scores = std::move(*scores);
    }
    if (g.find("tokenizer.ggml.merges")) {
        auto merges = g.texts("tokenizer.ggml.merges");
        if (!merges) return merges.error();
        t.merges = std::move(*merges);
    }
    bool const pieces = t.model == "llama";
    struct {
        char const* key;
        int& id;
        int otherwise;
    } const ids[] = {{"tokenizer.ggml.bos_token_id", t.bos, pieces ? 1 : -1},
                     {"tokenizer.ggml.eos_token_id", t.eos, pieces ? 2 : -1},
                     {"tokenizer.ggml.unknown_token_id", t.unknown, pieces ? 0 : -1},
                     {"tokenizer.ggml.padding_token_id", t.padding, -1},
                     {"tokenizer.ggml.eot_token_id", t.eot, -1}};
    for (auto const& i : ids) {
        i.id = i.otherwise;
        if (!g.find(i.key)) continue;
        auto const id = as_index(g.count(i.key), g.file, i.key);
        if (!id) return id.error();
        if (static_cast<std::size_t>(*id) >= t.tokens.size())
            return problem{cause::bad_file,
                           g.file,
                           "a token id is outside the vocabulary",
                           "key " + in_quotes(i.key),
                           "below " + std::to_string(t.tokens.size()),
                           std::to_string(*id),
                           {}};
        i.id = static_cast<int>(*id);
    }
    bool const llama3 = t.pre == "llama-bpe" || t.pre == "llama3" || t.pre == "llama-v3";
    auto const add_bos = g.flag("tokenizer.ggml.add_bos_token", pieces || llama3);
    auto const add_space = g.flag("tokenizer.ggml.add_space_prefix", pieces);
    auto const chat = g.text("tokenizer.chat_template", "");
    if (!add_bos) return add_bos.error();
    if (!add_space) return add_space.error();
    if (!chat) return chat.error();
    t.add_bos = *add_bos, t.add_space_prefix = *add_space, t.chat_template = *chat;
    t.ignore_merges = llama3;
    return t;
}

inline result<stored_tensor> as_stored(gguf const& g, gguf_tensor const& t) {
    stored_tensor s;
    s.file_name = t.name;
    s.how = find_format(t.type->code);
    if (!s.how)
        return problem{cause::bad_file,
                       g.file,
                       "a weight has a format that is not supported",
                       "tensor " + in_quotes(t.name),
                       "f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k or q6_k",
                       t.type->name,
                       "another quantisation of the model"};
    for (std::uint32_t d = t.rank; d-- > 0;) s.shape.push_back(static_cast<index_t>(t.dims[d]));
    s.data = t.data;
    return s;
}

/// Llama 3's divisors of RoPE's frequencies, where the file has them.
inline result<void> read_rope_factors(gguf const& g, model_config& c) {
    gguf_tensor const* const t = g.tensor("rope_freqs.weight");
    if (!t) return {};
    auto const wanted = static_cast<std::uint64_t>(c.head / 2);
    if (t->type->code != 0 || t->rank != 1 || t->dims[0] != wanted || wanted > c.rope_factors.size())
        return problem{cause::bad_file,
                       g.file,
                       "RoPE's factors cannot be used",
                       "tensor 'rope_freqs.weight'",
                       std::to_string(wanted) + " numbers F32, at most 128",
                       std::to_string(t->dims[0]) + " " + t->type->name,
                       {}};
    for (std::size_t i = 0; i < wanted; ++i) c.rope_factors[i] = load_number<float>(t->data.data() + i * sizeof(float));
    c.rope_factor_count = c.head / 2;
    return {};
}

}  // namespace detail

/// A model from the bytes of a GGUF file. The tensors point into `file`, which the model then owns.
inline result<model_file> open_gguf_model(mapped_file file, open_options const& options = {}) {
    auto const parsed = parse_gguf(file.bytes(), file.path());
    if (!parsed) return parsed.error();
    gguf const& g = *parsed;
    model_file model;
    model.path = g.file;
    model.warnings = g.warnings;
    auto const config = detail::read_gguf_config(g, model.warnings);
    if (!config) return config.error();
    model_config& c = model.config = *config;
    gguf_tensor const* const embedding = g.tensor("token_embd.weight");
    if (!embedding)
        return problem{cause::bad_file,   g.file, "a tensor is missing", "tensor 'token_embd.weight'", {}, {},
                       "a complete model"};
    if (embedding->dims[1] > INT32_MAX)
        return problem{cause::bad_file, g.file, "has too many rows", "tensor 'token_embd.weight'", {}, {}, {}};
    c.vocabulary = static_cast<index_t>(embedding->dims[1]);
    c.tied_head = g.tensor("output.weight") == nullptr;
    if (auto const r = detail::read_rope_factors(g, c); !r) return r.error();
    if (auto const r = check_config(c, g.file); !r) return r.error();
    auto const title = g.text("general.name", "");
    if (!title) return title.error();
    model.name = *title;

    std::set<std::string_view> used{"rope_freqs.weight"};
    auto const expected = expected_tensors(c);
    for (expected_tensor const& e : expected) {
        gguf_tensor const* const t = g.tensor(e.gguf_name);
        if (!t)
            return problem{cause::bad_file,   g.file, "a tensor is missing", "tensor " + in_quotes(e.gguf_name), {}, {},
                           "a complete model"};
        auto stored = detail::as_stored(g, *t);
        if (!stored) return stored.error();
        if (auto const r = detail::bind_tensor(model, g.file, e, std::move(*stored)); !r) return r.error();
        used.insert(t->name);
    }
    std::vector<std::string> extras;
    for (gguf_tensor const& t : g.tensors)
        if (!used.contains(t.name)) extras.emplace_back(t.name);
    if (auto const r = detail::judge_extras(model, g.file, extras); !r) return r.error();
    detail::sort_tensors(model);
    if (options.tokenizer) {
        auto tokens = detail::read_gguf_tokens(g);
        if (!tokens) return tokens.error();
        model.tokens = std::move(*tokens);
        if (auto const r = detail::check_vocabulary(model, g.file); !r) return r.error();
    }
    model.files.push_back(std::move(file));
    return model;
}

}  // namespace graft
