// SPDX-License-Identifier: Apache-2.0
// The bundle adjustment's residuals and their derivatives by hand: blocks of observations side by side, so that the
// compiler vectorises over them; two pulls an observation, sharing what both residuals need.
#pragma once

#include <algorithm>
#include <cmath>

#include "../problems.hpp"

namespace bench {

struct bundle_block {
    static constexpr long size = 64, outputs = 2 * bundle::columns;
    alignas(64) double in[bundle::columns + 2][size];  // camera, point, weight, feature
    alignas(64) double angle[size], sine[size], cosine[size];
    alignas(64) double residuals[2][size];
    alignas(64) double rows[outputs][size];

    void gather(bundle const& p, long first, long count) {
        for (long b = 0; b < size; ++b) {
            auto const i = static_cast<std::size_t>(first + std::min(b, count - 1));
            double const* const camera = p.camera_parameters.data() + p.camera_of[i] * bundle::camera;
            double const* const point = p.point_parameters.data() + p.point_of[i] * 3;
            for (long j = 0; j < bundle::camera; ++j) in[j][b] = camera[j];
            for (long j = 0; j < 3; ++j) in[bundle::camera + j][b] = point[j];
            in[14][b] = p.weights[i];
            in[15][b] = p.features[2 * i];
            in[16][b] = p.features[2 * i + 1];
        }
        // Loops of their own: a sine and a cosine of one number become a call that is not vectorised.
        for (long b = 0; b < size; ++b)
            angle[b] = std::sqrt(in[0][b] * in[0][b] + in[1][b] * in[1][b] + in[2][b] * in[2][b]);
        for (long b = 0; b < size; ++b) sine[b] = std::sin(angle[b]);
        for (long b = 0; b < size; ++b) cosine[b] = std::cos(angle[b]);
    }

    template <bool Derivative>
    void compute() {
        for (long b = 0; b < size; ++b) {
            double const inverse = 1 / angle[b], s = sine[b], c = cosine[b], rest = 1 - c;
            double const w0 = in[0][b] * inverse, w1 = in[1][b] * inverse, w2 = in[2][b] * inverse;
            double const x0 = in[11][b] - in[3][b], x1 = in[12][b] - in[4][b], x2 = in[13][b] - in[5][b];
            double const c0 = w1 * x2 - w2 * x1, c1 = w2 * x0 - w0 * x2, c2 = w0 * x1 - w1 * x0;
            double const along = w0 * x0 + w1 * x1 + w2 * x2, a = along * rest;
            double const y0 = x0 * c + c0 * s + w0 * a, y1 = x1 * c + c1 * s + w1 * a, y2 = x2 * c + c2 * s + w2 * a;
            double const depth = 1 / y2, p0 = y0 * depth, p1 = y1 * depth, square = p0 * p0 + p1 * p1;
            double const k1 = in[9][b], k2 = in[10][b], f = in[6][b], weight = in[14][b];
            double const distortion = 1 + square * (k1 + k2 * square), q0 = distortion * p0, q1 = distortion * p1;
            double const e0 = f * q0 + in[7][b] - in[15][b], e1 = f * q1 + in[8][b] - in[16][b];
            residuals[0][b] = weight * e0;
            residuals[1][b] = weight * e1;
            if constexpr (Derivative) {
                // y's derivative by the angle, at a fixed axis
                double const t0 = c * c0 - s * x0 + s * along * w0, t1 = c * c1 - s * x1 + s * along * w1,
                             t2 = c * c2 - s * x2 + s * along * w2;
                double const slope = 2 * (k1 + 2 * k2 * square), scale = weight * f;
                double const cross = scale * slope * p0 * p1;
                double const g00 = scale * distortion + scale * slope * p0 * p0,
                             g11 = scale * distortion + scale * slope * p1 * p1;
                pull(b, 0, g00, cross, p0, p1, depth, w0, w1, w2, x0, x1, x2, t0, t1, t2, s, c, along, inverse);
                pull(b, 1, cross, g11, p0, p1, depth, w0, w1, w2, x0, x1, x2, t0, t1, t2, s, c, along, inverse);
                double(&first)[bundle::columns][size] = reinterpret_cast<double(&)[bundle::columns][size]>(rows[0]);
                double(&second)[bundle::columns][size] =
                    reinterpret_cast<double(&)[bundle::columns][size]>(rows[bundle::columns]);
                first[6][b] = weight * q0, second[6][b] = weight * q1;
                first[7][b] = weight, second[7][b] = 0;
                first[8][b] = 0, second[8][b] = weight;
                first[9][b] = scale * p0 * square, second[9][b] = scale * p1 * square;
                first[10][b] = scale * p0 * square * square, second[10][b] = scale * p1 * square * square;
                first[14][b] = e0, second[14][b] = e1;
            }
        }
    }

    /// From a residual's gradient by p to those by rotation, centre and point.
    [[gnu::always_inline]] void pull(long b, long which, double g0, double g1, double p0, double p1, double depth,
                                     double w0, double w1, double w2, double x0, double x1, double x2, double t0,
                                     double t1, double t2, double s, double c, double along, double inverse) {
        double const u0 = g0 * depth, u1 = g1 * depth, u2 = -(g0 * p0 + g1 * p1) * depth;
        double const wu = (w0 * u0 + w1 * u1 + w2 * u2) * (1 - c), a = along * (1 - c);
        double const angle_ = u0 * t0 + u1 * t1 + u2 * t2;
        double const d0 = s * (x1 * u2 - x2 * u1) + a * u0 + wu * x0, d1 = s * (x2 * u0 - x0 * u2) + a * u1 + wu * x1,
                     d2 = s * (x0 * u1 - x1 * u0) + a * u2 + wu * x2;
        double const tangent = angle_ - (w0 * d0 + w1 * d1 + w2 * d2) * inverse;
        double* const to = &rows[which * bundle::columns][b];
        to[0] = w0 * tangent + d0 * inverse;
        to[size] = w1 * tangent + d1 * inverse;
        to[2 * size] = w2 * tangent + d2 * inverse;
        double const z0 = c * u0 + s * (u1 * w2 - u2 * w1) + wu * w0, z1 = c * u1 + s * (u2 * w0 - u0 * w2) + wu * w1,
                     z2 = c * u2 + s * (u0 * w1 - u1 * w0) + wu * w2;
        to[3 * size] = -z0, to[4 * size] = -z1, to[5 * size] = -z2;
        to[11 * size] = z0, to[12 * size] = z1, to[13 * size] = z2;
    }

    void scatter(bundle const& p, long first, long count, double* results, double* derivative) const {
        for (long b = 0; b < count; ++b) {
            results[2 * (first + b)] = residuals[0][b];
            results[2 * (first + b) + 1] = residuals[1][b];
            results[2 * p.observations + first + b] = 1 - in[14][b] * in[14][b];
        }
        if (!derivative) return;
        for (long b = 0; b < count; ++b) {
            double* const to = derivative + (first + b) * outputs;
            for (long j = 0; j < outputs; ++j) to[j] = rows[j][b];
            derivative[p.observations * outputs + first + b] = -2 * in[14][b];
        }
    }
};

inline work bundle_work(bundle const& p) {
    auto const all = [&p](double* results, double* derivative) {
        bundle_block block;
        for (long first = 0; first < p.observations; first += bundle_block::size) {
            long const count = std::min(bundle_block::size, p.observations - first);
            block.gather(p, first, count);
            derivative ? block.compute<true>() : block.compute<false>();
            block.scatter(p, first, count, results, derivative);
        }
    };
    return {[=](double* to) { all(to, nullptr); }, all};
}

}  // namespace bench
