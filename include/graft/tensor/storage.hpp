// SPDX-License-Identifier: Apache-2.0
// Where a tensor keeps its numbers: in itself, in an arena, on the heap.                 (layer 4: tensor)
#pragma once

#include <graft/memory/arena.hpp>
#include <graft/tensor/lazy.hpp>

#include <type_traits>
#include <utility>

namespace graft {

/// Said in the place of the number: `tensor<in_place<float>, up_to(128), 64>`. All extents must be bounded.
template <class T> struct in_place;
/// `tensor<in_arena<float>, any, 64> x(arena, 17)`: what it takes at construction is all that it has.
template <class T> struct in_arena;
/// 64-byte aligned and growing: `tensor/heap.hpp`, which firmware leaves out.
template <class T> struct on_heap;

/// The largest tensor that lies in place without being asked to: larger ones would not suit a stack.
inline constexpr index_t most_bytes_in_place = 16 * 1024;

/// The memory behind a tensor. Each policy specialises it for at most `Most` numbers (negative: no bound):
/// `data()`, `capacity()`, and `bool reserve(count, staying)`, which makes room for `count` numbers, leaves the first
/// `staying` as they are, and says whether it could.
template <class Policy, index_t Most> struct numbers_of;

template <class T, index_t Most>
struct numbers_of<in_place<T>, Most> {
    static_assert(Most >= 0, "a tensor in place needs a bound on every extent: a size, or up_to(n)");
    static constexpr bool fixed = true, from_arena = false;

    numbers_of() {}  // the numbers are the tensor's to set

    T* data() { return numbers; }
    T const* data() const { return numbers; }
    index_t capacity() const { return Most; }
    bool reserve(index_t count, index_t) { return count <= Most; }

private:
    static constexpr std::size_t alignment() {
        std::size_t a = alignof(T);
        while (a < buffer_alignment && static_cast<index_t>(a) < Most * static_cast<index_t>(sizeof(T))) a *= 2;
        return a;
    }
    alignas(alignment()) T numbers[Most > 0 ? Most : 1];
};

template <class T, index_t Most>
struct numbers_of<in_arena<T>, Most> {
    static constexpr bool fixed = false, from_arena = true;

    /// Room for the bound, where there is one, else for `count`.
    numbers_of(arena& from, index_t count)
        : numbers(from.take_numbers<T>(Most < 0 ? count : Most)), room(Most < 0 ? count : Most) {}
    numbers_of(numbers_of&& other) noexcept
        : numbers(std::exchange(other.numbers, nullptr)), room(std::exchange(other.room, 0)) {}

    T* data() { return numbers; }
    T const* data() const { return numbers; }
    index_t capacity() const { return room; }
    bool reserve(index_t count, index_t) { return count <= room; }

private:
    T* numbers;
    index_t room;
};

namespace detail {

template <class P> struct number_of_policy { using type = P; };
template <template <class> class Policy, class T> struct number_of_policy<Policy<T>> { using type = T; };

template <class P, index_t Most> struct policy_for { using type = P; };
template <Number T, index_t Most> struct policy_for<T, Most> {
    static constexpr bool small = Most >= 0 && Most <= most_bytes_in_place / static_cast<index_t>(sizeof(T));
    using type = std::conditional_t<small, in_place<T>, on_heap<T>>;
};

}  // namespace detail

}  // namespace graft
