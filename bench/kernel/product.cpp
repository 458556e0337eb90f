// SPDX-License-Identifier: Apache-2.0
// The matrix product beside OpenBLAS and oneDNN, forward and backward, 1 and 2 threads: f32 as it is and packed before,
// q4_0, q4_1, q8_0 and q4_k weights.
//
//   bench_product [--rows 256] [--threads 2] [--rounds 15] [--shape 576x1536] [--lora] [--median]
//
// Contenders take turns within a round, so that another process disturbs all of them alike. The best round counts, with
// --median the middle one (on an idle machine). One thread's time is its own; of two threads it is the wall's.
// One JSON line per cell, then a table of geometric means. Compile with GRAFT_BENCH_CBLAS and GRAFT_BENCH_DNNL and link
// the libraries to have the peers; OPENBLAS_CORETYPE, which changes a peer's kernels, is printed.
#include <graft/kernel/packed.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>

#ifdef GRAFT_BENCH_CBLAS
#    include <cblas.h>
#endif
#ifdef GRAFT_BENCH_DNNL
#    include <omp.h>
#    include <oneapi/dnnl/dnnl.h>
#endif

#ifdef __linux__
#    include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace graft;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// What a turn costs: one thread's own time, which other processes do not lengthen, or the wall's for several threads.
double cost(index_t threads) { return threads > 1 ? now() : static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// The middle or the best of a contender's rounds.
double chosen(std::vector<double> x, bool median) {
    std::sort(x.begin(), x.end());
    return x[median ? x.size() / 2 : 0];
}

std::vector<float> random_numbers(index_t n, std::uint32_t seed, float size) {
    std::vector<float> x(static_cast<std::size_t>(n));
    for (auto& v : x) {
        seed = seed * 1664525u + 1013904223u;
        v = size * (static_cast<float>(seed >> 8) / 8388608.0f - 1.0f);
    }
    return x;
}

/// Lanes, threads and 64-byte aligned panels for them. A busy machine may keep the threads of a pool on one processor
/// for long, so that on Linux lane l > 0 is bound to processor l; the caller stays free: the peers' threads inherit.
struct executor {
    thread_pool pool;
    std::vector<std::byte> memory;
    workers on;
    explicit executor(index_t lanes)
        : pool(lanes),
          memory(static_cast<std::size_t>(lanes * product_panel_bytes<float> + 64)),
          on(pool.handle(memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64,
                         product_panel_bytes<float>)) {
        std::atomic<index_t> arrived{0};
        on.each(on.count, [&](index_t, index_t lane) {
            for (++arrived; arrived < on.count;) std::this_thread::yield();
#ifdef __linux__
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(static_cast<unsigned>(lane), &one);
            if (lane > 0) sched_setaffinity(0, sizeof one, &one);
#endif
        });
    }
};

volatile float sink;

/// Independent chains of fma in registers: what the cores can do at most, GFLOP/s.
double fma_peak(executor& e) {
    double best = 0;
    for (int round = 0; round < 7; ++round) {
        constexpr index_t chains = 10, steps = 1'000'000;
        double const start = now();
        e.on.each(e.on.count, [](index_t, index_t) {
            pack<float> s[chains];
            float volatile almost_one = 0.999f;
            pack<float> const m(almost_one), c(1e-6f);
            for (index_t i = 0; i < chains; ++i) s[i] = pack<float>(static_cast<float>(i));
            for (index_t k = 0; k < steps; ++k)
                detail::unrolled<chains>([&](auto i)
                                             __attribute__((always_inline)) { s[i.value] = fma(s[i.value], m, c); });
            for (index_t i = 1; i < chains; ++i) s[0] += s[i];
            sink = reduce_add(s[0]);
        });
        double const flops = 2.0 * native_width<float> * chains * static_cast<double>(steps * e.on.count);
        best = std::max(best, flops / (now() - start) * 1e-9);
    }
    return best;
}

struct contender {
    std::string name;
    std::function<void()> run;
    std::vector<double> seconds{};
};

/// Rounds of turns; each turn repeats for about four milliseconds.
void measure(std::vector<contender>& all, int rounds, index_t threads) {
    std::vector<int> repeats;
    for (auto& c : all) {
        c.run();
        double const start = now();
        c.run();
        repeats.push_back(std::clamp(static_cast<int>(4e-3 / (now() - start)), 1, 10'000));
    }
    for (int r = 0; r < rounds; ++r) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (threads > 1) {  // the last contender's threads wait actively for some time before they sleep
                std::this_thread::sleep_for(std::chrono::milliseconds(40));
                all[i].run();
            }
            double const start = cost(threads);
            for (int k = 0; k < repeats[i]; ++k) all[i].run();
            all[i].seconds.push_back((cost(threads) - start) / repeats[i]);
        }
    }
}

/// A weight of `out × in` numbers in a format: encoded, or for K blocks random bytes with small scales.
struct stored {
    std::vector<std::byte> bytes;
    weight w;
    stored(format const& how, index_t out, index_t in, std::vector<float> const& dense)
        : bytes(static_cast<std::size_t>(out * how.row_bytes(in))), w(bytes.data(), out, in, how) {
        if (encodes(how)) {
            for (index_t i = 0; i < out; ++i) encode(how, dense.data() + i * in, in, bytes.data() + i * w.row_bytes);
            return;
        }
        std::uint32_t seed = 1;
        for (auto& b : bytes) b = static_cast<std::byte>((seed = seed * 1664525u + 1013904223u) >> 24);
        for (std::size_t b = 0; b < bytes.size(); b += static_cast<std::size_t>(how.bytes))
            bytes[b] = bytes[b + 2] = std::byte{0}, bytes[b + 1] = bytes[b + 3] = std::byte{0x0c};
    }
};

struct options {
    std::vector<index_t> rows{128, 256, 512}, threads{1, 2};
    std::string shape;
    int rounds = 15;
    bool lora = false, median = false;
};

using means = std::map<std::string, std::vector<double>>;

void report(char const* op, index_t in, index_t out, index_t m, index_t threads, double peak, double flops,
            std::vector<contender> const& all, options const& o, means& table) {
    std::printf("{\"op\":\"%s\",\"in\":%td,\"out\":%td,\"rows\":%td,\"threads\":%td,\"fma_peak\":%.1f", op, in, out, m,
                threads, peak);
    for (auto const& c : all) {
        double const rate = flops / chosen(c.seconds, o.median) * 1e-9;
        std::printf(",\"%s\":%.1f", c.name.c_str(), rate);
        table[std::to_string(threads) + " threads, " + op + ", rows " + std::to_string(m) + ": " + c.name].push_back(
            rate);
        table[std::to_string(threads) + " threads, all: " + c.name].push_back(rate);
    }
    std::printf("}\n");
    std::fflush(stdout);
}

/// y = x t(W) and dx = g W, every weight format beside the peers' plain sgemm on the decoded matrix.
void bench_shape(index_t in, index_t out, index_t m, executor& e, double peak, options const& o, means& table) {
    auto const dense = random_numbers(out * in, 1, 0.05f), x = random_numbers(m * in, 2, 1),
               g = random_numbers(m * out, 3, 1);
    std::vector<float> y(static_cast<std::size_t>(m * out)), dx(static_cast<std::size_t>(m * in));
    std::vector<stored> formats;
    for (auto const* f : {&q4_0, &q4_1, &q8_0, &q4_k})
        if (in % f->block == 0) formats.emplace_back(*f, out, in, dense);
    auto* const data = [](auto const& v) { return const_cast<float*>(v.data()); }(dense);
    matrix<float> const w(data, out, in), xs(const_cast<float*>(x.data()), m, in),
        gs(const_cast<float*>(g.data()), m, out);
    matrix<float> const ys(y.data(), m, out, &e.on), dxs(dx.data(), m, in, &e.on);
    double const flops = 2.0 * static_cast<double>(m) * static_cast<double>(in) * static_cast<double>(out);
    std::vector<float> room(
        static_cast<std::size_t>(std::max(packed_numbers<float>(in, out), packed_numbers<float>(out, in)) + 16));
    auto* const aligned = room.data() + (64 - reinterpret_cast<std::uintptr_t>(room.data()) % 64) % 64 / 4;
    for (bool const forward : {true, false}) {
        std::vector<contender> all;
        auto const product = [&](std::string const& name, auto b) {
            if (forward)
                all.push_back({name, [=] { ys = xs * t(b); }});
            else
                all.push_back({name, [=] { dxs = gs * b; }});
        };
        auto const packed = forward ? pack_factor(t(w), aligned) : pack_factor(w, aligned);
        product("f32", w);
        all.push_back({"packed", [=] { (forward ? ys : dxs) = (forward ? xs : gs) * packed; }});
        for (auto const& f : formats) product(f.w.how->name, f.w);
        float const* const left = forward ? x.data() : g.data();
        float* const to = forward ? y.data() : dx.data();
        [[maybe_unused]] auto const k = static_cast<int>(forward ? in : out), n = static_cast<int>(forward ? out : in);
        [[maybe_unused]] auto const rows = static_cast<int>(m), stride = static_cast<int>(in);
#ifdef GRAFT_BENCH_CBLAS
        all.push_back({"openblas", [=] {
                           cblas_sgemm(CblasRowMajor, CblasNoTrans, forward ? CblasTrans : CblasNoTrans, rows, n, k, 1,
                                       left, k, data, stride, 0, to, n);
                       }});
#endif
#ifdef GRAFT_BENCH_DNNL
        all.push_back(
            {"onednn", [=] { dnnl_sgemm('N', forward ? 'T' : 'N', rows, n, k, 1, left, k, data, stride, 0, to, n); }});
#endif
        (void)left, (void)to;
        measure(all, o.rounds, e.on.count);
        report(forward ? "x*t(W)" : "g*W", in, out, m, e.on.count, peak, flops, all, o, table);
    }
}

/// The six small products of a LoRA step on one map, in microseconds beside the frozen product's.
void bench_lora(index_t in, index_t out, index_t m, index_t rank, executor& e, options const& o) {
    auto v = [](index_t n, std::uint32_t seed) { return random_numbers(n, seed, 1); };
    auto xs = v(m * in, 1), ys = v(m * out, 2), as = v(rank * in, 3), bs = v(out * rank, 4), hs = v(m * rank, 5),
         dhs = v(m * rank, 6);
    auto das = v(rank * in, 7), dbs = v(out * rank, 8), dense = v(out * in, 9);
    stored const w(q4_1, out, in, dense);
    matrix<float> const x(xs.data(), m, in, &e.on), y(ys.data(), m, out, &e.on), a(as.data(), rank, in, &e.on),
        b(bs.data(), out, rank, &e.on), h(hs.data(), m, rank, &e.on), dh(dhs.data(), m, rank, &e.on),
        da(das.data(), rank, in, &e.on), db(dbs.data(), out, rank, &e.on);
    std::vector<contender> all{
        {"y=x*t(W)", [=, &w] { y = x * t(w.w); }},       {"h=x*t(A)", [=] { h = x * t(a); }},
        {"y+=h*t(B)", [=] { y += 1e-3 * h * t(b); }},    {"dh=dy*B", [=] { dh = y * b; }},
        {"dB+=t(dy)*h", [=] { db += 1e-3 * t(y) * h; }}, {"dA+=t(dh)*x", [=] { da += 1e-3 * t(dh) * x; }},
        {"dx+=dh*A", [=] { x += 1e-9 * dh * a; }}};
    measure(all, o.rounds, e.on.count);
    std::printf("{\"op\":\"lora\",\"in\":%td,\"out\":%td,\"rank\":%td,\"rows\":%td,\"threads\":%td", in, out, rank, m,
                e.on.count);
    for (auto const& c : all) std::printf(",\"%s\":%.1f", c.name.c_str(), chosen(c.seconds, o.median) * 1e6);
    std::printf(",\"unit\":\"us\"}\n");
    std::fflush(stdout);
}

bool parse(int count, char** words, options& o) {
    for (int i = 1; i < count; ++i) {
        std::string const word = words[i];
        if (word == "--lora" || word == "--median") {
            (word == "--lora" ? o.lora : o.median) = true;
            continue;
        }
        if (i + 1 == count) return false;
        std::string const value = words[++i];
        if (word == "--rows")
            o.rows = {std::atol(value.c_str())};
        else if (word == "--threads")
            o.threads = {std::atol(value.c_str())};
        else if (word == "--rounds")
            o.rounds = std::max(1, std::atoi(value.c_str()));
        else if (word == "--shape")
            o.shape = value;
        else
            return false;
    }
    return true;
}

}  // namespace

