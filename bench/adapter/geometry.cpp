// SPDX-License-Identifier: Apache-2.0
// Claim E7: what AdamW and the Stiefel manifold make of the directions of B.
//
//   [GRAFT_SMOLLM2=FILE] geometry [--model smollm2] [--ranks 4,8,16,32,64] [--steps 1000] [--seq 128] [--frozen-a]
//       [--adamw-rates 3e-4,1e-3,3e-3] [--stiefel-rates 1e-3,3e-3] [--factors 10,100] [--sweep-steps 100] [--json]
//
// A model learns a text with LoRA (alpha = 2 rank) on all maps by AdamW, and with B on the Stiefel manifold (--stiefel
// names retraction and momentum) and AdamW on A. Rates stay as they are after a warm-up of 20 steps; B's under Stiefel
// is `factor` times A's. Of several rates and factors the one with the least held-out loss after --sweep-steps is
// taken, for each rank and method apart. Nothing is made orthonormal again in between.
// Printed per rank and method: held-out loss before and after; of B, over all maps: the effective rank at the start
// (B = 0 has none), its mean at the end, also by kind of map, its least, that of B A, off-diagonal cosines of columns
// (mean of sizes, mean, deviation, of all pairs of all maps), and the largest ||B^T B - I||_F.
// --frozen-a: A is Gaussian, of deviation --deviations / sqrt(in), and stays; B alone is trained. AdamW starts at
// B = 0; an orthonormal B cannot, so that the Stiefel run starts at a changed model (loss "before").
// Stiefel-LoRA, arXiv 2508.17901 (Llama 3.2 1B): AdamW 2.8, 5.4, 12.1, 23.8, 49.7 at ranks 4 to 64, Stiefel nearly the
// rank; cosines under AdamW 0.003 on average, deviation 0.5143; with A frozen Stiefel is the worse one.
#include <graft/block/llama.hpp>
#include <graft/kernel/gaussian.hpp>
#include <graft/optimizer/geometry.hpp>
#include <graft/optimizer/schedule.hpp>
#include <graft/parallel/thread_pool.hpp>

#include <CLI/CLI.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "../support/json_lines.hpp"
#include "../support/methods.hpp"
#include "../support/real_model.hpp"
#include "../support/rig.hpp"
#include "../support/timing.hpp"

using namespace bench;
using block = llama<lora>;

