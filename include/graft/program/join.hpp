// SPDX-License-Identifier: Apache-2.0
// Several functions as one: what they share is computed once.                            (layer 9: program)
#pragma once

#include <graft/program/function.hpp>

namespace graft {
namespace detail {

/// Appends a graph to another: arguments of one name are one, equal vertices are computed once.
constexpr void append(graph_builder& g, graph_builder const& more) {
    std::array<int, graph_builder::most> now{};
    std::array<dim, graph_builder::most_variables> size{};
    auto const of = [&](dim d) { return d.exact() ? d : size[static_cast<std::size_t>(-1 - d.value)]; };
    auto const of_all = [&](shape<dim> s) {
        for (dim& d : s) d = of(d);
        return s;
    };
    int const scalars = g.scalars, inputs = g.input_count;
    std::array<int, graph_builder::most_outputs> input{};
    for (int k = 0; k < more.input_count; ++k) {
        auto const& x = more.inputs[static_cast<std::size_t>(k)];
        int at = x.name.empty() ? -1 : find_input(g, x.name);
        if (at >= 0) {
            auto const& there = g.inputs[static_cast<std::size_t>(at)];
            if (there.index != x.index) g.slipped(slip::names, x.index, there.index);
            g.same_extents(x.extents, there.extents);
        }
        if (at < 0) at = g.input_count, g.inputs[static_cast<std::size_t>(g.input_count++)] = x;
        input[static_cast<std::size_t>(k)] = at;
    }
    for (int k = 0; k < more.variable_count; ++k) {
        variable v = more.variables[static_cast<std::size_t>(k)];
        dim& d = size[static_cast<std::size_t>(k)];
        int const place = v.input < 0 ? -1 : input[static_cast<std::size_t>(v.input)];
        if (v.from == variable::how::free && place < inputs) {  // that of the argument which is there
            d = g.at(g.inputs[static_cast<std::size_t>(place)].vertex).dims[v.axis];
        } else {
            v.a = of(v.a), v.b = of(v.b), v.input = place;
            bool const aliased = v.aliased;
            dim const as = aliased ? of(v.as) : dim{};
            v.aliased = false, v.as = {};
            d = g.new_variable(v);
            if (aliased) g.meet(as, d);
            continue;
        }
        if (v.aliased) g.meet(of(v.as), d);
    }
    for (int v = 0; v < more.count; ++v) {
        vertex x = more.at(v);
        x.dims = of_all(x.dims), x.more = of(x.more);
        for (std::size_t k = 0; k < x.inputs; ++k) x.in[k] = now[static_cast<std::size_t>(x.in[k])];
        int& id = now[static_cast<std::size_t>(v)];
        if (x.what == structure::input) {
            auto const at = static_cast<unsigned>(input[x.attribute]);
            if (static_cast<int>(at) < inputs) {
                id = g.inputs[at].vertex;
            } else {
                x.attribute = at;
                id = g.inputs[at].vertex = g.put(x);
            }
        } else {
            if (x.what == structure::scalar) x.attribute += static_cast<unsigned>(scalars);
            id = g.put(x);
        }
    }
    g.scalars = scalars + more.scalars;
    for (int k = 0; k < more.output_count; ++k)
        g.outputs[static_cast<std::size_t>(g.output_count++)] =
            now[static_cast<std::size_t>(more.outputs[static_cast<std::size_t>(k)])];
}

template <class... Source>
struct joined_of {
    static constexpr graph_builder build() { return written<joined_of>; }
    static constexpr graph_builder write() {
        graph_builder g;
        (append(g, compiled<Source>::built), ...);
        return g;
    }
};

constexpr bool all_named(graph_builder const& g) {
    for (int k = 0; k < g.input_count; ++k)
        if (g.inputs[static_cast<std::size_t>(k)].name.empty()) return false;
    return true;
}

}  // namespace detail

/// Several functions as one, which has all their outputs and computes what they share once: a Jacobian by rows is
/// `join(gradient(sum(r), by), gradient(sum(s), by))`.
template <class... F>
constexpr auto join(F const&... f) {
    using source = detail::joined_of<typename decltype(function(f))::source...>;
    if constexpr (detail::sound<source>::holds) {
        function_of<source> r;
        std::size_t numbers = 0;
        auto const take = [&](auto const& g) {
            for (double x : g.numbers) r.numbers[numbers++] = x;
            constexpr auto const& from = std::remove_cvref_t<decltype(g)>::program::built;
            constexpr auto const& all = function_of<source>::program::built;
            static_assert(detail::all_named(from), "what is joined names its tensors: named<\"a\">(A)");
            for (std::size_t k = 0; k < g.own.size(); ++k)
                if (g.own[k].bytes_of_number != 0)
                    r.own[static_cast<std::size_t>(detail::find_input(all, from.inputs[k].name))] = g.own[k];
        };
        (take(function(f)), ...);
        return r;
    } else return function_of<detail::faulty>{};
}

}  // namespace graft
