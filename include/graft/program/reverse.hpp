// SPDX-License-Identifier: Apache-2.0
// Reverse mode: from a graph to the graph of its gradients, in the same operations.      (layer 9: program)
#pragma once

#include <graft/program/rule_call.hpp>
#include <graft/program/term.hpp>

namespace graft {
namespace detail {

/// Walks a graph backwards and writes, for each vertex that matters, dy: the gradient of the output with respect to
/// it. Gradients are terms like any other, so that they can be differentiated again.
struct reverse_walk {
    graph_builder& g;
    std::array<int, graph_builder::most> gradient{};  // of each vertex, −1: none yet
    std::array<signed char, graph_builder::most> wanted{};  // does it depend on what we differentiate by? −1: unknown

    constexpr explicit reverse_walk(graph_builder& on) : g(on) {
        for (auto& x : gradient) x = -1;
        for (auto& x : wanted) x = -1;
    }

    std::array<bool, graph_builder::most> sparse{};  // a table whose gradient stays the rows that were looked up

    constexpr void mark(int v, bool stays_rows) {
        wanted[static_cast<std::size_t>(v)] = 1;
        sparse[static_cast<std::size_t>(v)] = stays_rows;
    }
    constexpr bool matters(int v) {
        signed char& w = wanted[static_cast<std::size_t>(v)];
        if (w >= 0) return w == 1;
        w = 0;
        auto const& x = g.at(v);
        for (std::size_t k = 0; k < x.inputs; ++k)
            if (matters(x.in[k])) w = 1;
        return w == 1;
    }
    constexpr int& of(int v) { return gradient[static_cast<std::size_t>(v)]; }
    constexpr term at(int v) { return {g, v}; }

    /// Adds t, which may be stretched from or to the operand's shape, to the gradient of v; `full`: the shape t has.
    constexpr void add(int v, term t, shape<dim> const& full) {
        if (t.id < 0 || !matters(v)) return;
        auto const dims = g.at(v).dims;
        shape<dim> aligned;  // dims, with ones before it
        for (index_t k = 0; k < full.rank; ++k)
            aligned.push(k < full.rank - dims.rank ? dim{1} : dims[k - (full.rank - dims.rank)]);
        int x = t.id;
        if (unsigned const mask = g.stretched(aligned, full); mask != 0)
            x = put_reduction(g, structure::sum, g.expand(x, full), mask);
        if (dims.rank < full.rank && !g.is_number(x)) x = g.reshape(g.expand(x, aligned), dims);
        x = g.expand(x, dims);
        of(v) = of(v) < 0 ? x : g.expand(put_element(g, element_number<add_>, {of(v), x}), dims);
    }
    constexpr void add(int v, int t) { add(v, {g, t}, g.at(v).dims); }

    template <class Elementary = elementary>
    constexpr void walk(int root) {
        for (int v = root; v >= 0; --v)
            if (of(v) >= 0 && matters(v)) pull<Elementary>(v);
    }

    template <class Op>
    constexpr auto partials(vertex const& x, term dy, int y) {
        auto const in = [&](std::size_t k) { return term{g, x.in[k]}; };
        if constexpr (Op::arity == 1) return Op::pull(dy, at(y), in(0));
        else if constexpr (Op::arity == 2) return Op::pull(dy, at(y), in(0), in(1));
        else return Op::pull(dy, at(y), in(0), in(1), in(2));
    }

    /// The gradient that a rule's pull gives operand k of the call v: of dy, y, what the rule kept, and the operands.
    constexpr int pull_of_rule(int v, std::size_t k) {
        vertex const x = g.at(v);
        vertex kept = x, p;
        p.what = structure::pull, p.rule = x.rule, p.kind = x.kind, p.attribute = static_cast<unsigned>(k);
        p.dims = g.at(x.in[k]).dims, p.in[p.inputs++] = in_memory(g, of(v)), p.in[p.inputs++] = v;
        if (x.rule->keeps) {
            kept.what = structure::residue, kept.dims = {}, kept.dims.push(dim{0});  // the rule says how much it keeps
            p.in[p.inputs++] = g.put(kept);
        }
        for (std::size_t i = 0; i < x.inputs; ++i) p.in[p.inputs++] = x.in[i];
        return g.put(p);
    }

