// SPDX-License-Identifier: Apache-2.0
// Rows added to a table at indices, as an expression.                                    (layer 9: program)
#pragma once

#include <graft/program/term.hpp>

namespace graft {

/// table + Σ over k of values[k] at row ids[k].
struct with_rows_added_ {
    template <class D>
    static constexpr shape<D> shape_of(auto& algebra, shape<D> const& table, shape<D> const& ids,
                                       shape<D> const& values) {
        auto const looked_up = rows_::shape_of(algebra, table, ids);
        if (looked_up.rank != values.rank) algebra.mistake(values.rank, looked_up.rank);
        for (index_t a = 0; a < looked_up.rank && a < values.rank; ++a) algebra.meet(values[a], looked_up[a]);
        return table;
    }
    static constexpr term expand(term table, term ids, term values) {
        shape_of(*table.g, (*table).dims, (*ids).dims, (*values).dims);
        return table + term{*table.g, table.g->with(structure::add_rows, {values.id, ids.id}, (*table).dims)};
    }
};

/// A table with rows added at indices: the reverse of `rows`. Rows of one index add up, in the order of the indices.
///
/// shapes   table: rows × D…    ids: any    values: ids' shape × D…
/// errors   an index that is no row of the table (fault::bounds), when it runs
template <Operand Table, Operand I, Operand V>
constexpr auto with_rows_added(Table const& table, I const& ids, V const& values) {
    return make(with_rows_added_{}, table, ids, values);
}

}  // namespace graft
