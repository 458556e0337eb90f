// SPDX-License-Identifier: Apache-2.0
// What optimizers, DoRA and dropout add to a whole training step, in turns.
//
//   step [--shape smollm2-135m] [--seq 128,256] [--ranks 8,16,64] [--rounds 15] [--layers N] [--only NAME,...] [--json]
//
// Random Q4_1 weights (embedding Q8_0) in a mapped file, adapters on all maps, one pass an update, clipping as by
// default. For each length and rank every round runs one update of every contender, in an order that turns; the first
// round only warms up. Printed: each contender's median step with its 95 % interval, how much of it is the move of the
// parameters (clipping and optimizer), and the medians of ratios taken within rounds beside what they may be at most
// and what others publish. A contender is ADAPTER+OPTIMIZER under mesp, or `full ADAPTER+OPTIMIZER`; `dropout` before
// it drops 5 % of what enters the adapters.
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/block/shapes.hpp>
#include <graft/parallel/thread_pool.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../support/json_lines.hpp"
#include "../support/methods.hpp"
#include "../support/random_weights.hpp"
#include "../support/rig.hpp"
#include "../support/timing.hpp"

using namespace bench;

namespace {

struct options {
    std::string shape = "smollm2-135m", weights = "q4_1";
    std::vector<std::string> only;
    std::vector<index_t> seq{128, 256}, ranks{8, 16, 64};
    index_t layers = 0, rounds = 15, lanes = 2;
    bool json = false;
} o;

struct contender {
    std::string name;
    std::function<std::pair<double, double>()> step;  // runs one; seconds, and those of the move alone
    index_t planned = 0;
    std::vector<double> seconds{}, moves{};
};

/// `of` beside `to`, round by round; at most `limit` (0: none).
struct ratio {
    char const *of, *to;
    double limit;
    char const* published;
};
constexpr char const *stiefel_limit = "FoRA: 1.10 to 1.15", *dora_limit = "PEFT: 2.4";
constexpr ratio ratios[] = {
    {"lora+stiefel:qr:sgd", "lora+adamw", 1.05, stiefel_limit},
    {"lora+stiefel:qr:adam", "lora+adamw", 1.05, stiefel_limit},
    {"lora+stiefel:qr:projected", "lora+adamw", 1.05, stiefel_limit},
    {"lora+stiefel:polar:sgd", "lora+adamw", 1.05, "StelLA: 1.15"},
    {"lora+stiefel:cayley:sgd", "lora+adamw", 1.05, stiefel_limit},
    {"lora+adamw8", "lora+adamw", 0, ""},
    {"lora+sgd", "lora+adamw", 0, ""},
    {"lora+lion", "lora+adamw", 0, ""},
    {"lora+muon", "lora+adamw", 0, ""},
    {"dropout lora+adamw", "lora+adamw", 0, ""},
    {"dora+adamw", "lora+adamw", 1.15, dora_limit},
    {"dora-attached+adamw", "lora+adamw", 1.15, dora_limit},
    {"dora+stiefel:qr:sgd", "lora+adamw", 0, ""},
    {"full dora+adamw", "full lora+adamw", 1.15, dora_limit},
    {"full dora-attached+adamw", "full lora+adamw", 1.15, dora_limit},
};

template <class Block>
contender make(std::string const& name, model<Block> const& m, workers const& on, random_batch const& b, index_t seq,
               index_t rank) {
    std::string rest = name;
    auto const takes = [&](char const* word) {
        bool const has = rest.rfind(word, 0) == 0;
        if (has) rest.erase(0, std::string(word).size());
        return has;
    };
    any_training how;
    how.tokens = seq, how.rank = rank, how.alpha = 2.0 * static_cast<double>(rank), how.seed = 17;
    how.strategy = takes("full ") ? any_strategy(full{}) : any_strategy(mesp{});
    if (takes("dropout ")) how.dropout = 0.05;
    find_method(rest)->put(how);
    auto t = std::make_shared<rig<Block>>(m, how, on);
    return {name,
            [t, &b, seq] {
                double const start = seconds();
                (*t)->accumulate(b, 1.0 / static_cast<double>(seq));
                double const pulled = seconds();
                (*t)->apply(1e-4);
                double const end = seconds();
                return std::pair(end - start, end - pulled);
            },
            (*t)->memory().total()};
}

void report(std::vector<contender> const& all, index_t seq, index_t rank) {
    if (!o.json)
        std::printf("\n%s, %td rows, rank %td, %td lanes, %td rounds\n%-32s%10s%20s%12s%14s\n", o.shape.c_str(), seq,
                    rank, o.lanes, o.rounds, "", "step, s", "95 % interval", "of it move", "planned, MB");
    for (auto const& c : all) {
        auto const m = median_of(c.seconds);
        double const move = median_of(c.moves).value;
        if (o.json)
            print({{"shape", o.shape},
                   {"seq", seq},
                   {"rank", rank},
                   {"method", c.name},
                   {"seconds", m.value},
                   {"low", m.low},
                   {"high", m.high},
                   {"move_seconds", move},
                   {"planned_bytes", c.planned},
                   {"all_seconds", c.seconds}});
        else
            std::printf("%-32s%10.4f%11.4f -%7.4f%12.4f%14.1f\n", c.name.c_str(), m.value, m.low, m.high, move,
                        static_cast<double>(c.planned) / 1e6);
    }
    if (!o.json) std::printf("\n%-32s%-18s%8s%20s%10s\n", "ratio of times", "", "ours", "95 % interval", "at most");
    for (ratio const& r : ratios) {
        contender const *of = nullptr, *to = nullptr;
        for (auto const& c : all) of = c.name == r.of ? &c : of, to = c.name == r.to ? &c : to;
        if (!of || !to) continue;
        std::vector<double> ours;
        for (std::size_t i = 0; i < of->seconds.size(); ++i) ours.push_back(of->seconds[i] / to->seconds[i]);
        auto const m = median_of(ours);
        if (o.json)
            print({{"seq", seq},
                   {"rank", rank},
                   {"of", r.of},
                   {"to", r.to},
                   {"ours", m.value},
                   {"low", m.low},
                   {"high", m.high},
                   {"at_most", r.limit},
                   {"published", r.published}});
        else if (r.limit > 0)
            std::printf("%-32s%-18s%8.3f%11.3f -%7.3f%10.2f%s  %s\n", r.of, r.to, m.value, m.low, m.high, r.limit,
                        m.value <= r.limit ? "     " : " over", r.published);
        else
            std::printf("%-32s%-18s%8.3f%11.3f -%7.3f\n", r.of, r.to, m.value, m.low, m.high);
    }
    std::fflush(stdout);
}

template <class Lora, class Dora>
int run(model_config const& c) {
    format const& how = *find_format(o.weights);
    random_model<Lora> const plain(c, how);
    random_model<Dora> const with_norms(c, how);
    thread_pool pool(o.lanes);
    auto const on = pool.handle(nullptr, 0);
    for (index_t seq : o.seq)
        for (index_t rank : o.ranks) {
            random_batch const b(seq, c.vocabulary);
            std::vector<contender> all;
            auto const add = [&](std::string const& name) {
                for (contender const& k : all)
                    if (k.name == name) return;
                if (!o.only.empty() && std::find(o.only.begin(), o.only.end(), name) == o.only.end()) return;
                bool const norms = name.find("dora") != std::string::npos;
                all.push_back(norms ? make<Dora>(name, with_norms.net, on, b, seq, rank)
                                    : make<Lora>(name, plain.net, on, b, seq, rank));
            };
            for (ratio const& r : ratios) add(r.to), add(r.of);
            if (all.empty()) return std::fprintf(stderr, "none of the contenders is called so\n"), 2;
            for (index_t round = 0; round <= o.rounds; ++round)
                for (std::size_t i = 0; i < all.size(); ++i) {
                    auto& k = all[(i + static_cast<std::size_t>(round)) % all.size()];
                    auto const [step, move] = k.step();
                    if (round > 0) k.seconds.push_back(step), k.moves.push_back(move);
                }
            report(all, seq, rank);
        }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Steps of adapters and optimizers, in turns."};
    std::vector<std::string> shapes;
    for (auto const& s : named_shapes) shapes.emplace_back(s.name);
    app.add_option("--shape", o.shape)->check(CLI::IsMember(shapes));
    app.add_option("--weights", o.weights)->check(CLI::IsMember({"f32", "q4_0", "q4_1", "q8_0"}));
    app.add_option("--only", o.only, "contenders by name")->delimiter(',');
    app.add_option("--layers", o.layers, "of the shape, 0: all")->check(CLI::Range(0, 1000));
    app.add_option("--seq", o.seq)->delimiter(',')->check(CLI::Range(1, 1 << 20));
    app.add_option("--ranks", o.ranks)->delimiter(',')->check(CLI::Range(1, 1024));
    app.add_option("--rounds", o.rounds)->check(CLI::Range(1, 1000));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    model_config c = *find_shape(o.shape);
    if (o.layers > 0) c.layers = o.layers;
    return c.arch == architecture::qwen2 ? run<qwen2<lora>, qwen2<dora>>(c) : run<llama<lora>, llama<dora>>(c);
}
