// SPDX-License-Identifier: Apache-2.0
// Derivatives of functions: gradient, vjp, jvp, Hessian times vector.                    (layer 9: program)
//
//     constexpr symbol<"x", any, 8> x;
//     constexpr symbol<"w", 8> w;
//     constexpr auto loss = mean(softplus(x * w));
//     auto step = prepare<float>(value_and_gradient(loss, wrt(w)), x = X, w = W);   // plans, takes memory once
//     step();                                                                       // runs, allocates nothing
//     step.value(), step.gradient(w);
#pragma once

#include <graft/program/forward_mode.hpp>
#include <graft/program/function.hpp>

namespace graft {

/// The arguments by which a derivative is taken.
template <class... S> struct wrt_of {};
template <class S> struct sparse_of { static constexpr std::string_view name = S::name; };

/// `gradient(f, wrt(a, b))`.
template <Named... S> constexpr wrt_of<S...> wrt(S const&...) { return {}; }
/// A table whose gradient stays the rows that were looked up: row k belongs to index k of the `rows(table, ids)` that
/// is differentiated. Nothing of the table's size is written.
template <Named S> constexpr sparse_of<S> sparse(S const&) { return {}; }
/// Directions for `jvp`, in the order of wrt.
template <class... S> struct along_of {};
template <Named... S> constexpr along_of<S...> along(S const&...) { return {}; }

namespace detail {

template <class S> inline constexpr by by_of{S::name, false};
template <class S> inline constexpr by by_of<sparse_of<S>>{S::name, true};

template <class Source, class Wrt> inline constexpr bool names_arguments = false;
template <class Source, class... S>
inline constexpr bool names_arguments<Source, wrt_of<S...>> =
    ((find_input(compiled<Source>::built, S::name) >= 0) && ...);

template <class Source, class S> inline constexpr bool sparse_fits = true;
template <class Source, class S>
inline constexpr bool sparse_fits<Source, sparse_of<S>> =
    find_input(compiled<Source>::built, S::name) < 0 || only_lookup(compiled<Source>::built, S::name) >= 0;

template <class Source, bool WithValue, class Wrt, class Cotangent> struct reverse_of;
template <class Source, bool WithValue, class... S, class Cotangent>
struct reverse_of<Source, WithValue, wrt_of<S...>, Cotangent> {
    static constexpr std::array<std::string_view, sizeof...(S)> names{S::name...};
    static constexpr graph_builder build() { return written<reverse_of>; }
    static constexpr graph_builder write() {
        by const all[]{by_of<S>...};
        std::string_view cotangent;
        if constexpr (!std::is_void_v<Cotangent>) cotangent = Cotangent::name;
        graph_builder g = reversed(compiled<Source>::built, all, sizeof...(S), WithValue, cotangent);
        own_outputs(g);
        return g;
    }
};

template <class Source, class Wrt, class Along> struct forward_of;
template <class Source, class... S, class... D>
struct forward_of<Source, wrt_of<S...>, along_of<D...>> {
    static constexpr graph_builder build() { return written<forward_of>; }
    static constexpr graph_builder write() {
        by const all[]{by_of<S>...};
        std::string_view const directions[]{D::name...};
        graph_builder g = pushed(compiled<Source>::built, all, directions, sizeof...(S), false);
        own_outputs(g);
        return g;
    }
};

}  // namespace detail

namespace detail {
template <class S> inline constexpr bool wrt_index = requires { requires S::index; };
/// The first extent, or else the rank, with which a symbol cannot stand for a value of the shape of vertex v.
constexpr extent_algebra unlike(shape<extent> const& symbol, graph_builder const& g, int v) {
    extent_algebra r;
    auto const dims = g.resolved(g.at(v).dims);
    if (symbol.rank != dims.rank) r.mistake(symbol.rank, dims.rank);
    for (index_t a = 0; a < dims.rank && !r.clash; ++a)
        if (dims[a].exact() && !symbol[a].admits(dims[a].value)) r.mistake(symbol[a].bound, dims[a].value);
    return r;
}
/// A mistake was said already: nothing follows.
template <bool WithValue, class Cotangent, class... S>
constexpr auto reverse(function_of<faulty> const& f, wrt_of<S...>) { return f; }
template <bool WithValue, class Cotangent, class Source, class... S>
constexpr auto reverse(function_of<Source> const& f, wrt_of<S...>) {
    static_assert(names_arguments<Source, wrt_of<S...>>, "wrt names an argument that the function does not have");
    constexpr bool one_number = compiled<Source>::code.at(compiled<Source>::code.outputs[0]).dims.rank == 0;
    static_assert(one_number || !std::is_void_v<Cotangent>,
                  "a gradient is of one number: reduce the function (sum, mean), or use vjp with a cotangent");
    constexpr bool by_numbers = (!wrt_index<S> && ...);
    static_assert(by_numbers, "wrt names an argument that holds indices: there is no gradient by them");
    constexpr bool lookups = (sparse_fits<Source, S> && ...);
    static_assert(lookups, "a sparse gradient is by a table that one rows(table, ids) reads and nothing else does");
    if constexpr (names_arguments<Source, wrt_of<S...>> && by_numbers && lookups &&
                  (one_number || !std::is_void_v<Cotangent>)) {
        using source = reverse_of<Source, WithValue, wrt_of<S...>, Cotangent>;
        constexpr auto const& g = compiled<Source>::built;
        if constexpr (!std::is_void_v<Cotangent>) {
            constexpr auto clash = unlike(Cotangent::extents_value, g, g.outputs[0]);
            if constexpr (clash.clash) static_assert(expects<clash.given, clash.wanted>::holds);
        }
        if constexpr (sound<source>::holds) return f.template derived<function_of<source>>();
        else return function_of<faulty>{};
    } else return function_of<faulty>{};
}

template <class Source, class S, class D>
constexpr bool moves_along() {
    constexpr auto const& g = compiled<Source>::built;
    constexpr auto place = static_cast<std::size_t>(find_input(g, S::name));
    constexpr auto clash = unlike(D::extents_value, g, g.inputs[place].vertex);
    if constexpr (clash.clash) static_assert(expects<clash.given, clash.wanted>::holds);
    return !clash.clash;
}
template <class Source, class... S, class... D>
constexpr auto forward(function_of<Source> const& f, wrt_of<S...>, along_of<D...>) {
    constexpr bool each = sizeof...(S) == sizeof...(D);
    static_assert(each, "jvp needs one direction for each argument");
    constexpr bool named = names_arguments<Source, wrt_of<S...>>;
    static_assert(named, "wrt names an argument that the function does not have");
    if constexpr (each && named) {
        using source = forward_of<Source, wrt_of<S...>, along_of<D...>>;
        if constexpr ((moves_along<Source, S, D>() && ...) && sound<source>::holds)
            return f.template derived<function_of<source>>();
        else return function_of<faulty>{};
    } else return function_of<faulty>{};
}
template <class... S, class... D>
constexpr auto forward(function_of<faulty> const& f, wrt_of<S...>, along_of<D...>) { return f; }
}  // namespace detail

/// The gradients of a function of one number by the arguments named.
template <class F, class... S>
constexpr auto gradient(F const& f, wrt_of<S...> by) { return detail::reverse<false, void>(function(f), by); }
/// The number itself first, then its gradients.
template <class F, class... S>
constexpr auto value_and_gradient(F const& f, wrt_of<S...> by) { return detail::reverse<true, void>(function(f), by); }
/// Vector-Jacobian product: the value, and the gradients of Σ cotangent · f. `cotangent` is a new argument of its
/// shape.
template <class F, class... S, Named C>
constexpr auto vjp(F const& f, wrt_of<S...> by, C const&) { return detail::reverse<true, C>(function(f), by); }
/// Jacobian-vector product, by forward mode: how the function moves when the arguments move along the directions, which
/// are new arguments of their shapes.
template <class F, class... S, class... D>
constexpr auto jvp(F const& f, wrt_of<S...> by, along_of<D...> directions) {
    return detail::forward(function(f), by, directions);
}
/// The Hessian times a vector: forward mode over reverse mode.
template <class F, class... S, class... D>
constexpr auto hessian_vector(F const& f, wrt_of<S...> by, along_of<D...> directions) {
    return jvp(gradient(f, by), by, directions);
}

}  // namespace graft
