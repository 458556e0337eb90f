// SPDX-License-Identifier: Apache-2.0
// One fused loop of a program: loads, computes in registers, stores and reduces.         (layer 9: program)
#pragma once

#include <graft/program/loop_shape.hpp>
#include <graft/simd/stream.hpp>
#include <graft/tensor/elementary.hpp>

#include <limits>
#include <utility>

namespace graft {

namespace detail {

template <class Program, int S, class T, bool Strided = false>
struct fused_loop {
    using shape_t = loop_shape<Program, S, Strided>;
    using P = pack<T>;
    static constexpr index_t W = P::width;
    static constexpr int M = shape_t::count, R = shape_t::rank;
    static constexpr loop_member const& member(int m) { return shape_t::member(m); }
    using role = loop_member::role;

    static constexpr bool reduces_inside = [] {
        for (int m = 0; m < M; ++m)
            if (member(m).does == role::reduce && shape_t::still_inside(m)) return true;
        return false;
    }();
    /// Sums over or along rows take several rows at a time: a target is read and written once for all of them, and the
    /// sums of neighbouring rows do not wait for each other. (Rows that only stretch gain nothing: measured.)
    static constexpr bool several_rows = !Strided && R >= 2 && M <= 6 && [] {
        bool reduces = false, apart = true;
        for (int m = 0; m < M; ++m)
            if (member(m).does == role::reduce)
                reduces = true, apart &= shape_t::still(m, R - 2) != shape_t::still_inside(m);
        return reduces && apart;
    }();
    static constexpr bool calls_functions = shape_t::calls_functions();
    /// Packs side by side, one operation of all after the other: a processor that looks a hundred operations ahead
    /// meets the next pack's before a function's last. Without functions a pack is finished before the next is begun,
    /// since stores in a row wait for each other's lines. (All numbers here: measured with bench/tensor and gradient.)
    static constexpr bool side_by_side = several_rows || calls_functions;
    static constexpr int unroll = several_rows                                   ? (M <= 3 ? 8 : 4)
                                  : Strided || M > (calls_functions ? 24 : 12)   ? 1
                                  : calls_functions                              ? (R < 2 && M <= 8 ? 8 : 4)
                                  : reduces_inside || M <= 4                     ? 4
                                                                                 : 2;
    static constexpr index_t block = index_t{1}
                                     << 13;  // positions that one pack's lanes add up before they are totalled
    /// A reduction whose every target is reached by one inner loop only.
    static constexpr bool once(int m) {
        for (int k = 0; k + 1 < R; ++k)
            if (shape_t::still(m, k)) return false;
        return shape_t::still_inside(m);
    }

    template <int K> struct slot { P v; };
    template <class I> struct slots;
    template <int... K> struct slots<std::integer_sequence<int, K...>> : slot<K>... {};
    using registers = slots<std::make_integer_sequence<int, M * unroll>>;
    using totals_t = slots<std::make_integer_sequence<int, M * unroll>>;

    struct walk {
        T* at[M > 0 ? M : 1];
        index_t inner[M > 0 ? M : 1];  // Strided: the step inside
        index_t row[M > 0 ? M : 1];    // several rows: from one to the next
    };
    /// Where pack U reads and writes member m at position j.
    template <int I, int U> GRAFT_INLINE static T* place(walk const& w, index_t j) {
        if constexpr (several_rows) return w.at[I] + j + U * w.row[I];
        else return w.at[I] + j + U * W;
    }

    template <int I, int U> GRAFT_INLINE static P& in(registers& r) { return static_cast<slot<I * unroll + U>&>(r).v; }

    static constexpr double start_of(structure what) {
        return what == structure::sum ? 0.0 : -std::numeric_limits<double>::infinity();
    }
    GRAFT_INLINE static P joined(structure what, P a, P b) { return what == structure::sum ? a + b : max(b, a); }

