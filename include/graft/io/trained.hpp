// SPDX-License-Identifier: Apache-2.0
// Between the adapters of layers, as they train, and an adapter as files hold it.        (layer 16: io)
#pragma once

#include <graft/block/adapters.hpp>
#include <graft/io/adapted_rows.hpp>
#include <graft/io/adapter.hpp>
#include <graft/train/model.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

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

inline lora_pair const* find_pair(adapter const& a, std::string const& module) {
    auto const p = std::find_if(a.pairs.begin(), a.pairs.end(), [&](auto const& x) { return x.module == module; });
    return p == a.pairs.end() ? nullptr : &*p;
}

/// The number with the fewest digits that gives the factor s: what a user wrote, where s was rounded.
template <class T>
double shortest_alpha(T s, index_t rank, bool rank_stabilised) {
    double const r = static_cast<double>(rank), exact = static_cast<double>(s) * (rank_stabilised ? std::sqrt(r) : r);
    for (int digits = 1; digits < 17; ++digits) {
        char room[40];
        double alpha = 0;
        auto const end = std::to_chars(room, room + sizeof room, exact, std::chars_format::general, digits).ptr;
        std::from_chars(room, end, alpha);
        if (static_cast<T>(adapter_scale(alpha, rank, rank_stabilised)) == s) return alpha;
    }
    return exact;
}

/// The numbers of one map, rows in its own order. With an offset, W − s B₀ A₀ stands for W: ΔW = s (B A − B₀ A₀) is a
/// pair of twice the rank, A over A₀ and B beside −B₀, of the same s.
lora_pair pair_of(auto const& w) {
    lora_pair p;
    bool const offset = bool(w.A0);
    index_t const r = w.A.rows;
    p.rank = offset ? 2 * r : r, p.in = w.A.columns, p.out = w.B.rows;
    p.a.assign(w.A.data, w.A.data + r * p.in);
    if (offset) p.a.insert(p.a.end(), w.A0.data, w.A0.data + r * p.in);
    for (index_t o = 0; o < p.out; ++o) {
        p.b.insert(p.b.end(), w.B.data + o * r, w.B.data + (o + 1) * r);
        for (index_t k = 0; offset && k < r; ++k) p.b.push_back(static_cast<float>(-w.B0(o, k)));
    }
    if constexpr (requires { w.m; })
        if (w.m) p.m.assign(w.m.data, w.m.data + p.out);
    return p;
}

/// Writes a pair into a map that was laid with a rank of at least its own and with its factor w.s: smaller ranks are
/// padded with zeros, s / w.s goes into B. Without a pair the map is the frozen one. An offset becomes zero; magnitudes
/// that the pair lacks become the lengths of the rows, which change nothing.
template <class T>
void put_pair(auto& w, lora_pair const* p, double s) {
    for (auto const* m : {&w.A, &w.B, &w.A0, &w.B0})
        if (*m) std::fill_n(m->data, m->rows * m->columns, T{});
    if (p) {
        require(p->rank <= w.A.rows, fault::shape, "put_adapter: rank", p->rank, w.A.rows);
        require(p->in == w.A.columns, fault::shape, "put_adapter: columns of A", p->in, w.A.columns);
        require(p->out == w.B.rows, fault::shape, "put_adapter: rows of B", p->out, w.B.rows);
        double const factor = static_cast<T>(s) == w.s ? 1 : s / static_cast<double>(w.s);
        for (index_t i = 0; i < p->rank * p->in; ++i) w.A.data[i] = static_cast<T>(p->a[static_cast<std::size_t>(i)]);
        for (index_t o = 0; o < p->out; ++o)
            for (index_t r = 0; r < p->rank; ++r)
                w.B(o, r) =
                    static_cast<T>(factor * static_cast<double>(p->b[static_cast<std::size_t>(o * p->rank + r)]));
    }
    bool carries = false;
    if constexpr (requires { w.m; }) {
        carries = bool(w.m);
        lora_pair const frozen{{}, 0, w.A.columns, w.B.rows};
        adapted_rows rows(p ? *p : frozen, s);
        for (index_t o = 0; o < w.m.rows; ++o)
            w.m.data[o] = static_cast<T>(p && !p->m.empty() ? static_cast<double>(p->m[static_cast<std::size_t>(o)])
                                                            : rows.length(w.W, o));
    }
    require(carries || !p || p->m.empty(), fault::shape, "put_adapter: magnitudes of a map that carries none", 1, 0);
}

}  // namespace detail

