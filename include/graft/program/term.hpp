// SPDX-License-Identifier: Apache-2.0
// Tracing: the functions that build expressions, called with terms, write a graph.       (layer 9: program)
#pragma once

#include <graft/program/sound.hpp>
#include <graft/program/symbol.hpp>

namespace graft {

/// A vertex of a graph that is being written. All operators and functions of operands take terms.
struct term : operand {
    struct traced {};
    graph_builder* g = nullptr;
    int id = -1;

    constexpr term() = default;
    constexpr term(graph_builder& on, int vertex) : g(&on), id(vertex) {}
    constexpr vertex const& operator*() const { return g->at(id); }
};

namespace detail {

template <class Op, class List> inline constexpr int place_in = -1;
template <class Op, class... All>
inline constexpr int place_in<Op, op_list<All...>> = [] {
    int at = 0, found = -1;
    ((std::is_same_v<Op, All> ? void(found = at) : void(), ++at), ...);
    return found;
}();
template <class Op> inline constexpr int element_number = place_in<Op, elementary>;

/// Calls f.operator()<Op>() for the element-wise function of a number.
template <class... Op>
constexpr void with_element(op_list<Op...>, int number, auto&& f) {
    int at = 0;
    ((at++ == number ? void(f.template operator()<Op>()) : void()), ...);
}

constexpr int put_element(graph_builder& g, int op, std::initializer_list<int> operands);

/// Arithmetic on numbers that are known: 1 · x and the like vanish.
constexpr int folded(graph_builder& g, int op, int const* in) {
    auto const known = [&](int k, double x) { return g.is_constant(in[k]) && g.at(in[k]).number == x; };
    bool const both = g.is_constant(in[0]) && (op == element_number<neg_> || g.is_constant(in[1]));
    double const a = g.at(in[0]).number, b = op == element_number<neg_> ? 0 : g.at(in[1]).number;
    switch (op) {
        case element_number<neg_>: return both ? g.constant(-a) : -1;
        case element_number<add_>: return both ? g.constant(a + b) : known(0, 0) ? in[1] : known(1, 0) ? in[0] : -1;
        case element_number<sub_>: return both ? g.constant(a - b) : known(1, 0) ? in[0] : -1;
        case element_number<mul_>: return both ? g.constant(a * b) : known(0, 1) ? in[1] : known(1, 1) ? in[0] : -1;
        case element_number<div_>:
            return both ? g.constant(a / b) : known(1, 1) ? in[0]
                   : known(0, 1) ? put_element(g, element_number<inverse_>, {in[1]}) : -1;
        default: return -1;
    }
}

/// An element-wise vertex. Stretched operands are read where they are; the result is stretched last.
constexpr int put_element(graph_builder& g, int op, std::initializer_list<int> operands) {
    g.are_numbers(operands);
    int in[4]{}, n = 0;
    shape<dim> full;
    for (int x : operands) full = broadcast(g, full, g.dims_of(x));
    shape<dim> small;
    for (int x : operands) {
        in[n] = g.stripped(g.padded(x, full.rank));
        small = broadcast(g, small, g.dims_of(in[n++]));
    }
    int result = n <= 2 && op <= element_number<div_> ? folded(g, op, in) : -1;
    if (result < 0) {
        vertex v;
        v.what = structure::element, v.element = static_cast<unsigned char>(op), v.dims = small;
        for (int k = 0; k < n; ++k) v.in[v.inputs++] = in[k];
        result = g.put(v);
    }
    return g.expand(result, full);
}

/// v, where a kernel can read it: a number of the program is written to memory first.
constexpr int in_memory(graph_builder& g, int v) {
    structure const what = g.at(v).what;
    bool const number = what == structure::scalar || what == structure::constant || what == structure::size;
    return number ? put_element(g, element_number<detach_>, {v}) : v;
}

/// A reduction with axes kept; over what was only stretched, a sum is a multiplication.
constexpr int put_reduction(graph_builder& g, structure what, int x, unsigned mask) {
    g.are_numbers({x});
    auto const full = g.dims_of(x);
    shape<dim> dims = with_ones(g, full, mask);
    if (g.same(dims, full)) return x;
    if (g.at(x).what == structure::expand) {
        int const u = g.padded(g.at(x).in[0], full.rank);
        unsigned const only = g.is_number(u) ? mask : g.stretched(g.at(u).dims, full) & mask;
        if (only != 0) {
            int const rest = mask == only || g.is_number(u) ? u : put_reduction(g, what, u, mask & ~only);
            if (what == structure::largest) return g.expand(rest, dims);
            int const scaled = put_element(g, element_number<mul_>, {rest, g.positions(full, only)});
            return g.expand(scaled, dims);
        }
    }
    return g.with(what, {x}, dims, mask);
}

/// A product of matrices; a transposed operand is read as it lies.
constexpr int put_matmul(graph_builder& g, int a, int b, unsigned flags = 0) {
    g.are_numbers({a, b});
    auto const swaps_last_two = [&](int v) {
        auto const& x = g.at(v);
        return x.what == structure::permute && x.attribute == transpose_::attribute(x.dims.rank);
    };
    if (swaps_last_two(a)) a = g.at(a).in[0], flags ^= 1;
    if (swaps_last_two(b)) b = g.at(b).in[0], flags ^= 2;
    auto da = g.dims_of(a), db = g.dims_of(b);
    if (flags & 1) std::swap(da[da.rank - 1], da[da.rank - 2]);
    if (flags & 2) std::swap(db[db.rank - 1], db[db.rank - 2]);
    auto const dims = matmul_::shape_of(g, da, db);
    return g.with(structure::matmul, {g.padded(a, dims.rank), g.padded(b, dims.rank)}, dims, flags);
}

/// Is every operand between the first and the last, a number, a vector as long as the first one's rows?
template <std::size_t N>
constexpr bool weights_are_vectors(graph_builder const& g, int const (&in)[N]) {
    for (std::size_t k = 1; k + 1 < N; ++k) {
        auto const w = g.resolved(g.dims_of(in[k])), x = g.resolved(g.dims_of(in[0]));
        if (w.rank != 1 || !(w[0] == last(x))) return false;
    }
    return true;
}

constexpr int as_vertex(graph_builder&, term const& t) { return t.id; }
constexpr int as_vertex(graph_builder& g, Number auto x) { return g.constant(static_cast<double>(x)); }
constexpr int as_vertex(graph_builder& g, literal const& x) { return g.constant(x.value); }

constexpr graph_builder* builder_of(term const& t) { return t.g; }
constexpr graph_builder* builder_of(auto const&) { return nullptr; }

}  // namespace detail

/// Op on terms: what `make` calls while a graph is traced.
template <class Op, class... Args>
constexpr term trace(Op, Args const&... args) {
    graph_builder* found = nullptr;
    ((found = found ? found : detail::builder_of(args)), ...);
    graph_builder& g = *found;
    if (g.clash) return {g, 0};
    if constexpr (requires { Op::what; }) {
        g.now = Op::what;
        int const in[]{detail::as_vertex(g, args)...};
        auto const x = g.dims_of(in[0]);
        unsigned attribute = 0;
        if constexpr (requires { Op::attribute(x.rank); }) attribute = Op::attribute(x.rank);
        if constexpr (Op::what == structure::sum || Op::what == structure::largest) {
            Op::shape_of(g, x);  // are there such axes?
            if (g.clash) return {g, in[0]};
            return {g, detail::put_reduction(g, Op::what, in[0], attribute)};
        } else if constexpr (Op::what == structure::size) {
            Op::shape_of(g, x);
            return {g, g.positions(x, attribute)};
        } else if constexpr (Op::what == structure::reshape) {
            auto const dims = Op::shape_of(g, x);
            return {g, g.clash ? in[0] : g.reshape(in[0], dims)};
        } else if constexpr (Op::what == structure::matmul) {
            return {g, detail::put_matmul(g, in[0], in[1])};
        } else {
            auto const dims = Op::shape_of(g, g.dims_of(detail::as_vertex(g, args))...);
            if constexpr (Op::what != structure::call) g.are_numbers({in[0]});
            if constexpr (Op::what == structure::rows || Op::what == structure::pick) g.is_index(in[1]);
            if constexpr (Op::what == structure::dropout) {
                g.is_index(in[2]);
                if (g.dims_of(in[2]).rank != 1) g.mistake(g.dims_of(in[2]).rank, 1);
                else g.meet(g.dims_of(in[2])[0], dim{2});
            }
            if constexpr (Op::what == structure::rms_norm || Op::what == structure::layer_norm)
                if (!detail::weights_are_vectors(g, in)) return Op::expand(args...);
            vertex v;
            v.what = Op::what, v.attribute = attribute, v.dims = dims;
            v.index = Op::what == structure::argmax;
            if (g.clash) return {g, in[0]};
            if constexpr (requires { Op::begin; }) v.more = {static_cast<int>(Op::begin)};
            if constexpr (requires { Op::entry; }) v.rule = Op::entry, v.kind = Op::name();
            for (int i : in) v.in[v.inputs++] = v.ruled() ? detail::in_memory(g, i) : i;
            return {g, g.put(v)};
        }
    } else if constexpr (requires { Op::expand(args...); }) {
        return Op::expand(args...);
    } else {
        static_assert(detail::element_number<Op> >= 0, "this operation is not known to graphs");
        g.now = structure::element;
        return {g, detail::put_element(g, detail::element_number<Op>, {detail::as_vertex(g, args)...})};
    }
}

namespace detail {

/// Walks an expression from left to right and writes its graph: views and numbers become arguments in that order.
struct tracer {
    graph_builder& g;