    /// Reads or computes member I for pack U at position j; `left` positions remain (Tail).
    template <int I, int U, bool Tail>
    GRAFT_INLINE static void one(registers& r, walk const& w, index_t j, index_t left) {
        constexpr loop_member m = member(I);
        if constexpr (m.does == role::load) {
            if constexpr (shape_t::still_inside(I)) {
                // hoisted: read once before the inner loop
            } else if constexpr (Strided) {
                T const* const p = w.at[I] + j * w.inner[I];
                if (w.inner[I] == 1) {
                    if constexpr (Tail) in<I, U>(r) = P::load_some(p, left);
                    else in<I, U>(r) = P::load(p);
                } else {
                    T some[W] = {};
                    for (index_t k = 0; k < (Tail ? left : W); ++k) some[k] = p[k * w.inner[I]];
                    in<I, U>(r) = P::load(some);
                }
            } else if constexpr (Tail) {
                in<I, U>(r) = P::load_some(place<I, U>(w, j), left);
            } else {
                in<I, U>(r) = P::load(place<I, U>(w, j));
            }
        } else if constexpr (m.does == role::compute) {
            constexpr vertex v = Program::code.at(m.vertex);
            if constexpr (v.what == structure::expand) {
                in<I, U>(r) = in<m.in[0], U>(r);
            } else {
                using Op = element_at<static_cast<int>(v.element)>;
                if constexpr (Op::arity == 1) in<I, U>(r) = Op::value(in<m.in[0], U>(r));
                else if constexpr (Op::arity == 2) in<I, U>(r) = Op::value(in<m.in[0], U>(r), in<m.in[1], U>(r));
                else in<I, U>(r) = Op::value(in<m.in[0], U>(r), in<m.in[1], U>(r), in<m.in[2], U>(r));
            }
        }
    }

    /// Stores, or adds to what is reduced.
    template <int I, int U, bool Tail, int Packs>
    GRAFT_INLINE static void finish(registers& r, totals_t& totals, walk const& w, index_t j, index_t left) {
        constexpr loop_member m = member(I);
        if constexpr (m.does == role::reduce) {
            constexpr structure what = Program::code.at(m.vertex).what;
            P v = in<m.in[0], U>(r);
            if constexpr (shape_t::still_inside(I)) {
                if constexpr (Tail)
                    v = select(P::load(lanes) < P(static_cast<T>(left)), v, P(static_cast<T>(start_of(what))));
                P& total = in<I, U>(totals);
                if constexpr (what == structure::sum) total = total + v;
                else total = max(v, total);
            } else if constexpr (!several_rows || U == 0) {
                if constexpr (several_rows) v = all_rows<I, Packs>(r, what);
                T* const p = place<I, U>(w, j);
                if constexpr (Tail) {
                    P const old = P::load_some(p, left);
                    joined(what, old, v).store_some(p, left);
                } else {
                    P const old = P::load(p);
                    joined(what, old, v).store(p);
                }
            }
        } else if constexpr (m.stores) {
            if constexpr (Strided) {
                T* const p = w.at[I] + j * w.inner[I];
                if (w.inner[I] == 1) {
                    if constexpr (Tail) in<I, U>(r).store_some(p, left);
                    else in<I, U>(r).store(p);
                } else {
                    T some[W];
                    in<I, U>(r).store(some);
                    for (index_t k = 0; k < (Tail ? left : W); ++k) p[k * w.inner[I]] = some[k];
                }
            } else if constexpr (Tail) {
                in<I, U>(r).store_some(place<I, U>(w, j), left);
            } else {
                T* const p = place<I, U>(w, j);
                if constexpr (several_rows || U * W * sizeof(T) % line_bytes == 0) expect_stores(p);
                in<I, U>(r).store(p);
            }
        }
    }
    template <int I, int First, int Count>
    GRAFT_INLINE static P rows_from(registers& r, structure what) {
        if constexpr (Count == 1)  // what is not a number is passed over
            return joined(what, P(static_cast<T>(start_of(what))), in<member(I).in[0], First>(r));
        else return joined(what, rows_from<I, First, Count / 2>(r, what),
                           rows_from<I, First + Count / 2, Count - Count / 2>(r, what));
    }
    /// What several rows add to their target.
    template <int I, int Packs>
    GRAFT_INLINE static P all_rows(registers& r, structure what) {
        return rows_from<I, 0, Packs>(r, what);
    }
    static constexpr auto lane_numbers() {
        std::array<T, static_cast<std::size_t>(W)> n{};
        for (std::size_t k = 0; k < n.size(); ++k) n[k] = static_cast<T>(k);
        return n;
    }
    static constexpr std::array<T, static_cast<std::size_t>(W)> lanes_of = lane_numbers();
    static constexpr T const* lanes = lanes_of.data();

