// SPDX-License-Identifier: Apache-2.0
// Checks a composition of operations against numbers that PyTorch gave (tests/oracle/compositions.py).
#pragma once

#include <graft/program/prepare_heap.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace graft_test {

/// The same numbers in the script: a linear congruence, 53 bits of each state.
struct numbers {
    std::uint64_t state;
    numbers(int composition, int argument)
        : state(static_cast<std::uint64_t>(composition) * 1000003 + static_cast<std::uint64_t>(argument) * 7919) {
        state += 12345;
        for (int k = 0; k < 4; ++k) next();
    }
    double next() {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<double>(state >> 11) * 0x1p-53;
    }
};

/// Σ r x and Σ x² of a tensor: r is made like the arguments.
struct measured {
    double along = 0, squares = 0;
};

template <class View>
void compare(View const& found, measured expected, int composition, int place) {
    numbers r(composition, place);
    double along = 0, squares = 0;
    for (graft::index_t k = 0; k < found.count(); ++k) {
        double const x = found.data[k];
        along += (2 * r.next() - 1) * x, squares += x * x;
    }
    double const size = std::sqrt(expected.squares);
    CAPTURE(composition);
    CAPTURE(place);
    CHECK(std::abs(along - expected.along) <= 1e-6 * size + 1e-9);
    CHECK(std::abs(std::sqrt(squares) - size) <= 1e-6 * size + 1e-9);
}

/// An argument: its symbol, its sizes, and between what its numbers lie.
template <class Symbol>
struct argument_of {
    Symbol symbol;
    int place;
    graft::sizes_t sizes;
    double low, high;
    using number = std::conditional_t<Symbol::index, std::int32_t, double>;
    mutable std::vector<number> values{};

    auto bound(int composition) const {
        values.resize(static_cast<std::size_t>(graft::count(sizes)));
        numbers r(composition, place);
        for (auto& x : values) {
            double const v = low + (high - low) * r.next();
            if constexpr (Symbol::index) x = static_cast<std::int32_t>(std::floor(v));
            else x = v;
        }
        return [&]<std::size_t... A>(std::index_sequence<A...>) {
            using shown = graft::view<number const, (void(A), graft::any)...>;
            return symbol = shown(values.data(), {{sizes[static_cast<graft::index_t>(A)]...}});
        }(std::make_index_sequence<static_cast<std::size_t>(Symbol::extents_value.rank)>{});
    }
};
template <class Symbol>
argument_of<Symbol> given(Symbol const& s, int place, std::initializer_list<graft::index_t> sizes, double low,
                          double high) {
    argument_of<Symbol> a{s, place, {}, low, high};
    for (auto n : sizes) a.sizes.push(n);
    return a;
}

template <class Run, int... K>
void compare_all(Run const& run, int composition, int place, std::initializer_list<measured> expected,
                 std::integer_sequence<int, K...>) {
    REQUIRE(expected.size() == sizeof...(K));
    run();
    (compare(run.template output<K>(), expected.begin()[K], composition, place + K), ...);
}

/// f's value, and Jᵀ c by each argument of `by` for a cotangent c, are what the script wrote.
template <class F, class... S, class C, class... A>
void composed(int composition, F const& f, graft::wrt_of<S...> by, argument_of<C> const& cotangent,
              std::initializer_list<measured> expected, argument_of<A> const&... arguments) {
    auto const g = graft::vjp(graft::function(f), by, cotangent.symbol);
    auto const run = graft::prepare<double>(g, cotangent.bound(composition), arguments.bound(composition)...);
    compare_all(run, composition, 100, expected, std::make_integer_sequence<int, 1 + static_cast<int>(sizeof...(S))>{});
}
/// The Hessian of Σ c f times a vector is what the script wrote.
template <class F, class... S, class... D, class C, class... A>
void bent(int composition, F const& f, graft::wrt_of<S...> by, graft::along_of<D...> along,
          argument_of<C> const& cotangent, std::initializer_list<measured> expected,
          argument_of<A> const&... arguments) {
    auto const g = graft::hessian_vector(graft::sum(f * cotangent.symbol), by, along);
    auto const run = graft::prepare<double>(g, cotangent.bound(composition), arguments.bound(composition)...);
    compare_all(run, composition, 300, expected, std::make_integer_sequence<int, static_cast<int>(sizeof...(S))>{});
}

}  // namespace graft_test
