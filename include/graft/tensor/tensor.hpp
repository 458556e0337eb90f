// SPDX-License-Identifier: Apache-2.0
// Tensors that own their numbers.                                                        (layer 4: tensor)
#pragma once

#include <graft/tensor/expression_sizes.hpp>
#include <graft/tensor/storage.hpp>
#include <graft/tensor/view.hpp>

#include <algorithm>
#include <span>
#include <utility>

namespace graft {

/// Said at construction: every number is `value`. `tensor<float, any, 64> x(fill{0.5}, 17)`.
struct fill {
    double value;
};

namespace detail {

template <class M> concept complete = requires { sizeof(M); };

/// The sizes of a tensor: nothing is stored where all of them are exact.
template <bool Exact, extent... E>
struct stored_sizes {
    each_axis<sizeof...(E)> numbers{{(E.exact ? E.bound : 0)...}};
    constexpr each_axis<sizeof...(E)> const& get() const { return numbers; }
    constexpr void set(each_axis<sizeof...(E)> const& n) { numbers = n; }
};
template <extent... E>
struct stored_sizes<true, E...> {
    static constexpr each_axis<sizeof...(E)> get() { return {{E.bound...}}; }
    static constexpr void set(each_axis<sizeof...(E)> const&) {}
};

}  // namespace detail

/// Numbers in row-major order, in place where their bound is at most 16 KiB, else on the heap; `in_place<T>`,
/// `in_arena<T>` and `on_heap<T>` in the place of T choose. Sizes are asked for where an extent is not exact:
/// `tensor<float, any, 64> x(17)`. Numbers that nothing is said about are 0.
///
/// An assignment computes into the sizes that are there; only a copy or a move of a tensor of the same type, and
/// `resize`, change them.
/// needs    sizes that are not negative and within their bounds (fault::shape, fault::bounds), and memory for them
///          (fault::memory)
template <class P, extent... E>
class tensor : public operand {
    static constexpr index_t most = extents<E...>::most;
    using policy = typename detail::policy_for<P, most>::type;
    using storage = numbers_of<policy, most>;
    static constexpr bool has_memory = detail::complete<storage>;
    static constexpr bool has_policy = Number<P> || !std::is_same_v<P, typename detail::number_of_policy<P>::type>;
    static_assert(has_policy, "this tensor is given neither a number nor in_place<T>, in_arena<T> or on_heap<T>");
    static_assert(has_memory || !has_policy,
                  "this tensor lies on the heap: include graft/tensor/heap.hpp, or bound its extents, or use an arena");

public:
    using number = typename detail::number_of_policy<policy>::type;
    static_assert(std::is_arithmetic_v<number> && !std::is_const_v<number>, "a tensor holds numbers");
    static constexpr shape<extent> extents_value = extents<E...>::value;
    static constexpr index_t rank = sizeof...(E);
    using per_axis = each_axis<rank>;

    tensor() requires(!storage::from_arena) { make({{(E.exact ? E.bound : 0)...}}), zero(0); }
    template <std::integral... N> requires(!storage::from_arena && sizeof...(N) > 0)
    explicit tensor(N... n) { make(detail::with_given<E...>(n...)), zero(0); }
    template <std::integral... N> requires(!storage::from_arena)
    explicit tensor(fill f, N... n) { make(detail::with_given<E...>(n...)), *this = f.value; }
    /// {{1, 2, 3}, {4, 5, 6}}: every part as long as the others.
    tensor(nested_list<number, rank> const& list) requires(!storage::from_arena && rank > 0) {
        per_axis n;
        detail::sizes_of_list<number, rank>(list, n.axis);
        make(n);
        all() = list;
    }
    /// A copy of as many numbers as there are positions; one size that is not given follows from their count.
    template <std::integral... N> requires(!storage::from_arena)
    explicit tensor(std::span<number const> from, N... n) {
        make(detail::with_given_for<E...>(static_cast<index_t>(from.size()), bytes_each, n...));
        std::copy(from.begin(), from.end(), begin());
    }
    /// The result of an expression, or a copy of a view.
    template <Operand X> requires(!storage::from_arena)
    tensor(X const& x) { compute(x); }

