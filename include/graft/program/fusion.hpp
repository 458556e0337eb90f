// SPDX-License-Identifier: Apache-2.0
// From a graph to a list of loops and kernels: what is computed together, what is stored. (layer 9: program)
//
// Element-wise vertices are never stored unless somebody needs them in memory: a loop computes them again, in
// registers. Loops of one shape that do not wait for each other are one loop, with several results.
#pragma once

#include <graft/program/graph.hpp>

#include <algorithm>
#include <type_traits>

namespace graft {

/// A vertex's part in one loop.
struct loop_member {
    enum class role : unsigned char { load, number, compute, reduce } does = role::load;
    bool stores = false;
    int vertex = -1;
    std::array<int, 3> in{};  // members that it reads
    unsigned stretched = 0;   // bit a: it has no axis a of the loop, or reduces over it
};

/// A step of the program: a fused loop over the positions of `space`, or one kernel.
struct fused_step {
    bool loop = false;
    int vertex = -1;           // kernel: which
    int stage = 0;
    int first = 0, count = 0;  // loop: its members
    shape<dim> space;
};

/// All steps of a graph of V vertices, in order.
template <int V, int Members>
struct fused_program {
    static constexpr std::size_t most_members = static_cast<std::size_t>(Members > 0 ? Members : 1);
    std::array<fused_step, static_cast<std::size_t>(V) + 1> steps{};
    std::array<loop_member, most_members> members{};
    std::array<bool, static_cast<std::size_t>(V)> stored{};  // has a buffer of its own
    std::array<int, static_cast<std::size_t>(V)> alias{};    // reshape: whose numbers it shows; else itself
    int size = 0, member_count = 0;

    constexpr fused_step const& at(int s) const { return steps[static_cast<std::size_t>(s)]; }
    constexpr loop_member const& member(int m) const { return members[static_cast<std::size_t>(m)]; }
};

namespace detail {

/// The gradients that one pull of a rule gives, and a rule's value and what it keeps, are several vertices of one step.
constexpr bool one_step(vertex const& x, vertex const& y) {
    auto const runs = [](structure w) { return w == structure::call || w == structure::residue; };
    bool const alike = x.what == structure::pull ? y.what == structure::pull : runs(x.what) && runs(y.what);
    return alike && x.same_rule(y) && x.inputs == y.inputs && x.in == y.in;
}

constexpr bool is_leaf(structure w) {
    return w == structure::input || w == structure::scalar || w == structure::constant || w == structure::size;
}
constexpr bool is_element(structure w) { return w == structure::element || w == structure::expand; }
constexpr bool is_reduction(structure w) { return w == structure::sum || w == structure::largest; }

template <class Graph, int Members>
struct fuser {
    Graph const& g;
    static constexpr int V = Graph::size;
    fused_program<V, Members> out{};  // without members, where they are only counted
    std::array<int, static_cast<std::size_t>(V)> stage{};
    std::array<int, static_cast<std::size_t>(V)> place{};  // in the loop that is being written, −1: not there

    constexpr int& stage_of(int v) { return stage[static_cast<std::size_t>(v)]; }
    constexpr bool& stored(int v) { return out.stored[static_cast<std::size_t>(v)]; }
    constexpr bool leaf(int v) const { return is_leaf(g.at(v).what); }
    constexpr bool element(int v) const { return is_element(g.at(v).what); }
    /// Whose buffer a vertex's numbers lie in.
    constexpr int source(int v) const {
        while (g.at(v).what == structure::reshape) v = g.at(v).in[0];
        return v;
    }
    /// The stage from which on a vertex can be read from memory.
    constexpr int ready(int v) {
        int const s = source(v);
        return leaf(s) ? 0 : stage_of(s) + 1;
    }

    constexpr void find_stages() {
        for (int v = 0; v < V; ++v) {
            auto const& x = g.at(v);
            bool const together = is_element(x.what) || is_reduction(x.what);
            for (int k = 0; k < x.inputs; ++k) {
                int const i = x.in[static_cast<std::size_t>(k)];
                auto const& space = is_reduction(x.what) ? g.at(x.in[0]).dims : x.dims;
                bool const inlined = together && element(i) && g.at(i).dims == space;
                stage_of(v) = std::max(stage_of(v), inlined ? stage_of(i) : ready(i));
                if (!inlined && !leaf(source(i))) stored(source(i)) = true;
            }
            if (!leaf(v) && !is_element(x.what) && x.what != structure::reshape) stored(v) = true;
            out.alias[static_cast<std::size_t>(v)] = source(v);
        }
        for (int o : g.outputs)
            if (!leaf(source(o))) stored(source(o)) = true;
    }

    constexpr shape<dim> const& space_of(int v) const {
        auto const& x = g.at(v);
        return is_reduction(x.what) ? g.at(x.in[0]).dims : x.dims;
    }

    constexpr unsigned stretched(shape<dim> const& dims, shape<dim> const& space) const {
        unsigned mask = 0;
        index_t const ahead = space.rank - dims.rank;
        for (index_t a = 0; a < space.rank; ++a)
            if (a < ahead || (dims[a - ahead].value == 1 && space[a].value != 1)) mask |= 1u << a;
        return mask;
    }

