// SPDX-License-Identifier: Apache-2.0
// Long short-term memory and gated recurrent units, as loops of their cells.             (layer 9: program)
#pragma once

#include <graft/program/recurrence.hpp>

namespace graft {

namespace detail {

/// … × (N · width) seen as … × N × width.
template <index_t N>
struct gates_ {
    static constexpr structure what = structure::reshape;
    template <class D> static constexpr shape<D> shape_of(auto& algebra, shape<D> x) {
        D const width = algebra.divide(last(x), N);
        x[x.rank - 1] = algebra.number(N);
        x.push(width);
        return x;
    }
};
/// Gate K of … × N × width.
template <int K> constexpr auto gate(auto x) { return make(drop_axes_<-2>{}, make(part_<-2, K, 1>{}, x)); }

/// What the loops of this file have in common: the shape of their value, from that of the inputs and of a state.
template <through_time How>
struct gated_loop {
    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& xs, shape<D> const& h0, auto const&...) {
        shape<D> y;
        if (xs.rank != 3) return algebra.mistake(xs.rank, 3), xs;
        if (!How.last_output) y.push(xs[0]);
        for (D d : h0) y.push(d);
        return y;
    }
};

struct lstm_step {
    constexpr auto operator()(term x, term h, term c, term W) const {
        auto const gates = make(gates_<4>{}, x + matmul(h, transpose(W)));
        auto const i = sigmoid(gate<0>(gates)), f = sigmoid(gate<1>(gates)), o = sigmoid(gate<3>(gates));
        auto const kept = f * c + i * tanh(gate<2>(gates));
        return next(o * tanh(kept), kept);
    }
};
struct gru_step {
    constexpr term operator()(term x, term h, term W, term b) const {
        auto const from_x = make(gates_<3>{}, x), from_h = make(gates_<3>{}, matmul(h, transpose(W)) + b);
        auto const r = sigmoid(gate<0>(from_x) + gate<0>(from_h)), z = sigmoid(gate<1>(from_x) + gate<1>(from_h));
        auto const n = tanh(gate<2>(from_x) + r * gate<2>(from_h));
        return n + z * (h - n);
    }
};

}  // namespace detail

/// The cells of `lstm` and `gru`. Their input is what the input adds to all gates, batch × (gates · width): it waits
/// for no state, so that one product gives it for all steps.
/// (They are not made by `cell`, which traces them at once: nobody pays who does not use them.)
inline constexpr cell_of<symbol<"gates of x", any, any>, states_of<symbol<"h", any, any>, symbol<"c", any, any>>,
                         parameters_of<symbol<"W_hh", any, any>>, detail::lstm_step> lstm_cell{};
inline constexpr cell_of<symbol<"gates of x", any, any>, states_of<symbol<"h", any, any>>,
                         parameters_of<symbol<"W_hh", any, any>, symbol<"b_hh", any>>, detail::gru_step> gru_cell{};

template <through_time How>
struct lstm_op : detail::gated_loop<How> {
    static constexpr auto expand(auto xs, auto h, auto c, auto W_ih, auto W_hh, auto b_ih, auto b_hh) {
        return scan<How>(lstm_cell, matmul(xs, transpose(W_ih)) + (b_ih + b_hh), h, c, W_hh);
    }
};
template <through_time How>
struct gru_op : detail::gated_loop<How> {
    static constexpr auto expand(auto xs, auto h, auto W_ih, auto W_hh, auto b_ih, auto b_hh) {
        return scan<How>(gru_cell, matmul(xs, transpose(W_ih)) + b_ih, h, W_hh, b_hh);
    }
};

/// i, f, o = σ(W_ih x + b_ih + W_hh h + b_hh), g = tanh(…) likewise, c' = f c + i g, h' = o tanh(c'): the output.
///
/// shapes   xs: steps × batch × inputs    h, c: batch × width    W_ih: 4 width × inputs    W_hh: 4 width × width
///          b_ih, b_hh: 4 width    rows of the gates i, f, g, o, as in PyTorch    value: steps × batch × width
/// source   Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000
template <through_time How = every_state, Operand X, Operand H, Operand C, Operand Wi, Operand Wh, Operand Bi,
          Operand Bh>
constexpr auto lstm(X const& xs, H const& h, C const& c, Wi const& W_ih, Wh const& W_hh, Bi const& b_ih,
                    Bh const& b_hh) {
    return make(lstm_op<How>{}, xs, h, c, W_ih, W_hh, b_ih, b_hh);
}

/// r, z = σ(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_ih x + b_ih + r (W_hh h + b_hh)), h' = (1 − z) n + z h: the
/// output.
///
/// shapes   as for `lstm`, with 3 width, rows of the gates r, z, n, as in PyTorch
/// source   Cho et al., arXiv 1406.1078
template <through_time How = every_state, Operand X, Operand H, Operand Wi, Operand Wh, Operand Bi, Operand Bh>
constexpr auto gru(X const& xs, H const& h, Wi const& W_ih, Wh const& W_hh, Bi const& b_ih, Bh const& b_hh) {
    return make(gru_op<How>{}, xs, h, W_ih, W_hh, b_ih, b_hh);
}

}  // namespace graft
