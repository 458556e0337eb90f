// SPDX-License-Identifier: Apache-2.0
// AdamW beside the Stiefel manifold, LoRA beside DoRA: held-out losses of equal budgets, each with its own rate.
//
//   [GRAFT_SMOLLM2=FILE] compare --csv compare.csv --part rates|runs|table
//       [--task smollm2/gsm8k,...] [--method lora+adamw,...] [--seeds 1,2,3] [--rates 1e-3,...] [--factors 100]
//       [--rank 8] [--seq 128] [--steps 200] [--rate-steps 60] [--every 20] [--held-out 24] [--lanes 1] [--json]
//   python3 bench/support/plot.py compare.csv --steps steps.svg --task smollm2/gsm8k
//
// Tasks: SmolLM2-135M-Instruct (Q4_1) or stories260K (f32) with tinyshakespeare or WikiText-2, every token learnt, or
// with GSM8K as chats of the model's format, answers learnt and cut to --seq rows. One pass of --seq rows an update,
// adapters of rank --rank and alpha = 2 rank on all maps; the rate warms up for a tenth of the steps and falls along
// half a cosine.
// rates: short runs (--rate-steps) of seed 0 over rates and, on the manifold, over B's rate as so many times A's.
// runs: --steps of each of --seeds (start of the adapter, order of the data) at the best of those, or at --rates and
// --factors. Rates are chosen on other held-out passes than the runs report. table: what the CSV holds, means over
// seeds, and differences to the first method, seed by seed, with the 95 % interval of Student's t.
// A run's rows are written when it ends; runs that the CSV holds are not run again.
#include <graft/block/llama.hpp>
#include <graft/optimizer/schedule.hpp>
#include <graft/parallel/thread_pool.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "../support/chat_passes.hpp"
#include "../support/json_lines.hpp"
#include "../support/methods.hpp"
#include "../support/real_model.hpp"
#include "../support/rig.hpp"
#include "../support/timing.hpp"

using namespace bench;
using block = llama<dora>;  // without an adapter norm the same as llama<lora>, bit for bit

namespace {

struct options {
    std::string csv, part;
    std::vector<std::string> tasks{"smollm2/gsm8k", "smollm2/shakespeare", "stories/shakespeare", "stories/wikitext"},
        methods{"lora+adamw", "lora+stiefel:qr:sgd", "lora+stiefel:qr:projected", "dora+adamw",
                "dora+stiefel:qr:projected"};
    std::vector<std::uint64_t> seeds{1, 2, 3};
    std::vector<double> rates, factors;
    index_t rank = 8, seq = 128, steps = 200, rate_steps = 60, every = 20, held_out = 24, lanes = 1;
    bool json = false;
} o;

constexpr char const* header = "part,task,method,rank,seq,steps,seed,rate,factor,step,loss,seconds";

/// One run: the front of each of its rows.
struct run_key {
    std::string part, task, method;
    index_t rank, seq, steps;
    std::uint64_t seed;
    double rate, factor;

    std::string text() const {
        char numbers[160];
        std::snprintf(numbers, sizeof numbers, "%td,%td,%td,%llu,%g,%g", rank, seq, steps,
                      static_cast<unsigned long long>(seed), rate, factor);
        return part + "," + task + "," + method + "," + numbers;
    }
};

struct run_row {
    run_key of;
    index_t step;
    double loss, seconds;
};

/// The whole rows of a file; a line that breaks off is none.
std::vector<run_row> read_rows(std::string const& path) {
    std::vector<run_row> rows;
    std::ifstream file(path);
    std::string line;
    if (file && std::getline(file, line) && line != header)
        std::fprintf(stderr, "%s: not a file of this program\n", path.c_str()), std::exit(1);
    while (std::getline(file, line)) {
        std::vector<std::string> f;
        std::istringstream fields(line);
        for (std::string field; std::getline(fields, field, ',');) f.push_back(field);
        if (f.size() != 12 || file.eof()) continue;
        auto const whole = [&](std::size_t i) { return static_cast<index_t>(std::strtoll(f[i].c_str(), nullptr, 10)); };
        auto const real = [&](std::size_t i) { return std::strtod(f[i].c_str(), nullptr); };
        rows.push_back(
            {{f[0], f[1], f[2], whole(3), whole(4), whole(5), static_cast<std::uint64_t>(whole(6)), real(7), real(8)},
             whole(9),
             real(10),
             real(11)});
    }
    return rows;
}

/// Losses at the end by run; losses that are not finite count as the worst.
struct results {
    std::vector<run_row> rows;
    std::set<std::string> done;

