// SPDX-License-Identifier: Apache-2.0
// An optimizer, the parameters it moves, and gradients that anyone can compute again.
#pragma once

#include <graft/optimizer/optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

namespace graft_test {

/// Bytes on a boundary of 64.
class bytes_of_64 {
public:
    explicit bytes_of_64(graft::index_t count, std::byte value = {})
        : all(static_cast<std::size_t>(count + 64), value), size(static_cast<std::size_t>(count)) {}
    std::byte* data() {
        void* at = all.data();
        std::size_t room = all.size();
        return static_cast<std::byte*>(std::align(64, size, at, room));
    }

private:
    std::vector<std::byte> all;
    std::size_t size;
};

template <class T, class O>
struct parameter_trial {
    O how;
    graft::piece of;
    std::vector<T> x;
    bytes_of_64 state, scratch;
    graft::index_t steps = 0;

    parameter_trial(O o, graft::piece p, T first = {})
        : how(o), of(p), x(static_cast<std::size_t>(p.count()), first), state(o.template state_bytes<T>(p)),
          scratch(graft::scratch_bytes<T>(o, p)) {}

    /// One update, in scratch that holds what nobody may rely on; no gradient where g is empty.
    void step(std::vector<T> const& g, double rate, double scale = 1) {
        std::fill_n(scratch.data(), graft::scratch_bytes<T>(how, of), std::byte{0xff});
        how.apply(graft::update<T>{of, x.data(), g.empty() ? nullptr : g.data(), state.data(), scratch.data(), rate,
                                   scale, ++steps});
    }
};

/// sin(a i + b).
template <class T>
std::vector<T> sines(graft::index_t count, double a, double b) {
    std::vector<T> x(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(std::sin(a * static_cast<double>(i) + b));
    return x;
}

}  // namespace graft_test
