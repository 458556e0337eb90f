// SPDX-License-Identifier: Apache-2.0
// A caller's mistake: one enum, one plain struct, one function.                          (layer 0: base)
#pragma once

#include <graft/base/config.hpp>
#include <graft/base/index.hpp>

namespace graft {

enum class fault : unsigned char { shape, bounds, memory, format, numeric };

/// What went wrong, in numbers: no string is built, so a microcontroller can hold it.
struct error {
    fault kind;
    char const* what;  // static text: "lora: columns of x"
    index_t given, wanted;
    char const* file;
    int line;
};

#if GRAFT_EXCEPTIONS
/// Thrown where exceptions exist; `details` has the numbers.
struct failure {
    error details;
    char const* what() const noexcept { return details.what; }
};
[[noreturn]] inline void fail(error const& e) { throw failure{e}; }
#else
/// Without exceptions the program defines this one symbol (log, reset, halt); it must not return.
[[noreturn]] void fail(error const& e);
#endif

/// Holds a caller to a precondition; compiled to one compare and one cold call.
constexpr void require(bool holds, fault kind, char const* what, index_t given, index_t wanted,
                       char const* file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (!holds) [[unlikely]]
        fail({kind, what, given, wanted, file, line});
}

}  // namespace graft
