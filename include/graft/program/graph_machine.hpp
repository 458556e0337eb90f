// SPDX-License-Identifier: Apache-2.0
// Runs a program: its loops, and a kernel for each vertex that is not element-wise.      (layer 9: program)
#pragma once

#include <graft/kernel/product.hpp>
#include <graft/kernel/rearrange.hpp>
#include <graft/kernel/row_functions.hpp>
#include <graft/program/fused_loop.hpp>
#include <graft/program/graph_plan.hpp>
#include <graft/program/rule_call.hpp>

#include <algorithm>

namespace graft {
namespace detail {

/// Kernels of a program's vertices, on contiguous values.
template <class Program, class T>
struct graph_kernels {
    graph_frame<T> const& f;
    workers const& on;
    static constexpr auto const& g = Program::code;

    sizes_t sizes(int v) const { return f.sizes_of(g.at(v).dims); }
    T* data(int v) const { return f.data[v]; }
    std::int32_t* indices(int v) const { return reinterpret_cast<std::int32_t*>(f.data[v]); }
    /// A vertex as rows × its last axis.
    matrix<T> rows_of(int v) const {
        sizes_t const n = sizes(v);
        index_t const columns = n.rank > 0 ? n[n.rank - 1] : 1;
        return {data(v), columns > 0 ? count(n) / columns : 0, columns, &on};
    }
    double number(int v) const {
        auto const& x = g.at(v);
        return x.what == structure::constant ? x.number
               : x.what == structure::scalar ? f.scalars[x.attribute]
                                             : static_cast<double>(*data(v));
    }

    void matmul(int v) const {
        auto const& x = g.at(v);
        sizes_t const na = sizes(x.in[0]), nb = sizes(x.in[1]), nc = sizes(v);
        index_t const r = nc.rank;
        matrix<T> a{data(x.in[0]), na[r - 2], na[r - 1], &on}, b{data(x.in[1]), nb[r - 2], nb[r - 1], &on};
        matrix<T> c{data(v), nc[r - 2], nc[r - 1], &on};
        bool one_b = true;  // many times the same right side: one taller product
        for (index_t k = 0; k < r - 2; ++k) one_b &= nb[k] == 1;
        index_t batches = count(nc) == 0 ? 0 : count(nc) / (c.rows * c.columns);
        if (one_b && !(x.attribute & 1) && count(na) == batches * a.rows * a.columns)
            a.rows *= batches, c.rows *= batches, batches = std::min<index_t>(batches, 1);
        for (index_t i = 0; i < batches; ++i) {
            index_t left = i, at_a = 0, at_b = 0, step_a = 1, step_b = 1;
            for (index_t k = r - 3; k >= 0 && batches > 1; --k) {
                index_t const here = left % nc[k];
                left /= nc[k];
                if (na[k] > 1) at_a += here * step_a;
                if (nb[k] > 1) at_b += here * step_b;
                step_a *= na[k], step_b *= nb[k];
            }
            matrix<T> const p{a.data + at_a * a.rows * a.columns, a.rows, a.columns, &on};
            matrix<T> const q{b.data + at_b * b.rows * b.columns, b.rows, b.columns, &on};
            matrix<T> const to{c.data + i * c.rows * c.columns, c.rows, c.columns, &on};
            switch (x.attribute & 3) {
                case 0: to = p * q; break;
                case 1: to = t(p) * q; break;
                case 2: to = p * t(q); break;
                default: to = t(p) * t(q); break;
            }
        }
    }

    void permuted(int v) const {
        auto const& x = g.at(v);
        index_t order[most_axes];
        for (index_t k = 0; k < x.dims.rank; ++k) order[k] = static_cast<index_t>(x.attribute >> 3 * k & 7);
        permute(data(v), static_cast<T const*>(data(x.in[0])), sizes(x.in[0]), order);
    }

    index_t width(int table) const {
        sizes_t const n = sizes(table);
        index_t w = 1;
        for (index_t a = 1; a < n.rank; ++a) w *= n[a];
        return w;
    }

    /// All gradients that one pull of a rule gives are written at once.
    void called(int v, T* space) const {
        auto const& x = g.at(v);
        bool const pulls = x.what == structure::pull;
        std::size_t const first = !pulls ? 0 : x.rule->keeps ? 3 : 2;
        rule_frame<T> frame;
        frame.on = &on, frame.space = space;
        for (std::size_t k = first; k < x.inputs; ++k)
            frame.operand[k - first] = rows_of(x.in[k]), frame.sizes[k - first] = sizes(x.in[k]);
        for (int u = 0; u < Program::V; ++u) {
            if (u != v && !one_step(g.at(u), x)) continue;
            if (g.at(u).what == structure::call) frame.y = rows_of(u);
            else if (g.at(u).what == structure::residue) frame.residue = kept(u, frame);
            else frame.gradient[g.at(u).attribute] = rows_of(u).as_fresh();
        }
        if (!pulls) return x.rule->forward(frame);
        frame.dy = rows_of(x.in[0]), frame.y = rows_of(x.in[1]);
        if (x.rule->keeps) frame.residue = kept(x.in[2], frame);
        x.rule->pull(frame);
    }