int main(int count, char** words) {
    options o;
    if (!parse(count, words, o)) {
        std::fprintf(stderr, "usage: %s [--rows M] [--threads T] [--rounds N] [--shape INxOUT] [--lora] [--median]\n",
                     words[0]);
        return 2;
    }
    char const* const core = std::getenv("OPENBLAS_CORETYPE");
    std::printf("{\"width\":%td,\"OPENBLAS_CORETYPE\":\"%s\"", native_width<float>, core ? core : "");
#ifdef GRAFT_BENCH_CBLAS
    std::printf(",\"openblas\":\"%s\",\"openblas_core\":\"%s\"", openblas_get_config(), openblas_get_corename());
#endif
#ifdef GRAFT_BENCH_DNNL
    std::printf(",\"onednn\":\"%d.%d.%d\"", dnnl_version()->major, dnnl_version()->minor, dnnl_version()->patch);
#endif
    std::printf("}\n");
    // Qwen2.5-0.5B and SmolLM2-135M: attention, feed-forward, and a part of the head.
    constexpr std::pair<index_t, index_t> shapes[] = {{896, 896}, {896, 128}, {896, 4864}, {4864, 896}, {896, 8192},
                                                      {576, 576}, {576, 192}, {576, 1536}, {1536, 576}, {576, 8192}};
    means table;
    for (index_t const threads : o.threads) {
        executor e(threads);
#ifdef GRAFT_BENCH_CBLAS
        openblas_set_num_threads(static_cast<int>(threads));
#endif
#ifdef GRAFT_BENCH_DNNL
        omp_set_num_threads(static_cast<int>(threads));
#endif
        double const peak = fma_peak(e);
        for (auto const& [in, out] : shapes) {
            if (!o.shape.empty() && o.shape != std::to_string(in) + "x" + std::to_string(out)) continue;
            for (index_t const m : o.rows) {
                if (o.lora)
                    bench_lora(in, out, m, 8, e, o);
                else
                    bench_shape(in, out, m, e, peak, o, table);
            }
        }
        std::printf("fma peak, %td threads: %.1f GFLOP/s\n", threads, peak);
    }
    for (auto const& [name, rates] : table) {
        double logs = 0;
        for (double const r : rates) logs += std::log(r);
        std::printf("%8.1f GFLOP/s  %s\n", std::exp(logs / static_cast<double>(rates.size())), name.c_str());
    }
}
