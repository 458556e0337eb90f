// SPDX-License-Identifier: Apache-2.0
// Element-wise work, row norms and sums of float matrices on one thread: graft, Eigen, xtensor, plain loops, libtorch.
//
//   cells [--rounds 15] [--floats 65536] [--cell softmax] [--only eigen,loop] [--median]
//
// Contenders (contenders/, each a shared object with flags of its own) work on the same arrays and take turns within a
// round, so that another process disturbs all of them alike. A turn repeats its cell for at least five milliseconds;
// it costs this process's CPU time. The best round counts, with --median the middle one. Before anything is timed,
// every result is compared with sums and functions in double. One JSON line per cell, then tables of microseconds and
// of geometric means.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "contender.hpp"

using bench::contender;
using bench::operands;

namespace {

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct options {
    int rounds = 15;
    long floats = 0;
    std::string cell, only;
    bool median = false;
};

// ------------------------------------------------------------------------------------------------ the cells and data

struct entry {
    char const* name;
    bench::cell contender::*compute;
    long (*results)(operands const&);
    void (*reference)(operands const&, double*);
};

long each(operands const& o) { return o.rows * o.columns; }

template <class F>
void by_element(operands const& o, double* out, F f) {
    for (long i = 0; i < o.rows; ++i)
        for (long j = 0; j < o.columns; ++j) {
            long const k = i * o.columns + j;
            out[k] = f(double{o.a[k]}, double{o.b[k]}, double{o.c[k]}, double{o.row[j]}, double{o.column[i]});
        }
}

/// The sum over j of f(a(i, j)).
template <class F>
double over_row(operands const& o, long i, F f) {
    double sum = 0;
    for (long j = 0; j < o.columns; ++j) sum += f(double{o.a[i * o.columns + j]});
    return sum;
}

constexpr entry cells[] = {
    {"silu(a)*b+c", &contender::silu_multiply_add, each,
     [](operands const& o, double* out) {
         by_element(o, out,
                    [](double a, double b, double c, double, double) { return a / (1 + std::exp(-a)) * b + c; });
     }},
    {"softmax", &contender::softmax, each,
     [](operands const& o, double* out) {
         for (long i = 0; i < o.rows; ++i) {
             double const sum = over_row(o, i, [](double a) { return std::exp(a); });
             for (long k = i * o.columns; k < (i + 1) * o.columns; ++k) out[k] = std::exp(double{o.a[k]}) / sum;
         }
     }},
    {"rms_norm", &contender::rms_norm, each,
     [](operands const& o, double* out) {
         for (long i = 0; i < o.rows; ++i) {
             double const mean = over_row(o, i, [](double a) { return a * a; }) / static_cast<double>(o.columns);
             for (long j = 0, k = i * o.columns; j < o.columns; ++j, ++k)
                 out[k] = o.a[k] / std::sqrt(mean + double{bench::epsilon}) * o.row[j];
         }
     }},
    {"chain of ten", &contender::chain, each,
     [](operands const& o, double* out) {
         by_element(o, out, [](double a, double b, double c, double, double) {
             return c / std::max(std::tanh(std::sqrt(std::log(std::exp(a * b + c) + 1))) - a, 0.25);
         });
     }},
    {"add a row", &contender::add_row, each,
     [](operands const& o, double* out) {
         by_element(o, out, [](double a, double, double, double row, double) { return a + row; });
     }},
    {"add a column", &contender::add_column, each,
     [](operands const& o, double* out) {
         by_element(o, out, [](double a, double, double, double, double column) { return a + column; });
     }},
    {"row sums", &contender::row_sums, [](operands const& o) { return o.rows; },
     [](operands const& o, double* out) {
         for (long i = 0; i < o.rows; ++i) out[i] = over_row(o, i, [](double a) { return a; });
     }},
    {"column sums", &contender::column_sums, [](operands const& o) { return o.columns; },
     [](operands const& o, double* out) {
         std::fill(out, out + o.columns, 0.0);
         for (long i = 0; i < o.rows; ++i)
             for (long j = 0; j < o.columns; ++j) out[j] += o.a[i * o.columns + j];
     }},
};

struct array {
    struct release {
        void operator()(float* p) const { std::free(p); }
    };
    std::unique_ptr<float, release> data;
    explicit array(long n)
        : data(static_cast<float*>(std::aligned_alloc(64, (static_cast<std::size_t>(n) * 4 + 63) / 64 * 64))) {
        if (!data) std::abort();
    }
    /// Numbers in (-size, size): a hash of their places (a linear congruence would show in columns of 2^k rows).
    array(long n, std::uint32_t seed, float size) : array(n) {
        for (long i = 0; i < n; ++i) {
            std::uint32_t h = (static_cast<std::uint32_t>(i) + (seed << 25)) * 0x9e3779b9u;
            h = (h ^ (h >> 16)) * 0x85ebca6bu;
            h = (h ^ (h >> 13)) * 0xc2b2ae35u;
            data.get()[i] = size * (static_cast<float>((h ^ (h >> 16)) >> 8) / 8388608.0f - 1.0f);
        }
    }
};

struct problem {
    array a, b, c, row, column, out;
    std::vector<double> wanted;
    operands o;
    problem(long rows, long columns)
        : a(rows * columns, 1, 4),
          b(rows * columns, 2, 1),
          c(rows * columns, 3, 1),
          row(columns, 4, 1),
          column(rows, 5, 1),
          out(rows * columns),
          wanted(static_cast<std::size_t>(rows * columns)),
          o{rows,         columns,        a.data.get(),      b.data.get(),
            c.data.get(), row.data.get(), column.data.get(), out.data.get()} {}
};

/// The largest error of the results, relative to the wanted number or, where that is less, to the mean magnitude.
double worst_error(operands const& o, std::vector<double> const& wanted, long n) {
    double mean = 0, worst = 0;
    for (long i = 0; i < n; ++i) mean += std::abs(wanted[static_cast<std::size_t>(i)]) / static_cast<double>(n);
    for (long i = 0; i < n; ++i) {
        double const w = wanted[static_cast<std::size_t>(i)];
        double const error = std::abs(o.out[i] - w) / std::max(std::abs(w), mean);
        worst = error <= worst ? worst : error;
    }
    return worst;
}

// ------------------------------------------------------------------------------------------------------- measurement

struct contest {
    contender const* who;
    bench::turn run;
    int repeats = 1;
    std::vector<double> seconds{};
    double best() const { return *std::min_element(seconds.begin(), seconds.end()); }
    double median() const {
        auto sorted = seconds;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }
};

/// How often a turn repeats, so that it takes five milliseconds or more.
int repeats_of(bench::turn const& run) {
    for (int n = 1;; n *= 2) {
        double const start = processor_seconds();
        for (int k = 0; k < n; ++k) run();
        double const taken = processor_seconds() - start;
        if (taken >= 5e-3) return n;
        if (taken >= 1e-3) return static_cast<int>(std::ceil(n * 6e-3 / taken));
    }
}

void measure(std::vector<contest>& all, int rounds) {
    for (auto& c : all) c.repeats = repeats_of(c.run);
    for (int r = 0; r < rounds; ++r)
        for (auto& c : all) {
            double const start = processor_seconds();
            for (int k = 0; k < c.repeats; ++k) c.run();
            c.seconds.push_back((processor_seconds() - start) / c.repeats);
        }
}

struct result {
    std::string cell;
    long floats;
    std::vector<double> seconds;  // of each contender
};

void print_tables(std::vector<contender> const& who, std::vector<result> const& results) {
    auto const mean = [&](auto ratio) {
        double logs = 0;
        for (auto const& r : results) logs += std::log(ratio(r));
        return std::exp(logs / static_cast<double>(results.size()));
    };
    auto const best_other = [&](result const& r, std::size_t than) {
        double best = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < who.size(); ++i)
            if (i != than) best = std::min(best, r.seconds[i]);
        return best;
    };
    std::printf("\n%-14s%10s", "microseconds", "floats");
    for (auto const& c : who) std::printf("%12s", c.name.c_str());
    std::printf("   %s: speed beside the best other\n", who[0].name.c_str());
    for (auto const& r : results) {
        std::printf("%-14s%10ld", r.cell.c_str(), r.floats);
        for (double const s : r.seconds) std::printf("%12.1f", s * 1e6);
        std::printf("%8.2f\n", best_other(r, 0) / r.seconds[0]);
    }
    std::printf("\nspeed, geometric mean beside each other contender, and beside the best other of every row\n%-10s",
                "");
    for (auto const& c : who) std::printf("%12s", c.name.c_str());
    std::printf("%12s%12s\n", "best other", "least");
    for (std::size_t i = 0; i < who.size(); ++i) {
        std::printf("%-10s", who[i].name.c_str());
        for (std::size_t j = 0; j < who.size(); ++j)
            std::printf("%12.2f", mean([&](result const& r) { return r.seconds[j] / r.seconds[i]; }));
        double least = std::numeric_limits<double>::infinity();
        for (auto const& r : results) least = std::min(least, best_other(r, i) / r.seconds[i]);
        std::printf("%12.2f%12.2f\n", mean([&](result const& r) { return best_other(r, i) / r.seconds[i]; }), least);
    }
}

