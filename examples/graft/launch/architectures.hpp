// SPDX-License-Identifier: Apache-2.0
// The instruction sets that the tool is built for, best first, and which of them a processor runs.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace launch {

/// One build of the tool: `graft-NAME` beside the launcher, and whether this processor (and its operating system, which
/// has to save the registers) runs it.
struct architecture {
    std::string_view name;
    bool runs;
};

/// What this processor runs, best first. The compiler's flags of each stand in examples/CMakeLists.txt.
inline std::vector<architecture> architectures() {
    __builtin_cpu_init();
    auto const all = [](auto... has) { return (... && (has != 0)); };
    bool const avx2 = all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"), __builtin_cpu_supports("bmi"),
                          __builtin_cpu_supports("bmi2"), __builtin_cpu_supports("popcnt"));
    bool const avx512 = avx2 && all(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bw"),
                                    __builtin_cpu_supports("avx512cd"), __builtin_cpu_supports("avx512dq"),
                                    __builtin_cpu_supports("avx512vl"));
    bool const vnni = avx512 && all(__builtin_cpu_supports("avx512vnni"), __builtin_cpu_supports("avx512vbmi"));
    return {{"avx512vnni", vnni}, {"avx512", avx512}, {"avx2", avx2}, {"sse2", true}};
}

/// The names to try in turn: those that run, best first; with a name in `asked` that one alone. Empty: `asked` is
/// unknown or does not run here.
inline std::vector<std::string_view> to_try(std::span<architecture const> all, std::string_view asked) {
    std::vector<std::string_view> names;
    for (auto const& a : all)
        if (a.runs && (asked.empty() || asked == a.name)) names.push_back(a.name);
    return names;
}

/// The names for a message: all of them, or those that run here.
inline std::string listed(std::span<architecture const> all, bool only_running) {
    std::string names;
    for (auto const& a : all)
        if (a.runs || !only_running) names += (names.empty() ? "" : ", ") + std::string(a.name);
    return names;
}

}  // namespace launch