    template <std::integral... N> requires(storage::from_arena)
    explicit tensor(arena& from, N... n) : tensor(from, detail::with_given<E...>(n...), 0) { zero(0); }
    template <Operand X> requires(storage::from_arena)
    tensor(arena& from, X const& x) : tensor(from, sizes_for(x), 0) { all() = x; }

    tensor(tensor const& x) requires(!storage::from_arena) { make(x.sizes()), copy(x); }
    tensor(tensor&& x) noexcept : kept(taken(x)) {
        stored.set(x.sizes());
        if constexpr (storage::fixed) copy(x);
        else x.stored = {};
    }
    /// Becomes x, sizes included.
    tensor& operator=(tensor const& x) {
        if (this != &x) make(x.sizes()), copy(x);
        return *this;
    }
    tensor& operator=(tensor&& x) {
        if constexpr (requires { kept = std::move(x.kept); } && !storage::fixed) {
            kept = std::move(x.kept);
            std::swap(stored, x.stored);
            return *this;
        } else {
            return *this = std::as_const(x);
        }
    }

    view<number, E...> all() { return {data(), sizes(), row_major(sizes()), detail::judged_already{}}; }
    view<number const, E...> all() const { return {data(), sizes(), row_major(sizes()), detail::judged_already{}}; }

    number* data() { return kept.data(); }
    number const* data() const { return kept.data(); }
    per_axis sizes() const { return stored.get(); }
    index_t size(index_t a) const { return sizes()[a]; }
    index_t count() const { return graft::count(sizes()); }
    number* begin() { return data(); }
    number* end() { return data() + count(); }
    number const* begin() const { return data(); }
    number const* end() const { return data() + count(); }
    std::span<number> span() { return {data(), static_cast<std::size_t>(count())}; }
    std::span<number const> span() const { return {data(), static_cast<std::size_t>(count())}; }

    /// Numbers and windows, as of a view: x(i, j), x(range(2, 5), 3), x[i]; `at` checks a number's position.
    template <class... I> decltype(auto) operator()(I... i) { return all()(i...); }
    template <class... I> decltype(auto) operator()(I... i) const { return all()(i...); }
    decltype(auto) operator[](index_t i) { return all()[i]; }
    decltype(auto) operator[](index_t i) const { return all()[i]; }
    template <std::integral... I> number& at(I... i) { return all().at(i...); }
    template <std::integral... I> number const& at(I... i) const { return all().at(i...); }

    /// New sizes for the extents that are not exact. Numbers stay in their row-major order; new ones are 0.
    template <std::integral... N> void resize(N... to) {
        index_t const before = count();
        make(detail::with_given<E...>(to...), before), zero(before);
    }
    /// The same; false, and nothing changed, where there is no memory for it.
    template <std::integral... N> [[nodiscard]] bool try_resize(N... to) {
        auto const sizes_wanted = detail::with_given<E...>(to...);
        index_t const before = count(), numbers = checked(sizes_wanted);
        if (!kept.reserve(numbers, std::min(before, numbers))) return false;
        stored.set(sizes_wanted);
        zero(before);
        return true;
    }

    tensor& operator=(Number auto x) { return std::fill_n(data(), count(), static_cast<number>(x)), *this; }
    template <Operand X> tensor& operator=(X const& x) { return all() = x, *this; }
    tensor& operator=(nested_list<number, rank> const& list) requires(rank > 0) { return all() = list, *this; }
    template <class X> tensor const& operator=(X const&) const = delete;  // no expression or number, or const tensor
    template <Argument X> tensor& operator+=(X const& x) { return all() += x, *this; }
    template <Argument X> tensor& operator-=(X const& x) { return all() -= x, *this; }
    template <Argument X> tensor& operator*=(X const& x) { return all() *= x, *this; }
    template <Argument X> tensor& operator/=(X const& x) { return all() /= x, *this; }

private:
    static constexpr index_t bytes_each = sizeof(number);

