// SPDX-License-Identifier: Apache-2.0
// Claim E1: every exact strategy gives the same gradients; what 16-bit streams change in them.
//
//   equality [--layers 4] [--seq 128] [--steps 1000] [--json]
//
// 1. SmolLM2's shape with fewer layers, random Q4_1 weights, random adapters: each strategy's gradients in float beside
//    those of `full` in float and in double: |g - g'| / |g'| of all, and of the worst layer. h stored beside h computed
//    again (bench/support/stored_h.hpp): the same bits or not.
// 2. stories260K, the same seed, --steps steps of AdamW: the largest difference of a step's loss from that of `full`.
// 3. stories260K and, where GRAFT_SMOLLM2 names the file, SmolLM2, trained for a few steps: gradients with kept streams
//    in 16 bits beside those in 32, layer by layer: relative error and cosine.
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/budget.hpp>

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "../support/json_lines.hpp"
#include "../support/random_weights.hpp"
#include "../support/real_model.hpp"
#include "../support/rig.hpp"
#include "../support/stored_h.hpp"

#include <graft/block/shapes.hpp>

using namespace bench;
using doubles = std::vector<double>;

namespace {

struct options {
    index_t layers = 4, seq = 128, rank = 8, steps = 1000, lanes = 2;
    bool json = false;
} o;

struct contender {
    std::string name;
    any_strategy strategy;
    bool bits = false;  // the same bits as full are expected
};

any_training settings_of(any_strategy s, index_t tokens) {
    any_training how;
    how.tokens = tokens, how.rank = o.rank, how.alpha = 2.0 * static_cast<double>(o.rank), how.strategy = s;
    return how;
}

/// |a - b| / |b|, and a · b / |a| |b|.
struct distance {
    double error = 0, cosine = 1;
};
distance between(double const* a, double const* b, std::size_t count) {
    double d = 0, aa = 0, bb = 0, ab = 0;
    for (std::size_t i = 0; i < count; ++i)
        d += (a[i] - b[i]) * (a[i] - b[i]), aa += a[i] * a[i], bb += b[i] * b[i], ab += a[i] * b[i];
    return {std::sqrt(d / bb), ab / std::sqrt(aa * bb)};
}
distance between(doubles const& a, doubles const& b) { return between(a.data(), b.data(), a.size()); }
double worst_layer(doubles const& a, doubles const& b, index_t layers) {
    std::size_t const each = a.size() / static_cast<std::size_t>(layers);
    double worst = 0;
    for (std::size_t at = 0; at < a.size(); at += each)
        worst = std::max(worst, between(a.data() + at, b.data() + at, each).error);
    return worst;
}

/// The gradients of one batch with these parameters, or with random ones.
template <class Block, class T>
doubles gradients(model<Block, T> const& m, any_training const& s, workers const& on, batch const& b,
                  std::span<float const> parameters = {}) {
    rig<Block, T> t(m, s, on);
    auto const to = t->parameters();
    for (std::size_t i = 0; i < to.size(); ++i)  // B is not zero, or no A has a gradient
        to[i] = static_cast<T>(parameters.empty() ? 0.04 * (uniform(11, 5, 0, i) - 0.5) : parameters[i]);
    t->accumulate(b, 1.0 / static_cast<double>(b.ids.size()));
    auto const g = t->accumulated();
    return doubles(g.begin(), g.end());
}

// ------------------------------------------------------------------ 1: the strategies

void compare_strategies(workers const& on) {
    model_config c = *find_shape("smollm2-135m");
    c.layers = o.layers;
    format const& how = *find_format("q4_1");
    random_model<llama<lora>> const m(c, how);
    random_model<llama<lora>, double> const exact(c, how);
    random_model<llama<stored_h>> const with_h(c, how);
    random_batch const b(o.seq, c.vocabulary);

    std::vector<contender> all{{"full", full{}, true},
                               {"checkpoint", checkpoint{}},
                               {"checkpoint, stored weights", checkpoint{true}},
                               {"mesp_published", mesp_published{true}},
                               {"mesp", mesp{}},
                               {"mesp, two phases", mesp{0, phases::two}},
                               {"mesp, two phases, tiles of 64", mesp{64, phases::two}},
                               {"mesp, two phases, tiles of 24", mesp{24, phases::two}},
                               {"mesp, every 2nd stream", mesp{0, phases::one, 2}}};
    auto const plan = [&](any_strategy s) {
        return rig<llama<lora>>::trainer_type::memory_plan(c, settings_of(s, o.seq)).total();
    };
    index_t const least = plan(mesp{64, phases::two, 2}), most = plan(full{});
    for (int part : {1, 3, 5, 7}) {
        auto const found =
            cheapest_within<llama<lora>>(c, settings_of(mesp{}, o.seq), least + (most - least) * part / 8);
        char name[80];
        std::snprintf(name, sizeof name, "budget of %.1f MB", static_cast<double>(found.total()) / 1e6);
        if (found.fits) all.push_back({name, found.strategy});
    }
    auto const in_double = gradients(exact.net, settings_of(full{}, o.seq), on, b),
               first = gradients(m.net, settings_of(full{}, o.seq), on, b);
    if (!o.json)
        std::printf("SmolLM2's shape, %td layers, %td rows, rank %td\n%-32s%16s%16s%18s%12s\n", c.layers, o.seq, o.rank,
                    "", "beside full", "worst layer", "beside double", "same bits");
    for (auto const& k : all) {
        auto const g = gradients(m.net, settings_of(k.strategy, o.seq), on, b);
        double const beside = between(g, first).error, worst = worst_layer(g, first, c.layers),
                     precise = between(g, in_double).error;
        if (o.json)
            print({{"strategy", k.name},
                   {"beside_full", beside},
                   {"worst_layer", worst},
                   {"beside_double", precise},
                   {"same_bits", g == first}});
        else
            std::printf("%-32s%16.2e%16.2e%18.2e%12s\n", k.name.c_str(), beside, worst, precise,
                        g == first ? "yes" : "no");
    }
    for (auto const& k : {contender{"full", full{}}, contender{"checkpoint", checkpoint{true}},
                          contender{"mesp", mesp{}}, contender{"mesp_published", mesp_published{true}}}) {
        auto const again = gradients(m.net, settings_of(k.strategy, o.seq), on, b),
                   kept = gradients(with_h.net, settings_of(k.strategy, o.seq), on, b);
        if (o.json)
            print({{"strategy", k.name}, {"h_same_bits", again == kept}});
        else
            std::printf("h stored or computed again, %s: %s\n", k.name.c_str(),
                        again == kept ? "the same bits" : "NOT the same bits");
    }
}

// ------------------------------------------------------------------ 2: a thousand steps

void compare_losses(workers const& on) {
    auto const m = real_model<llama<lora>>::stories(*find_format("f32"));
    text_passes const text(m.opened->words, expect(read_text(data_file("tinyshakespeare.txt"))), 64, 1);
    std::vector<contender> const all{{"full", full{}},
                                     {"checkpoint, stored weights", checkpoint{true}},
                                     {"mesp_published", mesp_published{true}},
                                     {"mesp", mesp{}},
                                     {"mesp, two phases, tiles of 64", mesp{64, phases::two}},
                                     {"mesp, two phases, tiles of 24", mesp{24, phases::two}}};
    std::vector<std::vector<double>> losses;
    if (!o.json)
        std::printf("\nstories260K, %td steps of AdamW, rate 1e-3: largest difference of a step's loss from full's\n",
                    o.steps);
    for (auto const& k : all) {
        rig<llama<lora>> t(m.bound.net, settings_of(k.strategy, 64), on);
        auto& mine = losses.emplace_back();
        for (index_t i = 1; i <= o.steps; ++i) mine.push_back(t->update(text.train(i), 1.0 / 64, 1e-3).loss / 64);
        double most = 0;
        for (std::size_t i = 0; i < mine.size(); ++i) most = std::max(most, std::abs(mine[i] - losses[0][i]));
        if (o.json)
            print({{"strategy", k.name},
                   {"steps", o.steps},
                   {"largest_loss_difference", most},
                   {"first_loss", mine.front()},
                   {"last_loss", mine.back()}});
        else
            std::printf("%-32s%12.2e   (loss %.4f, at the end %.4f)\n", k.name.c_str(), most, mine.front(),
                        mine.back());
    }
}

// ------------------------------------------------------------------ 3: streams in 16 bits

void compare_streams(char const* name, real_model<llama<lora>> const& m, index_t steps, workers const& on) {
    index_t const rows = 128, layers = m.config().layers;
    text_passes const text(m.opened->words, expect(read_text(data_file("wikitext2-test.txt"))), rows, 1);
    auto how = settings_of(mesp{}, rows);
    rig<llama<lora>> t(m.bound.net, how, on);
    for (index_t i = 1; i <= steps; ++i) t->update(text.train(i), 1.0 / static_cast<double>(rows), 1e-3);
    auto const b = text.held_out(0);
    auto const p = t->parameters();
    auto const g = gradients(m.bound.net, how, on, b, p);
    std::size_t const each = g.size() / static_cast<std::size_t>(layers);
    if (!o.json) std::printf("\n%s after %td steps: gradients with kept streams in 16 bits beside 32\n", name, steps);
    for (resting r : {resting::half, resting::brain}) {
        how.checkpoints = r;
        auto const h = gradients(m.bound.net, how, on, b, p);
        auto const whole = between(h, g);
        char const* const bits = r == resting::half ? "f16" : "bf16";
        json per_layer = json::array();
        for (index_t l = 0; l < layers; ++l) {
            auto const d = between(h.data() + static_cast<std::size_t>(l) * each,
                                   g.data() + static_cast<std::size_t>(l) * each, each);
            per_layer.push_back({d.error, d.cosine});
        }
        if (o.json) {
            print({{"model", name},
                   {"streams", bits},
                   {"error", whole.error},
                   {"cosine", whole.cosine},
                   {"layers", per_layer}});
            continue;
        }
        std::printf("  %-5s error %.2e, cosine 1 - %.1e; by layer:", bits, whole.error, 1 - whole.cosine);
        for (auto const& l : per_layer) std::printf(" %.1e", l[0].get<double>());
        std::printf("\n");
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Gradients of the exact strategies beside each other."};
    app.add_option("--layers", o.layers, "of SmolLM2's shape")->check(CLI::Range(1, 30));
    app.add_option("--seq", o.seq)->check(CLI::Range(1, 8192));
    app.add_option("--rank", o.rank)->check(CLI::Range(1, 576));
    app.add_option("--steps", o.steps, "of stories260K")->check(CLI::Range(1, 1 << 20));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    thread_pool pool(o.lanes);
    auto const on = pool.handle(nullptr, 0);
    compare_strategies(on);
    compare_losses(on);
    compare_streams("stories260K", real_model<llama<lora>>::stories(*find_format("f32")), 50, on);
    if (auto const path = smollm2_file()) compare_streams("SmolLM2-135M", real_model<llama<lora>>::open(*path), 10, on);
}
