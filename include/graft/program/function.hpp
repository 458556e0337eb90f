// SPDX-License-Identifier: Apache-2.0
// Functions of tensors: an expression, its symbols as arguments.                         (layer 9: program)
#pragma once

#include <graft/program/graph_plan.hpp>
#include <graft/program/term.hpp>

namespace graft {

/// Where an argument of a function lies; its sizes and the type of its numbers.
struct argument {
    void const* data = nullptr;
    sizes_t sizes{};
    std::array<index_t, most_axes> strides{};
    unsigned char bytes_of_number = 0;  // 0: only sizes are known
};

namespace detail {

/// An output must have memory of its own: an argument, or a number, is copied.
constexpr void own_outputs(graph_builder& g) {
    for (int k = 0; k < g.output_count; ++k) {
        int& o = g.outputs[static_cast<std::size_t>(k)];
        int v = o;
        while (g.at(v).what == structure::reshape) v = g.at(v).in[0];
        if (is_leaf(g.at(v).what)) o = put_element(g, element_number<detach_>, {o});
    }
}

template <class... E>
struct primal {
    static constexpr graph_builder build() { return written<primal>; }
    static constexpr graph_builder write() {
        graph_builder g;
        tracer t{g};
        ((g.outputs[static_cast<std::size_t>(g.output_count++)] = t.template of<E>().id), ...);
        own_outputs(g);
        return g;
    }
};

/// What stands for a source with a mistake: nothing follows from it.
struct faulty {
    static constexpr std::array<std::string_view, 0> names{};
    static constexpr graph_builder build() {
        graph_builder g;
        g.outputs[0] = g.constant(0), g.output_count = 1;
        own_outputs(g);
        return g;
    }
};

}  // namespace detail

/// A function of named arguments: a compiled graph, and the numbers and views its expression came with.
template <class Source>
struct function_of {
    using source = Source;
    using program = compiled<Source>;
    static constexpr std::size_t inputs = static_cast<std::size_t>(compiled<Source>::built.input_count);
    static constexpr std::size_t numbers_count = static_cast<std::size_t>(compiled<Source>::built.scalars);

    std::array<double, numbers_count> numbers{};
    std::array<argument, inputs> own{};

    /// A derivative of this function knows what it knows.
    template <class Derived> constexpr Derived derived() const {
        Derived d;
        for (std::size_t k = 0; k < numbers.size(); ++k) d.numbers[k] = numbers[k];
        for (std::size_t k = 0; k < own.size(); ++k) d.own[k] = own[k];
        return d;
    }
};
/// After a mistake: light, since every header that may answer with it would compile it where it is included.
template <>
struct function_of<detail::faulty> {
    using source = detail::faulty;
    using program = compiled<source>;
    static constexpr std::size_t inputs = 0, numbers_count = 0;
    std::array<double, 0> numbers{};
    std::array<argument, 0> own{};
};

namespace detail {

/// Visits an expression in the order in which it was traced.
template <class F>
struct collector {
    F& f;
    std::size_t numbers = 0;
    int inputs = 0;
    std::array<std::string_view, 64> seen{};

    template <class X>
    constexpr void visit(X const& x) {
        if constexpr (std::is_same_v<X, literal>) {
            f.numbers[numbers++] = x.value;
        } else if constexpr (Named<X>) {
            int place = 0;
            while (place < inputs && seen[static_cast<std::size_t>(place)] != X::name) ++place;
            if (place == inputs) seen[static_cast<std::size_t>(inputs++)] = X::name;
            bind(place, x);
        } else if constexpr (requires { X::rank; }) {
            bind(inputs++, x);
        } else {
            [&]<int... I>(std::integer_sequence<int, I...>) {
                (visit(part_at<I>(x.args)), ...);
            }(std::make_integer_sequence<int, X::arity>{});
        }
    }
    template <int I, class A> static constexpr A const& part_at(detail::part<I, A> const& p) { return p.value; }
    template <class V> constexpr void bind(int place, V const& v) {
        if constexpr (requires { v.data; v.strides; }) {
            argument& a = f.own[static_cast<std::size_t>(place)];
            require(v.contiguous(), fault::shape,
                    "function: a view with gaps between its numbers; assign it to a tensor", 0, 1);
            require(!a.data || a.data == v.data, fault::shape, "function: one name for two tensors", 2, 1);
            a.data = v.data, a.bytes_of_number = sizeof(*v.data), a.sizes = {};
            for (index_t k = 0; k < V::rank; ++k) {
                a.sizes.push(v.size(k));
                a.strides[static_cast<std::size_t>(k)] = v.stride(k);
            }
        }
    }
};

}  // namespace detail

/// Expressions as a function of their symbols, with an output for each.
template <Operand... E>
constexpr auto function(E const&... e) {
    using source = detail::primal<operand_t<E>...>;
    if constexpr (detail::sound<source>::holds) {
        function_of<source> f;
        detail::collector<decltype(f)> c{f};
        (c.visit(as_operand(e)), ...);
        return f;
    } else return function_of<detail::faulty>{};
}
template <class Source> constexpr function_of<Source> function(function_of<Source> const& f) { return f; }

}  // namespace graft
