// SPDX-License-Identifier: Apache-2.0
// Between the adapters of layers, as they train, and an adapter as files hold it.        (layer 16: io)
#pragma once

#include <graft/block/adapters.hpp>
#include <graft/io/adapter.hpp>
#include <graft/train/model.hpp>

#include <algorithm>
#include <string>

namespace graft {

namespace detail {

/// q and k of a model with interleaved pairs have their rows in another order than adapter files.
template <class Op>
constexpr index_t permuted_heads(model_config const& c) {
    if (c.pairing != rope_pairing::interleaved) return 0;
    return Op::bit == target_bit("q_proj") ? c.heads : Op::bit == target_bit("k_proj") ? c.kv_heads : 0;
}

template <class Op>
std::string module_of(index_t layer) {
    return "model.layers." + std::to_string(layer) + "." + std::string(Op::text);
}

}  // namespace detail

/// A copy of all adapters of a model's layers, rows in the order of adapter files. `open(l)` before layer l is read.
template <class Block, class T>
adapter take_adapter(model<Block, T> const& m, index_t rank, double alpha, bool rank_stabilised, std::string base_name,
                     auto&& open) {
    adapter a;
    a.base_name = std::move(base_name), a.arch = m.config.arch;
    a.rank = rank, a.alpha = alpha, a.rslora = rank_stabilised;
    for (index_t l = 0; l < m.config.layers; ++l) {
        open(l);
        auto const& layer = m.layers[static_cast<std::size_t>(l)];
        layer.visit([&](auto op, auto const& w) {
            using Op = decltype(op);
            if constexpr (requires { w.A; }) {
                if (!w.A) return;
                lora_pair p{detail::module_of<Op>(l), w.A.rows, w.A.columns, w.B.rows, {}, {}};
                p.a.assign(w.A.data, w.A.data + w.A.rows * w.A.columns);
                p.b.assign(w.B.data, w.B.data + w.B.rows * w.B.columns);
                if (index_t const heads = detail::permuted_heads<Op>(m.config))
                    to_half_split(p.b, heads, m.config.head, w.B.columns);
                a.pairs.push_back(std::move(p));
                std::string const target(Op::text.substr(Op::text.rfind('.') + 1));
                if (std::find(a.targets.begin(), a.targets.end(), target) == a.targets.end())
                    a.targets.push_back(target);
            }
        });
    }
    return a;
}
template <class Block, class T>
adapter take_adapter(model<Block, T> const& m, index_t rank, double alpha, bool rank_stabilised,
                     std::string base_name) {
    return take_adapter(m, rank, alpha, rank_stabilised, std::move(base_name), [](index_t) {});
}

/// What a set of adapters needs to be laid out: the largest rank, the maps that occur.
struct adapter_extent {
    index_t rank = 0;
    unsigned targets = 0;
};
inline adapter_extent extent_of(adapter const& a) {
    adapter_extent e;
    for (auto const& p : a.pairs) e.rank = std::max(e.rank, p.rank), e.targets |= target_bit(p.module);
    return e;
}

/// Writes a (checked) adapter into layers whose adapters were laid with `scale` and extent_of(a): smaller ranks are
/// padded with zeros, and a module's own scale is folded into its B. `open(l)` before layer l is written, `close(l)`
/// after.
template <class Block, class T>
void put_adapter(model<Block, T> const& m, adapter const& a, double laid_scale, auto&& open, auto&& close) {
    for (index_t l = 0; l < m.config.layers; ++l) {
        open(l);
        auto& layer = m.layers[static_cast<std::size_t>(l)];
        layer.visit([&](auto op, auto& w) {
            using Op = decltype(op);
            if constexpr (requires { w.A; }) {
                if (!w.A) return;
                std::fill_n(w.A.data, w.A.rows * w.A.columns, T{});
                std::fill_n(w.B.data, w.B.rows * w.B.columns, T{});
                std::string const module = detail::module_of<Op>(l);
                auto const p =
                    std::find_if(a.pairs.begin(), a.pairs.end(), [&](auto const& x) { return x.module == module; });
                if (p == a.pairs.end()) return;
                require(p->rank <= w.A.rows, fault::shape, "put_adapter: rank", p->rank, w.A.rows);
                require(p->in == w.A.columns, fault::shape, "put_adapter: columns of A", p->in, w.A.columns);
                require(p->out == w.B.rows, fault::shape, "put_adapter: rows of B", p->out, w.B.rows);
                std::vector<float> b = p->b;
                if (index_t const heads = detail::permuted_heads<Op>(m.config))
                    to_interleaved(b, heads, m.config.head, p->rank);
                double const factor = scale(a, *p) / laid_scale;
                for (index_t i = 0; i < p->rank * p->in; ++i)
                    w.A.data[i] = static_cast<T>(p->a[static_cast<std::size_t>(i)]);
                for (index_t o = 0; o < p->out; ++o)
                    for (index_t r = 0; r < p->rank; ++r)
                        w.B(o, r) =
                            static_cast<T>(factor * static_cast<double>(b[static_cast<std::size_t>(o * p->rank + r)]));
            }
        });
        close(l);
    }
}
template <class Block, class T>
void put_adapter(model<Block, T> const& m, adapter const& a, double laid_scale) {
    put_adapter(m, a, laid_scale, [](index_t) {}, [](index_t) {});
}

}  // namespace graft
