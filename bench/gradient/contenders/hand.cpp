// SPDX-License-Identifier: Apache-2.0
// Derivatives by hand, in plain C++ with the compiler's vectors: a lane is a point, a row or an observation.
//
// The mixture's gradient needs no pull through Q: with u = x - mean and responsibilities r, the factor's gradient is
// -Q S and the mean's QᵀQ s, where S = sum r uuᵀ and s = sum r u are what a pass over the points leaves.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "../problems.hpp"
#include "hand_bundle.hpp"

using namespace bench;

namespace {

constexpr long lanes = 8;
using pack [[gnu::vector_size(lanes * sizeof(double))]] = double;

/// Numbers at a multiple of 64 bytes, zero at first.
struct array {
    std::shared_ptr<double> data;
    explicit array(long n = 0)
        : data(new (std::align_val_t{64}) double[static_cast<std::size_t>(n)](),
               [](double* p) { ::operator delete[](p, std::align_val_t{64}); }) {}
    operator double*() const { return data.get(); }
};

pack& at(double* p) { return *reinterpret_cast<pack*>(p); }
pack const& at(double const* p) { return *reinterpret_cast<pack const*>(p); }

double sum(pack const& v) {
    double s = 0;
    for (long i = 0; i < lanes; ++i) s += v[i];
    return s;
}

constexpr long up(long n, long multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Four rows of out = A in (+ bias): out and in have a row of `block` lanes each; `finish` takes a row and its pack.
/// A's rows follow each other at `stride`; the block is a multiple of 4 lanes × 4.
template <class F>
void four_rows(double const* a, long stride, long depth, double const* in, long block, double const* bias, F finish) {
    for (long p = 0; p < block; p += 4 * lanes) {
        pack y[4][4];
        for (int j = 0; j < 4; ++j)
            for (int v = 0; v < 4; ++v) y[j][v] = pack{} + (bias ? bias[j] : 0.0);
        for (long i = 0; i < depth; ++i) {
            double const* const x = in + i * block + p;
            for (int j = 0; j < 4; ++j)
                for (int v = 0; v < 4; ++v) y[j][v] += a[j * stride + i] * at(x + v * lanes);
        }
        for (int v = 0; v < 4; ++v) finish(p + v * lanes, y[0][v], y[1][v], y[2][v], y[3][v]);
    }
}

/// G(j, i) += sum over lanes of u(j) v(i) for a tile of 4 × 4, each sum kept in a pack: tile[j][i].
void gram_tile(double const* u, double const* v, long block, double* tile) {
    pack s[4][4];
    for (int j = 0; j < 4; ++j)
        for (int i = 0; i < 4; ++i) s[j][i] = at(tile + (j * 4 + i) * lanes);
    for (long p = 0; p < block; p += lanes) {
        pack const x[4] = {at(v + p), at(v + block + p), at(v + 2 * block + p), at(v + 3 * block + p)};
        for (int j = 0; j < 4; ++j) {
            pack const y = at(u + j * block + p);
            for (int i = 0; i < 4; ++i) s[j][i] += y * x[i];
        }
    }
    for (int j = 0; j < 4; ++j)
        for (int i = 0; i < 4; ++i) at(tile + (j * 4 + i) * lanes) = s[j][i];
}

// ------------------------------------------------------------------------------------------------------ the mixture

struct mixture_state {
    mixture const& p;
    long d, k, wide, block, blocks, tiles;  // wide: d up to a multiple of 4; tiles: 4 × 4 ones of a lower triangle
    array x, factors, diagonal, offsets, u, terms, squares, totals, grams, sums, dense;

    explicit mixture_state(mixture const& problem)
        : p(problem),
          d(p.width),
          k(p.components),
          wide(up(d, 4)),
          block(d > 32 ? 256 : 128),
          blocks(up(p.points, block) / block),
          tiles(wide / 4 * (wide / 4 + 1) / 2),
          x(blocks * wide * block),
          factors(k * wide * wide),
          diagonal(k * d),
          offsets(k),
          u(wide * block),
          terms(k * block),
          squares(block),
          totals(block),
          grams(k * tiles * 16 * lanes),
          sums(k * wide * lanes),
          dense(2 * wide * wide) {
        for (long i = 0; i < p.points; ++i)
            for (long j = 0; j < d; ++j)
                x[i / block * wide * block + j * block + i % block] = p.x[static_cast<std::size_t>(i * d + j)];
    }

    double const* means() const { return p.parameters.data() + k; }
    double const* logs() const { return means() + k * d; }

    /// Dense factors with zeros above their diagonals; the terms without x. Returns the prior.
    double unpack() const {
        double prior = p.constant, most = -1e300, exps = 0;
        for (long c = 0; c < k; ++c) {
            double const *q = logs() + c * p.factor(), *below = q + d;
            double *const f = factors + c * wide * wide, squared = 0, total = 0;
            for (long i = 0; i < d; ++i) {
                f[i * wide + i] = diagonal[c * d + i] = std::exp(q[i]);
                squared += f[i * wide + i] * f[i * wide + i];
                total += q[i];
                for (long j = i + 1; j < d; ++j, ++below) squared += *below * *below, f[j * wide + i] = *below;
            }
            offsets[c] = p.parameters[static_cast<std::size_t>(c)] + total;
            prior += 0.5 * p.gamma * p.gamma * squared - p.m * total;
            most = std::max(most, p.parameters[static_cast<std::size_t>(c)]);
        }
        for (long c = 0; c < k; ++c) exps += std::exp(p.parameters[static_cast<std::size_t>(c)] - most);
        return prior - static_cast<double>(p.points) * (most + std::log(exps));
    }

    /// The block's part of the likelihood; terms become responsibilities (without their division), squares their sums.
    double likelihood(long b) const {
        double const* const points = x + b * wide * block;
        for (long c = 0; c < k; ++c) {
            for (long i = 0; i < d; ++i)
                for (long n = 0; n < block; n += lanes)
                    at(u + i * block + n) = at(points + i * block + n) - means()[c * d + i];
            std::fill_n(+squares, block, 0.0);
            for (long j = 0; j < wide; j += 4)
                four_rows(factors + (c * wide + j) * wide, wide, j + 4, u, block, nullptr,
                          [&](long n, pack const& y0, pack const& y1, pack const& y2, pack const& y3) {
                              at(squares + n) += (y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3);
                          });
            for (long n = 0; n < block; ++n) terms[c * block + n] = offsets[c] - 0.5 * squares[n];
        }
        double* const most = squares;
        std::copy_n(+terms, block, most);
        for (long c = 1; c < k; ++c)
            for (long n = 0; n < block; ++n) most[n] = most[n] < terms[c * block + n] ? terms[c * block + n] : most[n];
        double* const total = totals;
        std::fill_n(total, block, 0.0);
        for (long c = 0; c < k; ++c)
            for (long n = 0; n < block; ++n)
                total[n] += terms[c * block + n] = std::exp(terms[c * block + n] - most[n]);
        long const here = std::min(block, p.points - b * block);
        double part = 0;
        for (long n = 0; n < here; ++n) part += most[n] + std::log(total[n]);
        for (long n = 0; n < block; ++n) squares[n] = n < here ? 1 / total[n] : 0;
        return part;
    }

    double value() const {
        double v = unpack();
        for (long b = 0; b < blocks; ++b) v += likelihood(b);
        return v;
    }

    double gradient(double* g) const {
        double v = unpack(), exps = 0;
        std::fill_n(g, p.parameters.size(), 0.0);
        std::fill_n(+grams, k * tiles * 16 * lanes, 0.0);
        std::fill_n(+sums, k * wide * lanes, 0.0);
        for (long b = 0; b < blocks; ++b) {
            v += likelihood(b);
            for (long c = 0; c < k; ++c) spread(b, c, g);
        }
        for (long c = 0; c < k; ++c) finish(c, g);
        for (long c = 0; c < k; ++c) exps += std::exp(p.parameters[static_cast<std::size_t>(c)]);
        for (long c = 0; c < k; ++c)
            g[c] -= static_cast<double>(p.points) * std::exp(p.parameters[static_cast<std::size_t>(c)]) / exps;
        return v;
    }

    /// Adds the block's sums of r, r u and r uuᵀ of one component; the last as (√r u)(√r u)ᵀ, its lower triangle.
    void spread(long b, long c, double* g) const {
        double *const points = x + b * wide * block, *const r = terms + c * block;
        double shares = 0;
        for (long n = 0; n < block; ++n) shares += r[n] *= squares[n];
        g[c] += shares;
        for (long n = 0; n < block; ++n) r[n] = std::sqrt(r[n]);
        for (long i = 0; i < d; ++i) {
            pack total = at(sums + (c * wide + i) * lanes);
            for (long n = 0; n < block; n += lanes) {
                pack const scaled = (at(points + i * block + n) - means()[c * d + i]) * at(r + n);
                at(u + i * block + n) = scaled;
                total += scaled * at(r + n);
            }
            at(sums + (c * wide + i) * lanes) = total;
        }
        double* tile = grams + c * tiles * 16 * lanes;
        for (long j = 0; j < wide; j += 4)
            for (long i = 0; i <= j; i += 4, tile += 16 * lanes) gram_tile(u + j * block, u + i * block, block, tile);
    }

    /// From the sums to the gradients of one component's parameters.
    void finish(long c, double* g) const {
        double *const s = dense, *const qs = dense + wide * wide, *const f = factors + c * wide * wide;
        double const* tile = grams + c * tiles * 16 * lanes;
        for (long j = 0; j < wide; j += 4)
            for (long i = 0; i <= j; i += 4)
                for (long e = 0; e < 16; ++e, tile += lanes)
                    s[(j + e / 4) * wide + i + e % 4] = s[(i + e % 4) * wide + j + e / 4] = sum(at(tile));
        std::fill_n(qs, wide * wide, 0.0);  // Q S, its lower triangle
        for (long j = 0; j < d; ++j)
            for (long i = 0; i <= j; ++i)
                for (long l = 0; l <= j; ++l) qs[j * wide + l] += f[j * wide + i] * s[i * wide + l];
        double *const mean = g + k + c * d, *const q = g + k * (1 + d) + c * p.factor(), *below = q + d;
        double const weight = p.gamma * p.gamma;
        for (long j = 0; j < d; ++j) {  // Qᵀ Q s
            double y = 0;
            for (long i = 0; i <= j; ++i) y += f[j * wide + i] * sum(at(sums + (c * wide + i) * lanes));
            for (long i = 0; i <= j; ++i) mean[i] += f[j * wide + i] * y;
        }
        for (long i = 0; i < d; ++i) {
            double const e = diagonal[c * d + i];
            q[i] = g[c] - p.m + e * (weight * e - qs[i * wide + i]);
            for (long j = i + 1; j < d; ++j, ++below) *below = weight * f[j * wide + i] - qs[j * wide + i];
        }
    }
};

work mixture_work(mixture const& p) {
    auto const s = std::make_shared<mixture_state>(p);
    return {[s](double* to) { *to = s->value(); }, [s](double* to, double* g) { *to = s->gradient(g); }};
}

// ------------------------------------------------------------------------------------------------------ the network

struct network_state {
    network const& p;
    long block = 128, blocks, wide;  // wide: out up to a multiple of 4
    array x, h, z, dh, most, total, first, second, turned, tiles1, tiles2, bias2;

    explicit network_state(network const& problem)
        : p(problem),
          blocks(p.rows / block),
          wide(up(p.out, 4)),
          x(p.rows * p.in),
          h(p.hidden * block),
          z(wide * block),
          dh(p.hidden * block),
          most(block),
          total(block),
          first(p.hidden * p.in),
          second(wide * p.hidden),
          turned(p.hidden * wide),
          tiles1(p.hidden * p.in * lanes),
          tiles2(wide * p.hidden * lanes),
          bias2(wide) {
        for (long i = 0; i < p.rows; ++i)
            for (long j = 0; j < p.in; ++j)
                x[i / block * p.in * block + j * block + i % block] = p.x[static_cast<std::size_t>(i * p.in + j)];
    }

    double const* w1() const { return p.parameters.data(); }
    double const* b1() const { return w1() + p.hidden * p.in; }
    double const* w2() const { return b1() + p.hidden; }
    double const* b2() const { return w2() + p.out * p.hidden; }

    void unpack() const {
        std::copy_n(w2(), p.out * p.hidden, +second);
        std::copy_n(b2(), p.out, +bias2);
    }

    /// The block's sum of losses; z becomes exp(z - most), total its sum.
    double forward(long b) const {
        auto const rows = [&](double* to, long j) {
            return [=, n = block](long at_, pack const& y0, pack const& y1, pack const& y2, pack const& y3) {
                at(to + j * n + at_) = y0, at(to + (j + 1) * n + at_) = y1;
                at(to + (j + 2) * n + at_) = y2, at(to + (j + 3) * n + at_) = y3;
            };
        };
        for (long j = 0; j < p.hidden; j += 4)
            four_rows(w1() + j * p.in, p.in, p.in, x + b * p.in * block, block, b1() + j, rows(h, j));
        double* const values = h;
        for (long i = 0; i < p.hidden * block; ++i) values[i] = std::tanh(values[i]);
        for (long j = 0; j < wide; j += 4)
            four_rows(second + j * p.hidden, p.hidden, p.hidden, h, block, bias2 + j, rows(z, j));
        double part = 0;
        for (long n = 0; n < block; ++n) part -= z[p.labels[static_cast<std::size_t>(b * block + n)] * block + n];
        double *const top = most, *const all = total;
        std::copy_n(+z, block, top);
        std::fill_n(all, block, 0.0);
        for (long j = 1; j < p.out; ++j) {
            double const* const row = z + j * block;
            for (long n = 0; n < block; ++n) top[n] = top[n] < row[n] ? row[n] : top[n];
        }
        for (long j = 0; j < p.out; ++j) {
            double* const row = z + j * block;
            for (long n = 0; n < block; ++n) all[n] += row[n] = std::exp(row[n] - top[n]);
        }
        for (long n = 0; n < block; ++n) part += top[n] + std::log(all[n]);
        return part;
    }

    double value() const {
        unpack();
        double v = 0;
        for (long b = 0; b < blocks; ++b) v += forward(b);
        return v / static_cast<double>(p.rows);
    }

    double gradient(double* g) const {
        unpack();
        for (long j = 0; j < p.out; ++j)
            for (long i = 0; i < p.hidden; ++i) turned[i * wide + j] = second[j * p.hidden + i];
        std::fill_n(g, p.parameters.size(), 0.0);
        std::fill_n(+tiles1, p.hidden * p.in * lanes, 0.0);
        std::fill_n(+tiles2, wide * p.hidden * lanes, 0.0);
        double *const g1 = g, *const gb1 = g1 + p.hidden * p.in, *const g2 = gb1 + p.hidden,
                      *const gb2 = g2 + p.out * p.hidden;
        double const share = 1 / static_cast<double>(p.rows);
        double v = 0;
        for (long b = 0; b < blocks; ++b) {
            v += forward(b);
            for (long n = 0; n < block; ++n) total[n] = share / total[n];
            for (long j = 0; j < p.out; ++j)
                for (long n = 0; n < block; n += lanes) at(z + j * block + n) *= at(total + n);
            for (long n = 0; n < block; ++n) z[p.labels[static_cast<std::size_t>(b * block + n)] * block + n] -= share;
            for (long j = p.out; j < wide; ++j) std::fill_n(z + j * block, block, 0.0);
            for (long j = 0; j < p.hidden; j += 4)
                four_rows(turned + j * wide, wide, wide, z, block, nullptr,
                          [&](long n, pack const& y0, pack const& y1, pack const& y2, pack const& y3) {
                              pack const* const ys[] = {&y0, &y1, &y2, &y3};
                              for (long r = 0; r < 4; ++r) {
                                  pack const t = at(h + (j + r) * block + n);
                                  at(dh + (j + r) * block + n) = *ys[r] * (1 - t * t);
                              }
                          });
            products(z, p.out, h, p.hidden, tiles2, gb2);
            products(dh, p.hidden, x + b * p.in * block, p.in, tiles1, gb1);
        }
        collect(tiles1, p.hidden, p.in, g1);
        collect(tiles2, p.out, p.hidden, g2);
        return v * share;
    }

    /// Adds the block's u vᵀ to tiles, and the sums of u's rows to the bias.
    void products(double const* u, long rows, double const* v, long columns, double* tiles, double* bias) const {
        for (long j = 0; j < rows; j += 4)
            for (long i = 0; i < columns; i += 4, tiles += 16 * lanes)
                gram_tile(u + j * block, v + i * block, block, tiles);
        for (long j = 0; j < rows; ++j)
            for (long n = 0; n < block; ++n) bias[j] += u[j * block + n];
    }

    static void collect(double const* tiles, long rows, long columns, double* to) {
        for (long j = 0; j < rows; j += 4)
            for (long i = 0; i < columns; i += 4)
                for (long e = 0; e < 16; ++e, tiles += lanes)
                    if (j + e / 4 < rows) to[(j + e / 4) * columns + i + e % 4] = sum(at(tiles));
    }
};

work network_work(network const& p) {
    auto const s = std::make_shared<network_state>(p);
    return {[s](double* to) { *to = s->value(); }, [s](double* to, double* g) { *to = s->gradient(g); }};
}

}  // namespace

bench::contender bench_contender_hand() { return {"hand", __VERSION__, mixture_work, network_work, bundle_work}; }
