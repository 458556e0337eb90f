// SPDX-License-Identifier: Apache-2.0
// Tables of which a step touches few rows: what is done with a sparse gradient.          (layer 9: program)
//
//     constexpr auto loss = mean(square(rows(table, ids) - target));
//     auto step = prepare<float>(gradient(loss, wrt(sparse(table))), table = E, ids = I, target = Y);
//     step();
//     add_rows(E, I, step.gradient(table), -rate);     // the table's other rows are neither read nor written
#pragma once

#include <graft/kernel/rearrange.hpp>
#include <graft/program/gradient.hpp>
#include <graft/tensor/view.hpp>

namespace graft {

namespace detail {
template <class T, extent... E, extent... I, extent... G>
void add_rows_scaled(view<T, E...> const& table, view<std::int32_t const, I...> const& ids,
                     view<T const, G...> const& rows, T scale) {
    static_assert(sizeof...(G) + 1 == sizeof...(E) + sizeof...(I), "one row for each index");
    require(table.contiguous() && ids.contiguous() && rows.contiguous(), fault::shape,
            "add_rows: a table, indices or rows with gaps between their numbers", 0, 1);
    for (index_t a = 0; a < static_cast<index_t>(sizeof...(I)); ++a)
        require(rows.size(a) == ids.size(a), fault::shape, "add_rows: rows", rows.size(a), ids.size(a));
    index_t width = 1;
    for (index_t a = 1; a < static_cast<index_t>(sizeof...(E)); ++a) {
        index_t const given = rows.size(a - 1 + static_cast<index_t>(sizeof...(I)));
        require(given == table.size(a), fault::shape, "add_rows: numbers of a row", given, table.size(a));
        width *= given;
    }
    for (index_t i = 0; i < ids.count(); ++i) {
        T* const to = table.data + checked_row(ids.data[i], table.size(0), "add_rows: index") * width;
        T const* const from = rows.data + i * width;
        along<T>(width, [=](index_t j, auto access) {
            access.store(to + j, fma(pack<T>(scale), access.load(from + j), access.load(to + j)));
        });
    }
}
template <class T, extent... E> constexpr view<T const, E...> read_only(view<T, E...> const& v) { return v; }
}  // namespace detail

/// table[ids[i]] += scale · rows[i], in the order of i: rows that are named twice are added twice. With the gradient by
/// `sparse(table)` and scale = −rate it is the step of stochastic gradient descent.
///
/// shapes   table: n × D…    ids: I…    rows: I… × D…
/// needs    0 ≤ id < n (fault::bounds)
template <class Table, class Ids, class Rows, Number Scale>
void add_rows(Table&& table, Ids const& ids, Rows const& rows, Scale scale) {
    auto const to = table.all();
    using T = typename decltype(to)::number;
    detail::add_rows_scaled(to, detail::read_only(ids.all()), detail::read_only(rows.all()), static_cast<T>(scale));
}

}  // namespace graft
