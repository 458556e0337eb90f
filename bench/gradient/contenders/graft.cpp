// SPDX-License-Identifier: Apache-2.0
// graft: each problem as an expression; its derivative is what `gradient` makes of it.
#include <graft/program/assign.hpp>
#include <graft/program/prepare_heap.hpp>
#include <graft/program/triangular.hpp>
#include <graft/tensor/tensor.hpp>

#include <memory>
#include <utility>

#include "../problems.hpp"

using bench::work;
using namespace graft;

namespace {

/// Copies a result to where the comparison wants it.
double* put(double* to, auto const& from) {
    for (double x : from.span()) *to++ = x;
    return to;
}
view<double const, any, any> matrix_of(double const* data, long rows, long columns) {
    return {data, {{rows, columns}}};
}
view<double const, any> vector_of(double const* data, long n) { return {data, {{n}}}; }

/// A function and its gradient, prepared once.
template <class Value, class Both, class Put>
work work_of(Value value, Both both, Put put_gradient) {
    return {[f = std::make_shared<Value>(std::move(value))](double* to) { (*f)(), *to = f->value(); },
            [g = std::make_shared<Both>(std::move(both)), put_gradient](double* to, double* derivative) {
                (*g)(), *to = g->value();
                put_gradient(*g, derivative);
            }};
}

// ---------------------------------------------------------------------------------------------- Gaussian mixture
// Points are taken in tiles, so that what lies between a tile's points and its value stays in the cache. Three
// functions: from the parameters to what a tile needs, from that to its value, and back with the tiles' gradients.

/// Where a matrix's numbers lie in a packed factor; above the diagonal, where nothing is read, any number.
template <index_t D>
tensor<std::int32_t, D * D> places() {
    tensor<std::int32_t, D * D> entries;
    for (index_t row = 0; row < D; ++row)
        for (index_t column = 0; column < D; ++column) {
            index_t const before = column * (D - 1) - column * (column - 1) / 2;
            entries(row * D + column) =
                static_cast<std::int32_t>(row > column ? D + before + row - column - 1 : row);
        }
    return entries;
}

template <index_t D>
struct mixture_of {
    static constexpr index_t packed = D * (D + 1) / 2;
    static constexpr symbol<"alphas", any> alphas{};
    static constexpr symbol<"means", any, D> means{};
    static constexpr symbol<"factors", any, packed> factors{};
    static constexpr index_symbol<"entries", D * D> entries{};
    static constexpr symbol<"x", D, any> x{};                // a point in each column
    static constexpr symbol<"stacked", any, D, D> stacked{};  // every Q
    static constexpr symbol<"middle", any, D> middle{};      // every Q mean
    static constexpr symbol<"offsets", any> offsets{};       // alpha + the logarithm of Q's determinant
    static constexpr symbol<"dstacked", any, D, D> dstacked{};
    static constexpr symbol<"dmiddle", any, D> dmiddle{};
    static constexpr symbol<"doffsets", any> doffsets{};

    static constexpr auto by_place = transpose(factors);  // packed × components
    static constexpr auto logarithms = part<0, 0, D>(by_place);
    static constexpr auto numbers = concat<0>(exp(logarithms), part<0, D, packed - D>(by_place));
    static constexpr auto matrices = split_axis<-1, D>(transpose(rows(numbers, entries)));
    static constexpr auto middles = merge_axes<1>(lower_matmul(matrices, insert_axis<2>(means)));
    static constexpr auto offset = alphas + sum<0>(logarithms);
    static constexpr auto term = sum(formula(
        [](auto points, auto q, auto m, auto o) {
            auto const away = lower_matmul(q, points) - insert_axis<2>(m);  // components × D × points
            return log_sum_exp<0>(insert_axis<1>(o) - 0.5 * sum<1>(square(away)));
        },
        x, stacked, middle, offsets));

