// SPDX-License-Identifier: Apache-2.0
// A window on numbers that someone else owns: any rank, any strides.                     (layer 4: tensor)
#pragma once

#include <graft/tensor/matrix.hpp>
#include <graft/tensor/nested.hpp>
#include <graft/tensor/reductions.hpp>
#include <graft/tensor/window.hpp>

#include <array>
#include <span>

namespace graft {

template <class T, extent... E> struct view;

/// y = x, position by position, in one pass (`program/assign.hpp`).
template <class T, extent... E, Operand X>
void assign(view<T, E...> const& y, X const& x);

namespace detail {

/// Said where sizes are known to suit the extents.
struct judged_already {};

/// What is assigned stretches to the destination; the destination does not.
struct into_ {
    template <class D> static constexpr D shape_of(extent_algebra& algebra, D const& x, D const& y) {
        if (x.rank > y.rank) return algebra.mistake(x.rank, y.rank), y;
        for (index_t k = 0; k < x.rank; ++k)
            if (auto const from = x[k], to = y[y.rank - x.rank + k]; !algebra.is_one(from) && !may_fit(from, to))
                algebra.mistake(from.bound, to.bound);
        return y;
    }
};

template <class T, extents_t S, class I> struct view_of_;
template <class T, extents_t S, std::size_t... I>
struct view_of_<T, S, std::index_sequence<I...>> { using type = view<T, S.axis[I]...>; };
/// The view with the extents of a shape.
template <class T, extents_t S> using view_of = typename view_of_<T, S, std::make_index_sequence<S.rank>>::type;

template <class X> inline constexpr bool is_view = false;
template <class T, extent... E> inline constexpr bool is_view<view<T, E...>> = true;

}  // namespace detail

/// Numbers at `data`, position (i, j, …) at data[i · stride(0) + j · stride(1) + …]. Sizes are those of E where these
/// are exact. Copying a view copies no number; assigning to one computes into the memory it shows.
template <class T, extent... E>
struct view : operand {
    using number = std::remove_const_t<T>;
    static constexpr shape<extent> extents_value = extents<E...>::value;
    static constexpr index_t rank = sizeof...(E);
    using per_axis = each_axis<rank>;

    T* data = nullptr;
    per_axis sizes{{(E.exact ? E.bound : 0)...}};
    per_axis strides = row_major(sizes);

    constexpr view() = default;
    constexpr view(view const&) = default;
    /// Numbers in row-major order.
    constexpr explicit view(T* d) requires(extents<E...>::exact) : data(d) {}
    constexpr view(T* d, per_axis const& n)
        : data(d), sizes(detail::check_sizes<E...>(n, bytes_each)), strides(row_major(n)) {}
    constexpr view(T* d, per_axis const& n, per_axis const& s)
        : data(d), sizes(detail::check_sizes<E...>(n, bytes_each)), strides(s) {}
    constexpr view(T* d, per_axis const& n, per_axis const& s, detail::judged_already)
        : data(d), sizes(n), strides(s) {}
    /// The same window, seen with other extents: implicit where it always fits, else explicit and checked.
    template <class U, extent... F>
        requires(sizeof...(F) == sizeof...(E) && std::is_same_v<T, U const> + std::is_same_v<T, U> > 0 &&
                 (detail::may_fit(F, E) && ...))
    constexpr explicit(!(detail::always_fits(F, E) && ...)) view(view<U, F...> const& v)
        : data(v.data), sizes{v.sizes}, strides{v.strides} {
        if constexpr (!(detail::always_fits(F, E) && ...))
            detail::check_sizes<E...>(sizes, bytes_each);
    }
    /// A matrix, and back: its columns lie side by side.
    template <class U> requires(sizeof...(E) == 2 && (std::is_same_v<T, U> || std::is_same_v<T, U const>))
    constexpr explicit view(matrix<U> const& m) : view(m.data, {m.rows, m.columns}, {m.stride, 1}) {}
    constexpr explicit operator matrix<T>() const requires(sizeof...(E) == 2) {
        require(strides[1] == 1 || sizes[1] <= 1, fault::shape, "view: stride of a matrix's columns", strides[1], 1);
        return {data, sizes[0], sizes[1], strides[0], nullptr};
    }

    constexpr view const& all() const { return *this; }
    constexpr index_t size(index_t a) const { return extents_value[a].exact ? extents_value[a].bound : sizes[a]; }
    constexpr index_t stride(index_t a) const { return strides[a]; }
    /// How many numbers it shows.
    constexpr index_t count() const {
        index_t n = 1;
        for (index_t a = 0; a < rank; ++a) n *= size(a);
        return n;
    }
    /// Do its numbers lie in row-major order without gaps?
    constexpr bool contiguous() const {
        index_t step = 1;
        for (index_t a = rank - 1; a >= 0; --a) {
            if (size(a) != 1 && stride(a) != step) return count() == 0;
            step *= size(a);
        }
        return true;
    }
    /// All numbers in row-major order; contiguous only.
    constexpr std::span<T> span() const {
        require(contiguous(), fault::shape, "view: a span of numbers with gaps", 0, 1);
        return {data, static_cast<std::size_t>(count())};
    }

