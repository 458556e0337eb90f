// SPDX-License-Identifier: Apache-2.0
// Runs the plan of a block: one loop over its events, whatever the strategy.             (layer 9: program)
#pragma once

#include <graft/kernel/elementwise.hpp>
#include <graft/program/packed_plan.hpp>
#include <graft/rule/rule.hpp>

#include <algorithm>
#include <cstddef>

namespace graft {

/// What one operation holds per layer: what its rule says.
template <class Op, class T>
struct slot {
    typename rule<typename Op::kind>::template weights<T> w;
};
template <class Ops, class T> struct slots;
template <class... Op, class T>
struct slots<list<Op...>, T> : slot<Op, T>... {};

/// The weights of one layer: a view per operation, by its type. `visit(f)` calls f(op, weights) in running order.
template <class Block, class T>
struct layer_weights : slots<ops<Block>, T> {
    template <class Op> auto& of() { return static_cast<slot<std::remove_const_t<Op>, T>&>(*this).w; }
    template <class Op> auto const& of() const { return static_cast<slot<std::remove_const_t<Op>, T> const&>(*this).w; }
    void visit(auto&& f) {
        [&]<class... Op>(list<Op...>) { (f(Op{}, of<Op>()), ...); }(ops<Block>{});
    }
    void visit(auto&& f) const {
        [&]<class... Op>(list<Op...>) { (f(Op{}, of<Op>()), ...); }(ops<Block>{});
    }
};

template <class Block, class T>
struct machine {
    using sizes = typename Block::sizes;
    static constexpr auto code = flatten<Block>();
    static constexpr std::size_t steps = code.steps.size();
    static constexpr std::size_t stages = static_cast<std::size_t>(code.stages);
    using plan = block_plan<steps, stages>;
    using packed = packed_plan<steps, stages>;

    static_assert([] {
        for (index_t s = 0; s < code.stages; ++s)
            for (index_t a : code.at(code.last(s)).in)
                if (a == code.begin(s)) return false;
        return true;
    }(), "the last operation of a stage must not read the stream itself: the sum's gradient stays where it is");

    static_assert(trained_once<sizes>(Block::equations), "a map with an adapter is applied twice in one block");

    /// Where one block runs: its weights, its memory, who computes.
    struct place {
        sizes const& n;
        surroundings<T> const& around;
        layer_weights<Block, T> const& weights;
        workers const& on;
        plan_view p;
        index_t rows;  // of this batch: at most n.tokens
        std::byte *scratch, *kept;
        T *entry, *exit, *gradient;
        bool fresh = true;       // the gradients of the weights are still to be assigned
        index_t* reached = nullptr;  // if given: raised to the end of the scratch that was really used, in bytes
        bool trains = true;          // the gradients of the weights are wanted
    };

    static void forward(place const& at) { run(at, 0, at.p.backward); }
    /// `gradient` enters as the gradient of `exit` and leaves as that of `entry`.
    static void backward(place const& at) { run(at, at.p.backward, at.p.size); }

private:
    /// One event on the rows `first` … `first + count − 1`.
    struct moment {
        place const& at;
        packed_event const& e;
        index_t first, count;

        matrix<T> view(index_t b) const {
            if (b < 0) return {};
            packed_buffer const& x = at.p.of(b);
            reach(x);
            T* const data = x.where == region::entry      ? at.entry
                            : x.where == region::exit     ? at.exit
                            : x.where == region::gradient ? at.gradient
                            : reinterpret_cast<T*>((x.where == region::kept ? at.kept : at.scratch) + x.offset);
            if (!x.full) return {data, count, x.columns, &at.on};
            return matrix<T>{data, at.rows, x.columns, &at.on}.slice(first, count);
        }
        void reach(packed_buffer const& x) const {
            if (at.reached && x.where == region::scratch) *at.reached = std::max(*at.reached, x.end());
        }
        matrix<T> gradient(std::size_t k) const { return view(e.din[k]).as_fresh(e.fresh >> k & 1); }

        template <class Op>
        auto here_of(auto const& w) const {
            T* space = nullptr;
            if (e.scratch >= 0) {
                reach(at.p.of(e.scratch));
                space = reinterpret_cast<T*>(at.scratch + at.p.of(e.scratch).offset);
            }
            return here<T, sizes, std::remove_cvref_t<decltype(w)>>{
                at.n, at.around, w, {space, &at.on}, at.on, view(e.value), view(e.residue), first};
        }
    };

