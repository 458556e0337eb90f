// SPDX-License-Identifier: Apache-2.0
// Claim E4: how far a zeroth-order estimate points along the true gradient.
//
//   [GRAFT_SMOLLM2=FILE] mezo [--seeds 1000] [--lanes 2] [--json]
//
// The estimate is what zeroth_order with SGD adds to the parameters in one update of rate 1, nothing clipped, which are
// then put back; the gradient is mesp's at the same parameters and batch. Each update draws a new direction: a seed of
// its own. d numbers, q samples: the mean of |cosine| is that of a chi variable of q degrees over √(d + q - 1), which
// for one sample is √(2 / (π d)) (MeSP's paper: about 0.001, of an unnamed d).
// 1. random models of several sizes and stories260K, one sample; 2. stories260K, 1 to 64 samples; 3. stories260K,
// epsilon: the cosine, and by how much the two losses' difference misses z · gradient (z drawn once more); 4. a fifth
// of the seeds, at least 200, on SmolLM2 where its file is named.
#include <graft/block/llama.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/estimate.hpp>

#include <CLI/CLI.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "../support/json_lines.hpp"
#include "../support/random_weights.hpp"
#include "../support/real_model.hpp"
#include "../support/rig.hpp"
#include "../support/timing.hpp"

using namespace bench;
using block = llama<lora>;

