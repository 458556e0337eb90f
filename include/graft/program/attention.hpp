// SPDX-License-Identifier: Apache-2.0
// Attention in general expressions: batched heads, every key or those up to the row.     (layer 9: program)
//
//     auto o = attention(q, k, v);                          // q, o: batch × heads × rows × head
//     auto o = attention<causal>(q, k, v);
//     auto o = attention(q, k, v, key_lengths(n));          // of sequence b the first n[b] keys
//     auto o = attention(q, k, v, added_scores(m));         // softmax(q kᵀ / √head + m) v
#pragma once

#include <graft/kernel/attention.hpp>
#include <graft/program/rule_call.hpp>

namespace graft {

/// Which keys a row of attention sees.
enum class keys_seen { all, up_to_row };
inline constexpr keys_seen causal = keys_seen::up_to_row;

/// Of sequence b (the first axis of q, k and v) only the first n[b] keys are seen; rows of one without keys give 0.
template <class N> struct key_lengths_of { N value; };
template <Operand N> constexpr key_lengths_of<operand_t<N>> key_lengths(N const& n) { return {as_operand(n)}; }
/// What is added to the scores before the softmax; no gradient passes to it.
template <class M> struct added_scores_of { M value; };
template <Operand M> constexpr added_scores_of<operand_t<M>> added_scores(M const& m) { return {as_operand(m)}; }

/// The operation of `attention`: after q, k and v come the lengths and the added scores, where it has them.
template <keys_seen Seen, bool Lengths, bool Added>
struct attention_op { using kind = attention_op; };

/// o = softmax(q kᵀ / √head + m) v for each head, a tile of rows and of keys at a time.
///
/// shapes   q, o: … × rows × head    k, v: … × keys × head    lengths: one for each position of the first axis
///          m: … × (rows or 1) × keys, axes before them as in q, or of size 1
/// keeps    o and one log-sum-exp per row: no rows × keys matrix exists
/// source   Attention, arXiv 1706.03762; tiles and log-sum-exp: FlashAttention-2, arXiv 2307.08691, algorithm 2
template <keys_seen Seen, bool Lengths, bool Added>
struct rule<attention_op<Seen, Lengths, Added>> : careful {
    static constexpr reads pull_reads{.operands = ~0u, .value = true, .residue = true};

    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& q, shape<D> const& k, shape<D> const& v,
                                       auto const&... extra) {
        if (!detail::has_rank(algebra, q, 2)) return q;
        for (auto const* s : {&k, &v})
            if (s->rank != q.rank) return algebra.mistake(s->rank, q.rank), q;
        index_t const r = q.rank;
        for (index_t a = 0; a < r; ++a) {
            if (a != r - 2) algebra.meet(algebra.meet(q[a], k[a]), v[a]);
            else if (Seen == keys_seen::all) algebra.meet(k[a], v[a]);
            else algebra.meet(algebra.meet(q[a], k[a]), v[a]);
        }
        [[maybe_unused]] int place = 0;
        [[maybe_unused]] auto const check = [&](shape<D> const& s) {
            if (Lengths && place++ == 0) {
                if (s.rank != 1 || r < 3) algebra.mistake(s.rank, 1);
                else algebra.meet(s[0], q[0]);
            } else if (s.rank != r) {
                algebra.mistake(s.rank, r);
            } else {
                algebra.meet(s[r - 1], k[r - 2]);
            }
        };
        (check(extra), ...);
        return q;
    }
    static constexpr index_t residue(auto const& n) { return count(n.of[0]) / std::max(width(n), index_t{1}); }

    template <class T>
    static constexpr index_t scratch(auto const& n, call c) { return c.lanes * lane_scratch<T>(n, c.pull); }

    template <class T, class... M>
    static void forward(auto const& here, matrix<T> o, matrix<T> q, matrix<T> k, matrix<T> v, M... extra) {
        batch<T> const all(here, {extra...});
        each_head(here, all, false, [&](index_t h, index_t keys, workers const* on, T* space) {
            auto const part = o.slice(h * all.rows, all.rows).by(on);
            if (keys == 0) return void(std::fill_n(part.data, part.rows * part.columns, T(0)));
            graft::attention(part, here.residue ? all.lse(here.residue, h) : matrix<T>{},
                             q.slice(h * all.rows, all.rows), k.slice(h * all.keys, keys), v.slice(h * all.keys, keys),
                             one_head(here.n), space, all.added(h));
        });
    }