    using thunk = void (*)(moment const&);
    struct thunks {
        thunk run = nullptr, pull = nullptr;
        work_kind kind = work_kind::other;
    };

    template <class Op, std::size_t... I>
    static constexpr thunks bind(std::index_sequence<I...>) {
        using r = rule<typename Op::kind>;
        return {[](moment const& m) {
                    auto const& w = m.at.weights.template of<Op>();
                    r::forward(m.template here_of<Op>(w), m.view(m.e.value), m.view(m.e.in[I])...);
                },
                [](moment const& m) {
                    auto w = m.at.weights.template of<Op>();
                    r::set_gradients(w, m.at.trains, m.at.fresh && m.first == 0);
                    r::pull(m.template here_of<Op>(w), m.view(m.e.dy), m.view(m.e.in[I])..., m.gradient(I)...);
                },
                r::kind};
    }
    template <class Op, class C, class... Args>
    static constexpr thunks make(node<Op, C, Args...>) { return bind<Op>(std::index_sequence_for<Args...>{}); }
    template <class C> static constexpr thunks make(stream<C>) { return {}; }
    template <class... F>
    static constexpr auto bind_all(chain<residual_<F>...>) {
        std::array<thunks, steps> all{};
        std::size_t at = 0;
        auto const put = [&]<class... E>(list<E...>) { ((all[at++] = make(E{})), ...); };
        (put(stage_steps<F>{}), ...);
        return all;
    }
    static constexpr auto table = bind_all(Block::equations);

    static void step(moment const& m) {
        auto const& t = table[static_cast<std::size_t>(m.e.step)];
        if (m.e.what == act::run) t.run(m);
        else if (m.e.what == act::pull) t.pull(m);
        else if (m.e.what == act::close && m.e.in[1] < 0) add_to(m.view(m.e.value), m.view(m.e.in[0]));
        else if (m.e.what == act::close) add(m.view(m.e.value), m.view(m.e.in[0]), m.view(m.e.in[1]));
    }

    /// The same, with its time, arithmetic and bytes told. Products tell their own arithmetic, all others what the
    /// program says of them.
    static void step_told(moment const& m, step_profile* told, bool back) {
        bool const moves = m.e.what == act::run || m.e.what == act::pull, pulls = m.e.what == act::pull;
        if (!moves && m.e.what != act::close) return step(m);
        work_kind const kind = moves ? table[static_cast<std::size_t>(m.e.step)].kind : work_kind::sums;
        if (kind == work_kind::frozen) return step(m);
        profiled const at(told, kind,
                          pulls  ? step_part::backward
                          : back ? step_part::recomputed
                                 : told->part());
        if (kind != work_kind::adapters) {
            auto const& s = code.at(m.e.step);
            index_t numbers = 0;
            auto const add_up = [&](index_t b) { numbers += b < 0 ? 0 : m.count * m.at.p.of(b).columns; };
            add_up(m.e.value), add_up(m.e.dy);
            for (std::size_t k = 0; k < most_operands; ++k) add_up(m.e.in[k]), add_up(m.e.din[k]);
            bool const wanted = std::any_of(m.e.din.begin(), m.e.din.end(), [](index_t b) { return b >= 0; });
            profiled::count(told, moves ? s.work(m.at.n, m.count, pulls, m.at.trains && s.rank(m.at.n) > 0, wanted) : 0,
                            static_cast<double>(numbers) * sizeof(T));
        }
        step(m);
    }

    /// One scene after another; a tiled scene once per tile of rows.
    static void run(place const& at, index_t from, index_t to) {
        step_profile* const told = profiled::wanted(at.on.profile);
        for (index_t b = from, e = from; b < to; b = e) {
            bool tiled = false;
            for (e = b; e < to && at.p.at(e).scene == at.p.at(b).scene; ++e) tiled |= at.p.at(e).tiled;
            index_t const tile = tiled ? at.p.tile : at.rows;
            for (index_t first = 0; first < at.rows; first += tile)
                for (index_t i = b; i < e; ++i) {
                    moment const m{at, at.p.at(i), first, std::min(tile, at.rows - first)};
                    if (told) step_told(m, told, from > 0);
                    else step(m);
                }
        }
    }
};

}  // namespace graft
