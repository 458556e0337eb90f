// SPDX-License-Identifier: Apache-2.0
// Sizes and strides of one rank, and the checks on sizes that come from a caller.        (layer 4: tensor)
#pragma once

#include <graft/shape/shape.hpp>

#include <concepts>
#include <cstdint>

namespace graft {

/// One number for each axis, outermost first: sizes, strides.
template <index_t Rank>
struct each_axis {
    index_t axis[Rank > 0 ? Rank : 1]{};
    static constexpr index_t rank = Rank;

    constexpr index_t& operator[](index_t a) { return axis[a]; }
    constexpr index_t operator[](index_t a) const { return axis[a]; }
    constexpr index_t const* begin() const { return axis; }
    constexpr index_t const* end() const { return axis + Rank; }
    constexpr operator sizes_t() const {
        sizes_t s;
        for (index_t n : *this) s.push(n);
        return s;
    }
    friend constexpr bool operator==(each_axis const& a, each_axis const& b) {
        for (index_t k = 0; k < Rank; ++k)
            if (a.axis[k] != b.axis[k]) return false;
        return true;
    }
};

/// The numbers that tensors of these sizes hold.
template <index_t Rank>
constexpr index_t count(each_axis<Rank> const& sizes) {
    index_t n = 1;
    for (index_t d : sizes) n *= d;
    return n;
}

/// The strides of numbers that lie in row-major order without gaps.
template <index_t Rank>
constexpr each_axis<Rank> row_major(each_axis<Rank> const& sizes) {
    each_axis<Rank> strides;
    index_t step = 1;
    for (index_t a = Rank - 1; a >= 0; --a) strides[a] = step, step *= sizes[a];
    return strides;
}

namespace detail {

/// The number of axes whose size only a running program knows.
template <extent... E> inline constexpr index_t free_axes = (index_t{!E.exact} + ... + 0);

/// Holds sizes to extents, and their product with the bytes of a number to what an index can count. Returns them.
template <extent... E>
constexpr each_axis<sizeof...(E)> const& check_sizes(each_axis<sizeof...(E)> const& sizes, index_t bytes) {
    index_t a = 0, product = bytes;
    ((require(E.admits(sizes[a]), E.exact || sizes[a] < 0 ? fault::shape : fault::bounds, "tensor: size of an axis",
              sizes[a], E.bound < 0 ? 0 : E.bound),
      ++a),
     ...);
    for (index_t n : sizes) {  // an empty axis does not excuse the others: strides are products too
        index_t const before = product;
        require(!__builtin_mul_overflow(before, n > 0 ? n : 1, &product), fault::memory, "tensor: bytes of its sizes",
                n, PTRDIFF_MAX / before);
    }
    return sizes;
}

/// Sizes for extents E: `given` for those that are not exact, in order.
template <extent... E, std::integral... N>
constexpr each_axis<sizeof...(E)> with_given(N... given) {
    static_assert(sizeof...(N) == free_axes<E...>, "a tensor takes one size for each extent that is not exact");
    [[maybe_unused]] index_t const all_given[]{static_cast<index_t>(given)..., 0};
    each_axis<sizeof...(E)> sizes;
    index_t a = 0, next = 0;
    ((sizes[a++] = E.exact ? E.bound : all_given[next++]), ...);
    return sizes;
}

/// The same, for `numbers` numbers: one size that is not given follows from them.
template <extent... E, std::integral... N>
constexpr each_axis<sizeof...(E)> with_given_for(index_t numbers, index_t bytes, N... given) {
    each_axis<sizeof...(E)> sizes;
    if constexpr (sizeof...(N) == 0 && free_axes<E...> == 1) {
        index_t known = 1, a = 0;
        ((known *= E.exact ? E.bound : 1), ...);
        ((sizes[a++] = E.exact ? E.bound : known == 0 ? 0 : numbers / known), ...);
    } else {
        sizes = with_given<E...>(given...);
    }
    check_sizes<E...>(sizes, bytes);
    require(count(sizes) == numbers, fault::shape, "tensor: numbers for its sizes", numbers, count(sizes));
    return sizes;
}

/// May a size of extent `from` always, or ever, stand where `to` is asked for?
constexpr bool always_fits(extent from, extent to) {
    if (to.exact) return from == to;
    return to.bound < 0 || (from.bound >= 0 && from.bound <= to.bound);
}
constexpr bool may_fit(extent from, extent to) {
    if (to.exact && !from.exact) return from.bound < 0 || to.bound <= from.bound;
    return !from.exact || always_fits(from, to);
}

}  // namespace detail

}  // namespace graft
