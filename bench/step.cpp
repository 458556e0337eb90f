// SPDX-License-Identifier: Apache-2.0
// One LoRA training step on random weights of a named shape: seconds, memory planned and memory used.
//
//   step --shape smollm2-135m --seq 256 --rank 8 --strategy mesp --optimizer adamw --weights q4_1 --threads 2 --steps 5
//
// The weights lie in an unlinked file that is mapped read-only, as a model's do: anonymous memory is what training
// takes.
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/block/shapes.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "../examples/graft/process_memory.hpp"
#include "../examples/graft/profile_report.hpp"
#include "support/random_weights.hpp"
#include "support/timing.hpp"

using namespace bench;

namespace {

struct options {
    std::string shape = "smollm2-135m", strategy = "mesp", optimizer = "adamw", weights = "q4_1";
    index_t seq = 256, rank = 8, threads = 2, steps = 5, tile = 0;
    int phases = 1;
    bool json = false, profile = false;
};

template <class Block, class Strategy, class Rule>
int measure(options const& o, model_config const& c, Strategy strategy) {
    random_model<Block> const weights(c, *find_format(o.weights));

    using trainer_type = trainer<Block, Strategy, Rule>;
    typename trainer_type::settings s;
    s.tokens = o.seq, s.rank = o.rank, s.alpha = 2.0 * static_cast<double>(o.rank), s.lanes = o.threads,
    s.strategy = strategy;
    auto const plan = trainer_type::memory_plan(c, s);
    thread_pool pool(o.threads);
    std::size_t const bytes = static_cast<std::size_t>(plan.total());
    auto* const memory = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    trainer_type t(weights.net, s, {memory, bytes}, pool.handle(nullptr, 0));
    t.start(1);
    tool::timed_steps timed(o.threads);

    random_batch const b(o.seq, c.vocabulary);
    std::vector<double> forward, step;
    double loss = 0, anonymous = 0;
    double profiled_seconds = 0;
    for (index_t i = 0; i < o.steps; ++i) {
        if (o.profile && i == std::min<index_t>(1, o.steps - 1)) t.watch(&timed.table);  // the first step warms up
        double const t0 = seconds();
        loss = t.accumulate(b, 1.0 / static_cast<double>(o.seq)) / static_cast<double>(o.seq);
        t.apply(1e-4);
        double const t1 = seconds();
        if (timed.table.total().calls > 0) profiled_seconds += t1 - t0;
        t.evaluate(b);
        step.push_back(t1 - t0), forward.push_back(seconds() - t1);
        anonymous = std::max(anonymous, static_cast<double>(tool::anonymous_bytes()));
    }
    double const median = median_of(step).value, best = *std::min_element(step.begin(), step.end()),
                 pass = *std::min_element(forward.begin(), forward.end());
    double const mib = 1024.0 * 1024.0;
    if (o.json) {
        std::printf(
            "{\"shape\":\"%s\",\"seq\":%td,\"rank\":%td,\"strategy\":\"%s\",\"tile\":%td,\"phases\":%d,\"optimizer\":"
            "\"%s\",\"weights\":\"%s\","
            "\"threads\":%td,\"steps\":%td,\"step_seconds_min\":%.4f,\"step_seconds_median\":%.4f,\"forward_seconds_"
            "min\":%.4f,"
            "\"loss\":%.6f,\"planned_bytes\":%td,\"high_water_bytes\":%td,\"weights_mapped_bytes\":%td,\"rss_anon_"
            "bytes\":%.0f,"
            "\"rss_peak_bytes\":%.0f}\n",
            o.shape.c_str(), o.seq, o.rank, o.strategy.c_str(), o.tile, o.phases, o.optimizer.c_str(),
            o.weights.c_str(), o.threads, o.steps, best, median, pass, loss, plan.total(), t.high_water(),
            weights.mapped_bytes(), anonymous, static_cast<double>(tool::peak_resident_bytes()));
    } else {
        std::printf("%s, %td tokens, rank %td, %s, %s, %s weights, %td threads\n", o.shape.c_str(), o.seq, o.rank,
                    o.strategy.c_str(), o.optimizer.c_str(), o.weights.c_str(), o.threads);
        std::printf("  step       %.3f s median, %.3f s best of %td; forward alone %.3f s\n", median, best, o.steps,
                    pass);
        std::printf(
            "  planned    %.1f MiB (checkpoints %.1f, kept %.1f, block %.1f, head %.1f, adapters, gradients and "
            "optimizer %.1f)\n",
            static_cast<double>(plan.total()) / mib, static_cast<double>(plan.checkpoints) / mib,
            static_cast<double>(plan.kept) / mib, static_cast<double>(plan.block) / mib,
            static_cast<double>(plan.head) / mib,
            static_cast<double>(plan.adapters + plan.gradients + plan.optimizer) / mib);
        std::printf("  high water %.1f MiB; anonymous %.1f MiB; weights mapped %.1f MiB\n",
                    static_cast<double>(t.high_water()) / mib, anonymous / mib,
                    static_cast<double>(weights.mapped_bytes()) / mib);
    }
    tool::profile_report const profile(timed.table, std::max<index_t>(o.steps - 1, 1), profiled_seconds);
    if (o.profile && o.json) std::printf("%s\n", profile.json().dump().c_str());
    else if (o.profile) std::fputs(profile.text().c_str(), stdout);
    std::free(memory);
    return 0;
}

template <class Block, class Rule>
int with_strategy(options const& o, model_config const& c) {
    if (o.strategy == "full") return measure<Block, full, Rule>(o, c, full{});
    return measure<Block, mesp, Rule>(o, c, mesp{o.tile, o.phases == 2 ? phases::two : phases::one});
}

template <class Block>
int with_optimizer(options const& o, model_config const& c) {
    return o.optimizer == "sgd" ? with_strategy<Block, sgd>(o, c) : with_strategy<Block, adamw>(o, c);
}

}  // namespace

int main(int argc, char** argv) {
    options o;
    CLI::App app{"One LoRA training step on random weights of a named shape."};
    std::vector<std::string> shapes;
    for (auto const& s : named_shapes) shapes.emplace_back(s.name);
    app.add_option("--shape", o.shape)->check(CLI::IsMember(shapes));
    app.add_option("--seq", o.seq, "rows of the pass")->check(CLI::Range(1, 1 << 20));
    app.add_option("--rank", o.rank)->check(CLI::Range(1, 1024));
    app.add_option("--strategy", o.strategy)->check(CLI::IsMember({"full", "mesp"}));
    app.add_option("--tile", o.tile, "rows of a tile of mesp's feed-forward half, 0: all")
        ->check(CLI::Range(0, 1 << 20));
    app.add_option("--phases", o.phases, "of mesp: 1 recomputes a block once, 2 stage by stage")
        ->check(CLI::Range(1, 2));
    app.add_option("--optimizer", o.optimizer)->check(CLI::IsMember({"adamw", "sgd"}));
    app.add_option("--weights", o.weights)
        ->check(CLI::IsMember({"f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0"}));
    app.add_option("--threads", o.threads)->check(CLI::Range(1, 1024));
    app.add_option("--steps", o.steps)->check(CLI::Range(1, 1 << 20));
    app.add_flag("--profile", o.profile, "where the time of the steps after the first went; with --json another line");
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    model_config const& c = *find_shape(o.shape);
    return c.arch == architecture::qwen2 ? with_optimizer<qwen2<lora>>(o, c) : with_optimizer<llama<lora>>(o, c);
}
