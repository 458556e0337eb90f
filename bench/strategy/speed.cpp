// SPDX-License-Identifier: Apache-2.0
// Claims E3, E5 and E9 (time): a step of each strategy on one shape, in turns.
//
//   speed [--shape qwen2.5-0.5b] [--layers N] [--seq 256] [--rank 8] [--rounds 9] [--only mesp,full] [--json]
//
// Random int4 weights in a mapped file, SGD, fused updates without clipping. Every round runs one step of every
// contender, in an order that turns; the first round only warms up. Printed: each contender's median step with its
// 95 % interval, and the medians of ratios taken within rounds, beside what the schedules' own multiply-adds predict
// (blocks by their roles in that very step, head: the logits once and, where gradients are pulled, twice) and beside
// the papers. `lcsb NN` trains NN % of the blocks of a step: random ones, or strided (one in so many, in turn);
// `exact` passes gradients through the others. Checkpoint keeps attention's weights within a block, as the published
// methods do; `+ h` stores h = x A^T from the block's second forward to its pull.
#include <graft/block/shapes.hpp>
#include <graft/io/bind.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/budget.hpp>

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../support/json_lines.hpp"
#include "../support/random_weights.hpp"
#include "../support/rig.hpp"
#include "../support/step_work.hpp"
#include "../support/stored_h.hpp"
#include "../support/timing.hpp"

using namespace bench;