    constexpr term input(std::string_view name, shape<extent> const& e, bool index) {
        for (int k = 0; k < g.input_count; ++k)
            if (auto const& x = g.inputs[static_cast<std::size_t>(k)]; !name.empty() && x.name == name) {
                if (x.index != index) g.slipped(slip::names, index, x.index);
                g.same_extents(e, x.extents);
                return {g, x.vertex};
            }
        vertex v;
        v.what = structure::input, v.index = index, v.attribute = static_cast<unsigned>(g.input_count);
        for (index_t a = 0; a < e.rank; ++a)
            v.dims.push(e[a].exact ? g.number(e[a].bound)
                                   : g.new_variable({variable::how::free, {}, {}, g.input_count, static_cast<int>(a)}));
        int const id = g.put(v);
        g.inputs[static_cast<std::size_t>(g.input_count++)] = {name, e, index, id};
        return {g, id};
    }

    template <class E>
    constexpr term of() {
        if constexpr (std::is_same_v<E, literal>) {
            vertex v;
            v.what = structure::scalar, v.attribute = static_cast<unsigned>(g.scalars++);
            return {g, g.put(v)};
        } else if constexpr (Named<E>) {
            return input(E::name, E::extents_value, E::index);
        } else if constexpr (requires { E::rank; }) {
            return input({}, E::extents_value, std::is_same_v<typename E::number, std::int32_t>);
        } else {
            return composed(static_cast<E const*>(nullptr));
        }
    }
    template <class Op, class... Args>
    constexpr term composed(lazy<Op, Args...> const*) {
        term const args[]{of<Args>()...};  // braces: from the first to the last
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return trace(Op{}, args[I]...);
        }(std::index_sequence_for<Args...>{});
    }
    template <class F, class... Args>
    constexpr term composed(formula_of<F, Args...> const*) {
        term const args[]{of<Args>()...};
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return F{}(args[I]...);
        }(std::index_sequence_for<Args...>{});
    }
};

template <class Formula>
struct formula_source {
    static constexpr graph_builder write() {
        graph_builder g;
        g.outputs[0] = tracer{g}.template of<Formula>().id, g.output_count = 1;
        return g;
    }
};
template <class Formula>
constexpr shape<extent> extents_of_formula() {
    constexpr auto const& g = written<formula_source<Formula>>;
    shape<extent> e;
    if (g.clash) return e;
    for (dim d : g.resolved(g.at(g.outputs[0]).dims)) e.push(d.exact() ? extent{d.value} : any);
    return e;
}
template <class> using term_for = term;
/// Can f be called with an operand for each of Args, and does it give an expression of them?
template <class F, class... Args>
struct formula_gives {
    static constexpr bool called = requires(F const& f, term_for<Args> const&... x) { f(x...); };
    static_assert(called, "a formula takes one argument for each operand that is named after it");
    static constexpr bool holds = requires(F const& f, term_for<Args> const&... x) {
        { f(x...) } -> std::same_as<term>;
    };
    static_assert(!called || holds, "a formula gives an expression of its arguments");
};
template <class Formula> constexpr bool formula_is_sound() { return sound<formula_source<Formula>>::holds; }

}  // namespace detail
}  // namespace graft
