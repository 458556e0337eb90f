// SPDX-License-Identifier: Apache-2.0
// A rule as an operation of general expressions: `apply<my_op>(x, w)`.                   (layer 9: program)
#pragma once

#include <graft/program/graph.hpp>
#include <graft/rule/rule.hpp>

#include <string_view>

namespace graft {

/// The sizes that a rule of a general expression sees: those of its operands, axis by axis.
struct operand_sizes {
    sizes_t const* of = nullptr;
};

/// What a rule is given when a program calls it: each operand as a matrix whose columns are its last axis.
template <class T>
struct rule_frame {
    matrix<T> operand[most_inputs], gradient[most_inputs];  // empty gradient: nobody wants it
    sizes_t sizes[most_inputs];                             // of the operands, axis by axis
    matrix<T> y, dy, residue;
    T* space = nullptr;
    workers const* on = nullptr;
};

/// A rule, as code that a graph can point to. Numbers are float or double.
struct rule_entry {
    void (*forward_float)(rule_frame<float> const&);
    void (*forward_double)(rule_frame<double> const&);
    void (*pull_float)(rule_frame<float> const&);
    void (*pull_double)(rule_frame<double> const&);
    index_t (*scratch_float)(operand_sizes, call);
    index_t (*scratch_double)(operand_sizes, call);
    index_t (*residue)(operand_sizes);  // numbers kept from the forward to the pull
    unsigned reads_operands;            // what the pull reads, besides sizes: bit k, operand k
    bool reads_value, keeps;

    template <class T> void forward(rule_frame<T> const& f) const {
        if constexpr (std::is_same_v<T, float>) forward_float(f);
        else forward_double(f);
    }
    template <class T> void pull(rule_frame<T> const& f) const {
        if constexpr (std::is_same_v<T, float>) pull_float(f);
        else pull_double(f);
    }
    template <class T> constexpr index_t scratch(operand_sizes n, call c) const {
        if constexpr (std::is_same_v<T, float>) return scratch_float(n, c);
        else return scratch_double(n, c);
    }
};

namespace detail {

template <class Kind, int N>
struct rule_code {
    using r = rule<Kind>;
    template <class T>
    using here_t = here<T, operand_sizes, typename r::template weights<T>>;

    template <class T, class Body>
    static void with_here(rule_frame<T> const& f, Body&& body) {
        operand_sizes const n{f.sizes};
        surroundings<T> const around{};
        typename r::template weights<T> const w{};
        body(here_t<T>{n, around, w, {f.space, f.on}, *f.on, f.y, f.residue, 0});
    }
    template <class T>
    static void forward(rule_frame<T> const& f) {
        with_here<T>(f, [&](auto const& at) {
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                r::forward(at, f.y, f.operand[I]...);
            }(std::make_index_sequence<N>{});
        });
    }
    template <class T>
    static void pull(rule_frame<T> const& f) {
        with_here<T>(f, [&](auto const& at) {
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                r::pull(at, f.dy, f.operand[I]..., f.gradient[I]...);
            }(std::make_index_sequence<N>{});
        });
    }
    /// Do forward and pull take what they are given?
    template <std::size_t> using each = matrix<float>;
    static constexpr bool goes_forward = []<std::size_t... I>(std::index_sequence<I...>) {
        return requires(here_t<float> const& at, each<I>... x) { r::forward(at, matrix<float>{}, x...); };
    }(std::make_index_sequence<N>{});
    static constexpr bool pulls = []<std::size_t... I>(std::index_sequence<I...>) {
        return requires(here_t<float> const& at, each<I>... x) { r::pull(at, matrix<float>{}, x..., x...); };
    }(std::make_index_sequence<N>{});

    template <class T>
    static constexpr index_t scratch(operand_sizes n, call c) { return r::template scratch<T>(n, c); }
    static constexpr index_t residue(operand_sizes n) { return r::residue(n); }

    static constexpr rule_entry entry{.forward_float = forward<float>,
                                      .forward_double = forward<double>,
                                      .pull_float = pull<float>,
                                      .pull_double = pull<double>,
                                      .scratch_float = scratch<float>,
                                      .scratch_double = scratch<double>,
                                      .residue = residue,
                                      .reads_operands = r::pull_reads.operands,
                                      .reads_value = r::pull_reads.value,
                                      .keeps = r::pull_reads.residue};
};

}  // namespace detail

/// Op, by its rule, on N operands. The result has the first operand's shape unless `rule<kind>::shape_of(algebra,
/// shapes…)` says otherwise.
template <class Op, int N>
struct call_ {
    using kind = typename Op::kind;
    static constexpr structure what = structure::call;
    static constexpr rule_entry const* entry = &detail::rule_code<kind, N>::entry;
    static constexpr std::string_view name() { return __PRETTY_FUNCTION__; }
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> const& x, auto const&... more) {
        if constexpr (requires { rule<kind>::shape_of(algebra, x, more...); })
            return rule<kind>::shape_of(algebra, x, more...);
        else return x;
    }
};

/// An operation that its rule defines, in a general expression. `struct my_op { using kind = my_op; };` and a
/// `rule<my_op>` are all it needs; an operand's gradient is what the rule's pull writes.
template <class Op, Operand... Args>
constexpr auto apply(Args const&... args) {
    constexpr bool ruled = Ruled<Op>;
    constexpr bool few = sizeof...(Args) <= most_inputs - 3;  // a pull has three inputs more
    static_assert(ruled, "no rule is written for this operation: specialise graft::rule<kind>");
    static_assert(few, "a rule of a general expression has at most nine operands");
    if constexpr (ruled && few) {
        using code = detail::rule_code<typename Op::kind, static_cast<int>(sizeof...(Args))>;
        constexpr bool goes_forward = code::goes_forward, pulls = code::pulls;
        static_assert(goes_forward, "this rule has no forward(here, value, operands...) for this many operands");
        static_assert(pulls, "this rule has no pull(here, d value, operands..., d operands...) for this many operands");
        if constexpr (goes_forward && pulls) return make(call_<Op, static_cast<int>(sizeof...(Args))>{}, args...);
        else return literal{};
    } else return literal{};
}

}  // namespace graft