namespace {

struct options {
    index_t seeds = 1000, lanes = 2;
    bool json = false;
} o;

double dot(auto const& a, auto const& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

/// A model, a batch and the gradient there.
struct scene {
    model<block> const& net;
    batch b;
    index_t rank;
    workers const& on;
    std::vector<float> parameters{}, gradient{};

    any_training settings(any_strategy s) const {
        any_training how;
        how.tokens = static_cast<index_t>(b.ids.size()), how.rank = rank, how.alpha = 2.0 * static_cast<double>(rank);
        how.max_grad_norm = 0, how.optimizer = sgd{}, how.strategy = s, how.seed = 5;
        return how;
    }
    double scale() const { return 1.0 / static_cast<double>(b.ids.size()); }

    /// From adapters that have moved a little: at B = 0 no A has a gradient, and half of d would not count.
    void begin() {
        rig<block> t(net, settings(mesp{}), on);
        auto const p = t->parameters();
        for (std::size_t i = 0; i < p.size(); ++i) p[i] += static_cast<float>(0.05 * (uniform(9, 1, 0, i) - 0.5));
        parameters.assign(p.begin(), p.end());
        t->accumulate(b, scale());
        gradient.assign(t->accumulated().begin(), t->accumulated().end());
    }
};

struct outcome {
    double mean = 0, deviation = 0;  // of |cosine|; of its mean
    double along = 0;                // the mean of cosine itself: a gradient's estimate goes uphill
    double miss = 0;                 // median of |(L+ - L-) / 2 epsilon - z · gradient| / |gradient|, one sample
};

outcome measure(scene const& s, zeroth_order how, index_t seeds) {
    rig<block> t(s.net, s.settings(how), s.on);
    auto const p = t->parameters();
    std::vector<double> cosines, misses;
    std::vector<float> moved(p.size()), z(p.size());
    double const length = std::sqrt(dot(s.gradient, s.gradient));
    index_t const layers = s.net.config.layers, each = static_cast<index_t>(p.size()) / layers;
    for (index_t k = 0; k < seeds; ++k) {
        std::copy(s.parameters.begin(), s.parameters.end(), p.begin());
        t->update(s.b, s.scale(), 1.0);
        for (std::size_t i = 0; i < p.size(); ++i) moved[i] = s.parameters[i] - p[i];
        cosines.push_back(dot(moved, s.gradient) / (std::sqrt(dot(moved, moved)) * length));
        if (how.samples > 1) continue;
        std::fill(z.begin(), z.end(), 0.0f);
        for (index_t l = 0; l < layers; ++l)
            add_direction(z.data() + l * each, each, {5, static_cast<std::uint64_t>(k), 1.0}, l, s.on);
        misses.push_back(std::abs(dot(moved, z) / dot(z, z) - dot(z, s.gradient)) / length);
    }
    outcome r;
    for (double const c : cosines) r.mean += std::abs(c), r.along += c;
    auto const n = static_cast<double>(seeds);
    r.mean /= n, r.along /= n;
    for (double const c : cosines) r.deviation += (std::abs(c) - r.mean) * (std::abs(c) - r.mean);
    r.deviation = std::sqrt(r.deviation / (n - 1) / n);
    r.miss = median_of(misses).value;
    return r;
}

/// The mean of a chi variable of q degrees over √(d + q − 1).
double law(std::size_t d, index_t q) {
    double const n = static_cast<double>(q);
    return std::sqrt(2.0) * std::exp(std::lgamma((n + 1) / 2) - std::lgamma(n / 2)) /
           std::sqrt(static_cast<double>(d) + n - 1);
}

void show(std::string const& name, scene const& s, zeroth_order how, index_t seeds) {
    auto const r = measure(s, how, seeds);
    std::size_t const d = s.parameters.size();
    double const expected = law(d, how.samples), ratio = r.mean / expected;
    if (o.json)
        print({{"model", name},
               {"d", d},
               {"samples", how.samples},
               {"epsilon", how.epsilon},
               {"seeds", seeds},
               {"cosine", r.mean},
               {"deviation", r.deviation},
               {"along", r.along},
               {"law", expected},
               {"ratio", ratio},
               {"miss", r.miss}});
    else
        std::printf(how.samples == 1 ? "%-18s%8zu%9td%10.0e%8td%11.5f +-%8.5f%11.5f%11.5f%8.3f%12.2e\n"
                                     : "%-18s%8zu%9td%10.0e%8td%11.5f +-%8.5f%11.5f%11.5f%8.3f\n",
                    name.c_str(), d, how.samples, how.epsilon, seeds, r.mean, r.deviation, r.along, expected, ratio,
                    r.miss);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Zeroth-order estimates beside the true gradient."};
    app.add_option("--seeds", o.seeds)->check(CLI::Range(2, 1 << 20));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    thread_pool pool(o.lanes);
    auto const on = pool.handle(nullptr, 0);
    if (!o.json)
        std::printf("%-18s%8s%9s%10s%8s%11s %10s%11s%11s%8s%12s\n", "", "d", "samples", "epsilon", "seeds", "|cosine|",
                    "", "cosine", "law", "ratio", "miss of g");
    struct size {
        index_t layers, width, hidden, rank;
    };
    for (size const& n : {size{1, 32, 64, 2}, {2, 32, 64, 2}, {2, 32, 64, 8}, {4, 64, 128, 8}}) {
        model_config c;
        c.layers = n.layers, c.width = n.width, c.hidden = n.hidden, c.heads = 4, c.kv_heads = 2, c.head = n.width / 4;
        c.vocabulary = 256, c.context = 64;
        random_model<block> const m(c, *find_format("f32"));
        random_batch const b(32, c.vocabulary);
        scene s{m.net, b, n.rank, on};
        s.begin();
        show("random, width " + std::to_string(n.width), s, {1, 1e-3}, o.seeds);
    }
    auto const on_text = [&](real_model<block> const& m, auto&& measure_at) {
        text_passes const text(m.opened->words, expect(read_text(data_file("tinyshakespeare.txt"))), 64, 1);
        scene s{m.bound.net, text.train(1), 8, on};
        s.begin();
        measure_at(s);
    };
    on_text(real_model<block>::stories(*find_format("f32")), [](scene const& s) {
        show("stories260K", s, {1, 1e-3}, o.seeds);
        for (index_t samples : {2, 4, 8, 16, 32, 64})
            show("stories260K", s, {samples, 1e-3}, std::max<index_t>(o.seeds / samples, 32));
        for (double epsilon : {1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1})
            show("stories260K", s, {1, epsilon}, std::max<index_t>(o.seeds / 4, 200));
    });
    if (auto const file = smollm2_file())
        on_text(real_model<block>::open(*file), [](scene const& s) {
            show("SmolLM2-135M", s, {1, 1e-3}, std::max<index_t>(o.seeds / 5, 200));
        });
}