    /// A template, as what calls it, so that a program without derivatives does not pay for them when it is compiled.
    template <class Elementary>
    constexpr void pull(int v) {
        vertex const x = g.at(v);
        term const dy{g, of(v)}, y{g, v};
        int const a = x.inputs > 0 ? x.in[0] : -1, b = x.inputs > 1 ? x.in[1] : -1;
        switch (x.what) {
            case structure::element:
                with_element(Elementary{}, x.element, [&]<class Op>() {
                    auto const p = partials<Op>(x, dy, v);
                    for (std::size_t k = 0; k < p.size(); ++k) add(x.in[k], p[k], x.dims);
                });
                break;
            case structure::expand: add(a, dy, x.dims); break;
            case structure::reshape: add(a, g.reshape(dy.id, g.at(a).dims)); break;
            case structure::sum: add(a, g.expand(dy.id, g.at(a).dims)); break;
            case structure::largest: {  // equal ones share
                term const hit = at(a) == y;
                add(a, dy * hit / term{g, put_reduction(g, structure::sum, hit.id, x.attribute)}, g.at(a).dims);
                break;
            }
            case structure::matmul: {
                bool const ta = x.attribute & 1, tb = x.attribute & 2;
                auto const product = [&](int p, int q, bool tp, bool tq) {
                    return put_matmul(g, p, q, (tp ? 1u : 0u) | (tq ? 2u : 0u));
                };
                if (matters(a)) {
                    int const da = ta ? product(b, dy.id, tb, true) : product(dy.id, b, false, !tb);
                    add(a, at(da), g.at(da).dims);
                }
                if (matters(b)) {
                    int const db = tb ? product(dy.id, a, true, ta) : product(a, dy.id, !ta, false);
                    add(b, at(db), g.at(db).dims);
                }
                break;
            }
            case structure::permute: {
                unsigned back = 0;
                for (index_t k = 0; k < x.dims.rank; ++k)
                    back |= static_cast<unsigned>(k) << 3 * (x.attribute >> 3 * k & 7);
                add(a, g.with(structure::permute, {dy.id}, g.at(a).dims, back));
                break;
            }
            case structure::rows:
                if (sparse[static_cast<std::size_t>(a)]) of(a) = dy.id;
                else add(a, g.with(structure::add_rows, {in_memory(g, dy.id), b}, g.at(a).dims));
                break;
            case structure::add_rows: add(a, g.with(structure::rows, {in_memory(g, dy.id), b}, g.at(a).dims)); break;
            case structure::pick: add(a, g.with(structure::unpick, {in_memory(g, dy.id), b}, g.at(a).dims)); break;
            case structure::unpick: add(a, g.with(structure::pick, {in_memory(g, dy.id), b}, g.at(a).dims)); break;
            case structure::concat:
                add(a, g.with(structure::part, {dy.id}, g.at(a).dims, x.attribute));
                add(b, g.with(structure::part, {dy.id}, g.at(b).dims, x.attribute,
                              g.at(a).dims[static_cast<index_t>(x.attribute)]));
                break;
            case structure::part:
                add(a, g.with(structure::put_part, {dy.id}, g.at(a).dims, x.attribute, x.more));
                break;
            case structure::put_part:
                add(a, g.with(structure::part, {dy.id}, g.at(a).dims, x.attribute, x.more));
                break;
            case structure::softmax: add(a, y * (dy - sum<-1>(dy * y, keep)), x.dims); break;
            case structure::log_softmax: add(a, dy - exp(y) * sum<-1>(dy, keep), x.dims); break;
            case structure::dropout: add(a, g.with(structure::dropout, {dy.id, b, x.in[2]}, x.dims)); break;
            case structure::call:
                for (std::size_t k = 0; k < x.inputs; ++k)
                    if (matters(x.in[k])) add(x.in[k], pull_of_rule(v, k));
                break;
            case structure::pull: case structure::residue: g.no_rule_for(v); break;
            default: break;
        }
    }
};

/// The same graph, in which what depends on a wanted input and can say itself in other operations does so.
constexpr graph_builder lowered(graph_builder const& from, auto const& wanted) {
    graph_builder g;
    g.variables = from.variables, g.variable_count = from.variable_count;
    g.inputs = from.inputs, g.input_count = from.input_count;
    g.scalars = from.scalars;
    std::array<int, graph_builder::most> now{};
    std::array<bool, graph_builder::most> matters{};
    for (int v = 0; v < from.count; ++v) {
        vertex x = from.at(v);
        auto const slot = static_cast<std::size_t>(v);
        if (x.what == structure::input) matters[slot] = wanted(x.attribute);
        for (std::size_t k = 0; k < x.inputs; ++k) {
            matters[slot] |= matters[static_cast<std::size_t>(x.in[k])];
            x.in[k] = now[static_cast<std::size_t>(x.in[k])];
        }
        auto const in = [&](std::size_t k) { return term{g, x.in[k]}; };
        int& id = now[slot];
        if (matters[slot] && x.what == structure::rms_norm) id = rms_norm_op::expand(in(0), in(1), in(2)).id;
        else if (matters[slot] && x.what == structure::layer_norm)
            id = layer_norm_op::expand(in(0), in(1), in(2), in(3)).id;
        else id = g.put(x);
        if (x.what == structure::input) g.inputs[x.attribute].vertex = id;
    }
    for (int k = 0; k < from.output_count; ++k)
        g.outputs[static_cast<std::size_t>(g.output_count++)] =
            now[static_cast<std::size_t>(from.outputs[static_cast<std::size_t>(k)])];
    return g;
}

/// A name that a derivative is taken by, or a place of the inputs; `sparse`: rows of a table as they were looked up.
struct by {
    std::string_view name;
    bool sparse = false;
};

constexpr bool named_by(graph_builder const& g, unsigned input, by const* names, int n) {
    for (int k = 0; k < n; ++k)
        if (g.inputs[input].name == names[k].name) return true;
    return false;
}

/// The vertex that looks rows of an input up, where nothing else reads the input; else −1.
constexpr int only_lookup(graph_builder const& g, std::string_view name) {
    int const table = g.inputs[static_cast<std::size_t>(find_input(g, name))].vertex;
    int found = -1, readers = 0;
    for (int v = 0; v < g.count; ++v)
        for (std::size_t k = 0; k < g.at(v).inputs; ++k) {
            if (g.at(v).in[k] != table) continue;
            ++readers;
            if (g.at(v).what == structure::rows && k == 0) found = v;
        }
    return readers == 1 ? found : -1;
}

/// Appends an input that has the shape of vertex v.
constexpr int input_like(graph_builder& g, std::string_view name, int v) {
    if (int const k = find_input(g, name); k >= 0) {
        int const there = g.inputs[static_cast<std::size_t>(k)].vertex;
        auto const is = g.at(there).dims, wanted = g.at(v).dims;
        if (is.rank != wanted.rank) g.mistake(is.rank, wanted.rank);
        for (index_t a = 0; a < is.rank && a < wanted.rank; ++a) g.meet(is[a], wanted[a]);
        g.are_numbers({there});
        return there;
    }
    vertex x;
    x.what = structure::input, x.attribute = static_cast<unsigned>(g.input_count);
    shape<extent> e;
    auto const dims = g.resolved(g.at(v).dims);
    for (index_t a = 0; a < dims.rank; ++a) {
        dim const d = dims[a];
        e.push(d.exact() ? extent{d.value} : any);
        if (d.exact()) x.dims.push(d);
        else {
            dim const mine = g.new_variable({variable::how::free, {}, {}, g.input_count, static_cast<int>(a)});
            g.variables[static_cast<std::size_t>(-1 - mine.value)].aliased = true;
            g.variables[static_cast<std::size_t>(-1 - mine.value)].as = d;
            x.dims.push(d);
        }
    }
    int const id = g.put(x);
    g.inputs[static_cast<std::size_t>(g.input_count++)] = {name, e, false, id};
    return id;
}

}  // namespace detail

/// The gradients of the first output by the inputs named, as outputs: after the old outputs if `with_value`, else
/// instead of them. `cotangent`: the name of an input that holds the output's gradient; empty: the output is one
/// number, and its gradient 1.
template <class Elementary = elementary>
constexpr graph_builder reversed(graph_builder const& from, detail::by const* names, int n, bool with_value,
                                 std::string_view cotangent = {}) {
    graph_builder g =
        detail::lowered(from, [&](unsigned input) { return detail::named_by(from, input, names, n); });
    detail::reverse_walk w(g);
    for (int k = 0; k < n; ++k) {
        int const i = detail::find_input(g, names[k].name);
        int const v = g.inputs[static_cast<std::size_t>(i)].vertex;
        w.mark(v, names[k].sparse);
    }
    int const root = g.outputs[0];
    int const seed = cotangent.empty() ? g.constant(1) : detail::input_like(g, cotangent, root);
    w.of(root) = cotangent.empty() ? g.expand(seed, g.at(root).dims) : seed;
    if (w.matters(root)) w.template walk<Elementary>(root);
    if (!with_value) g.output_count = 0;
    for (int k = 0; k < n; ++k) {
        int const v = g.inputs[static_cast<std::size_t>(detail::find_input(g, names[k].name))].vertex;
        auto const& dims = names[k].sparse ? from.at(detail::only_lookup(from, names[k].name)).dims : g.at(v).dims;
        int const d = w.of(v);
        g.outputs[static_cast<std::size_t>(g.output_count++)] = d >= 0 ? d : g.expand(g.constant(0), dims);
    }
    return g;
}

}  // namespace graft
