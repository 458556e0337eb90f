// SPDX-License-Identifier: Apache-2.0
// An expression as a value: vertices in the order in which they can be computed.         (layer 9: program)
//
// Functions of tensors are traced to a graph once, when compiling. Derivatives, fusion and memory are then constexpr
// functions of graphs; types come back only where loops are instantiated.
#pragma once

#include <graft/tensor/structure.hpp>

#include <array>
#include <cstddef>
#include <string_view>

namespace graft {

/// A size inside a graph: exact (≥ 0), or variable −1 − value of the graph.
struct dim {
    int value = 0;
    constexpr bool exact() const { return value >= 0; }
    friend constexpr bool operator==(dim, dim) = default;
};

/// A size that only a running program knows: of an input's axis, or worked out from others. Where another size must
/// be the same, `as` names it, and the running program checks that they are equal.
struct variable {
    enum class how : unsigned char { free, sum, product, quotient } from = how::free;
    dim a{}, b{};              // sum, product, quotient: of these
    int input = -1, axis = 0;  // free: this axis of this input
    bool aliased = false;
    dim as{};
};

inline constexpr int most_inputs = 12;  // operands of one vertex

/// What a rule does for a graph: code that takes matrices (`program/rule_call.hpp`).
struct rule_entry;

/// One operation and its operands, which come before it.
struct vertex {
    structure what = structure::input;
    unsigned char element = 0;  // `element`: its number in `elementary`
    unsigned char inputs = 0;
    bool index = false;         // its numbers are indices
    unsigned attribute = 0;     // axes, an axis, flags (matmul: 1 a transposed, 2 b transposed), which gradient
    std::array<int, most_inputs> in{};
    shape<dim> dims;
    dim more;                   // part, put_part: where it begins
    double number = 0;          // constant
    rule_entry const* rule = nullptr;
    std::string_view kind;      // of the rule

    /// Is it run by a rule? (g++ -fsanitize=undefined does not know a pointer from null when compiling.)
    constexpr bool ruled() const {
        return what == structure::call || what == structure::pull || what == structure::residue;
    }
    /// (Nor does it know two pointers from each other: names come first.)
    constexpr bool same_rule(vertex const& other) const { return kind == other.kind && rule == other.rule; }
    friend constexpr bool operator==(vertex const& x, vertex const& y) {
        if (x.what != y.what || x.element != y.element || x.inputs != y.inputs || x.attribute != y.attribute ||
            !x.same_rule(y) || !(x.more == y.more) || !(x.number == y.number))
            return false;
        for (std::size_t k = 0; k < x.inputs; ++k)
            if (x.in[k] != y.in[k]) return false;
        return x.dims == y.dims;
    }
};

/// An argument of a graph: a symbol's name, or a view's place in the expression.
struct graph_input {
    std::string_view name;
    shape<extent> extents;
    bool index = false;
    int vertex = -1;
};

/// A finished graph. `scalars` counts the run-time numbers of the expression; outputs come in the order asked for.
template <int V, int D, int I, int O>
struct graph {
    std::array<vertex, V> vertices{};
    std::array<variable, D> variables{};
    std::array<graph_input, I> inputs{};
    std::array<int, O> outputs{};
    int scalars = 0;

    static constexpr int size = V, input_count = I, output_count = O, variable_count = D;
    constexpr vertex const& at(int v) const { return vertices[static_cast<std::size_t>(v)]; }
};

/// What may be wrong with what is written to a graph (`detail::sound` says it).
enum class slip : unsigned char { none, extents, names, state, indices_compute, numbers_select, too_large, no_rule };

/// A graph that grows. Equal vertices are one; constants are folded.
struct graph_builder {
    static constexpr std::size_t most = 1024, most_variables = 128, most_outputs = 64, buckets = 4096;
    std::array<vertex, most> vertices{};
    std::array<variable, most_variables> variables{};
    std::array<graph_input, most_outputs> inputs{};
    std::array<int, most_outputs> outputs{};
    std::array<short, buckets> table{};  // 1 + vertex
    int count = 0, variable_count = 0, input_count = 0, output_count = 0, scalars = 0;
    index_t given = 0, wanted = 0;      // the first slip: the two extents or ranks that differ,
    slip wrong = slip::none;            // its kind,
    structure where = structure::input, now = structure::input;  // the operation; the one that is being written
    bool clash = false;

