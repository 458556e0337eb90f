// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files: one tensor each, read and written.                                 (layer 16: io)
#pragma once

#include <graft/io/npy_header.hpp>

#include <graft/io/atomic_file.hpp>
#include <graft/io/mapped_file.hpp>
#include <graft/simd/widen.hpp>
#include <graft/tensor/heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

namespace graft {

/// What may happen to numbers whose type is not the tensor's. `lossless`: each must be the same number in the tensor's
/// type. `rounding`: floating-point ones may be rounded to the nearest; whole numbers must fit all the same.
enum class conversion : unsigned char { lossless, rounding };

namespace detail {

/// from as a T; false where that is not allowed.
template <class T, class From>
bool converted(From from, conversion how, T& to) {
    if constexpr (std::is_floating_point_v<T>) {
        to = static_cast<T>(from);
        if (how == conversion::rounding || from != from) return true;
        if constexpr (std::is_floating_point_v<From>) return static_cast<From>(to) == from;
        else return to < T{0x1p63} && static_cast<std::int64_t>(to) == from;
    } else {
        if constexpr (std::is_floating_point_v<From>) {  // a limit of T is a power of two, or one less
            if (!(from >= static_cast<From>(std::numeric_limits<T>::min()) &&
                  from < -2 * static_cast<From>(std::numeric_limits<T>::min() / 2)))
                return false;
        } else if (!std::in_range<T>(from)) {
            return false;
        }
        to = static_cast<T>(from);
        return static_cast<From>(to) == from;
    }
}

/// The bits of a half-precision number.
struct half_bits {
    std::uint16_t bits;
};
template <class From> From npy_number(std::byte const* at) { return load_number<From>(at); }
template <> inline half_bits npy_number<half_bits>(std::byte const* at) { return {load_number<std::uint16_t>(at)}; }
template <class From> From as_number(From x) { return x; }
inline float as_number(half_bits x) { return half_to_float(x.bits); }

/// Fills `to`, in row-major order, from numbers of type From at `data`. Returns the first position that is refused.
template <class From, class T, std::size_t Rank>
index_t read_numbers(std::byte const* data, std::array<index_t, Rank> const& sizes,
                     std::array<index_t, Rank> const& strides, index_t count, conversion how, T* to) {
    std::array<index_t, Rank> at{};
    index_t offset = 0;
    for (index_t i = 0; i < count; ++i) {
        auto const from = as_number(npy_number<From>(data + offset * static_cast<index_t>(sizeof(From))));
        if (!converted(from, how, to[i])) return i;
        for (std::size_t a = Rank; a-- > 0;) {  // the next position
            offset += strides[a];
            if (++at[a] < sizes[a]) break;
            offset -= strides[a] * sizes[a], at[a] = 0;
        }
    }
    return count;
}

/// Calls f with the type of number that a header names.
template <class F>
index_t with_npy_type(npy_type type, F&& f) {
    switch (type) {
        case npy_type::f2: return f(half_bits{});
        case npy_type::f4: return f(float{});
        case npy_type::f8: return f(double{});
        case npy_type::i4: return f(std::int32_t{});
        case npy_type::i8: return f(std::int64_t{});
        case npy_type::i1: return f(std::int8_t{});
        case npy_type::u1:
        case npy_type::b1: break;
    }
    return f(std::uint8_t{});
}

template <class T> constexpr npy_type npy_type_of() {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int32_t>,
                  "numbers of .npy files are read and written as float, double and std::int32_t");
    return std::is_same_v<T, float> ? npy_type::f4 : std::is_same_v<T, double> ? npy_type::f8 : npy_type::i4;
}

template <index_t, extent E> inline constexpr extent for_each_axis = E;
template <class T, class I> struct tensor_of_rank;
template <class T, index_t... I>
struct tensor_of_rank<T, std::integer_sequence<index_t, I...>> { using type = tensor<T, for_each_axis<I, any>...>; };

}  // namespace detail

/// A tensor whose sizes a file says: tensor<T, any, any> for rank 2.
template <class T, int Rank>
using read_tensor = typename detail::tensor_of_rank<T, std::make_integer_sequence<index_t, Rank>>::type;

