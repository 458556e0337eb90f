// SPDX-License-Identifier: Apache-2.0
// Claims E2 and E3 (memory): what each strategy needs beside the mapped weights, planned, used, and as others say it.
//
//   memory [--beside FILE] [--all] [--lanes 2] [--tile 64] [--json]                                       plans
//   memory --run mesp_tiled [--shape qwen2.5-0.5b] [--layers N] [--seq 256] [--rank 8] [--half] [--json]  one step
//
// Settings of MeSP's paper: updates fused into the backward (one block's gradients exist), no clipping, SGD, batch 1,
// LoRA on all seven maps. "16 bits": kept streams and adapters rest in bf16 and are computed with in float.
// Plans: the regions at 256 tokens; the targets; fewer kept streams; the papers' three tables beside ours
// (MeSP, arXiv 2602.13069: megabytes of a phone's footprint, which hold what else the process has, were sampled at the
// ends of steps, and differ in what their allocator keeps: shown, not chased). --beside: the output of the analytic
// model `python3 ../shared/oracles/mem.py`; its blocks count what they read and write of the stream, so our `block`
// stands with the two streams. --all: every shape, length and rank as lines of JSON.
// --run: random int4 weights in a mapped file, two steps; arena high-water against plan, and the process's peaks.
#include <graft/block/shapes.hpp>
#include <graft/io/bind.hpp>
#include <graft/io/heap_arena.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/any.hpp>
#include <graft/train/budget.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "../../examples/graft/process_memory.hpp"
#include "../support/json_lines.hpp"
#include "../support/random_weights.hpp"

using namespace bench;

namespace {

struct options {
    std::string shape = "qwen2.5-0.5b", run, beside;
    index_t layers = 0, seq = 256, rank = 8, lanes = 2, tile = 64, every = 1;
    bool all = false, half = false, json = false;
} o;

constexpr std::array<char const*, 5> names{"full", "checkpoint", "mesp_published", "mesp", "mesp_tiled"};
constexpr std::array<char const*, 3> shapes{"qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b"};
constexpr std::array<index_t, 4> lengths{128, 256, 512, 1024}, ranks{4, 8, 16, 32};

/// As the published methods have them: attention's weights stored. `mesp_tiled`: two phases, tiles, every k-th stream.
any_strategy strategy_of(std::string const& name, index_t every = 1) {
    if (name == "full") return full{};
    if (name == "checkpoint") return checkpoint{true};
    if (name == "mesp_published") return mesp_published{true};
    if (name == "mesp") return mesp{0, phases::one, every};
    return mesp{o.tile, phases::two, every};
}

any_training settings_of(std::string const& name, index_t seq, index_t rank, bool half, index_t every = 1) {
    any_training s;
    s.tokens = seq, s.rank = rank, s.alpha = 2.0 * static_cast<double>(rank), s.max_grad_norm = 0, s.lanes = o.lanes;
    s.strategy = strategy_of(name, every), s.optimizer = sgd{}, s.updates = updating::fused;
    if (half) s.checkpoints = s.adapters = resting::brain;
    return s;
}

training_memory plan_of(model_config const& c, any_training const& s) {
    return with_block(c.arch, [&]<class Block>(std::type_identity<Block>) {
        return trainer<Block, any_strategy, any_optimizer>::memory_plan(c, s);
    });
}
double work_of_step(model_config const& c, any_training const& s) {
    return with_block(c.arch, [&]<class Block>(std::type_identity<Block>) { return step_work<Block>(c, s).blocks; });
}

double mb(index_t bytes) { return static_cast<double>(bytes) / 1e6; }
double mib(index_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); }

json regions(training_memory const& m) {
    return {{"planned_bytes", m.total()},     {"checkpoints_bytes", m.checkpoints},
            {"stream_bytes", m.stream},       {"kept_bytes", m.kept},
            {"block_bytes", m.block},         {"head_bytes", m.head},
            {"adapters_bytes", m.adapters},   {"gradients_bytes", m.gradients},
            {"optimizer_bytes", m.optimizer}, {"tables_bytes", m.tables},
            {"panels_bytes", m.panels},       {"batch_bytes", m.batch}};
}

// ------------------------------------------------------------------ what others say

