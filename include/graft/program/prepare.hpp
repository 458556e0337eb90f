// SPDX-License-Identifier: Apache-2.0
// A function with its arguments and its memory: planned once, run any number of times.   (layer 9: program)
#pragma once

#include <graft/program/gradient.hpp>
#include <graft/program/join.hpp>
#include <graft/program/graph_machine.hpp>

#include <span>

namespace graft {
namespace detail {

template <class View>
argument argument_of(View const& v) {
    argument a;
    a.data = v.data, a.bytes_of_number = sizeof(*v.data);
    for (index_t k = 0; k < View::rank; ++k)
        a.sizes.push(v.size(k)), a.strides[static_cast<std::size_t>(k)] = v.stride(k);
    require(v.contiguous(), fault::shape, "function: an argument with gaps between its numbers; assign it to a tensor",
            0, 1);
    return a;
}
constexpr argument argument_of(sizes_t const& sizes) {
    argument a;
    a.sizes = sizes;
    return a;
}

/// The first extent, or else the rank, with which a value cannot stand for a symbol.
constexpr extent_algebra clash_of(shape<extent> const& value, shape<extent> const& symbol) {
    extent_algebra r;
    if (value.rank != symbol.rank) r.mistake(value.rank, symbol.rank);
    for (index_t a = 0; a < value.rank && !r.clash; ++a)
        if (!may_fit(value[a], symbol[a])) r.mistake(value[a].bound, symbol[a].bound);
    return r;
}

/// Puts `x = X` where the function has x.
template <class F, class T, class Symbol, class Value>
constexpr void bind_argument(std::array<argument, F::inputs>& all, binding<Symbol, Value> const& b) {
    constexpr int place = find_input(F::program::built, Symbol::name);
    static_assert(place >= 0 || std::is_same_v<typename F::source, faulty>,
                  "the function has no argument of this name");
    if constexpr (place >= 0) {
        constexpr bool index = F::program::built.inputs[static_cast<std::size_t>(place)].index;
        if constexpr (requires { typename Value::number; }) {
            static_assert(std::is_same_v<typename Value::number, std::conditional_t<index, std::int32_t, T>>,
                          "an argument's numbers are not of the type the function is prepared for");
            constexpr auto clash = clash_of(Value::extents_value, Symbol::extents_value);
            static_assert(expects<clash.given, clash.wanted>::holds);
        }
        all[static_cast<std::size_t>(place)] = argument_of(b.value);
    }
}

template <class F, class T, class X>
    requires(!requires { typename X::symbol_type; })
constexpr void bind_argument(std::array<argument, F::inputs>&, X const&) {
    static_assert(never<X>, "an argument is given with its symbol, x = X, to a function of symbols");
}

template <class Program, class T>
constexpr index_t scratch_bytes(index_t const* sizes, index_t lanes) {
    index_t most = 0;
    for (int s = 0; s < Program::steps.size; ++s)
        if (auto const& step = Program::steps.at(s); !step.loop && Program::code.at(step.vertex).ruled())
            most = std::max(most, graph_kernels<Program, T>::scratch(sizes, step.vertex, lanes));
    return round_up(most * static_cast<index_t>(sizeof(T)), buffer_alignment);
}

}  // namespace detail

/// What `bytes` says where `lanes` workers run the function: rules may want scratch for each of them.
template <class T, class F, class... B>
constexpr index_t bytes_on(index_t lanes, F const& f, B const&... bindings) {
    auto arguments = f.own;
    (detail::bind_argument<F, T>(arguments, bindings), ...);
    std::array<sizes_t, F::inputs> given{};
    for (std::size_t k = 0; k < given.size(); ++k) {
        given[k] = arguments[k].sizes;
        if (given[k].rank == 0)  // nothing was said: exact extents speak for themselves
            for (extent e : F::program::built.inputs[k].extents)
                if (e.exact) given[k].push(e.bound);
    }
    index_t sizes[F::program::code.variable_count + 1]{};
    detail::find_sizes<typename F::program>(sizes, given.data());
    return detail::plan_graph<typename F::program>(sizes, sizeof(T)).bytes +
           detail::scratch_bytes<typename F::program, T>(sizes, lanes);
}

/// The memory that a function needs for its values, on T, for arguments of these sizes: `bytes<float>(f, x = sizes_t{2,
/// {100, 8}})`, or with tensors, as for `prepare`; symbols whose extents are exact need neither. Constexpr: firmware
/// asserts it.
template <class T, class F, class... B>
constexpr index_t bytes(F const& f, B const&... bindings) { return bytes_on<T>(1, f, bindings...); }

/// A prepared function. Calling it runs it on what the arguments hold now and allocates nothing.
template <class F, class T>
class running {
public:
    using program = typename F::program;
    static constexpr auto const& code = program::code;

    /// `memory`: at least `bytes_on<T>(executor.count, f, bindings…)` bytes, 64-byte aligned, which outlive this.
    /// `executor`: who computes products; its panels are used where it has some.
    template <class... B>
    running(F const& f, std::span<std::byte> memory, workers executor, B const&... bindings)
        : numbers(f.numbers), arguments(f.own), on(executor) {
        (detail::bind_argument<F, T>(arguments, bindings), ...);
        plan_sizes();
        index_t const scratch = detail::scratch_bytes<program, T>(sizes, on.count);
        require(static_cast<index_t>(memory.size()) >= plan.bytes + scratch, fault::memory, "function: bytes of memory",
                static_cast<index_t>(memory.size()), plan.bytes + scratch);
        require(reinterpret_cast<std::uintptr_t>(memory.data()) % static_cast<std::size_t>(buffer_alignment) == 0,
                fault::memory, "function: alignment of its memory",
                static_cast<index_t>(reinterpret_cast<std::uintptr_t>(memory.data()) %
                                     static_cast<std::size_t>(buffer_alignment)), 0);
        for (argument const& a : arguments) check_apart(a, memory.data());
        place_at(memory.data());
    }

