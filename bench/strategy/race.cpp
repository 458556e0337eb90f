// SPDX-License-Identifier: Apache-2.0
// What each strategy reaches in the same time, and with how much memory.
//
//   GRAFT_SMOLLM2=FILE race --csv race.csv [--steps 200] [--seq 128] [--text wikitext2-test.txt]
//       [--clock wall|work|steps]
//   python3 bench/support/plot.py race.csv --time time.svg --memory memory.svg
//
// SmolLM2-135M (Q4_1) learns a text with LoRA of rank 8 on all maps and AdamW, one pass of --seq tokens a step, the
// same passes in the same order for all: full, MeSP, LCSB of half the blocks (strided; gradients around the others, and
// exact ones through them), MeZO. MeSP sets the pace: after each of its --steps steps everybody else goes on until it
// has spent as much time; only updates count as time. With --clock work, time is the multiply-adds of the schedules
// instead, which a busy machine does not disturb; with --clock steps everybody takes the same steps, and their
// multiply-adds are shown. Printed and written to --csv: held-out loss every --every steps of MeSP, with time, steps so
// far, and the bytes that the plan holds beside the mapped weights. --only names others too: "LCSB 75 %, random", "LCSB
// 50 %, top", "LCSB 33 %, identity", "LCSB 33 %, exact", "LCSB 33 %, top".
#include <graft/block/llama.hpp>
#include <graft/parallel/thread_pool.hpp>

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

#include "../support/json_lines.hpp"
#include "../support/real_model.hpp"
#include "../support/rig.hpp"
#include "../support/step_work.hpp"
#include "../support/timing.hpp"

using namespace bench;
using block = llama<lora>;

namespace {

struct options {
    std::string csv, text = "wikitext2-test.txt", clock = "wall";
    std::vector<std::string> only{"MeSP", "full", "LCSB 50 %, identity", "LCSB 50 %, exact", "MeZO"};
    index_t steps = 200, every = 20, seq = 128, held_out = 16, lanes = 2, samples = 1;
    double rate = 1e-3, mezo_rate = 1e-3, epsilon = 1e-3;
    bool json = false;
} o;

struct runner {
    std::string name;
    any_training how;
    double rate;
    std::unique_ptr<rig<block>> run{};
    double spent = 0;  // seconds, or 10^9 multiply-adds
    index_t steps = 0;

    void step(text_passes const& text, model_config const& c) {
        auto const b = text.train(++steps);
        double const start = seconds();
        (*run)->update(b, 1.0 / static_cast<double>(o.seq), rate);
        spent += o.clock == "wall" ? seconds() - start : work_of_step<block>(c, how, steps) / 1e9;
    }
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Held-out losses of the strategies at equal time."};
    app.add_option("--csv", o.csv, "a file to write")->required();
    app.add_option("--text", o.text, "of the data folder");
    app.add_option("--clock", o.clock)->check(CLI::IsMember({"wall", "work", "steps"}));
    app.add_option("--only", o.only, "contenders by name")->delimiter(';');
    app.add_option("--steps", o.steps, "of MeSP")->check(CLI::Range(1, 1 << 20));
    app.add_option("--every", o.every, "steps of MeSP between two evaluations")->check(CLI::Range(1, 1 << 20));
    app.add_option("--seq", o.seq)->check(CLI::Range(8, 8192));
    app.add_option("--held-out", o.held_out, "passes")->check(CLI::Range(1, 10000));
    app.add_option("--rate", o.rate, "of those that pull")->check(CLI::PositiveNumber);
    app.add_option("--mezo-rate", o.mezo_rate)->check(CLI::PositiveNumber);
    app.add_option("--epsilon", o.epsilon, "of MeZO")->check(CLI::PositiveNumber);
    app.add_option("--samples", o.samples, "of MeZO")->check(CLI::Range(1, 1000));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    auto const path = smollm2_file();
    if (!path) return 1;
    auto const model = real_model<block>::open(*path);
    model_config const& c = model.config();
    text_passes const text(model.opened->words, expect(read_text(data_file(o.text))), o.seq, 1);
    thread_pool pool(o.lanes);
    auto const on = pool.handle(nullptr, 0);

    std::vector<runner> all;
    auto const add = [&](char const* name, any_strategy s, double rate) {
        if (std::find(o.only.begin(), o.only.end(), name) == o.only.end()) return;
        any_training how;
        how.tokens = o.seq, how.rank = 8, how.alpha = 16, how.strategy = s, how.seed = 1, how.lanes = o.lanes;
        all.push_back({name, how, rate, std::make_unique<rig<block>>(model.bound.net, how, on)});
    };
    add("MeSP", mesp{}, o.rate);
    add("full", full{}, o.rate);
    add("LCSB 50 %, identity", lcsb<cyclic_strided>{{2}}, o.rate);
    add("LCSB 50 %, exact", lcsb<cyclic_strided>{{2}, {}, unselected_gradient::exact}, o.rate);
    auto const exact = unselected_gradient::exact;
    index_t const half = c.layers / 2, third = c.layers / 3;
    add("LCSB 75 %, random", lcsb<random_layers>{{half + half / 2}}, o.rate);
    add("LCSB 50 %, top", lcsb<top_layers>{{half}}, o.rate);
    add("LCSB 33 %, identity", lcsb<cyclic_strided>{{3}}, o.rate);
    add("LCSB 33 %, exact", lcsb<cyclic_strided>{{3}, {}, exact}, o.rate);
    add("LCSB 33 %, top", lcsb<top_layers>{{third}}, o.rate);
    add("MeZO", zeroth_order{o.samples, o.epsilon}, o.mezo_rate);
    if (all.empty()) return std::fprintf(stderr, "none of the contenders is called so\n"), 2;

    std::FILE* const csv = std::fopen(o.csv.c_str(), "w");
    if (!csv) return std::perror(o.csv.c_str()), 1;
    std::fprintf(csv, "strategy,%s,steps,loss,planned_bytes\n", o.clock == "wall" ? "seconds" : "gmac");
    if (!o.json)
        std::printf("%-22s%12s%8s%10s%14s\n", "", o.clock == "wall" ? "seconds" : "GMAC", "steps", "loss",
                    "planned, MB");
    auto const show = [&](runner& r) {
        double const loss = text.loss(**r.run, o.held_out);
        index_t const bytes = (*r.run)->memory().total();
        std::fprintf(csv, "\"%s\",%.3f,%td,%.5f,%td\n", r.name.c_str(), r.spent, r.steps, loss, bytes);
        if (o.json)
            print({{"strategy", r.name},
                   {o.clock == "wall" ? "seconds" : "gmac", r.spent},
                   {"steps", r.steps},
                   {"loss", loss},
                   {"rate", r.rate},
                   {"planned_bytes", bytes}});
        else
            std::printf("%-22s%12.1f%8td%10.4f%14.1f\n", r.name.c_str(), r.spent, r.steps, loss,
                        static_cast<double>(bytes) / 1e6);
        std::fflush(stdout), std::fflush(csv);
    };
    for (auto& r : all) show(r);
    for (index_t step = 1; step <= o.steps; ++step) {
        all[0].step(text, c);
        for (auto& r : all)
            while (o.clock == "steps" ? r.steps < step : r.spent < all[0].spent) r.step(text, c);
        if (step % o.every == 0 || step == o.steps)
            for (auto& r : all) show(r);
    }
    if (std::fclose(csv) != 0) return std::perror(o.csv.c_str()), 1;
}