namespace {

struct options {
    std::vector<std::string> models{"smollm2", "stories"}, methods{"adamw", "stiefel"};
    std::string stiefel = "stiefel:qr:sgd", text = "tinyshakespeare.txt";
    std::vector<index_t> ranks{4, 8, 16, 32, 64};
    std::vector<double> adamw_rates{1e-3}, stiefel_rates{3e-3}, factors{300}, deviations{1};
    index_t steps = 1000, sweep_steps = 100, seq = 128, held_out = 16, lanes = 1;
    std::uint64_t seed = 1;
    bool frozen_a = false, json = false;
} o;

struct setting {
    double rate, factor, deviation;
};

/// What the columns of all maps' B are like.
struct geometry {
    double rank = 0, least = 1e300, product = 0, mean = 0, deviation = 0, size = 0, error = 0;
    std::array<double, target_names.size()> by_kind{};
};

/// R of B = Q R times A: its singular values are those of B A. Both row after row.
std::vector<double> triangle_times(matrix<float> B, matrix<float> A) {
    auto const r = static_cast<std::size_t>(B.columns), out = static_cast<std::size_t>(B.rows),
               in = static_cast<std::size_t>(A.columns);
    std::vector<double> q(r * out), product(r * in);
    for (std::size_t i = 0; i < out; ++i)
        for (std::size_t j = 0; j < r; ++j) q[j * out + i] = static_cast<double>(B.data[i * r + j]);
    auto const dot = [&](std::size_t i, std::size_t j) {
        double sum = 0;
        for (std::size_t k = 0; k < out; ++k) sum += q[i * out + k] * q[j * out + k];
        return sum;
    };
    for (std::size_t j = 0; j < r; ++j) {
        std::vector<double> column(r);
        double const whole = std::sqrt(dot(j, j));
        for (int pass = 0; pass < 2; ++pass)
            for (std::size_t i = 0; i < j; ++i) {
                double const along = dot(i, j);
                column[i] += along;
                for (std::size_t k = 0; k < out; ++k) q[j * out + k] -= along * q[i * out + k];
            }
        double const left = std::sqrt(dot(j, j));
        bool const depends = !(left > 1e-12 * whole);
        column[j] = depends ? 0 : left;
        for (std::size_t k = 0; k < out; ++k) q[j * out + k] = depends ? 0 : q[j * out + k] / left;
        for (std::size_t i = 0; i <= j; ++i)
            for (std::size_t k = 0; k < in; ++k)
                product[i * in + k] += column[i] * static_cast<double>(A.data[j * in + k]);
    }
    return product;
}

/// f(bit's number, weights) for every map with an adapter.
void each_map(rig<block>& t, auto&& f) {
    for (index_t l = 0; l < t->of().config.layers; ++l)
        t->open_layer(l).visit([&](auto op, auto& w) {
            if constexpr (requires { w.A; })
                if (w.A) f(static_cast<std::size_t>(std::countr_zero(decltype(op)::bit)), w);
        });
}

geometry measure(rig<block>& t) {
    geometry g;
    std::array<double, target_names.size()> kinds{};
    double maps = 0, squares = 0;
    each_map(t, [&](std::size_t kind, auto& w) {
        index_t const out = w.B.rows, r = w.B.columns, in = w.A.columns;
        auto const memory = expect(heap_arena::make(std::max(geometry_scratch(out, r), geometry_scratch(r, in))));
        std::byte* const scratch = memory.bytes().data();
        double const rank = effective_rank(w.B.data, out, r, scratch);
        cosines const c = column_cosines(w.B.data, out, r, scratch);
        g.rank += rank, g.least = std::min(g.least, rank), g.by_kind[kind] += rank, ++kinds[kind], ++maps;
        g.product += effective_rank(triangle_times(w.B, w.A).data(), r, in, scratch);
        g.mean += c.mean, squares += c.deviation * c.deviation + c.mean * c.mean, g.size += c.mean_size;
        g.error = std::max(g.error, orthogonality_error(w.B.data, out, r, scratch));
    });
    for (double* x : {&g.rank, &g.product, &g.mean, &g.size}) *x /= maps;
    for (std::size_t k = 0; k < kinds.size(); ++k) g.by_kind[k] /= std::max(kinds[k], 1.0);
    g.deviation = std::sqrt(std::max(squares / maps - g.mean * g.mean, 0.0));
    return g;
}

struct outcome {
    double before = 0, after = 0, seconds = 0;  // seconds: of a step
    geometry start, end;
};

outcome train(real_model<block> const& m, text_passes const& text, workers const& on, index_t rank, bool manifold,
              setting const& s, index_t steps) {
    any_training how;
    how.tokens = o.seq, how.rank = rank, how.alpha = 2.0 * static_cast<double>(rank), how.seed = o.seed;
    how.strategy = mesp{};
    if (manifold) how.optimizer = *find_optimizer(o.stiefel);
    how.rates.lora_b = s.factor, how.rates.lora_a = o.frozen_a ? 0 : 1;
    rig<block> t(m.bound.net, how, on, o.seed);
    if (o.frozen_a)
        for (index_t l = 0; l < m.config().layers; ++l) {
            t->open_layer(l).visit([&](auto, auto& w) {
                if constexpr (requires { w.A; }) {
                    index_t const count = w.A.rows * w.A.columns;
                    gaussian(w.A.data, count, 0, o.seed, w.place, 0);
                    double const deviation = s.deviation / std::sqrt(static_cast<double>(w.A.columns));
                    for (index_t i = 0; i < count; ++i) w.A.data[i] *= static_cast<float>(deviation);
                }
            });
            t->close_layer(l);
        }
    outcome r;
    r.before = text.loss(*t, o.held_out), r.start = measure(t);
    rate_schedule const rate{.peak = s.rate, .warmup = std::min<index_t>(20, steps / 2), .shape = decay::constant};
    double const start = seconds();
    for (index_t i = 1; i <= steps; ++i) t->update(text.train(i), 1.0 / static_cast<double>(o.seq), rate.at(i));
    r.seconds = (seconds() - start) / static_cast<double>(steps);
    r.after = text.loss(*t, o.held_out), r.end = measure(t);
    return r;
}

/// The setting that learns best in few steps.
setting choose(real_model<block> const& m, text_passes const& text, workers const& on, index_t rank, bool manifold) {
    std::vector<setting> all;
    for (double rate : manifold ? o.stiefel_rates : o.adamw_rates)
        for (double factor : manifold ? o.factors : std::vector<double>{1})
            for (double deviation : o.frozen_a ? o.deviations : std::vector<double>{1})
                all.push_back({rate, factor, deviation});
    if (all.size() == 1) return all[0];
    setting best = all[0];
    double least = INFINITY;
    for (setting const& s : all) {
        double const loss = train(m, text, on, rank, manifold, s, o.sweep_steps).after;
        if (loss < least) least = loss, best = s;
        if (o.json)
            print({{"sweep", manifold ? o.stiefel : "adamw"},
                   {"rank", rank},
                   {"rate", s.rate},
                   {"factor", s.factor},
                   {"deviation", s.deviation},
                   {"steps", o.sweep_steps},
                   {"loss", loss}});
        else
            std::printf("%5td  %-24s%9.1e%8g%6g%10s%10.4f  after %td steps\n", rank,
                        manifold ? o.stiefel.c_str() : "adamw", s.rate, s.factor, s.deviation, "", loss, o.sweep_steps);
        std::fflush(stdout);
    }
    return best;
}

double paper_of(index_t rank) {
    static std::map<index_t, double> const adamw{{4, 2.8}, {8, 5.4}, {16, 12.1}, {32, 23.8}, {64, 49.7}};
    auto const found = adamw.find(rank);
    return found == adamw.end() ? NAN : found->second;
}

void show(char const* model, index_t rank, bool manifold, setting const& s, outcome const& r) {
    std::string const name = manifold ? o.stiefel : "adamw";
    geometry const& g = r.end;
    double const paper = manifold ? static_cast<double>(rank) : paper_of(rank);
    if (o.json) {
        json kinds;
        for (std::size_t k = 0; k < target_names.size(); ++k) kinds[std::string(target_names[k])] = g.by_kind[k];
        std::printf("%s\n", json{{"model", model},
                                 {"rank", rank},
                                 {"method", name},
                                 {"frozen_a", o.frozen_a},
                                 {"rate", s.rate},
                                 {"factor", s.factor},
                                 {"deviation", s.deviation},
                                 {"steps", o.steps},
                                 {"seconds", r.seconds},
                                 {"before", r.before},
                                 {"after", r.after},
                                 {"effective_rank", g.rank},
                                 {"least", g.least},
                                 {"at_start", r.start.rank},
                                 {"of_product", g.product},
                                 {"by_kind", kinds},
                                 {"cosine_size", g.size},
                                 {"cosine_mean", g.mean},
                                 {"cosine_deviation", g.deviation},
                                 {"orthogonality_error", g.error},
                                 {"paper", paper}}
                                .dump()
                                .c_str());
    } else {
        std::printf(
            "%5td  %-24s%9.1e%8g%6g%10.4f%10.4f%9.3f%9.4f%9.4f%8.1f%9.3f%9.4f%+9.4f%9.4f%10.1e%9.3f\n%7sby map:", rank,
            name.c_str(), s.rate, s.factor, s.deviation, r.before, r.after, r.start.rank, g.rank, g.least, paper,
            g.product, g.size, g.mean, g.deviation, g.error, r.seconds, "");
        for (std::size_t k = 0; k < target_names.size(); ++k)
            std::printf(" %s %.3f", std::string(target_names[k]).c_str(), g.by_kind[k]);
        std::printf("\n");
    }
    std::fflush(stdout);
}

void run(char const* name, real_model<block> const& m) {
    auto const& c = m.config();
    text_passes const text(m.opened->words, expect(read_text(data_file(o.text))), o.seq, o.seed);
    thread_pool pool(o.lanes);
    auto const on = pool.handle(nullptr, 0);
    if (!o.json)
        std::printf(
            "\n%s, %td steps of %td tokens of %s%s; out of maps from %td to %td\n%5s  %-24s%9s%8s%6s%10s%10s"
            "%9s%9s%9s%8s%9s%9s%9s%9s%10s%9s\n",
            name, o.steps, o.seq, o.text.c_str(), o.frozen_a ? ", A frozen" : "", c.kv_heads * c.head,
            std::max(c.hidden, c.width), "rank", "", "rate", "factor", "dev.", "before", "after", "start", "eff.rank",
            "least", "paper", "of B A", "|cos|", "cos", "dev.", "|B'B-I|", "s/step");
    for (index_t rank : o.ranks) {
        if (rank > c.kv_heads * c.head) {
            std::fprintf(stderr, "%s: rank %td is left out: k_proj and v_proj have %td rows\n", name, rank,
                         c.kv_heads * c.head);
            continue;
        }
        for (std::string const& method : o.methods) {
            bool const manifold = method == "stiefel";
            setting const s = choose(m, text, on, rank, manifold);
            show(name, rank, manifold, s, train(m, text, on, rank, manifold, s, o.steps));
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Directions of B under AdamW and on the Stiefel manifold."};
    app.add_option("--model", o.models)->delimiter(',')->check(CLI::IsMember({"smollm2", "stories"}));
    app.add_option("--method", o.methods)->delimiter(',')->check(CLI::IsMember({"adamw", "stiefel"}));
    app.add_option("--stiefel", o.stiefel)->check(a_stiefel);
    app.add_option("--text", o.text, "of the data folder");
    app.add_option("--ranks", o.ranks)->delimiter(',')->check(CLI::Range(1, 1024));
    app.add_option("--adamw-rates", o.adamw_rates)->delimiter(',')->check(CLI::PositiveNumber);
    app.add_option("--stiefel-rates", o.stiefel_rates, "of A")->delimiter(',')->check(CLI::PositiveNumber);
    app.add_option("--factors", o.factors, "of B's rate under Stiefel")->delimiter(',')->check(CLI::PositiveNumber);
    app.add_option("--deviations", o.deviations, "of a frozen A")->delimiter(',')->check(CLI::PositiveNumber);
    app.add_option("--steps", o.steps)->check(CLI::Range(1, 1 << 20));
    app.add_option("--sweep-steps", o.sweep_steps)->check(CLI::Range(1, 1 << 20));
    app.add_option("--seq", o.seq)->check(CLI::Range(8, 8192));
    app.add_option("--held-out", o.held_out, "passes")->check(CLI::Range(1, 10000));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_option("--seed", o.seed);
    app.add_flag("--frozen-a", o.frozen_a, "A random and frozen: B alone is trained");
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    for (std::string const& model : o.models)
        if (model == "stories")
            run("stories260K", real_model<block>::stories(*find_format("f32")));
        else if (auto const path = smollm2_file())
            run("SmolLM2-135M", real_model<block>::open(*path));
}
