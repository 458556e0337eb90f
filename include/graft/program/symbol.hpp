// SPDX-License-Identifier: Apache-2.0
// Named arguments of functions: what a gradient is taken with respect to.                (layer 9: program)
#pragma once

#include <graft/expression/label.hpp>
#include <graft/tensor/view.hpp>

namespace graft {

/// What a symbol stands for in one call: `x = X`.
template <class Symbol, class View>
struct binding {
    using symbol_type = Symbol;
    View value;
};

namespace detail {
/// `x = X` for a symbol x.
template <class Symbol, class X>
constexpr auto bound_to(X const& value) {
    constexpr bool shows = requires { as_operand(value).data; as_operand(value).strides; };
    static_assert(shows, "a symbol stands for a tensor or a view: as_view<any, 8>(numbers) shows those of a vector, "
                         "and an expression is assigned to a tensor first");
    if constexpr (shows) return binding<Symbol, operand_t<X>>{as_operand(value)};
    else return binding<Symbol, sizes_t>{};
}
}  // namespace detail

/// An argument of a function, known by its name: `symbol<"x", any, 8> x`. The empty string would be no name.
template <label N, extent... E>
struct symbol : operand {
    static_assert(N.view().size() > 0, "a symbol needs a name");
    using number = void;
    static constexpr std::string_view name = N.view();
    static constexpr shape<extent> extents_value = extents<E...>::value;
    static constexpr bool index = false;

    /// x = X: in a call, X stands for x.
    template <class X> constexpr auto operator=(X const& value) const { return detail::bound_to<symbol>(value); }
    constexpr auto operator=(sizes_t const& sizes) const { return binding<symbol, sizes_t>{sizes}; }
};

/// An argument that holds indices (std::int32_t).
template <label N, extent... E>
struct index_symbol : operand {
    static_assert(N.view().size() > 0, "a symbol needs a name");
    using number = std::int32_t;
    static constexpr std::string_view name = N.view();
    static constexpr shape<extent> extents_value = extents<E...>::value;
    static constexpr bool index = true;

    template <class X> constexpr auto operator=(X const& value) const { return detail::bound_to<index_symbol>(value); }
    constexpr auto operator=(sizes_t const& sizes) const { return binding<index_symbol, sizes_t>{sizes}; }
};

/// A tensor that a gradient can be taken with respect to: `auto a = named<"a">(A)`.
template <label N, class View>
struct named_view : View {
    static constexpr std::string_view name = N.view();
    static constexpr bool index = std::is_same_v<typename View::number, std::int32_t>;
    constexpr named_view const& all() const { return *this; }
};
template <label N, Operand X>
constexpr auto named(X const& x) {
    return named_view<N, operand_t<X>>{as_operand(x)};
}

/// What has a name that `wrt` can say.
template <class S> concept Named = requires { { S::name } -> std::convertible_to<std::string_view>; };

/// f(arguments…) as one expression. f is a generic function of operands; it is called once, when the graph is made, so
/// that what it names is computed once: `formula([](auto x, auto w) { auto h = tanh(matmul(x, w)); return … }, x, w)`.
template <class F, class... Args>
struct formula_of;
namespace detail {
/// The extents of a formula's result, from its graph (`program/term.hpp`).
template <class Formula> constexpr shape<extent> extents_of_formula();
/// Says what is wrong with a formula.
template <class F, class... Args> struct formula_gives;
template <class Formula> constexpr bool formula_is_sound();
}  // namespace detail
template <class F, class... Args>
struct formula_of : operand {
    static constexpr shape<extent> extents_value = detail::extents_of_formula<formula_of>();
    using number = typename detail::meeting<typename Args::number...>::type;
    using function_type = F;
    [[no_unique_address]] detail::parts<Args...> args;
    static constexpr int arity = sizeof...(Args);
};
template <class F, Operand... Args>
constexpr auto formula(F const& f, Args const&... args) {
    constexpr bool captures = !std::is_empty_v<F>;
    static_assert(!captures, "a formula captures nothing: what it needs is an argument of it");
    if constexpr (captures) return literal{};
    else if constexpr ((requires { typename Args::traced; } || ...)) return f(args...);
    else {
        using result = formula_of<F, operand_t<Args>...>;
        if constexpr (!detail::formula_gives<F, Args...>::holds) return literal{};
        else if constexpr (!detail::formula_is_sound<result>()) return literal{};
        else return result{{}, {as_operand(args)...}};
    }
}

}  // namespace graft
