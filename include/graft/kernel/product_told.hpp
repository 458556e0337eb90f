// SPDX-License-Identifier: Apache-2.0
// Tells a profile what a product computes and reads.                                      (layer 6: kernel)
#pragma once

#include <graft/memory/workers.hpp>

namespace graft::detail {

/// Bytes of a stored right factor; 0 of others.
template <class M>
constexpr index_t stored_bytes(M const& m) {
    if constexpr (requires { m.m; }) return stored_bytes(m.m);
    else if constexpr (requires { m.row_bytes; }) return m.rows * m.row_bytes;
    else return 0;
}

/// Runs a product, and tells whoever wants to know. One with a stored weight has a row of its own.
template <class M>
void told(workers const* on, M const& right, index_t rows, index_t columns, index_t depth, auto&& run) {
    step_profile* const profile = profiled::wanted(on ? on->profile : nullptr);
    if (!profile) return run();
    index_t const bytes = stored_bytes(right);
    double const multiply_adds = static_cast<double>(rows) * static_cast<double>(columns * depth);
    if (bytes == 0) return profiled::count(profile, multiply_adds, 0), run();
    profiled const frozen(profile, work_kind::frozen);
    profiled::count(profile, multiply_adds, static_cast<double>(bytes));
    run();
}

}  // namespace graft::detail