    bench::mixture const& p;
    index_t tile;                     // a divisor of the points; what a tile makes is at most a few megabytes
    tensor<double, any, any> points;  // tiles × (D · tile)
    tensor<std::int32_t, D * D> place = places<D>();
    tensor<double, any, D, D> dq;
    tensor<double, any, D> dm;
    tensor<double, any> dof;

    explicit mixture_of(bench::mixture const& of)
        : p(of), tile(tile_of(of)), points(of.points / tile, D * tile), dq(of.components), dm(of.components),
          dof(of.components) {
        for (index_t i = 0; i < p.points; i += tile)
            view<double, D, any>(&points(i / tile, 0), {{D, tile}}) =
                transpose(view<double const, any, D>(p.x.data() + i * D, {{tile, D}}));
    }
    static index_t tile_of(bench::mixture const& p) {
        index_t tile = p.points;
        while (tile * p.components * D > 400'000 && tile % 5 == 0) tile /= 5;
        return tile;
    }

    /// The prior: everything that needs no point.
    auto prior() const {
        return 0.5 * p.gamma * p.gamma * sum(square(numbers)) - p.m * sum(logarithms) -
               static_cast<double>(p.points) * log_sum_exp(alphas) + p.constant;
    }
    auto with_parameters(auto const& f, auto const&... more) const {
        double const* const at = p.parameters.data();
        return prepare<double>(f, alphas = vector_of(at, p.components),
                               means = view<double const, any, D>(at + p.components, {{p.components, D}}),
                               factors = view<double const, any, packed>(at + p.components * (1 + D),
                                                                         {{p.components, packed}}),
                               entries = place, more...);
    }
    auto tile_at(index_t i) const { return x = view<double const, D, any>(&points(i, 0), {{D, tile}}); }
    auto with_points(auto const& f, auto const& from) const {
        return prepare<double>(f, tile_at(0), stacked = from.template output<0>(), middle = from.template output<1>(),
                               offsets = from.template output<2>());
    }
};

template <index_t D>
work mixture_work(bench::mixture const& p) {
    using M = mixture_of<D>;
    auto const s = std::make_shared<M>(p);
    auto const shared = [](auto f) { return std::make_shared<decltype(f)>(std::move(f)); };
    auto const set_up = shared(s->with_parameters(function(M::matrices, M::middles, M::offset, s->prior())));
    auto const value = shared(s->with_points(M::term, *set_up));
    auto const both =
        shared(s->with_points(value_and_gradient(M::term, wrt(M::stacked, M::middle, M::offsets)), *set_up));
    auto const back = shared(s->with_parameters(
        gradient(sum(M::dstacked * M::matrices) + sum(M::dmiddle * M::middles) + sum(M::doffsets * M::offset) +
                     s->prior(),
                 wrt(M::alphas, M::means, M::factors)),
        M::dstacked = s->dq, M::dmiddle = s->dm, M::doffsets = s->dof));
    return {[=, &p](double* to) {
                (*set_up)();
                *to = *set_up->template output<3>().data;
                for (index_t i = 0; i < p.points / s->tile; ++i)
                    value->bind(s->tile_at(i)), (*value)(), *to += value->value();
            },
            [=, &p](double* to, double* derivative) {
                (*set_up)();
                *to = *set_up->template output<3>().data;
                s->dq = 0.0, s->dm = 0.0, s->dof = 0.0;
                for (index_t i = 0; i < p.points / s->tile; ++i) {
                    both->bind(s->tile_at(i)), (*both)(), *to += both->value();
                    s->dq += both->gradient(M::stacked), s->dm += both->gradient(M::middle);
                    s->dof += both->gradient(M::offsets);
                }
                (*back)();
                put(put(put(derivative, back->gradient(M::alphas)), back->gradient(M::means)),
                    back->gradient(M::factors));
            }};
}

work log_likelihood(bench::mixture const& p) {
    switch (p.width) {
        case 10: return mixture_work<10>(p);
        case 20: return mixture_work<20>(p);
        case 64: return mixture_work<64>(p);
        default: return {};
    }
}

// ------------------------------------------------------------------------------------------------------- network
work cross_entropy(bench::network const& p) {
    constexpr symbol<"x", any, any> x;
    constexpr symbol<"w1", any, any> w1;
    constexpr symbol<"b1", any> b1;
    constexpr symbol<"w2", any, any> w2;
    constexpr symbol<"b2", any> b2;
    constexpr index_symbol<"labels", any> labels;
    constexpr auto loss = formula(
        [](auto in, auto v1, auto c1, auto v2, auto c2, auto chosen) {
            auto const h = tanh(matmul(in, transpose(v1)) + c1);
            auto const logits = matmul(h, transpose(v2)) + c2;
            return mean(log_sum_exp<-1>(logits) - pick(logits, chosen));
        },
        x, w1, b1, w2, b2, labels);

    auto const chosen = std::make_shared<tensor<std::int32_t, any>>(p.rows);
    for (index_t i = 0; i < p.rows; ++i)
        (*chosen)(i) = static_cast<std::int32_t>(p.labels[static_cast<std::size_t>(i)]);
    double const* at = p.parameters.data();
    double const *at_b1 = at + p.hidden * p.in, *at_w2 = at_b1 + p.hidden, *at_b2 = at_w2 + p.out * p.hidden;
    auto const bind = [&](auto const& f) {
        return prepare<double>(f, x = matrix_of(p.x.data(), p.rows, p.in), w1 = matrix_of(at, p.hidden, p.in),
                               b1 = vector_of(at_b1, p.hidden), w2 = matrix_of(at_w2, p.out, p.hidden),
                               b2 = vector_of(at_b2, p.out), labels = *chosen);
    };
    return work_of(
        bind(loss), bind(value_and_gradient(loss, wrt(w1, b1, w2, b2))), [chosen](auto const& g, double* to) {
            constexpr symbol<"w1", any, any> by_w1;
            constexpr symbol<"b1", any> by_b1;
            constexpr symbol<"w2", any, any> by_w2;
            constexpr symbol<"b2", any> by_b2;
            put(put(put(put(to, g.gradient(by_w1)), g.gradient(by_b1)), g.gradient(by_w2)), g.gradient(by_b2));
        });
}

// ------------------------------------------------------------------------------------------------------ bundles
/// One residual of an observation, as functions of vectors with a number for each observation.
template <int Which>
constexpr auto residual = [](auto r0, auto r1, auto r2, auto c0, auto c1, auto c2, auto f, auto u0, auto u1, auto k1,
                             auto k2, auto x0, auto x1, auto x2, auto weight, auto feature) {
    auto const angle = sqrt(r0 * r0 + r1 * r1 + r2 * r2), inverse = 1.0 / angle;
    auto const s = sin(angle) * inverse, c = cos(angle);
    auto const y0 = x0 - c0, y1 = x1 - c1, y2 = x2 - c2;
    auto const along = (r0 * y0 + r1 * y1 + r2 * y2) * ((1.0 - c) * inverse * inverse);
    auto const z0 = y0 * c + (r1 * y2 - r2 * y1) * s + r0 * along;
    auto const z1 = y1 * c + (r2 * y0 - r0 * y2) * s + r1 * along;
    auto const z2 = y2 * c + (r0 * y1 - r1 * y0) * s + r2 * along;
    auto const nearness = 1.0 / z2, p0 = z0 * nearness, p1 = z1 * nearness, square = p0 * p0 + p1 * p1;
    auto const scale = f * (1.0 + square * (k1 + k2 * square));
    if constexpr (Which == 0) return weight * (scale * p0 + u0 - feature);
    else return weight * (scale * p1 + u1 - feature);
};

template <class S>
auto bundle_program(S) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        constexpr symbol<"feature0", any> f0;
        constexpr symbol<"feature1", any> f1;
        constexpr auto u = formula(residual<0>, typename S::template of<I>{}..., f0);
        constexpr auto v = formula(residual<1>, typename S::template of<I>{}..., f1);
        constexpr auto by = wrt(typename S::template of<I>{}...);
        return std::pair{join(u, v), join(gradient(sum(u), by), u, v, gradient(sum(v), by))};
    }(std::make_index_sequence<bench::bundle::columns>{});
}
struct letters {  // a name for each of the 15 numbers an observation depends on
    template <std::size_t I> static constexpr auto name() {
        constexpr char text[2] = {static_cast<char>('a' + I), 0};
        return label<2>(text);
    }
    template <std::size_t I> using of = symbol<name<I>(), any>;
};

