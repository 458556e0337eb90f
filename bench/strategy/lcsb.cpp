// SPDX-License-Identifier: Apache-2.0
// Claim E6: what training some blocks at a step costs in quality, on a real pretrained model.
//
//   lcsb [--part rates|policies|cosines] [--steps 200] [--seeds 3] [--seq 256] [--rate 3e-3] [--json]
//
// stories260K (five blocks) learns Shakespeare: float32 and q4_0 weights, LoRA of rank 8 on all maps, AdamW, one pass
// of --seq tokens a step, the learning rate constant. Losses are means over the same held-out passes and over seeds (of
// adapters, order and selection).
// rates: the learning rate, for all blocks and for a half and a third of them; a run diverged if its loss is not finite
// or above where it began. Says whether all blocks diverge somewhere in 4 bits where a selection does not.
// policies: every selection and share, both gradients of unselected blocks, both readings of AdamW there, beside all
// blocks: at equal steps, and after equal processor time (one lane, so that a busy machine matters little).
// cosines: the surrogate's gradient beside the true one, layer by layer, on trained adapters; SmolLM2 too where
// GRAFT_SMOLLM2 names the file.
// LCSB, arXiv 2602.13073, says: up to 1.40 times faster at less than 2 % of quality; a 3B model in 4 bits that diverges
// with all blocks, at one setting and seed, and not with some.
#include <graft/block/llama.hpp>
#include <graft/parallel/thread_pool.hpp>

#include <CLI/CLI.hpp>

#include <cmath>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "../support/json_lines.hpp"
#include "../support/real_model.hpp"
#include "../support/rig.hpp"

using namespace bench;
using block = llama<lora>;