/// A copy of all adapters of a model's layers, rows in the order of adapter files. `open(l)` before layer l is read.
/// `rank`, `alpha`: what most maps were laid with; those of an offset are stored as 2 rank, and alpha so that s stays.
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
                if (w.A0 && a.rank == rank)
                    a.rank = 2 * rank, a.alpha = alpha * (rank_stabilised ? std::sqrt(2.0) : 2.0);
                lora_pair p = detail::pair_of(w);
                p.module = detail::module_of<Op>(l);
                to_half_split(p, detail::permuted_heads<Op>(m.config), m.config.head);
                if (static_cast<T>(scale(a, p)) != w.s)
                    p.alpha = detail::shortest_alpha<T>(w.s, p.rank, rank_stabilised);
                a.pairs.push_back(std::move(p));
            }
        });
    }
    a.targets = detail::targets_of(a.pairs);
    return a;
}
template <class Block, class T>
adapter take_adapter(model<Block, T> const& m, index_t rank, double alpha, bool rank_stabilised,
                     std::string base_name) {
    return take_adapter(m, rank, alpha, rank_stabilised, std::move(base_name), [](index_t) {});
}

/// What a set of adapters needs to be laid out: the largest rank, the maps that occur, DoRA's magnitudes or none.
struct adapter_extent {
    index_t rank = 0;
    unsigned targets = 0;
    bool magnitudes = false;

    /// Settings whose plan has room for it.
    constexpr adapter_settings like() const {
        return {.rank = rank,
                .alpha = 1,
                .targets = targets,
                .norm = magnitudes ? adapter_norm::detached : adapter_norm::none};
    }
};
inline adapter_extent extent_of(adapter const& a) {
    adapter_extent e;
    for (auto const& p : a.pairs)
        e.rank = std::max(e.rank, p.rank), e.targets |= target_bit(p.module),
        e.magnitudes = e.magnitudes || !p.m.empty();
    return e;
}

/// Writes a (checked) adapter into layers whose maps were laid for at least its ranks: each may have a rank and a
/// factor of its own. `open(l)` before layer l is written, `close(l)` after.
/// needs: maps that carry magnitudes where the adapter has them, and as large ranks (fault::shape). What DoRA keeps of
/// the norms is to be computed again afterwards.
template <class Block, class T>
void put_adapter(model<Block, T> const& m, adapter const& a, auto&& open, auto&& close) {
    for (index_t l = 0; l < m.config.layers; ++l) {
        open(l);
        auto& layer = m.layers[static_cast<std::size_t>(l)];
        layer.visit([&](auto op, auto& w) {
            using Op = decltype(op);
            if constexpr (requires { w.A; }) {
                if (!w.A) return;
                auto const* const found = detail::find_pair(a, detail::module_of<Op>(l));
                lora_pair p = found ? *found : lora_pair{};
                to_interleaved(p, found ? detail::permuted_heads<Op>(m.config) : 0, m.config.head);
                detail::put_pair<T>(w, found ? &p : nullptr, found ? scale(a, p) : 0);
            }
        });
        close(l);
    }
}
template <class Block, class T>
void put_adapter(model<Block, T> const& m, adapter const& a) {
    put_adapter(
        m, a, [](index_t) {}, [](index_t) {});
}

}  // namespace graft