    /// The number at a position. `at` checks the position, the call does not.
    template <std::integral... I>
    constexpr T& operator()(I... i) const {
        static_assert(sizeof...(I) == sizeof...(E), "a view takes one index for each axis");
        index_t offset = 0, a = 0;
        ((offset += static_cast<index_t>(i) * strides[a++]), ...);
        return data[offset];
    }
    template <std::integral... I>
    constexpr T& at(I... i) const {
        index_t a = 0;
        ((require(i >= 0 && static_cast<index_t>(i) < size(a), fault::bounds, "view: position on an axis",
                  static_cast<index_t>(i), size(a)),
          ++a),
         ...);
        return (*this)(i...);
    }
    /// A window: an index for each axis is a position, which drops the axis, a `range(first, last)` of positions,
    /// `range<2, 5>()` where they are known when compiling, or `range()`, all of them.
    template <class... I>
        requires(!std::integral<I> || ...)
    constexpr auto operator()(I... i) const {
        constexpr bool indices = ((std::integral<I> || detail::is_window<I>) && ...);
        static_assert(indices, "an index of a view is a whole number or a range");
        constexpr bool each = sizeof...(I) == sizeof...(E);
        static_assert(each, "a view takes one index for each axis");
        if constexpr (indices && each) {
            constexpr auto past = detail::past_the_end<I...>(extents_value);
            if constexpr (past.clash) static_assert(detail::expects<past.given, past.wanted>::holds);
            constexpr auto left = detail::windowed<I...>(extents_value);
            detail::window_maker<left.rank> w;
            index_t a = 0;
            ((w.take(i, size(a), stride(a)), ++a), ...);
            return detail::view_of<T, left>(data + w.offset, w.sizes, w.strides, detail::judged_already{});
        } else return *this;
    }
    /// Row i: the first axis goes; of a vector, the number. Not checked.
    constexpr decltype(auto) operator[](index_t i) const {
        static_assert(rank > 0, "a number has no rows");
        if constexpr (rank == 1) return (data[i * strides[0]]);
        else return window<detail::without(extents_value, 0)>(i * strides[0], detail::without(sizes, 0),
                                                              detail::without(strides, 0));
    }

    /// `n` positions of an axis (−1: the last) from `first` on; exact where both are known when compiling.
    template <int Axis> constexpr auto slice(index_t first, index_t n) const {
        return cut<Axis, detail::at_most(extents_value[axis_at<Axis>()])>(first, n);
    }
    template <int Axis, index_t First, index_t N> constexpr auto slice() const {
        constexpr extent e = extents_value[axis_at<Axis>()];
        if constexpr (e.bound >= 0 && e.bound < First + N) static_assert(detail::expects<First + N, e.bound>::holds);
        return cut<Axis, extent{N}>(First, N);
    }
    /// Every k-th position of an axis, from the first.
    template <int Axis> constexpr auto step(index_t k) const {
        return every_kth<Axis, detail::at_most(extents_value[axis_at<Axis>()])>(k);
    }
    template <int Axis, index_t K> constexpr auto step() const {
        static_assert(K > 0, "a step goes forward");
        return every_kth<Axis, detail::stepped(extents_value[axis_at<Axis>()], K)>(K);
    }
    /// An axis backwards.
    template <int Axis> constexpr view reversed() const {
        constexpr index_t a = axis_at<Axis>();
        per_axis s = strides;
        s[a] = -s[a];
        return {data + (size(a) > 0 ? (size(a) - 1) * strides[a] : 0), sizes, s, detail::judged_already{}};
    }
    /// Axis k of the result is axis Order[k].
    template <int... Order> constexpr auto permuted() const {
        static_assert(sizeof...(Order) == sizeof...(E) && detail::axes_mask<Order...>(rank) == (1u << rank) - 1,
                      "a permutation names every axis once");
        per_axis const n{{sizes[axis_of_rank(Order, rank)]...}}, s{{strides[axis_of_rank(Order, rank)]...}};
        return view<T, extents_value[axis_of_rank(Order, rank)]...>(data, n, s, detail::judged_already{});
    }
    /// The last two axes change places.
    constexpr auto transposed() const {
        static_assert(rank >= 2, "a transpose has two axes or more");
        constexpr auto turned = [](auto s) {
            auto const last = s[rank - 1];
            s[rank - 1] = s[rank - 2], s[rank - 2] = last;
            return s;
        };
        return window<turned(extents_value)>(0, turned(sizes), turned(strides));
    }
    /// The positions whose last two indices are equal, as one axis.
    constexpr auto diagonal() const {
        static_assert(rank >= 2, "a diagonal lies between two axes");
        constexpr index_t a = rank - 2, b = rank - 1;
        auto n = detail::without(sizes, b), s = detail::without(strides, b);
        n[a] = size(a) < size(b) ? size(a) : size(b), s[a] += strides[b];
        constexpr auto left = detail::replaced(detail::without(extents_value, b), a,
                                               detail::smaller(extents_value[a], extents_value[b]));
        return window<left>(0, n, s);
    }
    /// The same numbers in row-major order with other extents, contiguous only. Sizes are given for extents that are
    /// not exact; a single one follows from the others: `x.reshaped<any, 4>()`.
    template <extent... F, std::integral... N> constexpr view<T, F...> reshaped(N... n) const {
        if constexpr (extents<E...>::exact && extents<F...>::exact)
            static_assert(detail::expects<extents<F...>::most, extents<E...>::most>::holds);
        require(contiguous(), fault::shape, "view: a reshape of numbers with gaps", 0, 1);
        return {data, detail::with_given_for<F...>(count(), bytes_each, n...)};
    }