    template <bool Tail, int... I, int... U>
    GRAFT_INLINE static void body(registers& r, totals_t& totals, walk const& w, index_t j, index_t left,
                                  std::integer_sequence<int, I...>, std::integer_sequence<int, U...>) {
        if constexpr (side_by_side) {
            auto const each = [&]<int Member>(std::integral_constant<int, Member>) __attribute__((always_inline)) {
                (one<Member, U, Tail>(r, w, j, left), ...);
            };
            (each(std::integral_constant<int, I>{}), ...);
            auto const end = [&]<int Member>(std::integral_constant<int, Member>) __attribute__((always_inline)) {
                (finish<Member, U, Tail, sizeof...(U)>(r, totals, w, j, left), ...);
            };
            (end(std::integral_constant<int, I>{}), ...);
        } else {
            auto const whole = [&]<int Pack>(std::integral_constant<int, Pack>) __attribute__((always_inline)) {
                (one<I, Pack, Tail>(r, w, j, left), ...);
                (finish<I, Pack, Tail, sizeof...(U)>(r, totals, w, j, left), ...);
            };
            (whole(std::integral_constant<int, U>{}), ...);
        }
    }
    using all_members = std::make_integer_sequence<int, M>;
    using all_packs = std::make_integer_sequence<int, unroll>;
    using one_pack = std::integer_sequence<int, 0>;

    /// What does not change along the inner axis.
    template <int... I, int... U>
    GRAFT_INLINE static void hoist(registers& r, walk const& w, std::integer_sequence<int, I...>,
                                   std::integer_sequence<int, U...>) {
        auto const each = [&]<int Member>(std::integral_constant<int, Member>) __attribute__((always_inline)) {
            if constexpr (member(Member).does == role::load && shape_t::still_inside(Member))
                ((in<Member, U>(r) = P(several_rows ? w.at[Member][U * w.row[Member]] : *w.at[Member])), ...);
        };
        (each(std::integral_constant<int, I>{}), ...);
    }
    template <int... I, int... U>
    GRAFT_INLINE static void numbers(registers& r, graph_frame<T> const& f, std::integer_sequence<int, I...>,
                        std::integer_sequence<int, U...>) {
        auto const each = [&]<int Member>(std::integral_constant<int, Member>) __attribute__((always_inline)) {
            if constexpr (member(Member).does == role::number) {
                constexpr vertex v = Program::code.at(member(Member).vertex);
                double x = v.number;
                if constexpr (v.what == structure::scalar) x = f.scalars[v.attribute];
                if constexpr (v.what == structure::size) x = static_cast<double>(f.size(v.more));
                ((in<Member, U>(r) = P(static_cast<T>(x))), ...);
            }
        };
        (each(std::integral_constant<int, I>{}), ...);
    }
    template <int... I, int... U>
    GRAFT_INLINE static void open(totals_t& totals, std::integer_sequence<int, I...>,
                                  std::integer_sequence<int, U...>) {
        auto const each = [&]<int Member>(std::integral_constant<int, Member>) __attribute__((always_inline)) {
            if constexpr (member(Member).does == role::reduce && shape_t::still_inside(Member))
                ((in<Member, U>(totals) = P(static_cast<T>(start_of(Program::code.at(member(Member).vertex).what)))),
                 ...);
        };
        (each(std::integral_constant<int, I>{}), ...);
    }
    /// The lanes' totals of a block join what is in memory.
    template <int... I, int... U>
    GRAFT_INLINE static void close(totals_t& totals, walk const& w, bool first, std::integer_sequence<int, I...>,
                                   std::integer_sequence<int, U...>) {
        auto const each = [&]<int Member>(std::integral_constant<int, Member>) __attribute__((always_inline)) {
            if constexpr (member(Member).does == role::reduce && shape_t::still_inside(Member)) {
                constexpr structure what = Program::code.at(member(Member).vertex).what;
                auto const add = [&](T& to, P const& total) {
                    T const found = what == structure::sum ? reduce_add(total) : reduce_max(total);
                    if (once(Member) && first) to = found;
                    else to = what == structure::sum ? to + found : std::max(to, found);
                };
                if constexpr (several_rows) {
                    (add(*place<Member, U>(w, 0), in<Member, U>(totals)), ...);
                } else {
                    P total = in<Member, 0>(totals);
                    ((total = U == 0 ? total : joined(what, total, in<Member, U>(totals))), ...);
                    add(*w.at[Member], total);
                }
            }
        };
        (each(std::integral_constant<int, I>{}), ...);
    }