/// The tensor that the bytes of a .npy file hold, in row-major order whatever the order of the file.
template <class T, int Rank>
result<read_tensor<T, Rank>> parse_npy(std::span<std::byte const> bytes, std::string const& file,
                                       conversion how = conversion::lossless) {
    static_assert(0 <= Rank && Rank <= most_axes, "a tensor has at most eight axes");
    constexpr auto rank = static_cast<std::size_t>(Rank);
    auto const read = parse_npy_header(bytes, file);
    if (!read) return read.error();
    npy_header const& h = *read;
    if (h.shape.size() != rank)
        return detail::npy_problem(file, "has another rank than asked for", "shape", std::to_string(Rank) + " axes",
                                   h.describe_shape(), "reading it with that rank, or reshaping it before np.save");
    std::array<index_t, rank> sizes{}, strides{};
    index_t step = 1;
    std::uint64_t needed = sizeof(T);
    bool countable = true;
    for (std::size_t a = 0; a < rank; ++a) {
        sizes[a] = static_cast<index_t>(h.shape[a]);
        countable = countable && checked_mul(needed, std::max<std::uint64_t>(h.shape[a], 1), needed);
    }
    if (!countable || needed > PTRDIFF_MAX)
        return detail::npy_problem(file, "has more positions than can be counted", "shape", {}, h.describe_shape(), {});
    for (std::size_t k = 0; k < rank; ++k) {
        std::size_t const a = h.fortran_order ? k : rank - 1 - k;
        strides[a] = step, step *= sizes[a];
    }

    read_tensor<T, Rank> x;
    bool const room = [&]<std::size_t... A>(std::index_sequence<A...>) {
        return x.try_resize(sizes[A]...);
    }(std::make_index_sequence<rank>{});
    if (!room)
        return problem{cause::memory, file, "does not fit in memory", {}, {}, std::to_string(needed) + " bytes", {}};
    index_t const count = x.count();
    index_t const done = detail::with_npy_type(h.type, [&](auto from) {
        return detail::read_numbers<decltype(from)>(h.data.data(), sizes, strides, count, how, x.data());
    });
    if (done < count)
        return detail::npy_problem(file, "holds a number that the wanted type does not have",
                                   "number " + std::to_string(done) + " in row-major order",
                                   npy_type_name(detail::npy_type_of<T>()), npy_type_name(h.type),
                                   std::is_floating_point_v<T> ? "conversion::rounding" : "a wider type of number");
    return x;
}

/// Reads a .npy file, of version 1.0, 2.0 or 3.0. The rank must be the file's.
template <class T, int Rank>
result<read_tensor<T, Rank>> read_npy(std::string const& path, conversion how = conversion::lossless) {
    auto const file = mapped_file::open(path);
    if (!file) return file.error();
    return parse_npy<T, Rank>(file->bytes(), path, how);
}

/// Writes a tensor or a view as a .npy file of version 1.0, in row-major order. It appears whole or not at all.
template <Operand X>
result<void> write_npy(std::string const& path, X const& x, save_options const& options = {}) {
    static_assert(detail::is_view<operand_t<X>>, "write_npy takes a tensor or a view: evaluate the expression first");
    auto const v = as_operand(x);
    using T = typename operand_t<X>::number;
    constexpr auto rank = static_cast<std::size_t>(operand_t<X>::rank);
    std::vector<std::uint64_t> shape;
    for (index_t a = 0; a < operand_t<X>::rank; ++a) shape.push_back(static_cast<std::uint64_t>(v.size(a)));

    auto file = atomic_file::create(path, options);
    if (!file) return file.error();
    if (auto const r = file->write(as_bytes(npy_header_text(detail::npy_type_of<T>(), shape))); !r) return r;
    if (v.contiguous()) {
        if (auto const r = file->write(std::as_bytes(v.span())); !r) return r;
        return file->commit();
    }
    std::array<index_t, rank> at{};
    index_t offset = 0;
    for (index_t left = v.count(); left > 0; --left) {
        if (auto const r = file->write(std::as_bytes(std::span(v.data + offset, 1))); !r) return r;
        for (std::size_t a = rank; a-- > 0;) {
            auto const axis = static_cast<index_t>(a);
            offset += v.stride(axis);
            if (++at[a] < v.size(axis)) break;
            offset -= v.stride(axis) * v.size(axis), at[a] = 0;
        }
    }
    return file->commit();
}

}  // namespace graft