namespace {

struct options {
    std::string part, base, selection;
    index_t steps = 200, seeds = 3, seq = 256, held_out = 24;
    double rate = 3e-3;
    bool json = false;
} o;

constexpr auto identity = unselected_gradient::identity, exact = unselected_gradient::exact;
constexpr auto zero = unselected_update::zero_gradient, none = unselected_update::none;

struct experiment {
    std::string base;  // the format of the weights
    real_model<block> const& model;
    std::vector<text_passes> const& text;  // per seed
};

any_training settings_of(any_strategy s, std::uint64_t seed, index_t tokens) {
    any_training how;
    how.tokens = tokens, how.rank = 8, how.alpha = 16, how.strategy = s, how.seed = seed;
    return how;
}

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct outcome {
    double begin = 0, loss = 0, later = 0;  // held out: before, after `steps` steps, after `least` seconds
    double seconds = 0;                     // of `steps` steps, without evaluations
    bool diverged() const { return !std::isfinite(loss) || loss > begin; }
};

/// Trains for o.steps steps, and on for as many as it takes to fill `least` seconds.
outcome train(experiment const& t, any_strategy s, double rate, index_t seed, double least = 0) {
    auto const& text = t.text[static_cast<std::size_t>(seed)];
    rig<block> run(t.model.bound.net, settings_of(s, static_cast<std::uint64_t>(seed), o.seq), workers{},
                   static_cast<std::uint64_t>(seed));
    outcome r;
    r.begin = text.loss(*run, o.held_out);
    double spent = 0;
    for (index_t i = 1; i <= o.steps || spent < least; ++i) {
        double const start = processor_seconds();
        run->update(text.train(i), 1.0 / static_cast<double>(o.seq), rate);
        spent += processor_seconds() - start;
        if (i == o.steps) r.loss = text.loss(*run, o.held_out), r.seconds = spent;
    }
    r.later = least > 0 ? text.loss(*run, o.held_out) : r.loss;
    return r;
}

/// The mean over seeds, how many of them diverged, and the least and largest loss.
struct summary {
    double loss = 0, later = 0, seconds = 0, begin = 0, least = 1e300, most = -1e300;
    index_t diverged = 0;
};
summary over_seeds(experiment const& t, any_strategy s, double rate, std::vector<double> const& seconds = {}) {
    summary m;
    auto const n = static_cast<double>(o.seeds);
    for (index_t seed = 0; seed < o.seeds; ++seed) {
        auto const r = train(t, s, rate, seed, seconds.empty() ? 0 : seconds[static_cast<std::size_t>(seed)]);
        m.loss += r.loss / n, m.later += r.later / n, m.seconds += r.seconds / n, m.begin += r.begin / n;
        m.least = std::min(m.least, r.loss), m.most = std::max(m.most, r.loss), m.diverged += r.diverged();
    }
    return m;
}

// ------------------------------------------------------------------ learning rates

void sweep_rates(std::vector<experiment> const& tasks) {
    std::vector<std::pair<char const*, any_strategy>> const all{{"all blocks", mesp{}},
                                                                {"half, identity", lcsb<cyclic_strided>{{2}}},
                                                                {"half, exact", lcsb<cyclic_strided>{{2}, {}, exact}},
                                                                {"third, identity", lcsb<cyclic_strided>{{3}}},
                                                                {"third, exact", lcsb<cyclic_strided>{{3}, {}, exact}}};
    std::map<std::string, index_t> diverged;
    index_t rescued = 0, only_in_4_bits = 0;
    for (experiment const& t : tasks) {
        if (!o.json) {
            std::printf("\n%s weights, %td steps, held-out loss (diverged runs of %td)\n%-10s", t.base.c_str(), o.steps,
                        o.seeds, "rate");
            for (auto const& [name, s] : all) std::printf("%22s", name);
            std::printf("\n");
        }
        for (double rate : {3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1}) {
            if (!o.json) std::printf("%-10.0e", rate);
            index_t with_all = 0;
            for (std::size_t i = 0; i < all.size(); ++i) {
                auto const m = over_seeds(t, all[i].second, rate);
                diverged[t.base + std::to_string(rate) + std::to_string(i)] = m.diverged;
                if (i == 0) with_all = m.diverged;
                bool const full_diverged = with_all > 0 && t.base != "f32";
                if (full_diverged && i == 0) only_in_4_bits += diverged["f32" + std::to_string(rate) + "0"] == 0;
                if (full_diverged && i > 0 && m.diverged == 0) ++rescued;
                if (o.json)
                    print({{"part", "rates"},
                           {"base", t.base},
                           {"rate", rate},
                           {"strategy", all[i].first},
                           {"loss", m.loss},
                           {"least", m.least},
                           {"most", m.most},
                           {"begin", m.begin},
                           {"diverged", m.diverged}});
                else
                    std::printf("%12.4f%6s(%td)%1s", m.loss, "", m.diverged, "");
                std::fflush(stdout);
            }
            if (!o.json) std::printf("\n");
        }
    }
    std::printf(o.json
                    ? "{\"part\":\"rates\",\"rates_at_which_all_blocks_diverge_in_4_bits_only\":%td,"
                      "\"selections_that_do_not_diverge_where_all_blocks_do_in_4_bits\":%td}\n"
                    : "rates at which all blocks diverge in 4 bits and not in 32: %td; selections that do not diverge "
                      "where all blocks do in 4 bits: %td\n",
                only_in_4_bits, rescued);
}

// ------------------------------------------------------------------ selections

void compare_policies(std::vector<experiment> const& tasks) {
    struct policy {
        std::string name;
        any_selection which;
        double share;
    };
    std::vector<policy> all;
    for (index_t groups : {2, 3, 5}) {
        double const share = 1 / static_cast<double>(groups);
        all.push_back({"strided, 1 of " + std::to_string(groups), cyclic_strided{groups}, share});
        all.push_back({"contiguous, 1 of " + std::to_string(groups), cyclic_contiguous{groups}, share});
    }
    for (index_t count : {4, 3, 2, 1}) {
        double const share = static_cast<double>(count) / 5;
        all.push_back({"random " + std::to_string(count) + " of 5", random_layers{count}, share});
        all.push_back({"importance " + std::to_string(count) + " of 5", by_importance{count}, share});
        all.push_back({"top " + std::to_string(count) + " of 5", top_layers{count}, share});
    }
    for (experiment const& t : tasks) {
        std::vector<double> seconds;
        for (index_t seed = 0; seed < o.seeds; ++seed) seconds.push_back(train(t, mesp{}, o.rate, seed).seconds);
        auto const reference = over_seeds(t, mesp{}, o.rate);
        if (o.json)
            print({{"part", "policies"},
                   {"base", t.base},
                   {"policy", "all"},
                   {"loss", reference.loss},
                   {"least", reference.least},
                   {"most", reference.most}});
        else
            std::printf(
                "\n%s weights, rate %.0e, %td steps: all blocks %.4f (%.4f to %.4f), before %.4f\n%-20s%7s%10s"
                "%12s%26s%12s%10s%12s%10s\n",
                t.base.c_str(), o.rate, o.steps, reference.loss, reference.least, reference.most, reference.begin,
                "selection", "share", "gradient", "unselected", "loss (least to most)", "gap", "speed", "equal time",
                "gap");
        for (auto const& p : all) {
            if (p.name.rfind(o.selection, 0) != 0) continue;
            for (auto g : {identity, exact})
                for (auto u : {zero, none}) {
                    any_strategy const s(any_strategy(mesp{}), p.which, g, u);
                    auto const m = over_seeds(t, s, o.rate, seconds);
                    double const gap = 100 * (m.loss / reference.loss - 1),
                                 later = 100 * (m.later / reference.loss - 1), speed = reference.seconds / m.seconds;
                    char const *const gradient = g == exact ? "exact" : "identity", *const update = u == none
                                                                                                        ? "untouched"
                                                                                                        : "zero grad.";
                    if (o.json)
                        print({{"part", "policies"},
                               {"base", t.base},
                               {"policy", p.name},
                               {"share", p.share},
                               {"gradient", gradient},
                               {"unselected", update},
                               {"loss", m.loss},
                               {"least", m.least},
                               {"most", m.most},
                               {"gap_percent", gap},
                               {"speed", speed},
                               {"loss_at_equal_time", m.later},
                               {"gap_percent_at_equal_time", later}});
                    else
                        std::printf("%-20s%7.2f%10s%12s%10.4f (%.4f-%.4f)%+11.2f%%%10.2f%12.4f%+9.2f%%\n",
                                    p.name.c_str(), p.share, gradient, update, m.loss, m.least, m.most, gap, speed,
                                    m.later, later);
                    std::fflush(stdout);
                }
        }
    }
}

// ------------------------------------------------------------------ cosines

using halves = std::vector<std::vector<float>>;

template <class Trainer>
halves by_layer(Trainer& t, batch const& b, index_t layers) {
    t.accumulate(b, 1.0 / static_cast<double>(b.ids.size()));
    halves all(static_cast<std::size_t>(layers));
    for (index_t l = 0; l < layers; ++l) {
        auto const g = t.gradient_of(l);
        all[static_cast<std::size_t>(l)].assign(g.begin(), g.end());
    }
    t.discard();
    return all;
}

void compare_gradients(char const* name, real_model<block> const& m, index_t tokens, index_t steps, index_t batches,
                       workers const& on) {
    index_t const layers = m.config().layers;
    text_passes const text(m.opened->words, expect(read_text(data_file("tinyshakespeare.txt"))), tokens, 1);
    rig<block> all(m.bound.net, settings_of(mesp{}, 1, tokens), on);
    for (index_t i = 1; i <= steps; ++i) all->update(text.train(i), 1.0 / static_cast<double>(tokens), 1e-3);
    if (!o.json)
        std::printf("\n%s after %td steps: cosine of the surrogate's gradient with the true one, mean over cycles\n",
                    name, steps);
    auto const show = [&](char const* what, any_selection which, index_t cycle) {
        std::vector<double> sum(static_cast<std::size_t>(layers)), count(sum);
        double ab = 0, aa = 0, bb = 0, together = 0;
        rig<block> some(m.bound.net, settings_of({any_strategy(mesp{}), which, identity, zero}, 1, tokens), on);
        std::copy(all->parameters().begin(), all->parameters().end(), some->parameters().begin());
        for (index_t k = 0; k < batches * cycle; ++k) {
            auto const b = text.held_out(k / cycle);
            some->resume_at(k);
            auto const truth = by_layer(*all, b, layers), surrogate = by_layer(*some, b, layers);
            ab = aa = bb = 0;
            for (std::size_t l = 0; l < sum.size(); ++l) {
                if (surrogate[l].empty()) continue;
                double xy = 0, xx = 0, yy = 0;
                for (std::size_t i = 0; i < truth[l].size(); ++i) {
                    double const x = static_cast<double>(surrogate[l][i]), y = static_cast<double>(truth[l][i]);
                    xy += x * y, xx += x * x, yy += y * y;
                }
                sum[l] += xy / std::sqrt(xx * yy), ++count[l], ab += xy, aa += xx, bb += yy;
            }
            together += ab / std::sqrt(aa * bb) / static_cast<double>(batches * cycle);
        }
        json layer = json::array();
        for (std::size_t l = 0; l < sum.size(); ++l) layer.push_back(count[l] > 0 ? json(sum[l] / count[l]) : json());
        if (o.json) {
            std::printf("%s\n", json{{"part", "cosines"},
                                     {"model", name},
                                     {"steps", steps},
                                     {"selection", what},
                                     {"cosine", together},
                                     {"layers", layer}}
                                    .dump()
                                    .c_str());
            return;
        }
        std::printf("%-20s all selected %6.3f; by layer", what, together);
        for (auto const& l : layer) std::printf(l.is_null() ? "     -" : " %5.2f", l.is_null() ? 0.0 : l.get<double>());
        std::printf("\n");
    };
    show("strided, 1 of 2", cyclic_strided{2}, 2), show("strided, 1 of 3", cyclic_strided{3}, 3);
    show("strided, 1 of 4", cyclic_strided{4}, 4), show("contiguous, 1 of 2", cyclic_contiguous{2}, 2);
    show("random 75 %", random_layers{(3 * layers + 2) / 4}, 4),
        show("random 50 %", random_layers{(layers + 1) / 2}, 4);
    show("random 25 %", random_layers{(layers + 3) / 4}, 4), show("top 50 %", top_layers{(layers + 1) / 2}, 1);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"What training some blocks at a step costs in quality."};
    app.add_option("--part", o.part, "one alone")->check(CLI::IsMember({"rates", "policies", "cosines"}));
    app.add_option("--base", o.base, "one format of the weights alone")->check(CLI::IsMember({"f32", "q4_0"}));
    app.add_option("--selection", o.selection, "policies: those alone whose names begin so");
    app.add_option("--steps", o.steps)->check(CLI::Range(1, 1 << 20));
    app.add_option("--seeds", o.seeds)->check(CLI::Range(1, 100));
    app.add_option("--seq", o.seq)->check(CLI::Range(8, 512));
    app.add_option("--held-out", o.held_out, "passes")->check(CLI::Range(1, 10000));
    app.add_option("--rate", o.rate, "of the policies' runs")->check(CLI::PositiveNumber);
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    auto const wants = [&](char const* part) { return o.part.empty() || o.part == part; };
    auto const plain = real_model<block>::stories(*find_format("f32")),
               small = real_model<block>::stories(*find_format("q4_0"));
    std::vector<text_passes> text;
    std::string const shakespeare = expect(read_text(data_file("tinyshakespeare.txt")));
    for (index_t seed = 0; seed < o.seeds; ++seed)
        text.emplace_back(plain.opened->words, shakespeare, o.seq, static_cast<std::uint64_t>(seed));
    std::vector<experiment> tasks;
    if (o.base != "q4_0") tasks.push_back({"f32", plain, text});
    if (o.base != "f32") tasks.push_back({"q4_0", small, text});
    if (wants("rates")) sweep_rates(tasks);
    if (wants("policies")) compare_policies(tasks);
    if (!wants("cosines")) return 0;
    thread_pool pool(2);
    auto const on = pool.handle(nullptr, 0);
    compare_gradients("stories260K", plain, o.seq, 50, 8, on);
    if (auto const path = smollm2_file())
        compare_gradients("SmolLM2-135M", real_model<block>::open(*path), 128, 10, 3, on);
}