work reprojection(bench::bundle const& p) {
    constexpr index_t columns = bench::bundle::columns, tile = 400;  // observations that stay in the cache
    struct state {
        tensor<double, columns + 2, any> in;  // a row for each number, a column for each observation of the tile
        state() : in(tile) {}
    };
    auto const s = std::make_shared<state>();
    auto const gather = [s, &p](index_t from) {
        for (index_t i = 0; i < tile; ++i) {
            auto const o = static_cast<std::size_t>(from + i);
            double const* const camera = p.camera_parameters.data() + p.camera_of[o] * 11;
            double const* const point = p.point_parameters.data() + p.point_of[o] * 3;
            for (index_t k = 0; k < 11; ++k) s->in(k, i) = camera[k];
            for (index_t k = 0; k < 3; ++k) s->in(11 + k, i) = point[k];
            s->in(14, i) = p.weights[o];
            for (index_t k = 0; k < 2; ++k) s->in(columns + k, i) = p.features[2 * o + static_cast<std::size_t>(k)];
        }
    };
    auto const functions = bundle_program(letters{});
    auto const bind = [&](auto const& f) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            constexpr symbol<"feature0", any> f0;
            constexpr symbol<"feature1", any> f1;
            auto const row = [&](index_t k) { return view<double const, any>(&s->in(k, 0), {{tile}}); };
            auto f_ready = prepare<double>(f, (letters::of<I>{} = row(static_cast<index_t>(I)))..., f0 = row(columns),
                                           f1 = row(columns + 1));
            return std::make_shared<decltype(f_ready)>(std::move(f_ready));
        }(std::make_index_sequence<columns>{});
    };
    auto const value = bind(functions.first);
    auto const both = bind(functions.second);
    auto const residuals = [&p](double* to, index_t from, auto const& u, auto const& v) {
        for (index_t i = 0; i < tile; ++i) to[2 * (from + i)] = u(i), to[2 * (from + i) + 1] = v(i);
        for (index_t i = from; i < from + tile; ++i) {
            double const w = p.weights[static_cast<std::size_t>(i)];
            to[2 * p.observations + i] = 1 - w * w;
        }
    };
    if (p.observations % tile != 0) return {};
    return {[=, &p](double* to) {
                for (index_t from = 0; from < p.observations; from += tile) {
                    gather(from), (*value)();
                    residuals(to, from, value->template output<0>(), value->template output<1>());
                }
            },
            [=, &p](double* to, double* derivative) {
                for (index_t from = 0; from < p.observations; from += tile) {
                    gather(from), (*both)();
                    residuals(to, from, both->template output<columns>(), both->template output<1 + columns>());
                    [&]<std::size_t... I>(std::index_sequence<I...>) {
                        double const* const u[]{both->template output<static_cast<int>(I)>().data...};
                        double const* const v[]{both->template output<2 + columns + static_cast<int>(I)>().data...};
                        for (index_t i = 0; i < tile; ++i, derivative += 2 * columns)
                            for (index_t k = 0; k < columns; ++k)
                                derivative[k] = u[k][i], derivative[columns + k] = v[k][i];
                    }(std::make_index_sequence<columns>{});
                }
                for (index_t i = 0; i < p.observations; ++i)
                    *derivative++ = -2 * p.weights[static_cast<std::size_t>(i)];
            }};
}

}  // namespace

bench::contender bench_contender_graft() { return {"graft", "", log_likelihood, cross_entropy, reprojection}; }