    // Assignments compute into the memory shown. They are const, as a pointer's target is not part of the pointer.
    constexpr view const& operator=(view const& x) const requires(!std::is_const_v<T>) { return computed(x); }
    template <Argument X> requires(!std::is_const_v<T>)
    constexpr view const& operator=(X const& x) const { return computed(as_operand(x)); }
    template <class X> requires(!Argument<X> || std::is_const_v<T>)
    view const& operator=(X const&) const = delete;  // neither an expression nor a number, or the numbers are const
    template <Argument X> requires(!std::is_const_v<T>)
    constexpr view const& operator+=(X const& x) const { return computed(*this + x); }
    template <Argument X> requires(!std::is_const_v<T>)
    constexpr view const& operator-=(X const& x) const { return computed(*this - x); }
    template <Argument X> requires(!std::is_const_v<T>)
    constexpr view const& operator*=(X const& x) const { return computed(*this * x); }
    template <Argument X> requires(!std::is_const_v<T>)
    constexpr view const& operator/=(X const& x) const { return computed(*this / x); }
    /// y = {{1, 2}, {3, 4}}: as many numbers as there are positions.
    constexpr view const& operator=(nested_list<number, rank> const& list) const
        requires(!std::is_const_v<T> && rank > 0)
    {
        detail::copy_list<number, rank>(list, sizes.axis, strides.axis, data);
        return *this;
    }

private:
    static constexpr index_t bytes_each = sizeof(T);

    template <int Axis> static constexpr index_t axis_at() {
        constexpr index_t a = axis_of_rank(Axis, rank);
        static_assert(0 <= a && a < rank, "the view has no such axis");
        return a;
    }
    template <detail::extents_t S> constexpr auto window(index_t offset, auto const& n, auto const& s) const {
        return detail::view_of<T, S>(data + offset, n, s, detail::judged_already{});
    }
    template <int Axis, extent N> constexpr auto cut(index_t first, index_t n) const {
        constexpr index_t a = axis_at<Axis>();
        require(n >= 0 && n <= size(a), fault::bounds, "view: positions of a slice", n, size(a));
        require(first >= 0 && first <= size(a) - n, fault::bounds, "view: first position of a slice", first,
                size(a) - n);
        per_axis left = sizes;
        left[a] = n;
        return window<detail::replaced(extents_value, a, N)>(first * strides[a], left, strides);
    }
    template <int Axis, extent N> constexpr auto every_kth(index_t k) const {
        constexpr index_t a = axis_at<Axis>();
        require(k > 0, fault::bounds, "view: step", k, 1);
        per_axis n = sizes, s = strides;
        n[a] = n[a] / k + (n[a] % k != 0), s[a] *= k;
        return window<detail::replaced(extents_value, a, N)>(0, n, s);
    }
    template <class X> constexpr view const& computed(X const& x) const {
        if constexpr (requires { X::extents_value; }) {
            constexpr auto verdict = detail::judge<detail::into_, X, view>();
            if constexpr (verdict.algebra.clash)
                static_assert(detail::expects<verdict.algebra.given, verdict.algebra.wanted>::holds);
        }
        assign(*this, x);
        return *this;
    }
};

/// A view of the numbers of a span, vector or array, which must be as many as its sizes say:
/// `as_view<any, 64>(numbers)`.
template <extent... E, class Numbers, std::integral... N>
    requires requires(Numbers& x) { std::span(x); }
constexpr auto as_view(Numbers& numbers, N... n) {
    std::span const all(numbers);
    using T = typename decltype(std::span(numbers))::element_type;
    return view<T, E...>(all.data(), detail::with_given_for<E...>(static_cast<index_t>(all.size()), sizeof(T), n...));
}

}  // namespace graft
