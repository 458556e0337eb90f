// SPDX-License-Identifier: Apache-2.0
// Loops over the numbers of a piece, a register at a time.                               (layer 11: optimizer)
#pragma once

#include <graft/optimizer/optimizer.hpp>
#include <graft/simd/pack.hpp>

namespace graft::detail {

/// f(i, n) for numbers i, …, i + n − 1: n is the pack's width, but in the last call.
template <class T, class F>
GRAFT_INLINE void by_packs(index_t count, F f) {
    constexpr index_t W = pack<T>::width;
    index_t i = 0;
    for (; i + W <= count; i += W) f(i, W);
    if (i < count) f(i, count - i);
}
template <class T>
GRAFT_INLINE pack<T> take(T const* from, index_t n) {
    return n == pack<T>::width ? pack<T>::load(from) : pack<T>::load_some(from, n);
}
template <class T>
GRAFT_INLINE void put(T* to, index_t n, pack<T> x) {
    if (n == pack<T>::width) x.store(to);
    else x.store_some(to, n);
}
/// n gradients from number i on, scaled; 0 where there are none.
template <class T>
GRAFT_INLINE pack<T> gradient(update<T> const& u, index_t i, index_t n) {
    if (!u.gradients) return T(0);
    return take(u.gradients + i, n) * pack<T>(static_cast<T>(u.scale));
}
/// What decoupled weight decay leaves of a parameter: 1 − rate · decay, or 1 where decay means nothing.
template <class T>
pack<T> kept(update<T> const& u, double weight_decay) {
    return static_cast<T>(decays(u.of.is) ? 1 - u.rate * weight_decay : 1);
}
template <class T>
T* numbers(std::byte* at, index_t skip = 0) {
    return reinterpret_cast<T*>(at) + skip;
}
template <class T>
constexpr index_t bytes_of(index_t count) {
    return count * static_cast<index_t>(sizeof(T));
}

}  // namespace graft::detail
