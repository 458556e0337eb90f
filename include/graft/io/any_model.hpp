// SPDX-License-Identifier: Apache-2.0
// A model from a file, whatever its architecture: to fine-tune, to evaluate, to answer.  (layer 16: io)
#pragma once

#include <graft/io/packed_data.hpp>
#include <graft/io/tuner.hpp>
#include <graft/train/any.hpp>
#include <graft/train/budget.hpp>

#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace graft {

/// The bytes of a tuner, before it is made.
struct tuner_memory {
    training_memory arena;  // one piece of heap memory
    index_t weights = 0;    // norms and biases, decoded when a model is opened, and the views of its layers
    index_t total() const { return arena.total() + weights; }
};

/// What answers: a model with adapters or without.
struct generator_settings {
    std::vector<adapter_choice> adapters{};  // PEFT directories or GGUF files, added up by their weights
    index_t lanes = 0;                       // 0: as many as the machine runs at once
};

/// Feeds of a model whose layers carry one of several adapters.
class adapted_feeds : public feed_source {
public:
    virtual result<index_t> add(std::span<adapter_choice const> choices) = 0;
    virtual void use(index_t which) = 0;
};

/// What is compiled once per block, for every strategy and optimizer: the only place where an architecture becomes a
/// type. `Number` is float. A program of several source files can have all of it compiled in one of them:
///
///     extern template struct graft::every_block<float>;     // in a header
///     template struct graft::every_block<float>;            // in one source file
template <class Number>
struct every_block {
    static result<any_tuner> tuner(std::shared_ptr<opened_model const> m, any_training const& how, std::uint64_t seed,
                                   tuner_places const& places);
    static tuner_memory memory(model_config const& c, any_training const& how);
    static step_arithmetic arithmetic(model_config const& c, any_training const& how);
    static budgeted within(model_config const& c, any_training const& how, index_t bytes);
    static result<std::unique_ptr<adapted_feeds>> feeds(opened_model const& m, generator_settings const& how);
};

/// The plan of a tuner on a model of these numbers; no file is needed.
inline tuner_memory memory_of(model_config const& c, any_training const& how) {
    return every_block<float>::memory(c, how);
}

/// What its steps compute.
inline step_arithmetic arithmetic_of(model_config const& c, any_training const& how) {
    return every_block<float>::arithmetic(c, how);
}
/// The schedule of least arithmetic whose plan, decoded weights included, is at most `bytes` bytes.
inline budgeted cheapest_within(model_config const& c, any_training const& how, index_t bytes) {
    return every_block<float>::within(c, how, bytes);
}

/// Answers prompts, one after another. Keeps its model open.
class any_generator {
public:
    template <class... Callback>
    result<answer> generate(std::string_view prompt, answer_settings const& settings = {}, Callback&&... callbacks) {
        return answer_to(prompt, *opened, *feeds, settings, callbacks...);
    }

    /// Takes in further adapters, added up by their weights, and returns the number by which `use` knows them. What it
    /// was made with has the number 0; where that was none, the first one added has.
    result<index_t> add(std::span<adapter_choice const> choices) { return feeds->add(choices); }
    result<index_t> add(std::string const& path, double weight = 1) {
        adapter_choice const one{path, weight};
        return add(std::span(&one, 1));
    }
    /// The next answers come with the adapters of this number; −1: with none. Moves pointers, opens no file.
    void use(index_t which) { feeds->use(which); }

private:
    friend class any_model;
    any_generator(std::shared_ptr<opened_model const> m, std::unique_ptr<adapted_feeds> f)
        : opened(std::move(m)), feeds(std::move(f)) {}
    std::shared_ptr<opened_model const> opened;
    std::unique_ptr<adapted_feeds> feeds;
};

/// An opened model. Copies share it, and so does what is made from it.
class any_model {
public:
    /// A GGUF file or a Hugging Face directory. `format`: chatml, llama3 or none; "": by the model's own template.
    static result<any_model> open(std::string const& path, std::string const& format = {}) {
        auto m = opened_model::open(path, format);
        if (!m) return m.error();
        return any_model(std::make_shared<opened_model const>(std::move(*m)));
    }

    model_config const& config() const { return opened->file.config; }
    model_file const& file() const { return opened->file; }
    tokenizer const& words() const { return opened->words; }
    chat_format const& chat() const { return opened->chat; }

    /// JSON Lines or plain text, as this model reads them.
    result<packed_data> read_data(std::string const& path, data_settings const& settings = {}) const {
        auto const text = read_text(path);
        if (!text) return text.error();
        auto rows = read_dataset(*text, path, words(), chat(), {settings.seq_len, settings.on, settings.skip_bad});
        if (!rows) return rows.error();
        return packed_data::make(std::move(*rows), settings, path);
    }

