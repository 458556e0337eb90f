// SPDX-License-Identifier: Apache-2.0
// The problems' formulas for any scalar: what central differences and ADOL-C evaluate. Written to be read.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "problems.hpp"

namespace bench {

template <class T>
T log_sum_exp(T const* x, long n) {
    using std::exp, std::fmax, std::log;
    T most = x[0];
    for (long i = 1; i < n; ++i) most = fmax(most, x[i]);
    T sum = exp(x[0] - most);
    for (long i = 1; i < n; ++i) sum += exp(x[i] - most);
    return most + log(sum);
}

/// log sum over k of exp(offset(k) - |Q(k) (x - mean(k))|²/2); a factor's diagonal comes as it is, not as a logarithm.
template <class T, class X>
T point_term(T const* offsets, T const* means, T const* factors, X const* x, long d, long k) {
    std::vector<T> terms(static_cast<std::size_t>(k)), from(static_cast<std::size_t>(d)), y(from);
    for (long j = 0; j < k; ++j, means += d, factors += d * (d + 1) / 2) {
        T* const u = from.data();
        T* const v = y.data();
        for (long i = 0; i < d; ++i) {
            u[i] = x[i] - means[i];
            v[i] = factors[i] * u[i];
        }
        T const* below = factors + d;
        for (long column = 0; column < d; ++column)
            for (long row = column + 1; row < d; ++row) v[row] += *below++ * u[column];
        T squares = v[0] * v[0];
        for (long i = 1; i < d; ++i) squares += v[i] * v[i];
        terms[static_cast<std::size_t>(j)] = offsets[j] - 0.5 * squares;
    }
    return log_sum_exp(terms.data(), k);
}

/// What the likelihood has beside the sum over points.
template <class T>
T prior(T const* parameters, mixture const& p) {
    using std::exp;
    long const d = p.width, k = p.components;
    T sum = p.constant - static_cast<double>(p.points) * log_sum_exp(parameters, k);
    T const* factors = parameters + k * (1 + d);
    for (long j = 0; j < k; ++j, factors += p.factor()) {
        for (long i = 0; i < d; ++i) {
            T const diagonal = exp(factors[i]);
            sum += 0.5 * p.gamma * p.gamma * diagonal * diagonal - p.m * factors[i];
        }
        for (long i = d; i < p.factor(); ++i) sum += 0.5 * p.gamma * p.gamma * factors[i] * factors[i];
    }
    return sum;
}

/// The parameters as point_term wants them: offsets alpha(k) + sum(q(k)), means, factors with exp(q) as diagonal.
inline void prepare(double const* parameters, mixture const& p, double* to) {
    long const d = p.width, k = p.components;
    std::copy(parameters, parameters + p.parameters.size(), to);
    double* factors = to + k * (1 + d);
    for (long j = 0; j < k; ++j, factors += p.factor())
        for (long i = 0; i < d; ++i) {
            to[j] += factors[i];
            factors[i] = std::exp(factors[i]);
        }
}

inline double log_likelihood(double const* parameters, mixture const& p) {
    std::vector<double> prepared(p.parameters.size());
    prepare(parameters, p, prepared.data());
    double sum = prior(parameters, p);
    double const *means = prepared.data() + p.components, *factors = means + p.components * p.width;
    for (long i = 0; i < p.points; ++i)
        sum += point_term(prepared.data(), means, factors, p.x.data() + i * p.width, p.width, p.components);
    return sum;
}

/// The cross-entropy of one row; `target` is 1 at its label and 0 elsewhere.
template <class T, class X>
T row_term(T const* parameters, X const* x, X const* target, network const& p) {
    using std::tanh;
    std::vector<T> h(static_cast<std::size_t>(p.hidden)), z(static_cast<std::size_t>(p.out));
    T const *w1 = parameters, *b1 = w1 + p.hidden * p.in, *w2 = b1 + p.hidden, *b2 = w2 + p.out * p.hidden;
    for (long j = 0; j < p.hidden; ++j) {
        T sum = b1[j];
        for (long i = 0; i < p.in; ++i) sum += w1[j * p.in + i] * x[i];
        h[static_cast<std::size_t>(j)] = tanh(sum);
    }
    T chosen = 0;
    for (long j = 0; j < p.out; ++j) {
        T sum = b2[j];
        for (long i = 0; i < p.hidden; ++i) sum += w2[j * p.hidden + i] * h[static_cast<std::size_t>(i)];
        z[static_cast<std::size_t>(j)] = sum;
        chosen += target[j] * sum;
    }
    return log_sum_exp(z.data(), p.out) - chosen;
}

/// The rows' labels as rows of zeros and a one.
inline std::vector<double> one_hot(network const& p) {
    std::vector<double> target(static_cast<std::size_t>(p.rows * p.out));
    for (long i = 0; i < p.rows; ++i)
        target[static_cast<std::size_t>(i * p.out + p.labels[static_cast<std::size_t>(i)])] = 1;
    return target;
}

inline double cross_entropy(double const* parameters, std::vector<double> const& target, network const& p) {
    double sum = 0;
    for (long i = 0; i < p.rows; ++i) sum += row_term(parameters, p.x.data() + i * p.in, target.data() + i * p.out, p);
    return sum / static_cast<double>(p.rows);
}

/// `at`: camera (11), point (3), weight (1).
template <class T, class X>
void residual(T const* at, X const* feature, T* to) {
    using std::cos, std::sin, std::sqrt;
    T const *r = at, *centre = at + 3, *point = at + 11, &weight = at[14];
    T const angle = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), s = sin(angle), c = cos(angle);
    T const w[3] = {r[0] / angle, r[1] / angle, r[2] / angle};
    T const x[3] = {point[0] - centre[0], point[1] - centre[1], point[2] - centre[2]};
    T const along = (w[0] * x[0] + w[1] * x[1] + w[2] * x[2]) * (1 - c);
    T const seen[3] = {x[0] * c + (w[1] * x[2] - w[2] * x[1]) * s + w[0] * along,
                       x[1] * c + (w[2] * x[0] - w[0] * x[2]) * s + w[1] * along,
                       x[2] * c + (w[0] * x[1] - w[1] * x[0]) * s + w[2] * along};
    T const p[2] = {seen[0] / seen[2], seen[1] / seen[2]};
    T const square = p[0] * p[0] + p[1] * p[1];
    T const scale = at[6] * (1 + square * (at[9] + at[10] * square));
    for (int i = 0; i < 2; ++i) to[i] = weight * (scale * p[i] + at[7 + i] - feature[i]);
}

/// The 15 numbers one observation depends on.
inline void gather(bundle const& p, long observation, double* to) {
    auto const i = static_cast<std::size_t>(observation);
    std::copy_n(p.camera_parameters.data() + p.camera_of[i] * bundle::camera, bundle::camera, to);
    std::copy_n(p.point_parameters.data() + p.point_of[i] * 3, 3, to + bundle::camera);
    to[14] = p.weights[i];
}

inline void reprojection(bundle const& p, double* to) {
    for (long i = 0; i < p.observations; ++i) {
        double at[bundle::columns];
        gather(p, i, at);
        residual(at, p.features.data() + 2 * i, to + 2 * i);
        to[2 * p.observations + i] = 1 - at[14] * at[14];
    }
}

}  // namespace bench