    template <class T, class... M>
    static void pull(auto const& here, matrix<T> dy, matrix<T> q, matrix<T> k, matrix<T> v, M... more) {
        constexpr std::size_t extras = (Lengths ? 1 : 0) + (Added ? 1 : 0);
        matrix<T> const list[]{more...};  // the other operands, then the gradients
        matrix<T> const dq = list[extras], dk = list[extras + 1], dv = list[extras + 2];
        batch<T> const all(here, {list[0], list[1]});
        each_head(here, all, true, [&](index_t h, index_t keys, workers const* on, T* space) {
            auto const rows_of = [&](matrix<T> m, index_t n, index_t used) {
                if (!m) return m;
                auto const part = m.slice(h * n, used);
                if (m.fresh) std::fill_n(part.data + used * m.columns, (n - used) * m.columns, T(0));
                return part;
            };
            auto const dqh = rows_of(dq, all.rows, keys > 0 ? all.rows : 0), dkh = rows_of(dk, all.keys, keys),
                       dvh = rows_of(dv, all.keys, keys);
            if (keys > 0)
                attention_pull(dqh, dkh, dvh, dy.slice(h * all.rows, all.rows).by(on), q.slice(h * all.rows, all.rows),
                               k.slice(h * all.keys, keys), v.slice(h * all.keys, keys),
                               here.value.slice(h * all.rows, all.rows), all.lse(here.residue, h), one_head(here.n),
                               space, all.added(h));
        });
    }

private:
    static constexpr index_t size(auto const& n, int operand, index_t from_end) {
        return n.of[operand][n.of[operand].rank - from_end];
    }
    static constexpr index_t width(auto const& n) { return size(n, 0, 1); }
    static constexpr attention_shape one_head(auto const& n) {
        return {.head = width(n), .causal = Seen == keys_seen::up_to_row};
    }
    template <class T>
    static constexpr index_t lane_scratch(auto const& n, bool pulls) {
        index_t const rows = size(n, 0, 2), keys = size(n, 1, 2);
        return round_up(pulls ? attention_pull_scratch<T>(one_head(n), rows, keys, 1)
                              : attention_scratch<T>(one_head(n), rows, keys, 1), workspace<T>::grain);
    }

    /// The heads of all sequences: what each of them sees beside q, k and v.
    template <class T>
    struct batch {
        index_t heads, rows, keys, per_sequence;
        std::int32_t const* lengths = nullptr;
        T const* bias = nullptr;
        sizes_t q, m;

        batch(auto const& here, std::initializer_list<matrix<T>> extra)
            : rows(size(here.n, 0, 2)), keys(size(here.n, 1, 2)), q(here.n.of[0]) {
            heads = 1;
            for (index_t a = 0; a < q.rank - 2; ++a) heads *= q[a];
            per_sequence = q.rank > 2 ? heads / std::max(q[0], index_t{1}) : heads;
            if constexpr (Lengths) lengths = reinterpret_cast<std::int32_t const*>(extra.begin()[0].data);
            if constexpr (!Added) return;
            bias = extra.begin()[Lengths ? 1 : 0].data, m = here.n.of[3 + (Lengths ? 1 : 0)];
            for (index_t a = 0; a < q.rank - 1; ++a)
                require(m[a] == 1 || m[a] == q[a], fault::shape, "attention: size of the added scores", m[a], q[a]);
        }
        index_t seen(index_t head) const {
            if (!Lengths) return keys;
            index_t const n = lengths[head / per_sequence];
            require(n >= 0 && n <= keys, fault::bounds, "attention: keys of a sequence", n, keys);
            return n;
        }
        matrix<T> lse(matrix<T> all, index_t head) const { return {all.data + head * rows, rows, 1, all.on}; }
        score_bias<T> added(index_t head) const {
            if (!Added) return {};
            index_t const one = m[q.rank - 2] * keys;
            index_t at = 0, step = one;
            for (index_t a = q.rank - 3; a >= 0; --a) {
                if (m[a] > 1) at += head % q[a] * step, step *= m[a];
                head /= q[a];
            }
            return {bias + at, m[q.rank - 2] > 1 ? keys : 0};
        }
    };
    /// body(head, keys, workers inside, scratch): heads are shared out; one head alone is shared out itself.
    template <class T>
    static void each_head(auto const& here, batch<T> const& all, bool pulls, auto&& body) {
        if (all.rows == 0 && !pulls) return;
        if (all.heads == 1) return body(index_t{0}, all.seen(0), &here.on, here.space.next);
        for (index_t h = 0; h < all.heads; h += std::max(all.per_sequence, index_t{1}))
            all.seen(h);  // errors, before tasks
        each_task(&here.on, all.heads, [&](index_t h, index_t lane) {
            body(h, all.seen(h), nullptr, here.space.next + lane * lane_scratch<T>(here.n, pulls));
        });
    }
};

template <keys_seen Seen = keys_seen::all, Operand Q, Operand K, Operand V>
constexpr auto attention(Q const& q, K const& k, V const& v) {
    return apply<attention_op<Seen, false, false>>(q, k, v);
}
template <keys_seen Seen = keys_seen::all, Operand Q, Operand K, Operand V, class N>
constexpr auto attention(Q const& q, K const& k, V const& v, key_lengths_of<N> const& n) {
    return apply<attention_op<Seen, true, false>>(q, k, v, n.value);
}
template <keys_seen Seen = keys_seen::all, Operand Q, Operand K, Operand V, class M>
constexpr auto attention(Q const& q, K const& k, V const& v, added_scores_of<M> const& m) {
    return apply<attention_op<Seen, false, true>>(q, k, v, detach(m.value));
}
template <keys_seen Seen = keys_seen::all, Operand Q, Operand K, Operand V, class N, class M>
constexpr auto attention(Q const& q, K const& k, V const& v, key_lengths_of<N> const& n, added_scores_of<M> const& m) {
    return apply<attention_op<Seen, true, true>>(q, k, v, n.value, detach(m.value));
}

}  // namespace graft