    template <class Packs>
    GRAFT_INLINE static void inner(registers& r, walk const& w, index_t n, Packs) {
        constexpr index_t step = several_rows ? W : unroll * W;
        hoist(r, w, all_members{}, Packs{});
        totals_t totals;
        index_t j = 0;
        do {
            index_t const end = reduces_inside && n - j > block ? j + block : n;
            bool const first = j == 0;
            open(totals, all_members{}, all_packs{});
            for (; end - j >= step; j += step) body<false>(r, totals, w, j, 0, all_members{}, Packs{});
            if constexpr (several_rows) {
                if (j < end) body<true>(r, totals, w, j, end - j, all_members{}, Packs{}), j = end;
            } else {
                if constexpr (unroll > 1)
                    for (; end - j >= W; j += W) body<false>(r, totals, w, j, 0, all_members{}, one_pack{});
                if (j < end) body<true>(r, totals, w, j, end - j, all_members{}, one_pack{}), j = end;
            }
            close(totals, w, first, all_members{}, std::conditional_t<several_rows, Packs, all_packs>{});
        } while (j < n);
    }

    /// The next row: every member by its step along the axis before the last.
    template <int... I>
    GRAFT_INLINE static void advance(walk& w, index_t rows, std::integer_sequence<int, I...>) {
        ((member(I).does == role::load || member(I).does == role::reduce || member(I).stores
              ? void(w.at[I] += rows * w.row[I]) : void()), ...);
    }
    /// One plane of the last two axes, or one row where there is one axis.
    static void plane(graph_frame<T> const& f, walk w, index_t rows, index_t n) {
        registers r;
        numbers(r, f, all_members{}, all_packs{});
        if constexpr (several_rows)
            for (; rows >= unroll; rows -= unroll) inner(r, w, n, all_packs{}), advance(w, unroll, all_members{});
        using packs = std::conditional_t<several_rows, one_pack, all_packs>;
        for (; rows > 0; --rows) inner(r, w, n, packs{}), advance(w, 1, all_members{});
    }

    static void run(graph_frame<T> const& f) {
        constexpr int axes = R > 0 ? R : 1;
        index_t n[axes] = {1}, step[M > 0 ? M : 1][axes] = {}, at[axes] = {};
        index_t all = 1;
        for (int k = 0; k < R; ++k) {
            n[k] = 1;
            for (index_t a = 0; a < shape_t::step.space.rank; ++a)
                if (shape_t::axes.of[static_cast<std::size_t>(k)] >> a & 1) n[k] *= f.size(shape_t::step.space[a]);
            all *= n[k];
        }
        walk w;
        for (int m = 0; m < M; ++m) {
            loop_member const& x = member(m);
            bool const touches = x.does == role::load || x.does == role::reduce || x.stores;
            w.at[m] = touches ? f.data[x.vertex] : nullptr;
            w.inner[m] = 1, w.row[m] = 0;
            if (!touches) continue;
            index_t next = 1;
            index_t const* const own = f.strides ? f.strides[x.vertex] : nullptr;
            index_t const ahead = shape_t::step.space.rank - Program::code.at(x.vertex).dims.rank;
            for (int k = R - 1; k >= 0; --k) {
                bool const still = shape_t::still(m, k);
                step[m][k] = still ? 0 : next;
                if (Strided && own && !still)
                    for (index_t a = 0; a < shape_t::step.space.rank; ++a)
                        if (shape_t::axes.of[static_cast<std::size_t>(k)] >> a & 1) step[m][k] = own[a - ahead];
                if (!still) next *= n[k];
            }
            if (R > 0) w.inner[m] = step[m][axes - 1];
            if (R > 1) w.row[m] = step[m][axes > 1 ? axes - 2 : 0];
            if (x.does == role::reduce && (!once(m) || all == 0)) {
                T const first = static_cast<T>(start_of(Program::code.at(x.vertex).what));
                for (index_t i = 0; i < next; ++i) w.at[m][i] = first;
            }
        }
        if (all == 0) return;
        for (;;) {
            plane(f, w, R > 1 ? n[axes > 1 ? axes - 2 : 0] : 1, n[axes - 1]);
            int k = axes - 3;
            for (; k >= 0; --k) {
                bool const more = ++at[k] < n[k];
                for (int m = 0; m < M; ++m)
                    if (w.at[m]) w.at[m] += more ? step[m][k] : -step[m][k] * (n[k] - 1);
                if (more) break;
                at[k] = 0;
            }
            if (k < 0) return;
        }
    }
};

}  // namespace detail
}  // namespace graft