    /// The member of the current loop that holds a vertex; written, with what it needs, if it is not there yet.
    constexpr int member(int v, fused_step const& s) {
        int& at = place[static_cast<std::size_t>(v)];
        if (at >= 0) return at;
        auto const& x = g.at(v);
        loop_member m;
        m.vertex = v;
        bool const loads = !element(v) || (stored(v) && stage_of(v) < s.stage);
        if (x.what == structure::scalar || x.what == structure::constant || x.what == structure::size) {
            m.does = loop_member::role::number;
        } else if (loads && !(is_reduction(x.what) && stage_of(v) == s.stage && space_of(v) == s.space)) {
            m.stretched = stretched(x.dims, s.space);
        } else {
            m.does = is_reduction(x.what) ? loop_member::role::reduce : loop_member::role::compute;
            for (std::size_t k = 0; k < x.inputs; ++k) m.in[k] = member(x.in[k], s);
            m.stretched = stretched(x.dims, s.space);
        }
        at = out.member_count - s.first;
        if (out.member_count < Members) out.members[static_cast<std::size_t>(out.member_count)] = m;
        ++out.member_count;
        return at;
    }

    constexpr fused_program<V, Members> run() {
        find_stages();
        int last = 0;
        for (int v = 0; v < V; ++v) last = std::max(last, stage_of(v));
        for (int now = 0; now <= last; ++now) {
            std::array<bool, static_cast<std::size_t>(V)> done{};
            for (int v = 0; v < V; ++v) {
                if (done[static_cast<std::size_t>(v)] || !stored(v) || stage_of(v) != now) continue;
                auto const& x = g.at(v);
                fused_step s;
                s.stage = now, s.vertex = v;
                if (element(v) || is_reduction(x.what)) {
                    s.loop = true, s.space = space_of(v), s.first = out.member_count;
                    for (auto& p : place) p = -1;
                    for (int u = v; u < V; ++u) {
                        bool const joins = stored(u) && stage_of(u) == now && space_of(u) == s.space &&
                                           (element(u) || is_reduction(g.at(u).what));
                        if (!joins) continue;
                        int const m = s.first + member(u, s);
                        if (m < Members) out.members[static_cast<std::size_t>(m)].stores = true;
                        done[static_cast<std::size_t>(u)] = true;
                    }
                    s.count = out.member_count - s.first;
                } else {
                    for (int u = v; u < V; ++u)
                        if (one_step(x, g.at(u))) done[static_cast<std::size_t>(u)] = true;
                }
                out.steps[static_cast<std::size_t>(out.size++)] = s;
            }
        }
        return out;
    }
};

}  // namespace detail

/// What runs, in which order, and which vertices have buffers.
template <auto const& Graph>
constexpr auto fuse() {
    using G = std::remove_cvref_t<decltype(Graph)>;
    constexpr int members = detail::fuser<G, 0>{Graph}.run().member_count;
    return detail::fuser<G, members>{Graph}.run();
}

namespace detail {
using vertex_flags = std::array<bool, graph_builder::most>;

/// The vertices that outputs need, and all inputs.
constexpr vertex_flags needed_in(graph_builder const& g) {
    vertex_flags needed{};
    for (int k = 0; k < g.output_count; ++k)
        needed[static_cast<std::size_t>(g.outputs[static_cast<std::size_t>(k)])] = true;
    for (int k = 0; k < g.input_count; ++k)
        needed[static_cast<std::size_t>(g.inputs[static_cast<std::size_t>(k)].vertex)] = true;
    for (int u = g.count; u-- > 0;)
        if (needed[static_cast<std::size_t>(u)])
            for (std::size_t k = 0; k < g.at(u).inputs; ++k) needed[static_cast<std::size_t>(g.at(u).in[k])] = true;
    return needed;
}
constexpr int count_of(vertex_flags const& flags) {
    int n = 0;
    for (bool b : flags) n += b;
    return n;
}
template <class Graph>
constexpr Graph without_the_rest(graph_builder const& from, vertex_flags const& needed) {
    Graph g;
    std::array<int, graph_builder::most> now{};
    for (int u = 0, n = 0; u < from.count; ++u) {
        if (!needed[static_cast<std::size_t>(u)]) continue;
        vertex x = from.at(u);
        x.dims = from.resolved(x.dims), x.more = from.resolved(x.more);
        for (std::size_t k = 0; k < x.inputs; ++k) x.in[k] = now[static_cast<std::size_t>(x.in[k])];
        now[static_cast<std::size_t>(u)] = n;
        g.vertices[static_cast<std::size_t>(n++)] = x;
    }
    for (std::size_t k = 0; k < g.variables.size(); ++k) g.variables[k] = from.variables[k];
    for (std::size_t k = 0; k < g.inputs.size(); ++k) {
        g.inputs[k] = from.inputs[k];
        g.inputs[k].vertex = now[static_cast<std::size_t>(g.inputs[k].vertex)];
    }
    for (std::size_t k = 0; k < g.outputs.size(); ++k) g.outputs[k] = now[static_cast<std::size_t>(from.outputs[k])];
    g.scalars = from.scalars;
    return g;
}
}  // namespace detail

/// A graph as it was built, without what no output needs.
template <graph_builder const& From>
constexpr auto finished() {
    constexpr auto needed = detail::needed_in(From);
    return detail::without_the_rest<
        graph<detail::count_of(needed), From.variable_count, From.input_count, From.output_count>>(From, needed);
}

}  // namespace graft