    constexpr vertex& at(int v) { return vertices[static_cast<std::size_t>(v)]; }
    constexpr vertex const& at(int v) const { return vertices[static_cast<std::size_t>(v)]; }

    // ------------------------------------------------------------------------------------------ algebra of sizes
    constexpr dim resolved(dim d) const {
        while (!d.exact() && of(d).aliased) d = of(d).as;
        return d;
    }
    constexpr variable const& of(dim d) const { return variables[static_cast<std::size_t>(-1 - d.value)]; }
    constexpr dim new_variable(variable v) {
        if (v.from != variable::how::free)
            for (int k = 0; k < variable_count; ++k) {
                auto const& x = variables[static_cast<std::size_t>(k)];
                if (x.from == v.from && x.a == v.a && x.b == v.b) return {-1 - k};
            }
        variables[static_cast<std::size_t>(variable_count)] = v;
        return {-1 - variable_count++};
    }
    /// The first slip is kept; nothing follows from what is written after it.
    constexpr void slipped(slip kind, index_t a = 0, index_t b = 0) {
        if (!clash) wrong = kind, given = a, wanted = b, where = now, clash = true;
    }
    /// Two extents or ranks that differ.
    constexpr void mistake(index_t a, index_t b) { slipped(slip::extents, a, b); }
    /// The extents with which one name is used twice.
    constexpr void same_extents(shape<extent> const& a, shape<extent> const& b) {
        if (a.rank != b.rank) return slipped(slip::names, a.rank, b.rank);
        for (index_t k = 0; k < a.rank; ++k)
            if (!(a[k] == b[k])) return slipped(slip::names, a[k].bound, b[k].bound);
    }
    /// Operands that are computed with.
    constexpr void are_numbers(std::initializer_list<int> operands) {
        for (int v : operands)
            if (at(v).index) slipped(slip::indices_compute);
    }
    /// An operand that selects.
    constexpr void is_index(int v) {
        if (!at(v).index) slipped(slip::numbers_select);
    }
    /// A derivative that nobody wrote.
    constexpr void no_rule_for(int v) {
        now = at(v).what;
        slipped(slip::no_rule);
    }
    constexpr dim number(index_t n) const { return {static_cast<int>(n)}; }
    constexpr bool is_one(dim d) const { return resolved(d).value == 1; }
    /// Two axes that must be equal: one of them becomes the other's name.
    constexpr dim meet(dim a, dim b) {
        a = resolved(a), b = resolved(b);
        if (a == b) return a;
        if (a.exact() && b.exact()) return mistake(a.value, b.value), a;
        if (!a.exact() && (b.exact() || a.value < b.value)) std::swap(a, b);  // the exact one stays, else the older
        variable& v = variables[static_cast<std::size_t>(-1 - b.value)];
        v.aliased = true, v.as = a;
        return a;
    }
    constexpr dim add(dim a, dim b) {
        a = resolved(a), b = resolved(b);
        if (a.exact() && b.exact()) return {a.value + b.value};
        return new_variable({variable::how::sum, a, b});
    }
    constexpr dim multiply(dim a, dim b) {
        a = resolved(a), b = resolved(b);
        if (a.exact() && b.exact()) return {a.value * b.value};
        if (a.value == 1) return b;
        if (b.value == 1) return a;
        return new_variable({variable::how::product, a, b});
    }
    constexpr dim divide(dim a, index_t by) {
        a = resolved(a);
        if (a.exact() && a.value % by != 0) mistake(a.value, by);
        if (a.exact()) return {static_cast<int>(a.value / by)};
        if (of(a).from == variable::how::product && resolved(of(a).b).value == by) return resolved(of(a).a);
        return by == 1 ? a : new_variable({variable::how::quotient, a, number(by)});
    }
    constexpr void at_least(dim d, index_t n) {
        if (d.exact() && d.value < n) mistake(d.value, n);
    }
    constexpr shape<dim> resolved(shape<dim> s) const {
        for (dim& d : s) d = resolved(d);
        return s;
    }
    /// Bit a: axis a of `small` has size 1 where `full` has not.
    constexpr unsigned stretched(shape<dim> const& small, shape<dim> const& full) const {
        unsigned mask = 0;
        for (index_t a = 0; a < small.rank; ++a)
            if (is_one(small[a]) && !is_one(full[a])) mask |= 1u << a;
        return mask;
    }
    constexpr bool same(shape<dim> const& a, shape<dim> const& b) const { return resolved(a) == resolved(b); }