    tensor(arena& from, per_axis const& sizes, int) : kept(from, checked(sizes)) { stored.set(sizes); }

    static index_t checked(per_axis const& sizes) {
        detail::check_sizes<E...>(sizes, bytes_each);
        return graft::count(sizes);
    }
    void make(per_axis const& sizes, index_t staying = 0) {
        index_t const numbers = checked(sizes);
        require(kept.reserve(numbers, std::min(staying, numbers)), fault::memory,
                "tensor: numbers that its memory takes", numbers, kept.capacity());
        stored.set(sizes);
    }
    template <class X> static per_axis sizes_for(X const& x) {
        auto const from = sizes_of(as_operand(x));
        static_assert(operand_t<X>::extents_value.rank == rank, "a tensor has the rank of what it is made from");
        per_axis sizes;
        for (index_t a = 0; a < rank; ++a) sizes[a] = from[a];
        return sizes;
    }
    template <class X> void compute(X const& x) { make(sizes_for(x)), all() = x; }
    void zero(index_t from) { if (from < count()) std::fill(begin() + from, end(), number{}); }
    void copy(tensor const& x) { std::copy(x.begin(), x.end(), begin()); }
    static storage taken(tensor& x) {
        if constexpr (storage::fixed) return storage{};
        else return std::move(x.kept);
    }

    [[no_unique_address]] detail::stored_sizes<extents<E...>::exact, E...> stored;
    storage kept;
};

// `tensor y = silu(a) * b`: the extents of what it is made from. One guide for each rank.
// clang-format off
namespace detail {
template <class X, index_t Rank> concept OfRank =
    Operand<X> && !std::is_void_v<typename X::number> && X::extents_value.rank == Rank;
template <class X, index_t A> inline constexpr extent extent_of = X::extents_value.axis[A];
}  // namespace detail
template <detail::OfRank<0> X> tensor(X const&) -> tensor<typename X::number>;
template <detail::OfRank<1> X> tensor(X const&) -> tensor<typename X::number, detail::extent_of<X, 0>>;
template <detail::OfRank<2> X> tensor(X const&)
    -> tensor<typename X::number, detail::extent_of<X, 0>, detail::extent_of<X, 1>>;
template <detail::OfRank<3> X> tensor(X const&)
    -> tensor<typename X::number, detail::extent_of<X, 0>, detail::extent_of<X, 1>, detail::extent_of<X, 2>>;
template <detail::OfRank<4> X> tensor(X const&)
    -> tensor<typename X::number, detail::extent_of<X, 0>, detail::extent_of<X, 1>, detail::extent_of<X, 2>,
              detail::extent_of<X, 3>>;
template <detail::OfRank<5> X> tensor(X const&)
    -> tensor<typename X::number, detail::extent_of<X, 0>, detail::extent_of<X, 1>, detail::extent_of<X, 2>,
              detail::extent_of<X, 3>, detail::extent_of<X, 4>>;
template <detail::OfRank<6> X> tensor(X const&)
    -> tensor<typename X::number, detail::extent_of<X, 0>, detail::extent_of<X, 1>, detail::extent_of<X, 2>,
              detail::extent_of<X, 3>, detail::extent_of<X, 4>, detail::extent_of<X, 5>>;
template <detail::OfRank<7> X> tensor(X const&)
    -> tensor<typename X::number, detail::extent_of<X, 0>, detail::extent_of<X, 1>, detail::extent_of<X, 2>,
              detail::extent_of<X, 3>, detail::extent_of<X, 4>, detail::extent_of<X, 5>, detail::extent_of<X, 6>>;
template <detail::OfRank<8> X> tensor(X const&)
    -> tensor<typename X::number, detail::extent_of<X, 0>, detail::extent_of<X, 1>, detail::extent_of<X, 2>,
              detail::extent_of<X, 3>, detail::extent_of<X, 4>, detail::extent_of<X, 5>, detail::extent_of<X, 6>,
              detail::extent_of<X, 7>>;
// clang-format on

}  // namespace graft