    explicit results(std::string const& path) : rows(read_rows(path)) {
        for (auto const& r : rows)
            if (r.step == r.of.steps) done.insert(r.of.text());
    }
    /// The last losses of such runs, by seed and by rate and factor.
    using by_rate = std::map<std::pair<double, double>, std::map<std::uint64_t, double>>;
    by_rate ends(std::string const& part, std::string const& task, std::string const& method, index_t steps,
                 bool begins = false) const {
        by_rate all;
        for (auto const& r : rows)
            if (r.of.part == part && r.of.task == task && r.of.method == method && r.of.steps == steps &&
                r.of.rank == o.rank && r.of.seq == o.seq && r.step == (begins ? 0 : steps))
                all[{r.of.rate, r.of.factor}][r.of.seed] = std::isfinite(r.loss) ? r.loss : INFINITY;
        return all;
    }
};

double mean_of(std::map<std::uint64_t, double> const& by_seed) {
    double sum = 0;
    for (auto const& [seed, loss] : by_seed) sum += loss;
    return sum / static_cast<double>(by_seed.size());
}

struct best_rate {
    double rate, factor;
    bool at_edge;
};
std::optional<best_rate> best_of(results const& all, std::string const& task, std::string const& method) {
    auto const ends = all.ends("rates", task, method, o.rate_steps);
    if (ends.empty()) return std::nullopt;
    auto const best = std::min_element(
        ends.begin(), ends.end(), [](auto const& a, auto const& b) { return mean_of(a.second) < mean_of(b.second); });
    std::set<double> rates, factors;
    for (auto const& [at, losses] : ends) rates.insert(at.first), factors.insert(at.second);
    auto const [rate, factor] = best->first;
    auto const edge = [](std::set<double> const& x, double at) {
        return x.size() > 1 && (at == *x.begin() || at == *x.rbegin());
    };
    return best_rate{rate, factor, edge(rates, rate) || edge(factors, factor)};
}

// ------------------------------------------------------------------ training

using passes = std::variant<text_passes, chat_passes>;

real_model<block> const& model_of(std::string const& task) {
    static std::map<std::string, real_model<block>> open;
    std::string const name = task.substr(0, task.find('/'));
    auto found = open.find(name);
    if (found != open.end()) return found->second;
    if (name == "stories") return open[name] = real_model<block>::stories(*find_format("f32"));
    auto const path = smollm2_file();
    if (!path) std::exit(1);
    return open[name] = real_model<block>::open(*path);
}

passes passes_of(std::string const& task, std::uint64_t seed, index_t steps) {
    tokenizer const& words = model_of(task).opened->words;
    std::string const name = task.substr(task.find('/') + 1), file = name == "gsm8k"      ? "gsm8k-test.jsonl"
                                                                     : name == "wikitext" ? "wikitext2-test.txt"
                                                                                          : "tinyshakespeare.txt";
    std::string const text = expect(read_text(data_file(file)));
    if (name == "gsm8k") {
        static std::set<std::string> told;
        chat_passes all(words, text, file, o.seq, seed, steps);
        if (told.insert(task).second) std::fprintf(stderr, "%s: %s\n", task.c_str(), all.about().c_str());
        return all;
    }
    return text_passes(words, text, o.seq, seed);
}

/// The rows of a run.
std::string train(run_key const& key, workers const& on) {
    method const what = *find_method(key.method);
    any_training how;
    how.tokens = o.seq, how.rank = o.rank, how.alpha = 2.0 * static_cast<double>(o.rank), how.seed = key.seed;
    how.strategy = mesp{}, how.rates.lora_b = key.factor;
    what.put(how);
    rig<block> t(model_of(key.task).bound.net, how, on, key.seed);
    passes const data = passes_of(key.task, key.seed, key.steps);
    rate_schedule const rate{.peak = key.rate, .steps = key.steps, .warmup = key.steps / 10};
    return std::visit(
        [&](auto const& text) {
            // Rates look at the first passes of what is held out, runs at others.
            index_t const most = std::max<index_t>(std::min(o.held_out, text.held_out_passes() / 2), 1);
            index_t const first = key.part == "runs" && text.held_out_passes() > 1 ? most : 0;
            std::string rows;
            double spent = 0, loss = 0;
            index_t skipped = 0;
            auto const note = [&](index_t step) {
                loss = text.loss(*t, most, first);
                char end[80];
                std::snprintf(end, sizeof end, ",%td,%.5f,%.3f\n", step, loss, spent);
                rows += key.text() + end;
            };
            note(0);
            double const before = loss;
            for (index_t i = 1; i <= key.steps; ++i) {
                auto const b = text.train(i);
                double const start = seconds();
                skipped += !t->update(b, 1.0 / static_cast<double>(targets_of(b)), rate.at(i)).finite;
                spent += seconds() - start;
                if (i == key.steps || (key.part == "runs" && i % o.every == 0)) note(i);
            }
            if (o.json)
                print({{"part", key.part},
                       {"task", key.task},
                       {"method", key.method},
                       {"seed", key.seed},
                       {"rate", key.rate},
                       {"factor", key.factor},
                       {"steps", key.steps},
                       {"before", before},
                       {"after", loss},
                       {"skipped", skipped},
                       {"seconds", spent}});
            else
                std::printf("%-6s%-22s%-28s seed %-3llu rate %-8g factor %-6g %.4f -> %.4f%s  %.3f s a step\n",
                            key.part.c_str(), key.task.c_str(), key.method.c_str(),
                            static_cast<unsigned long long>(key.seed), key.rate, key.factor, before, loss,
                            skipped > 0 ? " (steps were skipped)" : "", spent / static_cast<double>(key.steps));
            std::fflush(stdout);
            return rows;
        },
        data);
}

void append(std::string const& rows) {
    bool const fresh = std::ifstream(o.csv).peek() == std::ifstream::traits_type::eof();
    std::FILE* const file = std::fopen(o.csv.c_str(), "a+b");
    if (!file) std::perror(o.csv.c_str()), std::exit(1);
    bool const broken = !fresh && std::fseek(file, -1, SEEK_END) == 0 && std::fgetc(file) != '\n';
    std::fseek(file, 0, SEEK_END);
    std::string const all = (fresh ? std::string(header) + "\n" : broken ? "\n" : "") + rows;
    if (std::fwrite(all.data(), 1, all.size(), file) != all.size() || std::fclose(file) != 0)
        std::perror(o.csv.c_str()), std::exit(1);
}

/// B's rate in A's: how long a step is depends on what its momentum divides by.
std::vector<double> usual_factors(std::string const& name) {
    if (name.find(":projected") != std::string::npos) return {3, 10, 30};  // each number's own size
    if (name.find(":adam") != std::string::npos) return {30, 100, 300};    // the length of the whole gradient
    return {100, 300, 1000};                                               // nothing
}

void train_all() {
    thread_pool pool(o.lanes);
    auto const on = pool.handle(nullptr, 0);
    results all(o.csv);
    auto const once = [&](run_key const& key) {
        if (all.done.insert(key.text()).second) append(train(key, on));
    };
    for (std::string const& task : o.tasks)
        for (std::string const& name : o.methods) {
            bool const manifold = find_method(name)->constrained();
            auto const some = [](std::vector<double> const& asked, std::vector<double> usual) {
                return asked.empty() ? usual : asked;
            };
            if (o.part == "rates") {
                for (double rate : some(o.rates, {3e-4, 1e-3, 3e-3, 1e-2}))
                    for (double factor : manifold ? some(o.factors, usual_factors(name)) : std::vector<double>{1})
                        once({"rates", task, name, o.rank, o.seq, o.rate_steps, 0, rate, factor});
                continue;
            }
            auto const best = best_of(all, task, name);
            if (o.rates.empty() && !best) {
                std::fprintf(stderr, "%s, %s: no rates of %td steps in %s; run --part rates, or say --rates\n",
                             task.c_str(), name.c_str(), o.rate_steps, o.csv.c_str());
                continue;
            }
            for (double rate : some(o.rates, {best ? best->rate : 0}))
                for (double factor : manifold ? some(o.factors, {best ? best->factor : 1}) : std::vector<double>{1})
                    for (std::uint64_t seed : o.seeds)
                        once({"runs", task, name, o.rank, o.seq, o.steps, seed, rate, factor});
        }
}

// ------------------------------------------------------------------ the table

/// Half the 95 % interval of a mean of n numbers, in deviations of the mean.
double student(std::size_t n) {
    constexpr double t[] = {0, 0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262};
    return n < 2 ? INFINITY : n < std::size(t) ? t[n] : 2.26;
}

void show_table() {
    results const all(o.csv);
    if (!o.json)
        std::printf("%-22s%-28s%9s%8s%6s%10s%10s%20s%12s%22s\n", "task", "method", "rate", "factor", "seeds", "before",
                    "after", "least - most", "difference", "95 % interval");
    for (std::string const& task : o.tasks) {
        std::map<std::uint64_t, double> reference;
        for (std::string const& name : o.methods) {
            auto const begins = all.ends("runs", task, name, o.steps, true);
            auto const ends = all.ends("runs", task, name, o.steps);
            auto const best = best_of(all, task, name);
            for (auto const& [at, losses] : ends) {
                double const mean = mean_of(losses);
                double least = INFINITY, most = -INFINITY;
                for (auto const& [seed, loss] : losses) least = std::min(least, loss), most = std::max(most, loss);
                if (reference.empty()) reference = losses;
                std::vector<double> apart;
                for (auto const& [seed, loss] : losses)
                    if (reference.count(seed)) apart.push_back(loss - reference.at(seed));
                double middle = 0, squares = 0;
                for (double d : apart) middle += d / static_cast<double>(apart.size());
                for (double d : apart) squares += (d - middle) * (d - middle);
                auto const n = static_cast<double>(apart.size());
                double const half = student(apart.size()) * std::sqrt(squares / (n - 1) / n);
                bool const itself = losses == reference;
                char const* const verdict = itself                 ? "reference"
                                            : !std::isfinite(half) ? "too few seeds"
                                            : middle + half < 0    ? "better"
                                            : middle - half > 0    ? "worse"
                                                                   : "not told apart";
                bool const edge = best && best->at_edge && best->rate == at.first && best->factor == at.second;
                if (o.json)
                    print({{"task", task},
                           {"method", name},
                           {"rate", at.first},
                           {"factor", at.second},
                           {"at_edge", edge},
                           {"steps", o.steps},
                           {"seeds", losses.size()},
                           {"before", mean_of(begins.at(at))},
                           {"after", mean},
                           {"least", least},
                           {"most", most},
                           {"difference", middle},
                           {"low", middle - half},
                           {"high", middle + half},
                           {"verdict", verdict}});
                else
                    std::printf("%-22s%-28s%9g%8g%6zu%10.4f%10.4f%10.4f -%8.4f%+12.4f%+12.4f -%+9.4f %s%s\n",
                                task.c_str(), name.c_str(), at.first, at.second, losses.size(), mean_of(begins.at(at)),
                                mean, least, most, middle, middle - half, middle + half, verdict,
                                edge ? "; rate at the edge of those tried" : "");
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Adapters and optimizers at equal budgets, each with its own rate."};
    app.add_option("--csv", o.csv, "a file to read and to add to")->required();
    app.add_option("--part", o.part)->required()->check(CLI::IsMember({"rates", "runs", "table"}));
    app.add_option("--task", o.tasks, "MODEL/DATA")
        ->delimiter(',')
        ->check(CLI::IsMember({"smollm2/gsm8k", "smollm2/shakespeare", "smollm2/wikitext", "stories/gsm8k",
                               "stories/shakespeare", "stories/wikitext"}));
    app.add_option("--method", o.methods)->delimiter(',')->check(a_method);
    app.add_option("--seeds", o.seeds)->delimiter(',');
    app.add_option("--rates", o.rates, "of all but B on the manifold")->delimiter(',')->check(CLI::PositiveNumber);
    app.add_option("--factors", o.factors, "B's rate on the manifold, in A's")
        ->delimiter(',')
        ->check(CLI::PositiveNumber);
    app.add_option("--rank", o.rank)->check(CLI::Range(1, 1024));
    app.add_option("--seq", o.seq)->check(CLI::Range(8, 8192));
    app.add_option("--steps", o.steps, "of a run")->check(CLI::Range(1, 1 << 20));
    app.add_option("--rate-steps", o.rate_steps, "of a short run")->check(CLI::Range(1, 1 << 20));
    app.add_option("--every", o.every, "steps between two evaluations")->check(CLI::Range(1, 1 << 20));
    app.add_option("--held-out", o.held_out, "passes")->check(CLI::Range(1, 10000));
    app.add_option("--lanes", o.lanes)->check(CLI::Range(1, 256));
    app.add_flag("--json", o.json);
    CLI11_PARSE(app, argc, argv);
    if (o.part == "table")
        show_table();
    else
        train_all();
}
