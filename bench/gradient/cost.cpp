// SPDX-License-Identifier: Apache-2.0
// What a gradient costs beside its function, in double on one thread: a Gaussian mixture's likelihood, a small network,
// a bundle adjustment's residuals with their Jacobian; by graft, by hand, by ADOL-C, and by JAX where its figures are.
//
//   cost [--rounds 15] [--problem mixture_10_5] [--only hand,adolc] [--median] [--write FOLDER] [--beside FILE]
//
// Contenders (contenders/, each a shared object) and their two turns, function and gradient, alternate within a round.
// A turn repeats for at least five milliseconds; it costs this process's CPU time. The best round counts, with --median
// the middle one. Before anything is timed, the first contender's results are compared with the plain formulas
// (objectives.hpp) and its derivatives with central differences of fourth order, and every other's with the first's.
// --write leaves those in FOLDER/PROBLEM.f64, doubles, for bench/peers/jax_gradient.py to compare; --beside adds the
// lines which that script printed to the table. One JSON line per problem and contender, then the table.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "objectives.hpp"
#include "problems.hpp"

using namespace bench;

namespace {

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct options {
    int rounds = 15;
    std::string problem, only, write, beside;
    bool median = false;
};

struct row {
    std::string problem, contender;
    double function, gradient;  // seconds
};

struct timing {
    std::function<void()> run;
    int repeats = 1;
    std::vector<double> seconds{};
    double chosen(bool median) const {
        auto sorted = seconds;
        std::sort(sorted.begin(), sorted.end());
        return sorted[median ? sorted.size() / 2 : 0];
    }
};

/// How often a turn repeats, so that it takes five milliseconds or more.
int repeats_of(std::function<void()> const& run) {
    for (int n = 1;; n *= 2) {
        double const start = processor_seconds();
        for (int k = 0; k < n; ++k) run();
        double const taken = processor_seconds() - start;
        if (taken >= 5e-3) return n;
        if (taken >= 1e-3) return static_cast<int>(std::ceil(n * 6e-3 / taken));
    }
}

/// A problem as the program sees it: how many numbers it gives, and two oracles.
struct task {
    std::string name;
    std::size_t results, derivatives;
    std::function<work(contender const&)> of;
    std::function<void(double*)> function;
    /// Some derivatives by central differences: calls back with an index into the derivative and its number.
    std::function<void(std::function<void(std::size_t, double)> const&)> differences;
};

/// (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h
template <class F>
double fourth_order(double& x, double h, F f) {
    double const middle = x;
    auto const at = [&](double step) {
        x = middle + step;
        double const value = f();
        x = middle;
        return value;
    };
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
}

/// Differences of a function of many parameters at some 50 of them, the first and the last among them.
template <class F>
auto spread_differences(std::vector<double> parameters, F f) {
    return [=](std::function<void(std::size_t, double)> const& say) mutable {
        std::size_t const n = parameters.size(), count = std::min<std::size_t>(50, n);
        for (std::size_t i = 0; i < count; ++i) {
            std::size_t const at = i * (n - 1) / (count - 1);
            say(at, fourth_order(parameters[at], 1e-3, [&] { return f(parameters.data()); }));
        }
    };
}

task mixture_task(mixture const& p) {
    auto const value = [&p](double const* at) { return log_likelihood(at, p); };
    return {"mixture_" + std::to_string(p.width) + "_" + std::to_string(p.components),
            1,
            p.parameters.size(),
            [&p](contender const& c) { return c.log_likelihood(p); },
            [&p, value](double* to) { *to = value(p.parameters.data()); },
            spread_differences(p.parameters, value)};
}

task network_task(network const& p) {
    auto const value = [&p, target = one_hot(p)](double const* at) { return cross_entropy(at, target, p); };
    return {"network",
            1,
            p.parameters.size(),
            [&p](contender const& c) { return c.cross_entropy(p); },
            [&p, value](double* to) { *to = value(p.parameters.data()); },
            spread_differences(p.parameters, value)};
}

task bundle_task(bundle const& p) {
    auto const n = static_cast<std::size_t>(p.observations);
    return {"bundle",
            3 * n,
            31 * n,
            [&p](contender const& c) { return c.reprojection(p); },
            [&p](double* to) { reprojection(p, to); },
            [&p, n](auto const& say) {
                for (std::size_t i = 0; i < n; i += n / 20) {
                    double at[bundle::columns], to[2];
                    gather(p, static_cast<long>(i), at);
                    for (std::size_t k = 0; k < 2; ++k)
                        for (std::size_t j = 0; j < bundle::columns; ++j)
                            say((2 * i + k) * bundle::columns + j, fourth_order(at[j], 1e-3, [&] {
                                    residual(at, p.features.data() + 2 * i, to);
                                    return to[k];
                                }));
                    say(30 * n + i, fourth_order(at[14], 1e-3, [&] { return 1 - at[14] * at[14]; }));
                }
            }};
}

using numbers = std::vector<double>;

double magnitude(numbers const& x) {
    double sum = 0;
    for (double const v : x) sum += std::abs(v);
    return sum / static_cast<double>(x.size());
}

/// Whether x is y, each number to `tolerance` of its own size or of the mean size; else says where it is not.
bool agree(std::string const& what, numbers const& x, numbers const& y, double tolerance) {
    double const mean = magnitude(y);
    for (std::size_t i = 0; i < y.size(); ++i)
        if (!(std::abs(x[i] - y[i]) <= tolerance * std::max(std::abs(y[i]), mean))) {
            std::fprintf(stderr, "%s: number %zu is %.17g, expected %.17g\n", what.c_str(), i, x[i], y[i]);
            return false;
        }
    return true;
}

bool check(task const& t, std::vector<contender> const& who, std::vector<work> const& works, options const& o) {
    numbers plain(t.results), results(t.results), first(t.derivatives), derivative(t.derivatives), from, by;
    t.function(plain.data());
    for (std::size_t i = 0; i < works.size(); ++i) {
        std::string const name = t.name + ", " + who[i].name + ", ";
        auto& d = i == 0 ? first : derivative;
        std::fill(results.begin(), results.end(), std::nan(""));
        std::fill(d.begin(), d.end(), std::nan(""));
        works[i].function(results.data());
        if (!agree(name + "function", results, plain, 1e-10)) return false;
        std::fill(results.begin(), results.end(), std::nan(""));
        works[i].gradient(results.data(), d.data());
        if (!agree(name + "the gradient's value", results, plain, 1e-10)) return false;
        if (i > 0 && !agree(name + "derivative beside " + who[0].name + "'s", d, first, 1e-9)) return false;
    }
    t.differences([&](std::size_t at, double value) {
        from.push_back(first[at]);
        by.push_back(value);
    });
    if (!agree(t.name + ", " + who[0].name + ", derivative beside differences", from, by, 1e-6)) return false;
    if (!o.write.empty()) {
        std::ofstream file(o.write + "/" + t.name + ".f64", std::ios::binary);
        for (auto const* part : {&plain, &first})
            file.write(reinterpret_cast<char const*>(part->data()),
                       static_cast<std::streamsize>(part->size() * sizeof(double)));
        if (!file.flush()) {
            std::fprintf(stderr, "%s: cannot write there\n", o.write.c_str());
            return false;
        }
    }
    return true;
}

bool run(task const& t, std::vector<contender> const& who, options const& o, std::vector<row>& table) {
    std::vector<work> works;
    for (auto const& c : who) works.push_back(t.of(c));
    if (!check(t, who, works, o)) return false;
    numbers results(t.results), derivative(t.derivatives);
    std::vector<timing> turns;
    for (auto const& w : works) {
        turns.push_back({[&] { w.function(results.data()); }});
        turns.push_back({[&] { w.gradient(results.data(), derivative.data()); }});
    }
    for (auto& turn : turns) turn.repeats = repeats_of(turn.run);
    for (int r = 0; r < o.rounds; ++r)
        for (auto& turn : turns) {
            double const start = processor_seconds();
            for (int k = 0; k < turn.repeats; ++k) turn.run();
            turn.seconds.push_back((processor_seconds() - start) / turn.repeats);
        }
    for (std::size_t i = 0; i < who.size(); ++i) {
        auto const &f = turns[2 * i], &g = turns[2 * i + 1];
        table.push_back({t.name, who[i].name, f.chosen(o.median), g.chosen(o.median)});
        std::printf(
            "{\"problem\":\"%s\",\"contender\":\"%s\",\"function_us\":%.2f,\"gradient_us\":%.2f,\"ratio\":%.3f,"
            "\"median\":{\"function_us\":%.2f,\"gradient_us\":%.2f}}\n",
            t.name.c_str(), who[i].name.c_str(), f.chosen(false) * 1e6, g.chosen(false) * 1e6,
            g.chosen(o.median) / f.chosen(o.median), f.chosen(true) * 1e6, g.chosen(true) * 1e6);
    }
    std::fflush(stdout);
    return true;
}

/// Adds the lines of another program to the table, those of the problems that ran.
bool add_lines(options const& o, std::vector<row>& table) {
    std::ifstream file(o.beside);
    std::vector<row> read;
    for (std::string line; std::getline(file, line);) {
        auto const j = nlohmann::json::parse(line, nullptr, false);
        if (!j.is_object() || !j.contains("problem") || !j.contains("median")) continue;
        auto const& from = o.median ? j["median"] : j;
        read.push_back({j["problem"], j["contender"], from["function_us"].get<double>() * 1e-6,
                        from["gradient_us"].get<double>() * 1e-6});
    }
    for (auto const& r : read) {
        auto const after =
            std::find_if(table.rbegin(), table.rend(), [&](row const& t) { return t.problem == r.problem; });
        if (after != table.rend()) table.insert(after.base(), r);
    }
    if (read.empty()) std::fprintf(stderr, "%s: no line of another contender\n", o.beside.c_str());
    return !read.empty();
}

void print_table(std::vector<row> const& table) {
    std::printf("\n%-16s%-12s%16s%16s%10s%22s\n", "problem", "contender", "function, us", "gradient, us", "ratio",
                "gradient beside hand");
    for (auto const& r : table) {
        auto const hand = std::find_if(table.begin(), table.end(),
                                       [&](row const& t) { return t.problem == r.problem && t.contender == "hand"; });
        std::printf("%-16s%-12s%16.1f%16.1f%10.2f", r.problem.c_str(), r.contender.c_str(), r.function * 1e6,
                    r.gradient * 1e6, r.gradient / r.function);
        if (hand != table.end()) std::printf("%22.2f", r.gradient / hand->gradient);
        std::printf("\n");
    }
}

bool parse(int count, char** words, options& o) {
    for (int i = 1; i < count; ++i) {
        std::string const word = words[i];
        if (word == "--median") {
            o.median = true;
            continue;
        }
        if (i + 1 == count) return false;
        std::string const value = words[++i];
        if (word == "--rounds")
            o.rounds = std::max(1, std::atoi(value.c_str()));
        else if (word == "--problem")
            o.problem = value;
        else if (word == "--only")
            o.only = "," + value + ",";
        else if (word == "--write")
            o.write = value;
        else if (word == "--beside")
            o.beside = value;
        else
            return false;
    }
    return true;
}

/// Whoever was built, and a word about who was not.
std::vector<contender> contenders(options const& o) {
    std::vector<contender> built;
    std::string left_out;
    auto const take = [&](char const* name, contender (*make)()) {
        if (!o.only.empty() && o.only.find("," + std::string(name) + ",") == std::string::npos) return;
        if (make)
            built.push_back(make());
        else
            left_out += std::string(left_out.empty() ? "" : ",") + "\"" + name + "\"";
    };
    contender (*hand)() = nullptr;
    contender (*graft)() = nullptr;
    contender (*adolc)() = nullptr;
#ifdef BENCH_HAS_hand
    hand = bench_contender_hand;
#endif
#ifdef BENCH_HAS_graft
    graft = bench_contender_graft;
#endif
#ifdef BENCH_HAS_adolc
    adolc = bench_contender_adolc;
#endif
    take("hand", hand);
    take("graft", graft);
    take("adolc", adolc);
    for (auto const& c : built)
        std::printf("{\"contender\":\"%s\",\"version\":\"%s\"}\n", c.name.c_str(), c.version.c_str());
    std::printf("{\"not_built\":[%s]}\n", left_out.c_str());
    return built;
}

}  // namespace

int main(int count, char** words) {
    options o;
    if (!parse(count, words, o)) {
        std::fprintf(stderr,
                     "usage: %s [--rounds N] [--problem NAME] [--only NAME,NAME] [--median] [--write FOLDER] "
                     "[--beside FILE]\n",
                     words[0]);
        return 2;
    }
    auto const who = contenders(o);
    if (who.empty()) {
        std::fprintf(stderr, "none of the contenders asked for was built\n");
        return 2;
    }
    mixture const small(1000, 10, 5), middle(1000, 20, 25), large(1000, 64, 25);
    network const net;
    bundle const adjustment;
    std::vector<row> table;
    // The least first: what ADOL-C sets to zero at each sweep grows with the widest tape that was recorded before.
    for (auto const& t :
         {mixture_task(small), bundle_task(adjustment), network_task(net), mixture_task(middle), mixture_task(large)})
        if (o.problem.empty() || o.problem == t.name)
            if (!run(t, who, o, table)) return 1;
    if (table.empty()) {
        std::fprintf(stderr, "no such problem: mixture_10_5, mixture_20_25, mixture_64_25, network or bundle\n");
        return 2;
    }
    if (!o.beside.empty() && !add_lines(o, table)) return 2;
    print_table(table);
}
