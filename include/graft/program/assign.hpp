// SPDX-License-Identifier: Apache-2.0
// y = expression, for views and tensors: one fused loop, or one kernel, and no temporary. (layer 9: program)
//
// The expression is traced as a function's is, but with extents forgotten: shapes of one rank share their loops.
#pragma once

#include <graft/program/function.hpp>
#include <graft/program/graph_machine.hpp>

#include <cstdint>
#include <new>

namespace graft {
namespace detail {

/// An expression whose extents are unknown, but for those that are exactly 1: they stretch.
template <class X> struct without_extents { using type = X; };
template <class T, extent... E>
struct without_extents<view<T, E...>> { using type = view<T const, (E == extent{1} ? extent{1} : any)...>; };
template <label N, class View>
struct without_extents<named_view<N, View>> : without_extents<View> {};
template <class Op, class... Args>
struct without_extents<lazy<Op, Args...>> { using type = lazy<Op, typename without_extents<Args>::type...>; };

/// y = x as a program: y's sizes are those of one more argument, which is never read.
template <class X, class Y>
struct assignment {
    static constexpr graph_builder build() { return written<assignment>; }
    static constexpr graph_builder write() {
        graph_builder g;
        tracer t{g};
        int const x = t.of<X>().id, y = t.of<Y>().id;
        auto const dims = g.dims_of(y);  // to which x stretches; y itself does not
        for (index_t a = 0, ahead = dims.rank - g.dims_of(x).rank; a < g.dims_of(x).rank; ++a)
            if (dim const d = g.dims_of(x)[a]; !g.is_one(d)) g.meet(d, dims[ahead + a]);
        g.outputs[static_cast<std::size_t>(g.output_count++)] = g.expand(g.padded(x, dims.rank), dims);
        own_outputs(g);
        return g;
    }
};

/// A view without its type.
struct slot {
    void const* data = nullptr;
    sizes_t sizes{};
    index_t strides[most_axes]{};
    bool contiguous = true;
};
inline constexpr int most_numbers = 64;

/// Is an expression made of views and numbers only?
template <class X> inline constexpr bool all_shown = !Named<X>;
template <class T, extent... E> inline constexpr bool all_shown<view<T, E...>> = true;
template <label N, class View> inline constexpr bool all_shown<named_view<N, View>> = true;
template <class Op, class... Args> inline constexpr bool all_shown<lazy<Op, Args...>> = (all_shown<Args> && ...);

/// Views of an expression, in the order of the arguments of its program.
template <int N>
struct gathered {
    slot at[N > 0 ? N : 1];
    double numbers[most_numbers]{};
    int views = 0, number_count = 0;

