// SPDX-License-Identifier: Apache-2.0
// One linear map with an adapter, run by its rule alone: any format, bias, dropout, offset, norms, tiles.
#pragma once

#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>
#include <graft/rule/rules.hpp>

#include <tests/support/grid.hpp>

#include <string>

namespace graft_test {

struct map_case {
    format const* how = &f32;
    bool bias = false, dropout = false, offset = false;
    adapter_norm norm = adapter_norm::none;
    index_t rows = 5, in = 32, out = 7, rank = 3;

    std::string text() const {
        return std::string(how->name) + (bias ? ", bias" : "") + (dropout ? ", dropout" : "") +
               (offset ? ", offset" : "") + (norm == adapter_norm::attached   ? ", attached"
                                             : norm == adapter_norm::detached ? ", detached"
                                                                              : "");
    }
};

/// All cases of a few norms, in f32 and q4_0.
inline std::vector<map_case> map_cases(std::initializer_list<adapter_norm> norms) {
    std::vector<map_case> all;
    for (adapter_norm norm : norms)
        for (format const* how : {&f32, &q4_0})
            for (int bits = 0; bits < 8; ++bits)
                all.push_back({how, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, norm});
    return all;
}

template <class Kind, class T>
struct adapted_map {
    using runs = rule<Kind>;
    static constexpr bool has_magnitudes = requires(typename runs::template weights<T> w) { w.m; };

    map_case is;
    transformer_sizes n{};
    std::vector<std::byte> stored;
    std::vector<float> bias;
    grid<T> x, A, B, A0, B0, g, y, dx, dA, dB, m, dm;
    std::vector<T> k, squares, n_then;
    surroundings<T> around;
    std::vector<std::byte> panel;
    workers on;
    typename runs::template weights<T> w;

    explicit adapted_map(map_case c)
        : is(c), stored(static_cast<std::size_t>(c.out * c.how->row_bytes(c.in))), x(c.rows, c.in, 1, 1.0),
          A(c.rank, c.in, 2, 0.5), B(c.out, c.rank, 3, 0.5), A0(c.rank, c.in, 4, 0.5), B0(c.out, c.rank, 5, 0.5),
          g(c.rows, c.out, 6, 1.0), y(c.rows, c.out), dx(c.rows, c.in), dA(c.rank, c.in), dB(c.out, c.rank),
          m(c.out, 1, 0), dm(c.out, 1, 0), k(static_cast<std::size_t>(c.out)), squares(k), n_then(k),
          panel(static_cast<std::size_t>(2 * product_panel_bytes<T> + 64)) {
        n.rank = c.rank, n.norm = c.norm, n.adapter_dropout = c.dropout, n.adapter_offset = c.offset;
        if (c.dropout) around.dropout = {0.3, 11, 4};
        auto const gap = (64 - reinterpret_cast<std::uintptr_t>(panel.data()) % 64) % 64;
        on = {2, panel.data() + gap, product_panel_bytes<T>, nullptr, nullptr};
        std::vector<float> row(static_cast<std::size_t>(c.in));
        for (index_t o = 0; o < c.out; ++o) {
            for (index_t i = 0; i < c.in; ++i)
                row[static_cast<std::size_t>(i)] =
                    static_cast<float>(0.5 * spread(7, static_cast<std::uint64_t>(o * c.in + i)));
            encode(*c.how, row.data(), c.in, stored.data() + o * c.how->row_bytes(c.in));
            bias.push_back(static_cast<float>(spread(8, static_cast<std::uint64_t>(o))));
            m(o, 0) = static_cast<T>(1.5 + 0.5 * spread(9, static_cast<std::uint64_t>(o)));
        }
        w.W = {stored.data(), c.out, c.in, *c.how};
        if (c.bias) w.b = bias.data();
        w.s = static_cast<T>(0.7), w.place = 65;
        w.A = A.view(), w.B = B.view(), w.dA = dA.view(), w.dB = dB.view();
        if (c.offset) w.A0 = A0.view(), w.B0 = B0.view();
        if constexpr (has_magnitudes) {
            if (c.norm != adapter_norm::none)
                w.m = m.view(), w.dm = dm.view(), w.k = k.data(), w.squares = squares.data();
            measure();
        }
    }
    adapted_map(adapted_map const&) = delete;
    adapted_map& operator=(adapted_map const&) = delete;

    /// W once more: squares, then k.
    void measure() {
        auto space = scratch<T>(norm_scratch<T>(is.in, is.out, is.rank) + 1);
        row_squares(w, n, workspace<T>{space.data(), &on}, on);
        refresh_norms(w, n, workspace<T>{space.data(), &on}, on);
        CHECK(std::isnan(space.back()));
        for (std::size_t o = 0; o < k.size(); ++o) n_then[o] = m(static_cast<index_t>(o), 0) / k[o];
    }
    /// k as the mode of the norms has it: n of these A and B, or n of then.
    void refresh() {
        if (is.norm == adapter_norm::attached) {
            auto space = scratch<T>(norm_scratch<T>(is.in, is.out, is.rank));
            refresh_norms(w, n, workspace<T>{space.data(), &on}, on);
        } else {
            for (std::size_t o = 0; o < k.size(); ++o) k[o] = m(static_cast<index_t>(o), 0) / n_then[o];
        }
    }

    auto here_of(auto const& weights, std::vector<T>& space, index_t first, index_t count) {
        return here<T, transformer_sizes, std::remove_cvref_t<decltype(weights)>>{
            n, around, weights, {space.data(), &on}, on, y.view(&on).slice(first, count), {}, first};
    }
    std::vector<T> space_for(index_t count, bool pull) const {
        return scratch<T>(runs::template scratch<T>(n, call{count, 2, is.rank, pull, is.in, is.out}) + 1);
    }
    void forward(index_t tile = 1 << 20) {
        for (index_t first = 0; first < is.rows; first += tile) {
            index_t const count = std::min(tile, is.rows - first);
            auto space = space_for(count, false);
            runs::forward(here_of(w, space, first, count), y.view(&on).slice(first, count),
                          x.view(&on).slice(first, count));
            CHECK(std::isnan(space.back()));
        }
    }
    void pull(index_t tile = 1 << 20) {
        for (index_t first = 0; first < is.rows; first += tile) {
            index_t const count = std::min(tile, is.rows - first);
            auto space = space_for(count, true);
            auto of = w;
            runs::set_gradients(of, true, first == 0);
            runs::pull(here_of(of, space, first, count), g.view(&on).slice(first, count),
                       x.view(&on).slice(first, count), dx.fresh(&on).slice(first, count));
            CHECK(std::isnan(space.back()));
        }
    }
    double loss() {
        if constexpr (has_magnitudes)
            if (is.norm != adapter_norm::none) refresh();
        forward();
        return inner(y, g);
    }

    /// Number (o, i) of W − s B₀ A₀ + s B A.
    double dense(index_t o, index_t i) const {
        double v = static_cast<double>(0), s = static_cast<double>(w.s);
        std::vector<float> row(static_cast<std::size_t>(is.in));
        w.W.how->decode(w.W.row(o), 0, is.in, row.data());
        v = static_cast<double>(row[static_cast<std::size_t>(i)]);
        for (index_t j = 0; j < is.rank; ++j) {
            v += s * static_cast<double>(B(o, j)) * static_cast<double>(A(j, i));
            if (is.offset) v -= s * static_cast<double>(B0(o, j)) * static_cast<double>(A0(j, i));
        }
        return v;
    }
};

}  // namespace graft_test