namespace {

struct options {
    std::string shape = "qwen2.5-0.5b";
    std::vector<std::string> only;
    index_t layers = 0, seq = 256, rank = 8, rounds = 9, lanes = 2;
    bool json = false;
} o;

struct contender {
    std::string name;
    std::function<double()> step;         // runs one; seconds
    std::function<double(index_t)> work;  // multiply-adds of step number k, counted from 1
    index_t planned = 0;
    std::vector<double> seconds{}, works{};
};

any_training settings_of(any_strategy s) {
    any_training how;
    how.tokens = o.seq, how.rank = o.rank, how.alpha = 2.0 * static_cast<double>(o.rank), how.lanes = o.lanes;
    how.max_grad_norm = 0, how.optimizer = sgd{}, how.updates = updating::fused, how.strategy = s, how.seed = 17;
    return how;
}

template <class Block>
contender make(std::string name, any_strategy s, model<Block> const& m, workers const& on, random_batch const& b) {
    auto const how = settings_of(s);
    auto t = std::make_shared<rig<Block>>(m, how, on);
    return {std::move(name),
            [t, &b] {
                double const start = seconds();
                (*t)->update(b, 1.0 / static_cast<double>(o.seq), 1e-4);
                return seconds() - start;
            },
            [how, c = m.config](index_t k) { return work_of_step<Block>(c, how, k); }, (*t)->memory().total()};
}

/// `to` beside `from`, round by round.
struct ratio {
    char const *name, *of, *to;
    double paper;  // 0: none
    char const* who;
};
constexpr ratio ratios[] = {
    {"MeSP beside checkpoint", "mesp", "checkpoint", 1.28, "MeSP: 1.26, 1.31, 1.27 (28 % slower)"},
    {"tiled MeSP beside checkpoint", "mesp_tiled", "checkpoint", 1.28, "the same"},
    {"published MeSP beside checkpoint", "mesp_published", "checkpoint", 1.28, "the same"},
    {"h computed again beside stored, checkpoint", "checkpoint", "checkpoint + h", 1.062, "MeSP: 6.2 % slower"},
    {"h computed again beside stored, full", "full", "full + h", 1.062, "the same"},
    {"checkpoint beside full", "checkpoint", "full", 0, ""},
    {"MeSP beside MeZO", "mesp", "zeroth_order", 1.37, "derived 1.37 to 1.45; MeBP's table 1.44 to 1.94"},
    {"all beside 75 % random", "mesp", "lcsb 75 random", 1.155, "derived, full recompute"},
    {"all beside 50 % random", "mesp", "lcsb 50 random", 1.365, "derived; LCSB: up to 1.40"},
    {"all beside 50 % strided", "mesp", "lcsb 50 strided", 1.365, "derived; LCSB: up to 1.40"},
    {"all beside 50 % top", "mesp", "lcsb 50 top", 0, "no backward below: nothing to pass on"},
    {"all beside 33 % strided", "mesp", "lcsb 33 strided", 0, "LCSB: up to 1.40"},
    {"all beside 25 % random", "mesp", "lcsb 25 random", 1.671, "derived, full recompute"},
    {"all beside 25 % strided", "mesp", "lcsb 25 strided", 1.671, "derived, full recompute"},
    {"all beside 50 % strided, exact", "mesp", "lcsb 50 strided exact", 0, ""},
    {"all beside 50 % strided, of checkpoint", "checkpoint", "lcsb 50 strided of checkpoint", 1.365, "derived"},
};

void report(std::vector<contender> const& all) {
    if (!o.json) std::printf("%-32s%10s%20s%16s%14s\n", "", "step, s", "95 % interval", "GMAC a step", "planned, MB");
    for (auto const& c : all) {
        auto const m = median_of(c.seconds);
        double const work = median_of(c.works).value / 1e9;
        if (o.json)
            print({{"strategy", c.name},
                   {"seconds", m.value},
                   {"low", m.low},
                   {"high", m.high},
                   {"gmac", work},
                   {"planned_bytes", c.planned},
                   {"all_seconds", c.seconds}});
        else
            std::printf("%-32s%10.3f%11.3f -%7.3f%16.1f%14.1f\n", c.name.c_str(), m.value, m.low, m.high, work,
                        static_cast<double>(c.planned) / 1e6);
    }
    if (!o.json)
        std::printf("\n%-44s%8s%20s%11s%12s%8s\n", "ratio of times", "ours", "95 % interval", "predicted", "ours/pred.",
                    "paper");
    for (ratio const& r : ratios) {
        contender const *of = nullptr, *to = nullptr;
        for (auto const& c : all) of = c.name == r.of ? &c : of, to = c.name == r.to ? &c : to;
        if (!of || !to) continue;
        std::vector<double> ours, predicted, beside;
        for (std::size_t i = 0; i < of->seconds.size(); ++i) {
            ours.push_back(of->seconds[i] / to->seconds[i]), predicted.push_back(of->works[i] / to->works[i]);
            beside.push_back(ours.back() / predicted.back());
        }
        auto const m = median_of(ours);
        double const p = median_of(predicted).value, q = median_of(beside).value;
        if (o.json)
            print({{"ratio", r.name},
                   {"ours", m.value},
                   {"low", m.low},
                   {"high", m.high},
                   {"predicted", p},
                   {"ours_of_predicted", q},
                   {"paper", r.paper},
                   {"source", r.who}});
        else
            std::printf("%-44s%8.3f%11.3f -%7.3f%11.3f%12.3f%8.3f  %s\n", r.name, m.value, m.low, m.high, p, q, r.paper,
                        r.who);
    }
}

template <class Block, class WithH>
int run(model_config const& c) {
    format const& how = *find_format("q4_0");
    random_model<Block> const m(c, how);
    random_model<WithH> const with_h(c, how);
    random_batch const b(o.seq, c.vocabulary);
    thread_pool pool(o.lanes);
    auto const on = pool.handle(nullptr, 0);
    std::vector<contender> all;
    auto const wanted = [&](std::string const& name) {
        return o.only.empty() || std::find(o.only.begin(), o.only.end(), name) != o.only.end();
    };
    auto const add = [&](std::string const& name, any_strategy s) {
        if (wanted(name)) all.push_back(make<Block>(name, s, m.net, on, b));
    };
    auto const add_h = [&](std::string const& name, any_strategy s) {
        if (wanted(name)) all.push_back(make<WithH>(name, s, with_h.net, on, b));
    };
    auto const exact = unselected_gradient::exact;
    index_t const half = std::max<index_t>(c.layers / 2, 1), quarter = std::max<index_t>(c.layers / 4, 1);
    add("full", full{}), add_h("full + h", full{});
    add("checkpoint", checkpoint{true}), add_h("checkpoint + h", checkpoint{true});
    add("mesp_published", mesp_published{true}), add("mesp", mesp{}), add("mesp_tiled", mesp{64, phases::two});
    add("lcsb 75 random", lcsb<random_layers>{{c.layers - quarter}});
    add("lcsb 50 random", lcsb<random_layers>{{half}}), add("lcsb 50 strided", lcsb<cyclic_strided>{{2}});
    add("lcsb 50 top", lcsb<top_layers>{{half}});
    add("lcsb 33 strided", lcsb<cyclic_strided>{{3}}),
        add("lcsb 50 strided exact", lcsb<cyclic_strided>{{2}, {}, exact});
    add("lcsb 50 strided of checkpoint", lcsb<cyclic_strided, checkpoint>{{2}, {true}});
    add("lcsb 25 random", lcsb<random_layers>{{quarter}}), add("lcsb 25 strided", lcsb<cyclic_strided>{{4}});
    add("zeroth_order", zeroth_order{1, 1e-3});
    if (all.empty()) return std::fprintf(stderr, "none of the contenders is called so\n"), 2;
    for (index_t round = 0; round <= o.rounds; ++round)
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto& k = all[(i + static_cast<std::size_t>(round)) % all.size()];
            double const taken = k.step();
            if (round > 0) k.seconds.push_back(taken), k.works.push_back(k.work(round + 1));
        }
    if (!o.json)
        std::printf("%s, %td layers, %td rows, rank %td, %td lanes, %td rounds\n", o.shape.c_str(), c.layers, o.seq,
                    o.rank, o.lanes, o.rounds);
    report(all);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Steps of the strategies, in turns."};
    std::vector<std::string> shapes;
    for (auto const& s : named_shapes) shapes.emplace_back(s.name);
    app.add_option("--shape", o.shape)->check(CLI::IsMember(shapes));
    app.add_option("--only", o.only, "contenders by name")->delimiter(',');
    app.add_option("--layers", o.layers, "of the shape, 0: all")->check(CLI::Range(0, 1000));
    app.add_option("--seq", o.seq)->check(CLI::Range(1, 1 << 20));
    app.add_option("--rank", o.rank)->check(CLI::Range(1, 1024));
    app.add_option("--rounds", o.rounds)->check(CLI::Range(1, 1000));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    model_config c = *find_shape(o.shape);
    if (o.layers > 0) c.layers = o.layers;
    return c.arch == architecture::qwen2 ? run<qwen2<lora>, qwen2<stored_h>>(c) : run<llama<lora>, llama<stored_h>>(c);
}