/// MeSP's tables 1 to 3, megabytes.
struct published {
    char const* shape;
    index_t seq, rank;
    double mebp, mesp;
};
constexpr published papers[] = {
    {"qwen2.5-0.5b", 256, 8, 360.8, 136.2},  {"qwen2.5-1.5b", 256, 8, 516.2, 262.6},
    {"qwen2.5-3b", 256, 8, 637.6, 368.4},    {"qwen2.5-0.5b", 128, 8, 252.7, 110.7},
    {"qwen2.5-0.5b", 512, 8, 582.4, 245.8},  {"qwen2.5-0.5b", 1024, 8, 1050.3, 513.6},
    {"qwen2.5-0.5b", 256, 4, 355.2, 132.8},  {"qwen2.5-0.5b", 256, 16, 372.4, 143.5},
    {"qwen2.5-0.5b", 256, 32, 395.8, 158.2},
};

/// mem.py's table in float32: "0.5B 256" → MiB by column.
using analytic = std::map<std::string, std::map<std::string, double>>;
analytic read_analytic(std::string const& path) {
    analytic all;
    std::vector<std::string> columns;
    bool in_table = false;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("==", 0) == 0) in_table = line.find("fp32") != line.npos;
        std::istringstream words(line);
        std::string model, length, word;
        if (!in_table || !(words >> model >> length) || model == "==") continue;
        if (model == "model") {
            columns.clear();
            while (words >> word) columns.push_back(word);
            continue;
        }
        double number = 0;
        for (auto const& column : columns)
            if (words >> number) all[model + " " + length][column] = number;
    }
    if (all.empty()) std::fprintf(stderr, "%s: no table of mem.py\n", path.c_str());
    return all;
}

void compare(analytic const& others) {
    char const* const column[] = {"full_AD", "mebp", "mesp8", "", "tiled"};
    std::printf(
        "\nBlocks beside the analytic model, MiB, float: ours (block with two streams; full: all of them), "
        "mem.py's, ratio\n%-13s%6s",
        "shape", "seq");
    for (char const* name : names) std::printf("%27s", name);
    std::printf("%27s\n", "checkpoints, all");
    for (char const* shape : shapes)
        for (index_t seq : lengths) {
            char const* const size = shape[8] == '3' ? "3B" : shape[8] == '0' ? "0.5B" : "1.5B";
            auto const found = others.find(std::string(size) + " " + std::to_string(seq));
            if (found == others.end()) continue;
            model_config const& c = *find_shape(shape);
            std::printf("%-13s%6td", shape, seq);
            double ours = 0, theirs = 0;
            for (std::size_t i = 0; i < names.size(); ++i) {
                auto const m = plan_of(c, settings_of(names[i], seq, 8, false));
                ours = mib(i == 0 ? m.kept + m.checkpoints : m.block + 2 * seq * c.width * 4);
                if (*column[i]) {
                    theirs = found->second.at(column[i]);
                    std::printf("%10.1f %9.1f %6.2f", ours, theirs, ours / theirs);
                } else {
                    std::printf("%10.1f %9s %6s", ours, "-", "-");
                }
            }
            ours = mib(plan_of(c, settings_of("mesp", seq, 8, false)).checkpoints), theirs = found->second.at("ckpt");
            std::printf("%10.1f %9.1f %6.2f\n", ours, theirs, ours / theirs);
        }
}

// ------------------------------------------------------------------ plans

void print_regions(char const* shape, index_t seq, bool half) {
    model_config const& c = *find_shape(shape);
    std::printf("\n%s, %td tokens, rank 8, %s, MB\n%-16s%8s%8s%8s%8s%8s%8s%10s%10s%8s\n", shape, seq,
                half ? "16 bits" : "32 bits", "", "kept", "streams", "inside", "block", "head", "adapt.", "gradients",
                "other", "total");
    for (char const* name : names) {
        auto const m = plan_of(c, settings_of(name, seq, 8, half));
        std::printf("%-16s%8.1f%8.1f%8.1f%8.1f%8.1f%8.1f%10.1f%10.1f%8.1f\n", name, mb(m.checkpoints), mb(m.stream),
                    mb(m.kept), mb(m.block), mb(m.head), mb(m.adapters), mb(m.gradients),
                    mb(m.optimizer + m.tables + m.panels + m.batch), mb(m.total()));
    }
}