    /// From now on x stands for another tensor, of the same sizes.
    template <class... B> void bind(B const&... bindings) {
        auto next = arguments;
        (detail::bind_argument<F, T>(next, bindings), ...);
        for (std::size_t k = 0; k < next.size(); ++k) {
            require(next[k].sizes == arguments[k].sizes, fault::shape, "function: sizes of a new argument",
                    count(next[k].sizes), count(arguments[k].sizes));
            check_numbers(next[k], k);
            check_apart(next[k], base);
        }
        arguments = next;
        place_at(base);
    }

    void operator()() const {
        detail::run_program<program, T>(graph_frame<T>{data, sizes, numbers.data()}, on,
                                        reinterpret_cast<T*>(base + plan.bytes));
    }

    /// Output K: a view of numbers that the next run overwrites.
    template <int K = 0> auto output() const {
        static_assert(0 <= K && K < code.output_count, "the function has fewer outputs");
        constexpr std::size_t place = 0 <= K && K < code.output_count ? static_cast<std::size_t>(K) : 0;
        constexpr vertex v = code.at(code.outputs[place]);
        using number = std::conditional_t<v.index, std::int32_t, T>;
        return [&]<std::size_t... A>(std::index_sequence<A...>) {
            using shown = view<number const, (v.dims.axis[A].exact() ? extent{v.dims.axis[A].value} : any)...>;
            graph_frame<T> const f{data, sizes};
            return shown(reinterpret_cast<number const*>(data[code.outputs[place]]),
                         {{f.size(v.dims.axis[A])...}});
        }(std::make_index_sequence<static_cast<std::size_t>(v.dims.rank)>{});
    }
    /// The first output: the number itself where it is one.
    auto value() const {
        constexpr vertex v = code.at(code.outputs[0]);
        if constexpr (v.dims.rank == 0) return *output<0>().data;
        else return output<0>();
    }
    /// The gradient by an argument that `wrt` named.
    template <Named S> auto gradient(S const&) const {
        constexpr bool has_gradients = requires { F::source::names; };
        static_assert(has_gradients, "what was prepared has no gradients: prepare gradient(f, wrt(...))");
        if constexpr (has_gradients) {
            constexpr auto const& names = F::source::names;
            constexpr int place = [] {
                for (std::size_t k = 0; k < names.size(); ++k)
                    if (names[k] == S::name) return static_cast<int>(k);
                return -1;
            }();
            static_assert(place >= 0 || names.empty(), "wrt did not name this argument");
            constexpr int first = code.output_count - static_cast<int>(names.size());
            return output<place < 0 ? 0 : first + place>();
        } else return output<0>();
    }

    /// Bytes of its values: what `bytes` says.
    index_t planned() const { return plan.bytes; }

private:
    /// An argument is a tensor of the numbers that the function computes with.
    static void check_numbers(argument const& a, std::size_t k) {
        index_t const wanted = code.inputs[k].index ? sizeof(std::int32_t) : sizeof(T);
        require(a.bytes_of_number == wanted, fault::shape, "function: bytes of an argument's number (0: no tensor)",
                a.bytes_of_number, wanted);
    }
    /// An argument does not lie in the memory that a run overwrites: copy an output before it becomes an argument.
    void check_apart(argument const& a, std::byte const* from) const {
        auto const low = reinterpret_cast<std::uintptr_t>(a.data), own = reinterpret_cast<std::uintptr_t>(from);
        auto const bytes = static_cast<std::uintptr_t>(count(a.sizes) * a.bytes_of_number);
        bool const apart = low + bytes <= own || own + static_cast<std::uintptr_t>(plan.bytes) <= low;
        require(apart || plan.bytes == 0, fault::memory, "function: an argument in the function's own memory", 1, 0);
    }
    void plan_sizes() {
        std::array<sizes_t, F::inputs> given{};
        for (std::size_t k = 0; k < given.size(); ++k) {
            given[k] = arguments[k].sizes;
            check_numbers(arguments[k], k);
        }
        detail::find_sizes<program>(sizes, given.data());
        plan = detail::plan_graph<program>(sizes, sizeof(T));
    }
    void place_at(std::byte* at) {
        base = at;
        for (std::size_t v = 0; v < static_cast<std::size_t>(program::V); ++v) {
            auto const source = static_cast<std::size_t>(program::steps.alias[v]);
            auto const& x = code.vertices[source];
            data[v] = x.what == structure::input
                          ? const_cast<T*>(static_cast<T const*>(arguments[x.attribute].data))  // only read
                      : program::steps.stored[source] ? reinterpret_cast<T*>(at + plan.offset[source])
                                                      : nullptr;
        }
    }

    std::array<double, F::numbers_count> numbers;
    std::array<argument, F::inputs> arguments;
    index_t sizes[program::code.variable_count + 1]{};
    graph_plan<program::V> plan;
    T* data[program::V > 0 ? program::V : 1]{};
    std::byte* base = nullptr;
    workers on;
};

/// A function ready to run in memory of the caller's.
template <class T, class F, class... B>
running<F, T> prepare_in(std::span<std::byte> memory, F const& f, B const&... bindings) {
    return {f, memory, {}, bindings...};
}

}  // namespace graft