    template <class X> void visit(X const& x) {
        if constexpr (std::is_same_v<X, literal>) {
            numbers[number_count++] = x.value;
        } else if constexpr (requires { x.data; x.strides; }) {
            slot& s = at[views++];
            s.data = x.data, s.contiguous = x.contiguous();
            for (index_t k = 0; k < X::rank; ++k) s.sizes.push(x.size(k)), s.strides[k] = x.stride(k);
        } else {
            [&]<int... I>(std::integer_sequence<int, I...>) {
                (visit(x.template at<I>()), ...);
            }(std::make_integer_sequence<int, X::arity>{});
        }
    }
    /// The first and one past the last byte that a view shows.
    static void range(slot const& s, index_t bytes, std::uintptr_t& low, std::uintptr_t& high) {
        low = high = reinterpret_cast<std::uintptr_t>(s.data);
        for (index_t a = 0; a < s.sizes.rank; ++a) {
            if (s.sizes[a] == 0) { high = low; return; }
            index_t const far = (s.sizes[a] - 1) * s.strides[a] * bytes;
            if (far < 0) low -= static_cast<std::uintptr_t>(-far);
            else high += static_cast<std::uintptr_t>(far);
        }
        high += static_cast<std::uintptr_t>(bytes);
    }
    static bool overlap(slot const& a, slot const& b, index_t bytes) {
        std::uintptr_t low_a, high_a, low_b, high_b;
        range(a, bytes, low_a, high_a), range(b, bytes, low_b, high_b);
        return low_a < high_b && low_b < high_a;
    }
    static bool same(slot const& a, slot const& b) {
        if (a.data != b.data || !(a.sizes == b.sizes)) return false;
        for (index_t k = 0; k < a.sizes.rank; ++k)
            if (a.sizes[k] != 1 && a.strides[k] != b.strides[k]) return false;
        return true;
    }
};

/// A view of what a slot shows; Y: its kind.
template <class T, class Y>
auto view_of_slot(slot const& s) {
    return [&]<extent... E>(view<T const, E...> const*) {
        each_axis<sizeof...(E)> n, strides;
        for (index_t a = 0; a < n.rank; ++a) n[a] = s.sizes[a], strides[a] = s.strides[a];
        return view<T, E...>(static_cast<T*>(const_cast<void*>(s.data)), n, strides);
    }(static_cast<Y const*>(nullptr));
}

/// Does an assignment need memory beside y's? What is computed on the way may lie in y where y's value may take its
/// place: the sum of a mean does. (A rule may want scratch.)
template <class Program>
constexpr bool needs_memory() {
    auto const& g = Program::code;
    auto const home = [](int v) { return lives_of<Program>.home[static_cast<std::size_t>(v)]; };
    int const output = Program::steps.alias[static_cast<std::size_t>(g.outputs[0])];
    for (int v = 0; v < Program::V; ++v)
        if (g.at(v).ruled() || (Program::steps.stored[static_cast<std::size_t>(v)] && home(v) != home(output)))
            return true;
    return false;
}

/// Runs an assignment's program; the result goes to `to`, which has the strides of y.
template <class Program, class T, int N>
void run_assignment(gathered<N> const& all, slot const& to) {
    constexpr auto const& g = Program::code;
    constexpr int V = Program::V;
    index_t sizes[g.variable_count + 1]{};
    sizes_t given[N];
    for (int k = 0; k < N; ++k) given[k] = all.at[k].sizes;
    find_sizes<Program>(sizes, given);
    T* data[V];
    index_t const* strides[V];
    bool contiguous = to.contiguous;
    constexpr int output = Program::steps.alias[static_cast<std::size_t>(g.outputs[0])];
    for (int v = 0; v < V; ++v) {
        int const source = Program::steps.alias[static_cast<std::size_t>(v)];
        auto const& x = g.at(source);
        data[v] = nullptr, strides[v] = nullptr;
        slot const* shown = Program::steps.stored[static_cast<std::size_t>(source)] ? &to : nullptr;
        if (x.what == structure::input) shown = &all.at[x.attribute];
        if (!shown) continue;
        data[v] = const_cast<T*>(static_cast<T const*>(shown->data));  // inputs are only read
        if (v == source) strides[v] = shown->strides;
        if (x.what == structure::input && static_cast<int>(x.attribute) < N - 1) contiguous &= shown->contiguous;
    }
    graph_frame<T> f{data, sizes, all.numbers};
    if constexpr (Program::steps.size > 1) {
        if (contiguous) return run_program<Program, T>(f, workers{}, nullptr);
    } else if constexpr (Program::steps.at(0).loop) {
        constexpr bool plain = is_element(g.at(output).what) && [] {
            for (int v = 0; v < V; ++v)
                if (Program::steps.alias[static_cast<std::size_t>(v)] != v) return false;
            return true;
        }();
        if (contiguous) return fused_loop<Program, 0, T>::run(f);
        if constexpr (plain) {
            f.strides = strides;
            return fused_loop<Program, 0, T, true>::run(f);
        }
    } else if (contiguous) {
        return graph_kernels<Program, T>{f, workers{}}.template run<Program::steps.at(0).vertex>(nullptr);
    }
    require(false, fault::shape, "assign: an operand or a destination with gaps, where numbers must lie side by side",
            0, 1);
}

#if GRAFT_HEAP
/// Memory for a moment.
struct beside {
    void* data;
    explicit beside(index_t bytes)
        : data(::operator new(static_cast<std::size_t>(bytes), std::align_val_t{64}, std::nothrow)) {
        require(data, fault::memory, "assign: bytes for an overlapping result", bytes, 0);
    }
    beside(beside const&) = delete;
    beside& operator=(beside const&) = delete;
    ~beside() { ::operator delete(data, std::align_val_t{64}); }
};
#endif

/// Indices are copied, or all the same.
template <class T, extent... E, class X>
void copy_indices(view<T, E...> const& y, X const& x) {
    for (index_t at = 0, n = y.count(); at < n; ++at) {
        index_t left = at, to = 0, from = 0;
        for (index_t a = y.rank - 1; a >= 0; --a) {
            index_t const i = left % y.size(a);
            left /= y.size(a), to += i * y.stride(a);
            if constexpr (!std::is_same_v<X, literal>) {
                index_t const b = a - (y.rank - X::rank);
                if (b >= 0 && x.size(b) != 1) from += i * x.stride(b);
            }
        }
        if constexpr (std::is_same_v<X, literal>) y.data[to] = static_cast<T>(x.value);
        else y.data[to] = x.data[from];
    }
}

/// The part of an assignment that knows no extents: X and Y have forgotten them.
template <class X, class Y, class T, int N>
void assign_gathered(gathered<N> const& all) {
    using program = compiled<assignment<X, Y>>;
    auto const& to = all.at[N - 1];
    constexpr auto size = static_cast<index_t>(sizeof(typename Y::number));
    bool const in_place = program::steps.size == 1 && program::steps.at(0).loop &&
                          is_element(program::code.at(program::code.outputs[0]).what);
    bool clash = false;
    for (int k = 0; k < N - 1; ++k)
        clash |= gathered<N>::overlap(all.at[k], to, size) && !(in_place && gathered<N>::same(all.at[k], to));
    if (!clash) return run_assignment<program, T>(all, to);
#if GRAFT_HEAP
    using number = typename Y::number;
    beside const memory(count(to.sizes) * size);
    slot aside = to;
    aside.data = memory.data, aside.contiguous = true;
    for (index_t a = to.sizes.rank - 1, step = 1; a >= 0; --a) aside.strides[a] = step, step *= to.sizes[a];
    run_assignment<program, T>(all, aside);
    gathered<2> copy;
    copy.at[0] = aside, copy.at[1] = to;
    if constexpr (std::is_integral_v<number>) copy_indices(view_of_slot<number, Y>(to), view_of_slot<number, Y>(aside));
    else run_assignment<compiled<assignment<Y, Y>>, T>(copy, to);
#else
    require(false, fault::memory, "assign: the destination overlaps an operand; assign to another tensor", 1, 0);
#endif
}

template <class T, extent... E, class X>
void assign_indices(view<T, E...> const& y, X const& x) {
    if constexpr (!std::is_same_v<X, literal>) {
        for (index_t a = 0; a < X::rank; ++a)
            if (index_t const to = y.size(y.rank - X::rank + a); !(X::extents_value[a] == extent{1}))
                require(x.size(a) == to, fault::shape, "assign: size of an axis", x.size(a), to);
        gathered<2> all;
        all.visit(x), all.visit(y);
        if (gathered<2>::overlap(all.at[0], all.at[1], sizeof(T)) && !gathered<2>::same(all.at[0], all.at[1])) {
#if GRAFT_HEAP
            beside const memory(y.count() * static_cast<index_t>(sizeof(T)));
            view<T, E...> const aside(static_cast<T*>(memory.data), y.sizes);
            copy_indices(aside, x);
            return copy_indices(y, aside);
#else
            require(false, fault::memory, "assign: the destination overlaps an operand; assign to another tensor", 1,
                    0);
#endif
        }
    }
    copy_indices(y, x);
}

/// The numbers that an assignment to T computes with: those of the operands where its result is indices.
template <class X, class T> struct number_in { using type = std::remove_const_t<T>; };
template <class X, class T>
    requires std::is_integral_v<T> && requires { typename X::operand_number; }
struct number_in<X, T> { using type = typename X::operand_number; };

}  // namespace detail

/// y = x. Element-wise expressions run as one loop on any strides; reductions and kernels want contiguous operands.
/// y may be an operand of an element-wise expression. Where y overlaps an operand in another order, the result is
/// computed beside it first, in memory from the heap; firmware reports fault::memory instead.
template <class T, extent... E, Operand X>
void assign(view<T, E...> const& y, X const& x) {
    constexpr bool shown = detail::all_shown<X>;
    static_assert(shown, "what is assigned has symbols: prepare() it with tensors for them");
    if constexpr (!shown) {
        return;
    } else if constexpr (std::is_integral_v<T> && !requires { typename X::operation; }) {
        detail::assign_indices(y, x);
    } else {
        using to = typename detail::without_extents<view<T, E...>>::type;
        using from = typename detail::without_extents<X>::type;
        using number = typename detail::number_in<X, T>::type;
        static_assert(std::is_void_v<typename X::number> || std::is_same_v<typename X::number, std::remove_const_t<T>>,
                      "the numbers of an expression are not of the type of what they are assigned to");
        if constexpr (detail::sound<detail::assignment<from, to>>::holds) {
            using program = compiled<detail::assignment<from, to>>;
            constexpr bool fits_in_place = !detail::needs_memory<program>();
            static_assert(fits_in_place,
                          "this expression needs memory for what it computes on the way: give the inner products and "
                          "reductions tensors of their own, or prepare() it");
            if constexpr (fits_in_place) {
                static_assert(program::code.scalars <= detail::most_numbers,
                              "an assignment has at most 64 numbers beside its tensors: name parts of it");
                detail::gathered<program::code.input_count> all;
                all.visit(x);
                all.visit(y);
                detail::assign_gathered<from, to, number>(all);
            }
        }
    }
}

}  // namespace graft