void print_targets() {
    struct target {
        char const* shape;
        index_t seq;
        bool half;
        double most, mesp, mebp;
    };
    std::printf(
        "\nTargets: everything beside the mapped weights, rank 8, MB (10^6 bytes)\n%-13s%6s%9s%9s%9s%13s%11s"
        "%12s%12s\n",
        "shape", "seq", "bits", "target", "ours", "kept streams", "", "paper MeSP", "paper MeBP");
    for (target const& t :
         {target{"qwen2.5-0.5b", 256, false, 52, 136.2, 360.8}, target{"qwen2.5-0.5b", 256, true, 34, 136.2, 360.8},
          target{"qwen2.5-0.5b", 1024, false, 137, 513.6, 1050.3},
          target{"qwen2.5-0.5b", 1024, true, 84, 513.6, 1050.3}, target{"qwen2.5-3b", 256, true, 95, 368.4, 637.6}}) {
        auto const m = plan_of(*find_shape(t.shape), settings_of("mesp_tiled", t.seq, 8, t.half));
        bool const met = mb(m.total()) <= t.most;
        std::printf("%-13s%6td%9s%9.0f%9.1f%13.1f%11s%12.1f%12.1f\n", t.shape, t.seq, t.half ? "16" : "32", t.most,
                    mb(m.total()), mb(m.checkpoints), met ? "met" : "MISSED", t.mesp, t.mebp);
        if (o.json)
            print({{"target_mb", t.most},
                   {"shape", t.shape},
                   {"seq", t.seq},
                   {"half", t.half},
                   {"planned_bytes", m.total()},
                   {"checkpoints_bytes", m.checkpoints},
                   {"met", met}});
    }
}

void print_every() {
    std::printf(
        "\nFewer kept streams (mesp_tiled, every k-th block's input, blocks between run once more): total and "
        "kept streams in MB,\nmultiply-adds of the blocks beside k = 1\n%-13s%6s%6s",
        "shape", "seq", "bits");
    for (index_t k : {1, 2, 3, 4, 6, 8}) std::printf("%12s k = %td", "", k);
    std::printf("\n");
    for (char const* shape : shapes)
        for (index_t seq : {256, 1024})
            for (bool half : {false, true}) {
                model_config const& c = *find_shape(shape);
                std::printf("%-13s%6td%6s", shape, seq, half ? "16" : "32");
                double const one = work_of_step(c, settings_of("mesp_tiled", seq, 8, half));
                for (index_t k : {1, 2, 3, 4, 6, 8}) {
                    auto const s = settings_of("mesp_tiled", seq, 8, half, k);
                    auto const m = plan_of(c, s);
                    std::printf("%7.1f%6.1f%5.2f", mb(m.total()), mb(m.checkpoints), work_of_step(c, s) / one);
                }
                std::printf("\n");
            }
}

void print_papers() {
    std::printf("\nThe papers' megabytes beside ours (32 bits / 16 bits)\n%-13s%6s%6s%9s%18s%9s%18s%18s%18s\n", "shape",
                "seq", "rank", "MeBP", "ours: checkpoint", "MeSP", "mesp_published", "mesp", "mesp_tiled");
    for (published const& p : papers) {
        model_config const& c = *find_shape(p.shape);
        auto const total = [&](char const* name, bool half) {
            return mb(plan_of(c, settings_of(name, p.seq, p.rank, half)).total());
        };
        auto const both = [&](char const* name) {
            std::printf("%10.1f /%6.1f", total(name, false), total(name, true));
        };
        std::printf("%-13s%6td%6td%9.1f", p.shape, p.seq, p.rank, p.mebp);
        both("checkpoint");
        std::printf("%9.1f", p.mesp);
        both("mesp_published"), both("mesp"), both("mesp_tiled");
        std::printf("\n");
    }
}

void print_all() {
    for (char const* shape : shapes)
        for (index_t seq : lengths)
            for (index_t rank : ranks)
                for (char const* name : names)
                    for (bool half : {false, true}) {
                        json line{{"shape", shape}, {"seq", seq}, {"rank", rank}, {"strategy", name}, {"half", half}};
                        auto const s = settings_of(name, seq, rank, half);
                        line.update(regions(plan_of(*find_shape(shape), s)));
                        line["block_work"] = work_of_step(*find_shape(shape), s);
                        for (published const& p : papers)
                            if (p.shape == std::string(shape) && p.seq == seq && p.rank == rank)
                                line["paper_mebp_mb"] = p.mebp, line["paper_mesp_mb"] = p.mesp;
                        print(line);
                    }
}

