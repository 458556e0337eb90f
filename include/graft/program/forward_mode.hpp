// SPDX-License-Identifier: Apache-2.0
// Forward mode: from a graph to the graph of its directional derivative.                 (layer 9: program)
#pragma once

#include <graft/program/reverse.hpp>

namespace graft {
namespace detail {

/// Walks a graph forwards and writes, for each vertex, its tangent: how it moves when the inputs move.
struct forward_walk {
    graph_builder& g;
    std::array<int, graph_builder::most> tangent{};  // −1: it does not move

    constexpr explicit forward_walk(graph_builder& on) : g(on) {
        for (auto& x : tangent) x = -1;
    }
    constexpr int& of(int v) { return tangent[static_cast<std::size_t>(v)]; }
    constexpr term at(int v) { return {g, v}; }

    constexpr void set(int v, term t) {
        if (t.id >= 0) of(v) = g.expand(t.id, g.at(v).dims);
    }

    /// Pulls are linear in dy: what pull k makes of the tangent of operand k is that operand's share.
    template <class Op>
    constexpr term share(vertex const& x, int v, std::size_t k) {
        term const t{g, of(x.in[k])}, y{g, v};
        auto const in = [&](std::size_t i) { return term{g, x.in[i]}; };
        if constexpr (Op::arity == 1) return Op::pull(t, y, in(0))[k];
        else if constexpr (Op::arity == 2) return Op::pull(t, y, in(0), in(1))[k];
        else return Op::pull(t, y, in(0), in(1), in(2))[k];
    }

    template <class Elementary>
    constexpr void push(int v) {
        vertex const x = g.at(v);
        bool moves = false;
        for (std::size_t k = 0; k < x.inputs; ++k) moves |= of(x.in[k]) >= 0;
        if (!moves) return;
        int const a = x.in[0], ta = of(a);
        term const y{g, v}, t{g, ta};
        auto const same_on = [&](int operand) {
            vertex s = x;
            s.in[0] = operand;
            return term{g, g.put(s)};
        };
        switch (x.what) {
            case structure::element:
                with_element(Elementary{}, x.element, [&]<class Op>() {
                    term total;
                    for (std::size_t k = 0; k < x.inputs; ++k) {
                        if (of(x.in[k]) < 0) continue;
                        term const s = share<Op>(x, v, k);
                        if (s.id >= 0) total = total.id < 0 ? s : total + s;
                    }
                    set(v, total);
                });
                break;
            case structure::expand: of(v) = g.expand(ta, x.dims); break;
            case structure::reshape: of(v) = g.reshape(ta, x.dims); break;
            case structure::sum: set(v, {g, put_reduction(g, structure::sum, ta, x.attribute)}); break;
            case structure::largest: {
                term const hit = at(a) == y;
                set(v, term{g, put_reduction(g, structure::sum, (t * hit).id, x.attribute)} /
                           term{g, put_reduction(g, structure::sum, hit.id, x.attribute)});
                break;
            }
            case structure::matmul: {
                int const b = x.in[1], tb = of(b);
                term const p = ta < 0 ? term{} : term{g, put_matmul(g, ta, b, x.attribute)};
                term const q = tb < 0 ? term{} : term{g, put_matmul(g, a, tb, x.attribute)};
                set(v, p.id < 0 ? q : q.id < 0 ? p : p + q);
                break;
            }
            case structure::concat: {
                auto const still = [&](int operand) {
                    return of(operand) >= 0 ? of(operand) : g.expand(g.constant(0), g.at(operand).dims);
                };
                of(v) = g.with(structure::concat, {still(a), still(x.in[1])}, x.dims, x.attribute);
                break;
            }
            case structure::permute: case structure::rows: case structure::add_rows: case structure::pick:
            case structure::unpick: case structure::part: case structure::put_part: case structure::dropout:
                if (ta >= 0) set(v, same_on(ta));
                break;
            case structure::softmax: set(v, y * (t - sum<-1>(t * y, keep))); break;
            case structure::log_softmax: set(v, t - sum<-1>(exp(y) * t, keep)); break;
            case structure::call: case structure::pull: case structure::residue:
                g.no_rule_for(v);  // a rule says how gradients are pulled, not how tangents are pushed
                break;
            default: break;
        }
    }
};

}  // namespace detail

/// The directional derivatives of all outputs along `tangents[k]`, an input of the shape of the input `names[k]`:
/// after the old outputs if `with_value`, else instead of them.
template <class Elementary = elementary>
constexpr graph_builder pushed(graph_builder const& from, detail::by const* names, std::string_view const* tangents,
                               int n, bool with_value) {
    graph_builder g =
        detail::lowered(from, [&](unsigned input) { return detail::named_by(from, input, names, n); });
    detail::forward_walk w(g);
    for (int k = 0; k < n; ++k) {
        int const v = g.inputs[static_cast<std::size_t>(detail::find_input(g, names[k].name))].vertex;
        w.of(v) = detail::input_like(g, tangents[k], v);
    }
    int const last = g.count, values = g.output_count;
    for (int v = 0; v < last; ++v)
        if (w.of(v) < 0) w.template push<Elementary>(v);
    if (!with_value) g.output_count = 0;
    auto const old = g.outputs;
    for (int k = 0; k < values; ++k) {
        int const v = old[static_cast<std::size_t>(k)];
        g.outputs[static_cast<std::size_t>(g.output_count++)] =
            w.of(v) >= 0 ? w.of(v) : g.expand(g.constant(0), g.at(v).dims);
    }
    return g;
}

}  // namespace graft
