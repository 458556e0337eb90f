// SPDX-License-Identifier: Apache-2.0
// A trainer with everything it stands on: a model file, memory, threads; and its results as files. (layer 16: io)
#pragma once

#include <graft/io/answer.hpp>
#include <graft/io/laid_adapter.hpp>
#include <graft/io/mapped_memory.hpp>
#include <graft/io/residency.hpp>
#include <graft/io/training_state.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/trainer.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace graft {

namespace detail {

template <class Block>
constexpr bool has_biases() {
    return []<class... Op>(list<Op...>) {
        return ([] {
            if constexpr (requires { Op::has_bias; })
                return bool(Op::has_bias);
            else
                return false;
        }() || ...);
    }(ops<Block>{});
}

}  // namespace detail

/// As many lanes as asked for, or, for 0, as the machine runs at once.
inline index_t lanes_of(index_t asked) {
    return asked > 0 ? asked : std::clamp<index_t>(static_cast<index_t>(std::thread::hardware_concurrency()), 1, 256);
}

/// Where a tuner keeps what need not stay in memory. Nothing that is computed depends on it.
struct tuner_places {
    std::string checkpoints{};   // where settings say `checkpoints_apart`: a directory for their file, "": the system's
    index_t resident_limit = 0;  // of the model file at most so many bytes are in memory; 0: as the system likes
};

/// What a tuner does on its block: a trainer whose block is not in its type.
class tuner_core : public feed_source {
public:
    virtual double accumulate(batch const& b, double scale) = 0;
    virtual double evaluate(batch const& b) = 0;
    virtual update_report apply(double rate) = 0;
    virtual update_report update(batch const& b, double scale, double rate) = 0;
    virtual bool fuses() const = 0;
    virtual void discard() = 0;

    virtual std::span<float> parameters() = 0;           // where they rest as floats
    virtual std::span<std::byte> parameter_bytes() = 0;  // as they rest
    virtual std::span<std::byte> optimizer_state() = 0;
    virtual bool optimizer_is_sound() = 0;  // every number it remembers is finite
    virtual std::span<double> strategy_memory() = 0;
    virtual resting parameters_rest() const = 0;
    virtual index_t steps() const = 0;
    virtual void resume_at(index_t step) = 0;
    virtual bool trains() const = 0;  // false: its strategy only runs forward
    virtual training_memory const& memory() const = 0;
    virtual index_t high_water() const = 0;
    virtual void watch(step_profile* table) = 0;         // of the steps to come; null: none
    virtual index_t lanes() const = 0;
    virtual residency_plan residency() const = 0;        // all 0 without a limit
    virtual std::optional<problem> trouble() const = 0;  // of the checkpoints' file: its pages could not be written

    virtual adapter take() = 0;
    virtual result<void> put(adapter const& a) = 0;
    virtual opened_model const& model() const = 0;
};

/// The tuner of one block, strategy and optimizer.
template <class Block, GradientStrategy Strategy, Optimizer Rule>
class block_tuner final : public tuner_core {
public:
    using trainer_type = trainer<Block, Strategy, Rule>;
    using settings = training<Strategy, Rule>;

    static result<std::unique_ptr<block_tuner>> make(std::shared_ptr<opened_model const> m, settings how,
                                                     std::uint64_t seed, tuner_places const& places = {}) {
        if (m->file.config.qkv_bias != detail::has_biases<Block>())  // a weight that is left out is not missed
            return problem{cause::mismatch,
                           m->file.path,
                           "is not a model of this block",
                           {},
                           std::string("maps ") + (detail::has_biases<Block>() ? "with" : "without") + " biases",
                           name_of(m->file.config.arch),
                           "the block of its architecture, or a tuner of any model"};
        auto bound = bind_model<Block>(m->file);
        if (!bound) return bound.error();
        how.lanes = lanes_of(how.lanes);
        auto const plan = trainer_type::memory_plan(m->file.config, how);
        auto memory = heap_arena::make(plan.total());
        if (!memory) return memory.error();
        pages held;
        if (how.checkpoints_apart) {
            auto apart = mapped_memory::make(plan.checkpoints, places.checkpoints);
            if (!apart) return apart.error();
            held.streams = std::move(*apart);
        }
        if (places.resident_limit > 0) {
            auto resident = weight_residency::make(m->file, places.resident_limit);
            if (!resident) return resident.error();
            held.weights = std::move(*resident);
        }
        return std::unique_ptr<block_tuner>(
            new block_tuner(std::move(m), std::move(*bound), std::move(*memory), std::move(held), how, seed));
    }

