// SPDX-License-Identifier: Apache-2.0
// Sizes and memory of a program: from its arguments' sizes to the offset of every buffer. (layer 9: program)
#pragma once

#include <graft/base/error.hpp>
#include <graft/memory/buffer.hpp>
#include <graft/program/fusion.hpp>
#include <graft/program/rule_call.hpp>

namespace graft {

/// A traced, fused function: everything about it that does not depend on run-time sizes.
/// `Source::build()` gives its graph.
template <class Source>
struct compiled {
    static constexpr graph_builder built = [] {
        graph_builder g = Source::build();
        if (g.clash)  // of which nothing follows but one message
            for (int k = 0; k < g.output_count; ++k) g.outputs[static_cast<std::size_t>(k)] = g.constant(0);
        return g;
    }();
    static_assert(detail::expects<built.given, built.wanted>::holds);
    static_assert(!built.clash || built.given != built.wanted,
                  "two symbols of one name differ in their extents or kind");
    static constexpr auto code = finished<built>();
    static constexpr auto steps = fuse<code>();
    static constexpr int V = code.size;
};

/// Where the values of a program lie, in one block of `bytes` bytes.
template <int V>
struct graph_plan {
    std::array<index_t, static_cast<std::size_t>(V)> offset{};  // of stored vertices
    index_t bytes = 0;
};

namespace detail {

/// From which step to which a buffer is needed, and whose buffer a vertex takes over (itself: none).
template <int V>
struct buffer_lives {
    std::array<int, static_cast<std::size_t>(V)> born{}, dies{}, home{};
};

/// Does a step that runs vertex x read its input k? A rule's pull says what it reads.
constexpr bool is_read(vertex const& x, std::size_t k) {
    if (x.what != structure::pull || k == 0) return true;
    if (k == 1) return x.rule->reads_value;
    std::size_t const first = x.rule->keeps ? 3 : 2;
    return k < first || (x.rule->reads_operands >> (k - first) & 1);
}
/// The sizes of the operands of a rule's call or pull.
constexpr operand_sizes sizes_of_operands(auto const& g, int v, index_t const* sizes, sizes_t* to) {
    auto const& x = g.at(v);
    std::size_t const first = x.what != structure::pull ? 0 : x.rule->keeps ? 3 : 2;
    for (std::size_t k = first; k < x.inputs; ++k) {
        to[k - first] = {};
        for (dim d : g.at(x.in[k]).dims) to[k - first].push(d.exact() ? d.value : sizes[-1 - d.value]);
    }
    return {to};
}

template <class Program>
constexpr auto find_lives() {
    constexpr auto const& g = Program::code;
    constexpr auto const& p = Program::steps;
    constexpr int V = Program::V;
    buffer_lives<V> r;
    auto const at = [](auto& of, int v) -> int& { return of[static_cast<std::size_t>(v)]; };
    for (int v = 0; v < V; ++v) at(r.home, v) = v, at(r.dies, v) = -1;
    auto const read = [&](int v, int step) {
        int& d = at(r.dies, p.alias[static_cast<std::size_t>(v)]);
        if (d < step) d = step;
    };
    for (int s = 0; s < p.size; ++s) {
        auto const& step = p.at(s);
        if (step.loop) {
            for (int m = step.first; m < step.first + step.count; ++m) {
                auto const& x = p.member(m);
                if (x.does == loop_member::role::load) read(x.vertex, s);
                if (x.stores) at(r.born, x.vertex) = s, read(x.vertex, s);
            }
        } else {
            for (std::size_t k = 0; k < g.at(step.vertex).inputs; ++k)
                if (is_read(g.at(step.vertex), k)) read(g.at(step.vertex).in[k], s);
            for (int v = 0; v < V; ++v)
                if (v == step.vertex || one_step(g.at(v), g.at(step.vertex))) at(r.born, v) = s, read(v, s);
        }
    }
    for (int o : g.outputs) read(o, p.size);
    // A result of a loop may lie where an operand of the same shape lay that dies there: each position is read first.
    for (int s = 0; s < p.size; ++s) {
        auto const& step = p.at(s);
        for (int m = step.first; step.loop && m < step.first + step.count; ++m) {
            auto const& to = p.member(m);
            if (!to.stores || to.does != loop_member::role::compute || to.stretched != 0) continue;
            for (int k = step.first; k < step.first + step.count && at(r.home, to.vertex) == to.vertex; ++k) {
                auto const& from = p.member(k);
                int const v = p.alias[static_cast<std::size_t>(from.vertex)];
                if (from.does != loop_member::role::load || from.stretched != 0 ||
                    !p.stored[static_cast<std::size_t>(v)] || at(r.dies, v) != s)
                    continue;
                bool once = true;  // neither read in another shape here, nor taken already
                for (int l = step.first; l < step.first + step.count; ++l) {
                    auto const& other = p.member(l);
                    if (l != k && other.does == loop_member::role::load &&
                        p.alias[static_cast<std::size_t>(other.vertex)] == v && other.stretched != 0)
                        once = false;
                    if (l != m && other.stores && at(r.home, other.vertex) == at(r.home, v) && other.vertex != v)
                        once = false;
                }
                if (once) at(r.home, to.vertex) = at(r.home, v);
            }
        }
    }
    for (int v = 0; v < V; ++v)
        if (int const h = at(r.home, v); h != v) {
            if (at(r.dies, h) < at(r.dies, v)) at(r.dies, h) = at(r.dies, v);
        }
    return r;
}
template <class Program> inline constexpr auto lives_of = find_lives<Program>();

/// The values of all size variables. A size that is not what another one says, or not what its extent admits, is a
/// caller's mistake (fault::shape): "given" and "wanted" are the two sizes.
template <class Program, std::size_t N>
constexpr void find_sizes(index_t (&sizes)[N], sizes_t const* arguments) {
    constexpr auto const& g = Program::code;
    auto const value = [&](dim d) { return d.exact() ? static_cast<index_t>(d.value) : sizes[-1 - d.value]; };
    for (std::size_t k = 0; k < g.inputs.size(); ++k) {
        auto const& x = g.inputs[k];
        require(arguments[k].rank == x.extents.rank, fault::shape, "function: axes of an argument", arguments[k].rank,
                x.extents.rank);
        for (index_t a = 0; a < x.extents.rank; ++a)
            require(x.extents[a].admits(arguments[k][a]), fault::shape, "function: size of an argument's axis",
                    arguments[k][a], x.extents[a].bound);
    }
    for (std::size_t k = 0; k < g.variables.size(); ++k) {
        auto const& v = g.variables[k];
        switch (v.from) {
            case variable::how::free: sizes[k] = arguments[v.input][v.axis]; break;
            case variable::how::sum: sizes[k] = value(v.a) + value(v.b); break;
            case variable::how::product: sizes[k] = value(v.a) * value(v.b); break;
            case variable::how::quotient:
                require(value(v.a) % value(v.b) == 0, fault::shape, "function: size that is split", value(v.a),
                        value(v.b));
                sizes[k] = value(v.a) / value(v.b);
                break;
        }
        if (v.aliased)
            require(sizes[k] == value(v.as), fault::shape, "function: sizes of two axes that are one", sizes[k],
                    value(v.as));
    }
    for (auto const& x : g.vertices) {
        if (x.what != structure::part) continue;
        auto const a = static_cast<index_t>(x.attribute);
        index_t const whole = value(g.at(x.in[0]).dims[a]), end = value(x.more) + value(x.dims[a]);
        require(end <= whole, fault::bounds, "part: its end", end, whole);
    }
}

/// Offsets of all buffers for these sizes; `element`: bytes of a number.
template <class Program>
constexpr auto plan_graph(index_t const* sizes, index_t element) {
    constexpr auto const& g = Program::code;
    constexpr auto const& lives = lives_of<Program>;
    constexpr int V = Program::V;
    graph_plan<V> r;
    std::array<buffer, static_cast<std::size_t>(V)> all{};
    std::array<buffer*, static_cast<std::size_t>(V)> order{};
    index_t n = 0;
    for (std::size_t v = 0; v < all.size(); ++v) {
        if (!Program::steps.stored[v] || lives.home[v] != static_cast<int>(v)) continue;
        index_t count = g.vertices[v].index ? static_cast<index_t>(sizeof(std::int32_t)) : element;
        if (g.vertices[v].what == structure::residue) {
            sizes_t operands[most_inputs];
            count *= g.vertices[v].rule->residue(sizes_of_operands(g, static_cast<int>(v), sizes, operands));
        } else {
            for (dim d : g.vertices[v].dims) count *= d.exact() ? d.value : sizes[-1 - d.value];
        }
        all[v].bytes = round_up(count, buffer_alignment), all[v].born = lives.born[v], all[v].dies = lives.dies[v];
        order[static_cast<std::size_t>(n++)] = &all[v];
    }
    r.bytes = place(order.data(), n);
    for (std::size_t v = 0; v < all.size(); ++v) r.offset[v] = all[static_cast<std::size_t>(lives.home[v])].offset;
    return r;
}

}  // namespace detail
}  // namespace graft