    // -------------------------------------------------------------------------------------------------- vertices
    constexpr std::size_t bucket_of(vertex const& v) const {
        unsigned h = static_cast<unsigned>(v.what) * 31u + v.element + v.attribute * 131u;
        for (std::size_t k = 0; k < v.inputs; ++k) h = h * 1021u + static_cast<unsigned>(v.in[k]) + 1u;
        if (v.what == structure::constant)
            h += static_cast<unsigned>(static_cast<long long>(v.number < 1e9 && v.number > -1e9 ? v.number * 512 : 0));
        return (h ^ h >> 13) % buckets;
    }
    /// The vertex, or an equal one that is there.
    constexpr int put(vertex v) {
        v.dims = resolved(v.dims);
        std::size_t b = bucket_of(v);
        for (; table[b] != 0; b = (b + 1) % buckets)
            if (at(table[b] - 1) == v) return table[b] - 1;
        if (static_cast<std::size_t>(count) == most)
            return slipped(slip::too_large, count + 1, static_cast<index_t>(most)), 0;
        at(count) = v;
        table[b] = static_cast<short>(count + 1);
        return count++;
    }
    constexpr int constant(double x) {
        vertex v;
        v.what = structure::constant, v.number = x;
        return put(v);
    }
    constexpr bool is_constant(int v) const { return at(v).what == structure::constant; }
    constexpr bool is_number(int v) const { return at(v).dims.rank == 0; }  // it fits every shape
    constexpr int with(structure what, std::initializer_list<int> in, shape<dim> dims, unsigned attribute = 0,
                       dim more = {}) {
        vertex v;
        v.what = what, v.dims = dims, v.attribute = attribute, v.more = more;
        for (int i : in) v.in[v.inputs++] = i;
        return put(v);
    }
    constexpr int reshape(int x, shape<dim> const& dims) {
        if (same(at(x).dims, dims)) return x;
        if (at(x).what == structure::reshape) return reshape(at(x).in[0], dims);
        if (at(x).what == structure::expand && is_number(at(x).in[0])) return expand(at(x).in[0], dims);
        if (at(x).what > structure::input && at(x).what < structure::element) return expand(x, dims);  // a number
        int const r = with(structure::reshape, {x}, dims);
        at(r).index = at(x).index;
        return r;
    }
    /// x with more axes of size 1 before its own.
    constexpr int padded(int x, index_t rank) {
        auto const& d = at(x).dims;
        if (is_number(x) || d.rank == rank) return x;
        shape<dim> r;
        for (index_t a = 0; a < rank; ++a) r.push(a < rank - d.rank ? dim{1} : d[a - (rank - d.rank)]);
        return reshape(x, r);
    }
    /// x stretched to a shape.
    constexpr int expand(int x, shape<dim> const& dims) {
        if (same(at(x).dims, dims)) return x;
        if (at(x).what == structure::expand) return expand(at(x).in[0], dims);
        return with(structure::expand, {padded(x, dims.rank)}, dims);
    }
    constexpr int stripped(int x) const { return at(x).what == structure::expand ? at(x).in[0] : x; }
    constexpr shape<dim> const& dims_of(int x) const { return at(x).dims; }

    /// The number of positions of the axes in `mask`.
    constexpr int positions(shape<dim> const& dims, unsigned mask) {
        dim n{1};
        for (index_t a = 0; a < dims.rank; ++a)
            if (mask >> a & 1) n = multiply(n, dims[a]);
        if (resolved(n).exact()) return constant(static_cast<double>(resolved(n).value));
        vertex v;
        v.what = structure::size, v.more = resolved(n);
        return put(v);
    }
};

namespace detail {
constexpr int find_input(graph_builder const& g, std::string_view name) {
    for (int k = 0; k < g.input_count; ++k)
        if (g.inputs[static_cast<std::size_t>(k)].name == name) return k;
    return -1;
}
}  // namespace detail

}  // namespace graft
