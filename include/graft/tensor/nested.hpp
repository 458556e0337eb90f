// SPDX-License-Identifier: Apache-2.0
// Numbers written in nested braces.                                                      (layer 4: tensor)
#pragma once

#include <graft/tensor/sizes.hpp>

#include <initializer_list>

namespace graft {

namespace detail {

template <class T, index_t Rank> struct nested {
    using type = std::initializer_list<typename nested<T, Rank - 1>::type>;
};
template <class T> struct nested<T, 1> { using type = std::initializer_list<T>; };
template <class T> struct nested<T, 0> { using type = std::initializer_list<T>; };  // a single number, in braces

}  // namespace detail

/// {1, 2}, {{1, 2}, {3, 4}}, …: as deep as the rank.
template <class T, index_t Rank> using nested_list = typename detail::nested<T, Rank>::type;

namespace detail {

/// The sizes of a list: its own, its first part's, …
template <class T, index_t Rank>
constexpr void sizes_of_list(nested_list<T, Rank> const& list, index_t* to) {
    *to = static_cast<index_t>(list.size());
    if constexpr (Rank > 1) {
        if (list.size() > 0) sizes_of_list<T, Rank - 1>(*list.begin(), to + 1);
    }
}

/// Copies a list; each part must have the size of its axis.
template <class T, index_t Rank>
constexpr void copy_list(nested_list<T, Rank> const& list, index_t const* sizes, index_t const* strides, T* to) {
    auto const length = static_cast<index_t>(list.size());
    require(length == *sizes, fault::shape, "tensor: length of a list of numbers", length, *sizes);
    for (auto const& part : list) {
        if constexpr (Rank > 1) copy_list<T, Rank - 1>(part, sizes + 1, strides + 1, to);
        else *to = part;
        to += *strides;
    }
}

}  // namespace detail

}  // namespace graft