    double accumulate(batch const& b, double scale) override { return runs.accumulate(b, scale); }
    double evaluate(batch const& b) override { return runs.evaluate(b); }
    update_report apply(double rate) override { return runs.apply(rate); }
    update_report update(batch const& b, double scale, double rate) override { return runs.update(b, scale, rate); }
    bool fuses() const override { return runs.fuses(); }
    void discard() override { runs.discard(); }
    std::span<float> parameters() override { return runs.parameters(); }
    std::span<std::byte> parameter_bytes() override { return runs.parameter_bytes(); }
    std::span<std::byte> optimizer_state() override { return runs.optimizer_state(); }
    bool optimizer_is_sound() override { return runs.optimizer_is_sound(); }
    std::span<double> strategy_memory() override { return runs.strategy_memory(); }
    resting parameters_rest() const override { return how.adapters; }
    index_t steps() const override { return runs.steps(); }
    void resume_at(index_t step) override { runs.resume_at(step); }
    bool trains() const override { return answers_of(how.strategy).trains; }
    training_memory const& memory() const override { return runs.memory(); }
    index_t high_water() const override { return runs.high_water(); }
    void watch(step_profile* table) override { runs.watch(table); }
    index_t lanes() const override { return how.lanes; }
    residency_plan residency() const override { return held.weights ? held.weights->plan() : residency_plan{}; }
    std::optional<problem> trouble() const override { return held.streams.trouble(); }

    adapter take() override {
        return take_adapter(runs.of(), how.rank, how.alpha, how.rank_stabilised, opened->file.name,
                            [&](index_t l) { runs.open_layer(l); });
    }
    result<void> put(adapter const& a) override {
        auto const extent = extent_of(a);
        if (extent.magnitudes && how.norm == adapter_norm::none)
            return problem{cause::mismatch,
                           {},
                           "the adapter has DoRA's magnitudes, and the tuner was made without",
                           {},
                           "an adapter of LoRA or rsLoRA",
                           "DoRA",
                           "a tuner whose settings have a norm"};
        if (how.start == adapter_start::pissa)
            return problem{cause::usage,
                           {},
                           "an adapter cannot be put where training starts from principal parts of the weights",
                           {},
                           "another start",
                           "pissa",
                           {}};
        if (extent.rank > how.rank || (extent.targets & ~how.targets) != 0)
            return problem{cause::mismatch,
                           {},
                           "the adapter has more than the tuner was made for",
                           {},
                           "a rank of at most " + std::to_string(how.rank) + ", and no maps but the tuner's targets",
                           "rank " + std::to_string(extent.rank),
                           "a tuner with the adapter's rank and targets"};
        put_adapter(
            runs.of(), a, [&](index_t l) { runs.open_layer(l); }, [&](index_t l) { runs.close_layer(l); });
        return {};
    }
    result<std::unique_ptr<token_feed>> feed(index_t context) override {
        graft::model<Block> m = runs.of();
        if (how.adapters != resting::same)
            m.layers = wake();
        else
            runs.refresh();
        return block_feed<Block>::make(m, context, pool.handle(nullptr, 0), how.adapter());
    }
    opened_model const& model() const override { return *opened; }

private:
    /// What may leave memory between uses: kept streams that lie apart, weights under a limit.
    struct pages {
        mapped_memory streams;
        std::optional<weight_residency> weights;
    };

    block_tuner(std::shared_ptr<opened_model const> m, bound_model<Block> b, heap_arena a, pages p, settings const& s,
                std::uint64_t seed)
        : opened(std::move(m)),
          bound(std::move(b)),
          place(std::move(a)),
          held(std::move(p)),
          pool(s.lanes),
          how(with_lanes(s, pool.lanes())),  // fewer where the system grants fewer threads
          runs(bound.net, how, place.bytes(), pool.handle(nullptr, 0), held.streams.bytes()) {
        runs.watch({held.weights ? held.weights->visitor() : memory_visitor{}, held.streams.visitor()});
        runs.start(seed);
    }
    /// Layers whose adapters are floats, for as long as the tuner lives: what answers reads all of them at every token.
    std::span<layer_weights<Block, float>> wake() {
        awake.resize(runs.of().layers.size());
        awake_numbers.resize(runs.parameter_bytes().size() / static_cast<std::size_t>(bytes_of<float>(how.adapters)));
        runs.lay_views(awake, awake_numbers.data());
        return awake;
    }
    static settings with_lanes(settings s, index_t lanes) { return s.lanes = lanes, s; }