    /// What a rule keeps from its forward to its pull, as one row.
    matrix<T> kept(int v, rule_frame<T> const& frame) const {
        index_t const n = g.at(v).rule->residue({frame.sizes});
        return {data(v), 1, n, &on};
    }
    /// Numbers of scratch that a rule asks for.
    static constexpr index_t scratch(index_t const* all, int v, index_t lanes) {
        auto const& x = g.at(v);
        sizes_t n[most_inputs];
        auto const operands = sizes_of_operands(g, v, all, n);
        index_t const columns = n[0].rank > 0 ? n[0][n[0].rank - 1] : 1;
        return x.rule->template scratch<T>(
            operands, {columns > 0 ? count(n[0]) / columns : 0, lanes, 0, x.what == structure::pull});
    }

    template <int V>
    void run(T* space) const {
        constexpr vertex x = g.at(V);
        constexpr int a = x.in[0], b = x.in[1], c = x.in[2];
        constexpr auto axis = static_cast<index_t>(x.attribute);
        if constexpr (x.what == structure::matmul) {
            matmul(V);
        } else if constexpr (x.what == structure::permute) {
            permuted(V);
        } else if constexpr (x.what == structure::rows) {
            gather_rows(data(V), static_cast<T const*>(data(a)), sizes(a)[0], width(a),
                        static_cast<std::int32_t const*>(indices(b)), count(sizes(b)));
        } else if constexpr (x.what == structure::add_rows) {
            std::fill_n(data(V), count(sizes(V)), T{});
            add_rows(data(V), sizes(V)[0], width(V), static_cast<T const*>(data(a)),
                     static_cast<std::int32_t const*>(indices(b)), count(sizes(b)));
        } else if constexpr (x.what == structure::pick) {
            auto m = rows_of(a);
            m.rows = count(sizes(V));  // also of rows without a number
            pick(data(V), static_cast<T const*>(m.data), m.rows, m.columns,
                 static_cast<std::int32_t const*>(indices(b)));
        } else if constexpr (x.what == structure::unpick) {
            auto const m = rows_of(V);
            unpick(m.data, static_cast<T const*>(data(a)), m.rows, m.columns,
                   static_cast<std::int32_t const*>(indices(b)));
        } else if constexpr (x.what == structure::concat) {
            index_t const first = sizes(a)[axis], second = sizes(b)[axis];
            put_part(data(V), sizes(V), static_cast<T const*>(data(a)), axis, index_t{0}, first);
            put_part(data(V), sizes(V), static_cast<T const*>(data(b)), axis, first, second);
        } else if constexpr (x.what == structure::part) {
            take_part(data(V), static_cast<T const*>(data(a)), sizes(a), axis, f.size(x.more), sizes(V)[axis]);
        } else if constexpr (x.what == structure::put_part) {
            std::fill_n(data(V), count(sizes(V)), T{});
            put_part(data(V), sizes(V), static_cast<T const*>(data(a)), axis, f.size(x.more), sizes(a)[axis]);
        } else if constexpr (x.what == structure::softmax) {
            softmax(rows_of(V), rows_of(a));
        } else if constexpr (x.what == structure::log_softmax) {
            log_softmax(rows_of(V), rows_of(a));
        } else if constexpr (x.what == structure::rms_norm) {
            rms_norm(rows_of(V), rows_of(a), static_cast<T const*>(data(b)), number(c));
        } else if constexpr (x.what == structure::layer_norm) {
            layer_norm(rows_of(V), rows_of(a), static_cast<T const*>(data(b)), static_cast<T const*>(data(c)),
                       number(x.in[3]));
        } else if constexpr (x.what == structure::argmax) {
            auto m = rows_of(a);
            m.rows = count(sizes(V));
            argmax(indices(V), m);
        } else if constexpr (x.what == structure::dropout) {
            std::int32_t const* const key = indices(c);
            dropout(data(V), static_cast<T const*>(data(a)), count(sizes(V)), number(b),
                    static_cast<std::uint64_t>(static_cast<std::uint32_t>(key[0])),
                    static_cast<std::uint64_t>(static_cast<std::uint32_t>(key[1])));
        } else {
            static_assert(x.what == structure::call || x.what == structure::pull, "a vertex without a kernel");
            called(V, space);
        }
    }
};

/// All steps, in order. `space`: scratch of rules.
template <class Program, class T>
void run_program(graph_frame<T> const& f, workers const& on, T* space) {
    [&]<int... S>(std::integer_sequence<int, S...>) {
        auto const step = [&]<int I>(std::integral_constant<int, I>) {
            if constexpr (Program::steps.at(I).loop) fused_loop<Program, I, T>::run(f);
            else graph_kernels<Program, T>{f, on}.template run<Program::steps.at(I).vertex>(space);
        };
        (step(std::integral_constant<int, S>{}), ...);
    }(std::make_integer_sequence<int, Program::steps.size>{});
}

}  // namespace detail
}  // namespace graft
