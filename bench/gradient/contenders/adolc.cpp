// SPDX-License-Identifier: Apache-2.0
// ADOL-C: a tape of what the problem repeats (a point, a row, 100 observations), recorded once before anything is timed
// and used again with other parameters, so that it stays in the processor's caches. The function itself is evaluated
// by the same templates on double, without a tape.
#include <adolc/adolc.h>

#include <algorithm>
#include <memory>

#include "../objectives.hpp"

using namespace bench;

namespace {

std::size_t size(long n) { return static_cast<std::size_t>(n); }

/// Records `f`, which maps the independents and the tape's parameters to the results.
template <class F>
void record(short tape, double const* at, long n, double const* parameters, long m, long results, F f) {
    trace_on(tape);
    std::vector<adouble> x(size(n)), p(size(m)), y(size(results));
    for (long i = 0; i < n; ++i) x[size(i)] <<= at[i];
    for (long i = 0; i < m; ++i) p[size(i)] = mkparam(parameters[i]);
    f(x.data(), p.data(), y.data());
    for (auto& r : y) {
        double value;
        r >>= value;
    }
    trace_off();
}

/// The sum of a tape's results, and of its gradients, over runs of the tape's parameters.
double over_runs(short tape, double* at, long n, double* parameters, long m, long runs, double* one, double* all) {
    double sum = 0;
    double const unit = 1;
    std::fill(all, all + n, 0.0);
    for (long i = 0; i < runs; ++i) {
        set_param_vec(tape, size(m), parameters + i * m);
        double value = 0;
        zos_forward(tape, 1, static_cast<int>(n), 1, at, &value);
        fos_reverse(tape, 1, static_cast<int>(n), const_cast<double*>(&unit), one);
        sum += value;
        for (long j = 0; j < n; ++j) all[j] += one[j];
    }
    return sum;
}

work mixture_work(mixture const& p) {
    struct state {
        short point, rest;
        std::vector<double> prepared, one, x;
    };
    static short next = 0;
    auto s = std::make_shared<state>();
    long const n = static_cast<long>(p.parameters.size()), d = p.width, k = p.components;
    s->point = next++;
    s->rest = next++;
    s->prepared.resize(size(n));
    s->one.resize(size(n));
    s->x = p.x;
    prepare(p.parameters.data(), p, s->prepared.data());
    record(s->point, s->prepared.data(), n, p.x.data(), d, 1, [&](adouble const* at, adouble const* x, adouble* y) {
        *y = point_term(at, at + k, at + k * (1 + d), x, d, k);
    });
    record(s->rest, p.parameters.data(), n, nullptr, 0, 1,
           [&](adouble const* at, adouble const*, adouble* y) { *y = prior(at, p); });
    return {[&p](double* to) { *to = log_likelihood(p.parameters.data(), p); },
            [&p, s, n, d, k](double* to, double* g) {
                auto* const at = const_cast<double*>(p.parameters.data());
                prepare(at, p, s->prepared.data());
                *to = over_runs(s->point, s->prepared.data(), n, s->x.data(), d, p.points, s->one.data(), g);
                double *factors = g + k * (1 + d), *diagonal = s->prepared.data() + k * (1 + d);
                for (long j = 0; j < k; ++j, factors += p.factor(), diagonal += p.factor())
                    for (long i = 0; i < d; ++i) factors[i] = factors[i] * diagonal[i] + g[j];  // prepare's pull
                double value = 0, unit = 1;
                zos_forward(s->rest, 1, static_cast<int>(n), 1, at, &value);
                fos_reverse(s->rest, 1, static_cast<int>(n), &unit, s->one.data());
                *to += value;
                for (long i = 0; i < n; ++i) g[i] += s->one[size(i)];
            }};
}

work network_work(network const& p) {
    struct state {
        std::vector<double> rows, target, one;
    };
    constexpr short tape = 1000;
    auto s = std::make_shared<state>();
    long const n = static_cast<long>(p.parameters.size()), m = p.in + p.out;
    s->target = one_hot(p);
    s->one.resize(size(n));
    for (long i = 0; i < p.rows; ++i) {
        s->rows.insert(s->rows.end(), p.x.data() + i * p.in, p.x.data() + (i + 1) * p.in);
        s->rows.insert(s->rows.end(), s->target.data() + i * p.out, s->target.data() + (i + 1) * p.out);
    }
    record(tape, p.parameters.data(), n, s->rows.data(), m, 1,
           [&](adouble const* at, adouble const* x, adouble* y) { *y = row_term(at, x, x + p.in, p); });
    return {[&p, s](double* to) { *to = cross_entropy(p.parameters.data(), s->target, p); },
            [&p, s, n, m](double* to, double* g) {
                auto* const at = const_cast<double*>(p.parameters.data());
                double const share = 1 / static_cast<double>(p.rows);
                *to = share * over_runs(tape, at, n, s->rows.data(), m, p.rows, s->one.data(), g);
                for (long i = 0; i < n; ++i) g[i] *= share;
            }};
}

/// A tape holds a batch of observations, whose residuals depend on different independents, so that two reverse sweeps
/// at once give the batch's Jacobian; the sweeps' fixed cost, a microsecond each, is that of many observations.
work bundle_work(bundle const& p) {
    constexpr short tape = 1001, weight = 1002;
    constexpr long batch = 100, n = batch * bundle::columns;
    struct state {
        std::vector<double> at, weights, features, first, second, rows[2];
    };
    auto s = std::make_shared<state>();
    s->at.resize(size(n));
    s->weights.assign(size(batch), 1);
    s->features.assign(p.features.begin(), p.features.begin() + 2 * batch);
    s->first.resize(size(2 * batch));
    s->second.resize(size(2 * batch));
    for (auto& r : s->rows) r.resize(size(n));
    for (long i = 0; i < batch; ++i) {
        gather(p, i, s->at.data() + i * bundle::columns);
        s->first[size(2 * i)] = s->second[size(2 * i + 1)] = 1;
    }
    record(tape, s->at.data(), n, s->features.data(), 2 * batch, 2 * batch,
           [](adouble const* x, adouble const* feature, adouble* y) {
               for (long i = 0; i < batch; ++i) residual(x + i * bundle::columns, feature + 2 * i, y + 2 * i);
           });
    record(weight, s->weights.data(), batch, nullptr, 0, batch, [](adouble const* w, adouble const*, adouble* y) {
        for (long i = 0; i < batch; ++i) y[i] = 1 - w[i] * w[i];
    });
    return {[&p](double* to) { reprojection(p, to); },
            [&p, s](double* to, double* g) {
                constexpr int in = static_cast<int>(n), out = static_cast<int>(2 * batch), half = out / 2;
                double *seeds[] = {s->first.data(), s->second.data()}, *rows[] = {s->rows[0].data(), s->rows[1].data()};
                for (long begin = 0; begin < p.observations; begin += batch) {
                    for (long i = 0; i < batch; ++i) gather(p, begin + i, s->at.data() + i * bundle::columns);
                    set_param_vec(tape, size(2 * batch), const_cast<double*>(p.features.data() + 2 * begin));
                    zos_forward(tape, out, in, 1, s->at.data(), to + 2 * begin);
                    fov_reverse(tape, out, in, 2, seeds, rows);
                    for (long i = 0; i < 2 * batch; ++i)
                        std::copy_n(rows[i % 2] + i / 2 * bundle::columns, bundle::columns,
                                    g + (2 * begin + i) * bundle::columns);
                }
                std::fill(s->weights.begin(), s->weights.end(), 1.0);
                for (long begin = 0; begin < p.observations; begin += batch) {
                    zos_forward(weight, half, half, 1, p.weights.data() + begin, to + 2 * p.observations + begin);
                    fos_reverse(weight, half, half, s->weights.data(),
                                g + p.observations * 2 * bundle::columns + begin);
                }
            }};
}

}  // namespace

bench::contender bench_contender_adolc() {
    return {"adolc", BENCH_ADOLC_VERSION, mixture_work, network_work, bundle_work};
}