    std::shared_ptr<opened_model const> opened;
    bound_model<Block> bound;
    heap_arena place;
    pages held;
    thread_pool pool;
    settings how;
    trainer_type runs;
    std::vector<layer_weights<Block, float>> awake;
    std::vector<float> awake_numbers;
};

/// Fine-tunes: the calls that are the same on a type that is fixed (`tuner`) and on any model (`any_tuner`).
///
///     auto t = model.tuner<llama<lora>, mesp, adamw>({.rank = 8});      // or model.tuner({.rank = 8})
///     t->fit(data, {.epochs = 2}, [](fit_step const& s) { show(s.step, s.loss); });
///     auto said = t->generate("What is graft?");
///     auto done = t->save("adapter");
template <class Core>
class basic_tuner {
public:
    explicit basic_tuner(std::unique_ptr<Core> c) : core(std::move(c)) {}
    template <class Other>
    requires std::is_convertible_v<Other*, Core*> basic_tuner(basic_tuner<Other>&& other)
        : core(std::move(other.core)) {}

    /// `graft::fit` on this tuner. `data`: a `packed_data`, or any FitData.
    template <class Data, class... Callback>
    fit_report fit(Data&& data, fit_settings const& settings, Callback&&... callbacks) {
        require(core->trains(), fault::bounds, "fit: a strategy that trains", 0, 1);
        return graft::fit(*core, data, settings, callbacks...);
    }
    /// The loss on batches: of `data.held_out()`, or of what `pack_examples` made.
    template <Batches List>
    loss_sum evaluate(List const& list) {
        return graft::evaluate(*core, list);
    }
    /// The tuned model's answer. Callbacks take an `answer_piece const&`, as it comes.
    template <class... Callback>
    result<answer> generate(std::string_view prompt, answer_settings const& settings = {}, Callback&&... callbacks) {
        return answer_to(prompt, core->model(), *core, settings, callbacks...);
    }

    /// The adapter as PEFT's directory, with `adapter.gguf` for llama.cpp inside unless it is DoRA, which GGUF has no
    /// place for.
    result<void> save(std::string const& directory, save_options const& options = {}) const {
        adapter const a = core->take();
        if (auto r = write_peft(directory, a, options); !r) return r;
        if (has_magnitudes(a)) {
            std::remove((directory + "/adapter.gguf").c_str());  // an earlier run's would not be this adapter
            return {};
        }
        return write_adapter_gguf(directory + "/adapter.gguf", a, core->model().file.config, options);
    }
    /// Goes on from an adapter of either format, of at most this tuner's rank and targets.
    result<void> load(std::string const& path) {
        auto const a = open_block_adapter(path, core->model().file.config);
        return a ? load(*a) : a.error();
    }
    result<void> load(adapter const& a) { return core->put(a); }

    /// All a run needs to go on: `directory`/step-N, for a callback that takes `fit_save`.
    result<void> save_state(std::string const& directory, fit_progress const& progress) {
        return save_training(directory, *core, progress);
    }
    /// The newest whole state of a directory; what it returns is where `fit` goes on `from`.
    result<fit_progress> load_state(std::string const& directory) {
        auto const search = newest_valid(directory);
        if (search.found) return load_training(*search.found, *core);
        if (!search.skipped.empty()) return search.skipped.front();
        return problem{cause::io, directory, "holds no state to go on from", {}, {}, {}, {}};
    }

    /// The numbers underneath.
    Core& operator*() { return *core; }
    Core* operator->() { return core.get(); }

private:
    template <class Other>
    friend class basic_tuner;
    std::unique_ptr<Core> core;
};

/// A tuner whose block, strategy and optimizer are types.
template <class Block, GradientStrategy Strategy, Optimizer Rule>
using tuner = basic_tuner<block_tuner<Block, Strategy, Rule>>;

/// A tuner of any opened model.
using any_tuner = basic_tuner<tuner_core>;

}  // namespace graft
