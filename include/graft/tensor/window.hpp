// SPDX-License-Identifier: Apache-2.0
// What a window on a tensor is asked for with, and the extents that it has.              (layer 4: tensor)
#pragma once

#include <graft/tensor/sizes.hpp>

#include <type_traits>
#include <utility>

namespace graft {

/// All positions of an axis: `x(range(), 3)` is a column.
struct whole_axis {};
constexpr whole_axis range() { return {}; }

/// Positions first, first + step, … below `last`.
struct positions {
    index_t first, last, step;
};
constexpr positions range(index_t first, index_t last, index_t step = 1) { return {first, last, step}; }

/// The same with numbers that are known when compiling: the window's extent is then exact.
template <index_t First, index_t Last> struct exact_positions {
    static_assert(0 <= First && First <= Last, "a range begins at 0 or later and does not end before it begins");
};
template <index_t First, index_t Last> constexpr exact_positions<First, Last> range() { return {}; }

namespace detail {

template <class I> inline constexpr bool is_window = false;
template <> inline constexpr bool is_window<whole_axis> = true;
template <> inline constexpr bool is_window<positions> = true;
template <index_t F, index_t L> inline constexpr bool is_window<exact_positions<F, L>> = true;

using extents_t = shape<extent>;

/// What is left of an extent by a cut whose length only a running program knows.
constexpr extent at_most(extent e) { return e.bound < 0 ? any : up_to(e.bound); }
/// Every `step`-th position.
constexpr extent stepped(extent e, index_t step) {
    return e.bound < 0 ? any : extent{(e.bound + step - 1) / step, e.exact};
}
constexpr extent smaller(extent a, extent b) {
    bool const exact = a.exact && b.exact;
    if (a.bound < 0 || b.bound < 0) return a.bound < 0 ? at_most(b) : at_most(a);
    return {a.bound < b.bound ? a.bound : b.bound, exact};
}

constexpr extents_t replaced(extents_t s, index_t a, extent e) {
    s[a] = e;
    return s;
}
constexpr extents_t without(extents_t const& s, index_t a) {
    extents_t r;
    for (index_t k = 0; k < s.rank; ++k)
        if (k != a) r.push(s[k]);
    return r;
}
template <index_t Rank>
constexpr each_axis<Rank - 1> without(each_axis<Rank> const& s, index_t a) {
    each_axis<Rank - 1> r;
    for (index_t k = 0; k < Rank - 1; ++k) r[k] = s[k < a ? k : k + 1];
    return r;
}

/// The extents that indices I leave of s.
template <class I> constexpr void push_window(extents_t& to, extent e) {
    if constexpr (std::is_same_v<I, whole_axis>) to.push(e);
    else if constexpr (std::is_same_v<I, positions>) to.push(at_most(e));
    else if constexpr (!std::is_integral_v<I>)
        []<index_t F, index_t L>(extents_t& r, exact_positions<F, L>) { r.push(extent{L - F}); }(to, I{});
}
template <class... I> constexpr extents_t windowed(extents_t const& s) {
    extents_t r;
    index_t a = 0;
    (push_window<I>(r, s[a++]), ...);
    return r;
}

/// The first range of exact positions that ends after its axis does.
template <class... I> constexpr extent_algebra past_the_end(extents_t const& s) {
    extent_algebra r;
    index_t a = 0;
    auto const judge = [&]<class J>(J const*) {
        if constexpr (requires { []<index_t F, index_t L>(exact_positions<F, L> const*) {}(static_cast<J*>(nullptr)); })
            []<index_t F, index_t L>(exact_positions<F, L> const*, extent_algebra& to, extent e) {
                to.at_least(e, L);
            }(static_cast<J*>(nullptr), r, s[a]);
        ++a;
    };
    (judge(static_cast<I const*>(nullptr)), ...);
    return r;
}

/// Walks the axes of a view with indices, and gathers where the window begins, its sizes and its strides.
template <index_t Rank>
struct window_maker {
    index_t offset = 0, axis = 0;
    each_axis<Rank> sizes{}, strides{};

    constexpr void take(std::integral auto i, index_t size, index_t stride) {
        auto const at = static_cast<index_t>(i);
        require(at >= 0 && at < size, fault::bounds, "view: position on an axis", at, size);
        offset += at * stride;
    }
    constexpr void take(whole_axis, index_t size, index_t stride) { push(size, stride); }
    constexpr void take(positions r, index_t size, index_t stride) {
        require(r.step > 0, fault::bounds, "view: step of a range", r.step, 1);
        require(r.first >= 0 && r.first <= r.last, fault::bounds, "view: first position of a range", r.first, r.last);
        require(r.last <= size, fault::bounds, "view: end of a range", r.last, size);
        offset += r.first * stride;
        push((r.last - r.first + r.step - 1) / r.step, r.step * stride);
    }
    template <index_t First, index_t Last>
    constexpr void take(exact_positions<First, Last>, index_t size, index_t stride) {
        take(positions{First, Last, 1}, size, stride);
    }
    constexpr void push(index_t size, index_t stride) {
        sizes[axis] = size, strides[axis] = stride;
        ++axis;
    }
};

}  // namespace detail

}  // namespace graft
