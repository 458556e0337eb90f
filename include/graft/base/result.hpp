// SPDX-License-Identifier: Apache-2.0
// What comes from outside and is wrong: a value, not an exception. Hosted only.          (layer 0: base)
#pragma once

#include <graft/base/error.hpp>

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace graft {

/// Which of the documented exit codes a problem leads to.
enum class cause : unsigned char { usage = 2, bad_file = 3, mismatch = 4, memory = 5, io = 6, diverged = 7 };

/// One thing that is wrong with something from outside.
struct problem {
    cause why = cause::bad_file;
    std::string file{};    // path, or "" where there is none
    std::string what{};    // "the string is longer than the file"
    std::string where{};   // "at byte 24" | "line 3:17" | "tensor 'x'" | "key 'k'" | ""
    std::string expected{}; // "at most 12 bytes"
    std::string got{};     // "18446744073709551615"
    std::string hint{};    // what to try
};

/// `FILE: WHAT (WHERE): expected E, got G. Try: HINT` on one line, without what is absent.
inline std::string describe(problem const& p) {
    std::string s = p.file.empty() ? p.what : p.file + ": " + p.what;
    if (!p.where.empty()) s += " (" + p.where + ")";
    if (!p.expected.empty()) s += ": expected " + p.expected + (p.got.empty() ? "" : ", got " + p.got);
    if (p.expected.empty() && !p.got.empty()) s += ": got " + p.got;
    if (!p.hint.empty()) s += ". Try: " + p.hint;
    return s;
}

/// A T, or the problem that prevented it. Needs no exceptions; `value()` of a problem is a caller's mistake.
template <class T>
class [[nodiscard]] result {
public:
    result(T value) : held(std::in_place_index<0>, std::move(value)) {}
    result(problem p) : held(std::in_place_index<1>, std::move(p)) {}

    bool ok() const { return held.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & { return check(), *std::get_if<0>(&held); }
    T const& value() const& { return check(), *std::get_if<0>(&held); }
    T&& value() && { return check(), std::move(*std::get_if<0>(&held)); }
    T& operator*() { return value(); }
    T const& operator*() const { return value(); }
    T* operator->() { return &value(); }
    T const* operator->() const { return &value(); }

    problem& error() { return check_error(), *std::get_if<1>(&held); }
    problem const& error() const { return check_error(), *std::get_if<1>(&held); }

private:
    void check() const { require(ok(), fault::format, "result: a problem was taken for a value", 0, 1); }
    void check_error() const { require(!ok(), fault::format, "result: a value was taken for a problem", 1, 0); }
    std::variant<T, problem> held;
};

/// Success without a value, or a problem.
template <>
class [[nodiscard]] result<void> {
public:
    result() = default;
    result(problem p) : held(std::move(p)) {}

    bool ok() const { return !held; }
    explicit operator bool() const { return ok(); }
    problem& error() { return *held; }
    problem const& error() const { return *held; }

private:
    std::optional<problem> held;
};

}  // namespace graft
