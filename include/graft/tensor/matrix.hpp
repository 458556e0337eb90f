// SPDX-License-Identifier: Apache-2.0
// A row-major window on memory that someone else owns, and products of such windows.     (layer 4: tensor)
#pragma once

#include <graft/base/error.hpp>
#include <graft/memory/workers.hpp>

#include <concepts>
#include <type_traits>

namespace graft {

template <class T> struct matrix;
template <class M> struct transposed { M m; };
template <class A, class B> struct product { A a; B b; double scale = 1; };
template <class P, class Q> struct two_products { P p; Q q; };
template <class M> struct scaled { M m; double scale; };

/// What may stand in a product: a matrix of numbers, or a stored weight (`quant/weight.hpp`), each possibly transposed.
template <class M> inline constexpr bool is_matrix = false;
template <class T> inline constexpr bool is_matrix<matrix<T>> = true;
template <class X> inline constexpr bool is_factor = is_matrix<X>;
template <class M> inline constexpr bool is_factor<transposed<M>> = is_matrix<M>;
template <class X> concept Factor = is_factor<X>;

template <class M> constexpr index_t rows(M const& m) { return m.rows; }
template <class M> constexpr index_t columns(M const& m) { return m.columns; }
template <class M> constexpr index_t rows(transposed<M> const& x) { return x.m.columns; }
template <class M> constexpr index_t columns(transposed<M> const& x) { return x.m.rows; }

/// c = scale · a b, or c += scale · a b: the packed kernel (`kernel/product.hpp`).
template <class T, Factor A, Factor B>
void multiply(matrix<T> c, A a, B b, T scale, bool accumulate);

/// `rows × columns` numbers, row i at `data + i * stride`. Copying a view copies no number.
/// A `fresh` view has not been added to yet: its first `+=` assigns, so nothing needs to be zero-filled.
template <class T>
struct matrix {
    T* data = nullptr;
    index_t rows = 0, columns = 0, stride = 0;
    workers const* on = nullptr;
    bool fresh = false;

    constexpr matrix() = default;
    constexpr matrix(T* d, index_t r, index_t c, workers const* w = nullptr) : matrix(d, r, c, c, w) {}
    constexpr matrix(T* d, index_t r, index_t c, index_t s, workers const* w, bool f = false)
        : data(d), rows(r), columns(c), stride(s), on(w), fresh(f) {}

    constexpr explicit operator bool() const { return data != nullptr; }
    constexpr T& operator()(index_t i, index_t j) const { return data[i * stride + j]; }
    constexpr T* row(index_t i) const { return data + i * stride; }
    /// `count` rows from row `first`; `count` columns from column `first`: windows on the same memory.
    constexpr matrix slice(index_t first, index_t count) const {
        return {row(first), count, columns, stride, on, fresh};
    }
    constexpr matrix cut(index_t first, index_t count) const { return {data + first, rows, count, stride, on, fresh}; }
    constexpr matrix as_fresh(bool f = true) const { return {data, rows, columns, stride, on, f}; }
    constexpr matrix by(workers const* w) const { return {data, rows, columns, stride, w, fresh}; }

    template <class A, class B> matrix const& operator=(product<A, B> p) const {
        return multiply(*this, p.a, p.b, static_cast<T>(p.scale), false), *this;
    }
    template <class A, class B> matrix const& operator+=(product<A, B> p) const {
        return multiply(*this, p.a, p.b, static_cast<T>(p.scale), !fresh), *this;
    }
    template <class P, class Q> matrix const& operator=(two_products<P, Q> s) const {
        *this = s.p;
        as_fresh(false) += s.q;
        return *this;
    }
    template <class P, class Q> matrix const& operator+=(two_products<P, Q> s) const {
        *this += s.p;
        as_fresh(false) += s.q;
        return *this;
    }
};

/// The transpose, as a factor of a product: no number moves.
template <class M> requires is_matrix<M> constexpr transposed<M> t(M m) { return {m}; }

template <Factor A>
constexpr scaled<A> operator*(std::floating_point auto s, A a) {
    return {a, static_cast<double>(s)};
}
template <Factor A, Factor B> constexpr product<A, B> operator*(A a, B b) { return {a, b}; }
template <Factor A, Factor B> constexpr product<A, B> operator*(scaled<A> a, B b) { return {a.m, b, a.scale}; }
template <class A, class B, class C>
void operator*(product<A, B>, C) = delete;  // name the intermediate: it needs memory
template <class A, class B, class C, class D>
constexpr two_products<product<A, B>, product<C, D>> operator+(product<A, B> p, product<C, D> q) { return {p, q}; }

}  // namespace graft