    /// New adapters on this model, which change nothing until they are trained. `how.lanes`: 0 takes all.
    result<any_tuner> tuner(any_training const& how, std::uint64_t seed = 0, tuner_places const& places = {}) const {
        return every_block<float>::tuner(opened, how, seed, places);
    }
    /// The same, with everything known when the program is compiled.
    template <class Block, GradientStrategy Strategy, Optimizer Rule>
    result<graft::tuner<Block, Strategy, Rule>> tuner(training<Strategy, Rule> const& how, std::uint64_t seed = 0,
                                                      tuner_places const& places = {}) const {
        auto made = block_tuner<Block, Strategy, Rule>::make(opened, how, seed, places);
        if (!made) return made.error();
        return graft::tuner<Block, Strategy, Rule>(std::move(*made));
    }
    tuner_memory memory(any_training const& how) const { return memory_of(config(), how); }

    result<any_generator> generator(generator_settings const& how = {}) const {
        auto feeds = every_block<float>::feeds(*opened, how);
        if (!feeds) return feeds.error();
        return any_generator(opened, std::move(*feeds));
    }

private:
    explicit any_model(std::shared_ptr<opened_model const> m) : opened(std::move(m)) {}
    std::shared_ptr<opened_model const> opened;
};

namespace detail {

/// A model with adapters from files, which only answers.
template <class Block>
class loaded_feeds final : public adapted_feeds {
public:
    static result<std::unique_ptr<adapted_feeds>> make(opened_model const& m, generator_settings const& how) {
        auto bound = bind_model<Block>(m.file);
        if (!bound) return bound.error();
        std::unique_ptr<adapted_feeds> made(new loaded_feeds(std::move(*bound), lanes_of(how.lanes)));
        if (how.adapters.empty()) return made;
        if (auto const first = made->add(how.adapters); !first) return first.error();
        made->use(0);
        return made;
    }
    result<std::unique_ptr<token_feed>> feed(index_t context) override {
        return block_feed<Block>::make(bound.net, context, pool.handle(nullptr, 0), carried.like());
    }
    result<index_t> add(std::span<adapter_choice const> choices) override {
        auto const sum = open_block_adapters(choices, bound.net.config);
        if (!sum) return sum.error();
        auto laid = lay_out(bound, *sum);
        if (!laid) return laid.error();
        all.push_back(std::move(*laid));  // layers point at numbers, which stay where they are
        return std::ssize(all) - 1;
    }
    void use(index_t which) override {
        require(which >= -1 && which < std::ssize(all), fault::bounds, "any_generator::use: which", which,
                std::ssize(all));
        carried = which < 0 ? adapter_extent{} : all[static_cast<std::size_t>(which)].extent;
        carry(bound, which < 0 ? nullptr : &all[static_cast<std::size_t>(which)]);
    }

private:
    loaded_feeds(bound_model<Block> b, index_t lanes) : bound(std::move(b)), pool(lanes) {}
    bound_model<Block> bound;
    std::vector<laid_adapter> all;
    adapter_extent carried{};
    thread_pool pool;
};

}  // namespace detail

template <class Number>
result<any_tuner> every_block<Number>::tuner(std::shared_ptr<opened_model const> m, any_training const& how,
                                             std::uint64_t seed, tuner_places const& places) {
    return with_block(m->file.config.arch, [&]<class Block>(std::type_identity<Block>) -> result<any_tuner> {
        auto made = block_tuner<Block, any_strategy, any_optimizer>::make(m, how, seed, places);
        if (!made) return made.error();
        return any_tuner(std::move(*made));
    });
}

namespace detail {

inline any_training with_real_lanes(any_training how) { return how.lanes = lanes_of(how.lanes), how; }

/// Norms and biases as numbers, and the views of all layers.
template <class Block, class Number>
index_t decoded_bytes(model_config const& c) {
    index_t const norms = (2 * c.layers + 1) * c.width,
                  biases = c.qkv_bias ? c.layers * (c.heads + 2 * c.kv_heads) * c.head : 0;
    return (norms + biases) * static_cast<index_t>(sizeof(Number)) +
           c.layers * static_cast<index_t>(sizeof(layer_weights<Block, Number>));
}

}  // namespace detail

template <class Number>
tuner_memory every_block<Number>::memory(model_config const& c, any_training const& how) {
    return with_block(c.arch, [&]<class Block>(std::type_identity<Block>) -> tuner_memory {
        return {trainer<Block, any_strategy, any_optimizer, Number>::memory_plan(c, detail::with_real_lanes(how)),
                detail::decoded_bytes<Block, Number>(c)};
    });
}

template <class Number>
step_arithmetic every_block<Number>::arithmetic(model_config const& c, any_training const& how) {
    return with_block(c.arch, [&]<class Block>(std::type_identity<Block>) { return step_work<Block>(c, how); });
}

template <class Number>
budgeted every_block<Number>::within(model_config const& c, any_training const& how, index_t bytes) {
    return with_block(c.arch, [&]<class Block>(std::type_identity<Block>) {
        return graft::cheapest_within<Block, Number>(c, detail::with_real_lanes(how),
                                                     bytes - detail::decoded_bytes<Block, Number>(c));
    });
}

template <class Number>
result<std::unique_ptr<adapted_feeds>> every_block<Number>::feeds(opened_model const& m,
                                                                  generator_settings const& how) {
    return with_block(m.file.config.arch, [&]<class Block>(std::type_identity<Block>) {
        return detail::loaded_feeds<Block>::make(m, how);
    });
}

}  // namespace graft