/// Checks and times one cell; false where a contender's result is wrong.
bool run_cell(entry const& e, std::vector<contender> const& who, problem& p, options const& o,
              std::vector<result>& results) {
    long const n = e.results(p.o);
    e.reference(p.o, p.wanted.data());
    std::vector<contest> all;
    for (auto const& c : who) {
        auto run = (c.*e.compute)(p.o);
        std::fill(p.o.out, p.o.out + n, std::numeric_limits<float>::quiet_NaN());
        run();
        double const error = worst_error(p.o, p.wanted, n);
        if (!(error <= 1e-5)) {
            std::fprintf(stderr, "%s, %s, %ld x %ld: relative error %.3g, at most 1e-5\n", c.name.c_str(), e.name,
                         p.o.rows, p.o.columns, error);
            return false;
        }
        all.push_back({&c, std::move(run)});
    }
    measure(all, o.rounds);
    result r{e.name, p.o.rows * p.o.columns, {}};
    std::printf("{\"cell\":\"%s\",\"rows\":%ld,\"columns\":%ld,\"unit\":\"us\"", e.name, p.o.rows, p.o.columns);
    for (auto const& c : all) {
        std::printf(",\"%s\":{\"best\":%.2f,\"median\":%.2f}", c.who->name.c_str(), c.best() * 1e6, c.median() * 1e6);
        r.seconds.push_back(o.median ? c.median() : c.best());
    }
    std::printf("}\n");
    std::fflush(stdout);
    results.push_back(std::move(r));
    return true;
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
        else if (word == "--floats")
            o.floats = std::atol(value.c_str());
        else if (word == "--cell")
            o.cell = value;
        else if (word == "--only")
            o.only = "," + value + ",";
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
    contender (*graft)() = nullptr;
    contender (*loop)() = nullptr;
    contender (*eigen)() = nullptr;
    contender (*xtensor)() = nullptr;
    contender (*torch)() = nullptr;
#ifdef BENCH_HAS_graft
    graft = bench_contender_graft;
#endif
#ifdef BENCH_HAS_loop
    loop = bench_contender_loop;
#endif
#ifdef BENCH_HAS_eigen
    eigen = bench_contender_eigen;
#endif
#ifdef BENCH_HAS_xtensor
    xtensor = bench_contender_xtensor;
#endif
#ifdef BENCH_HAS_torch
    torch = bench_contender_torch;
#endif
    take("graft", graft);
    take("loop", loop);
    take("eigen", eigen);
    take("xtensor", xtensor);
    take("torch", torch);
    for (auto const& c : built)
        std::printf("{\"contender\":\"%s\",\"version\":\"%s\"}\n", c.name.c_str(), c.version.c_str());
    std::printf("{\"not_built\":[%s]}\n", left_out.c_str());
    return built;
}

}  // namespace

int main(int count, char** words) {
    options o;
    if (!parse(count, words, o)) {
        std::fprintf(stderr, "usage: %s [--rounds N] [--floats N] [--cell NAME] [--only NAME,NAME] [--median]\n",
                     words[0]);
        return 2;
    }
    auto const who = contenders(o);
    if (who.empty()) {
        std::fprintf(stderr, "none of the contenders asked for was built\n");
        return 2;
    }
    std::vector<result> results;
    for (long const side : {256, 1024, 4096}) {
        if (o.floats && o.floats != side * side) continue;
        problem p(side, side);
        for (auto const& e : cells)
            if (o.cell.empty() || o.cell == e.name)
                if (!run_cell(e, who, p, o, results)) return 1;
    }
    if (results.empty()) {
        std::fprintf(stderr, "no such cell, or no such size: 65536, 1048576 or 16777216 floats\n");
        return 2;
    }
    if (who.size() > 1) print_tables(who, results);
}