// ------------------------------------------------------------------ one run

template <class Block>
int run(model_config const& c) {
    random_model<Block> const weights(c, *find_format("q4_0"));
    auto const s = settings_of(o.run, o.seq, o.rank, o.half, o.every);
    using trainer_type = trainer<Block, any_strategy, any_optimizer>;
    index_t const before = static_cast<index_t>(tool::anonymous_bytes());
    auto memory = heap_arena::make(trainer_type::memory_plan(c, s).total());
    if (!memory) return std::fprintf(stderr, "%s\n", describe(memory.error()).c_str()), 1;
    thread_pool pool(o.lanes);
    trainer_type t(weights.net, s, memory->bytes(), pool.handle(nullptr, 0));
    t.start(1);
    bool const fresh = tool::reset_peak_resident();
    random_batch const b(o.seq, c.vocabulary);
    double loss = 0;
    for (int i = 0; i < 2; ++i) loss = t.update(b, 1.0 / static_cast<double>(o.seq), 1e-4).loss;
    index_t const plan = t.memory().total(), used = t.high_water(),
                  anonymous = static_cast<index_t>(tool::anonymous_bytes()),
                  peak = static_cast<index_t>(tool::peak_resident_bytes());
    if (o.json) {
        json line{{"shape", o.shape}, {"layers", c.layers}, {"seq", o.seq},
                  {"rank", o.rank},   {"strategy", o.run},  {"every", o.every},
                  {"half", o.half},   {"lanes", o.lanes},   {"loss", loss / static_cast<double>(o.seq)}};
        line.update(regions(t.memory()));
        line.update({{"high_water_bytes", used},
                     {"equal", used == plan},
                     {"anonymous_before_bytes", before},
                     {"anonymous_bytes", anonymous},
                     {"resident_peak_bytes", peak},
                     {"peak_of_steps_only", fresh},
                     {"weights_mapped_bytes", weights.mapped_bytes()}});
        print(line);
    } else {
        std::printf(
            "%s, %td layers, %td tokens, rank %td, %s, %s: loss %.4f\n"
            "  planned %td bytes, arena high water %td: %s\n"
            "  anonymous memory of the process %.1f MB (%.1f before the arena), peak resident %.1f MB, of which "
            "weights %.1f MB are mapped\n",
            o.shape.c_str(), c.layers, o.seq, o.rank, o.run.c_str(), o.half ? "16 bits" : "32 bits",
            loss / static_cast<double>(o.seq), plan, used, used == plan ? "equal" : "NOT EQUAL", mb(anonymous),
            mb(before), mb(peak), mb(weights.mapped_bytes()));
    }
    return used == plan ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Memory of the strategies: plans beside papers, or one measured run."};
    app.add_option("--shape", o.shape)->check(CLI::IsMember({"smollm2-135m", shapes[0], shapes[1], shapes[2]}));
    app.add_option("--run", o.run, "a strategy to run")
        ->check(CLI::IsMember(std::vector<std::string>(names.begin(), names.end())));
    app.add_option("--beside", o.beside, "what mem.py printed")->check(CLI::ExistingFile);
    app.add_option("--layers", o.layers, "of the shape, 0: all")->check(CLI::Range(0, 1000));
    app.add_option("--seq", o.seq)->check(CLI::Range(1, 1 << 20));
    app.add_option("--rank", o.rank)->check(CLI::Range(1, 1024));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_option("--tile", o.tile, "rows of a tile of mesp_tiled")->check(CLI::Range(1, 1 << 20));
    app.add_option("--every", o.every, "with --run: blocks from one kept stream to the next")
        ->check(CLI::Range(1, 1000));
    app.add_flag("--half", o.half, "with --run: kept streams and adapters rest in bf16");
    app.add_flag("--all", o.all, "every shape, length and rank, as JSON");
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    if (!o.run.empty()) {
        model_config c = *find_shape(o.shape);
        if (o.layers > 0) c.layers = o.layers;
        return with_block(c.arch, [&]<class Block>(std::type_identity<Block>) { return run<Block>(c); });
    }
    if (o.all) return print_all(), 0;
    for (char const* shape : shapes)
        for (bool half : {false, true}) print_regions(shape, 256, half);
    print_targets();
    print_every();
    print_papers();
    if (!o.beside.empty()) compare(read_analytic(o.beside));
}
