// SPDX-License-Identifier: Apache-2.0
// What the system says about memory: how much this process holds, and how much it may still take.
#pragma once

#include <sys/resource.h>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

namespace tool {

namespace detail {

/// The number behind `key` in a file of `key: number kB` lines, in bytes; 0 where there is none. Allocates nothing big.
inline std::uint64_t kilobytes_of(char const* path, char const* key) {
    std::FILE* const file = std::fopen(path, "re");
    if (!file) return 0;
    char line[256];
    unsigned long long kb = 0;
    std::size_t const length = std::strlen(key);
    while (std::fgets(line, sizeof line, file))
        if (std::strncmp(line, key, length) == 0 && std::sscanf(line + length, ": %llu", &kb) == 1) break;
    std::fclose(file);
    return std::uint64_t{kb} * 1024;
}

inline bool read_number(char const* path, std::uint64_t& to) {
    std::FILE* const file = std::fopen(path, "re");
    if (!file) return false;
    unsigned long long n = 0;
    bool const ok = std::fscanf(file, "%llu", &n) == 1;  // "max" is no number: no limit
    std::fclose(file);
    to = n;
    return ok;
}

}  // namespace detail

/// Anonymous resident bytes of this process (RssAnon): what it cannot give back by dropping mapped files.
inline std::uint64_t anonymous_bytes() { return detail::kilobytes_of("/proc/self/status", "RssAnon"); }

/// The most that was ever resident, mapped files included (VmHWM), since the start or since `reset_peak_resident`.
inline std::uint64_t peak_resident_bytes() { return detail::kilobytes_of("/proc/self/status", "VmHWM"); }
/// Resident bytes of mapped files (RssFile): weights, a stream that lies in a file, the program itself.
inline std::uint64_t file_bytes() { return detail::kilobytes_of("/proc/self/status", "RssFile"); }

/// Lets `peak_resident_bytes` begin anew, at what is resident now; false where the system does not allow it.
inline bool reset_peak_resident() {
    std::FILE* const file = std::fopen("/proc/self/clear_refs", "we");
    if (!file) return false;
    bool const written = std::fputs("5", file) >= 0;
    return std::fclose(file) == 0 && written;
}

/// Bytes that this process may still take: of the machine, of its control group, of its own limit.
inline std::uint64_t available_bytes() {
    std::uint64_t most = std::numeric_limits<std::uint64_t>::max(), limit = 0, used = 0;
    if (auto const free = detail::kilobytes_of("/proc/meminfo", "MemAvailable")) most = free;
    if (detail::read_number("/sys/fs/cgroup/memory.max", limit) &&
        detail::read_number("/sys/fs/cgroup/memory.current", used))
        most = std::min(most, limit - std::min(limit, used));
    rlimit r{};
    if (::getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
        most =
            std::min(most, std::uint64_t{r.rlim_cur} - std::min(std::uint64_t{r.rlim_cur},
                                                                detail::kilobytes_of("/proc/self/status", "VmSize")));
    return most;
}

}  // namespace tool
