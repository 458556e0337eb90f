// SPDX-License-Identifier: Apache-2.0
// `prepare`: a function with memory of its own from the heap. Hosted only.               (layer 9: program)
#pragma once

#include <graft/program/prepare.hpp>
#include <graft/tensor/heap.hpp>

namespace graft {

/// A prepared function that owns the memory of its values; taken once, when it is prepared.
template <class F, class T>
class prepared : numbers_of<on_heap<std::byte>, -1>, public running<F, T> {
public:
    template <class... B>
    prepared(F const& f, workers executor, B const&... bindings)
        : prepared(f, bytes_on<T>(executor.count, f, bindings...), executor, bindings...) {}

private:
    using block = numbers_of<on_heap<std::byte>, -1>;
    template <class... B>
    prepared(F const& f, index_t size, workers executor, B const&... bindings)
        : block(taken(size)),
          running<F, T>(f, {block::data(), static_cast<std::size_t>(size)}, executor, bindings...) {}
    static block taken(index_t size) {
        block b;
        require(b.reserve(size, 0), fault::memory, "function: bytes of memory", size, 0);
        return b;
    }
};

/// A function on T with its arguments: `prepare<float>(gradient(loss, wrt(w)), x = X, w = W)`. What is prepared may be
/// an expression, too. Arguments must outlive it; named tensors bind themselves.
template <class T, class F, class... B>
auto prepare(F const& f, B const&... bindings) {
    auto const g = function(f);
    return prepared<std::remove_cvref_t<decltype(g)>, T>(g, workers{}, bindings...);
}
/// The same, with products computed by an executor.
template <class T, class F, class... B>
auto prepare_on(workers executor, F const& f, B const&... bindings) {
    auto const g = function(f);
    return prepared<std::remove_cvref_t<decltype(g)>, T>(g, executor, bindings...);
}

}  // namespace graft
