// SPDX-License-Identifier: Apache-2.0
// What every fuzzer asks of a refusal.
#pragma once

#include <graft/base/result.hpp>

#include <cstdint>
#include <cstdlib>

/// Is it a value? If it is a problem, it must be one line that names the file.
template <class T>
bool one_line(graft::result<T> const& r) {
    if (r.ok()) return true;
    auto const text = describe(r.error());
    if (text.find('\n') != std::string::npos || r.error().what.empty()) std::abort();
    return false;
}
