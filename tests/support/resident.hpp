// SPDX-License-Identifier: Apache-2.0
// Which pages of this process are in memory.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace graft_test {

/// Bytes of the pages meeting a run that this process has in memory (/proc/self/pagemap); −1 where that cannot be read.
/// mincore would tell of the system's cache of a file instead, which nobody's limit counts.
inline std::ptrdiff_t resident_bytes(std::span<std::byte const> run) {
    auto const page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    auto const start = reinterpret_cast<std::uintptr_t>(run.data());
    std::uintptr_t const first = start / page, last = run.empty() ? first : (start + run.size() - 1) / page + 1;
    std::vector<std::uint64_t> pages(last - first);
    int const handle = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    std::size_t const bytes = pages.size() * 8;
    bool const known = handle >= 0 && ::pread(handle, pages.data(), bytes, static_cast<off_t>(first * 8)) ==
                                          static_cast<ssize_t>(bytes);
    if (handle >= 0) ::close(handle);
    if (!known) return -1;
    std::ptrdiff_t sum = 0;
    for (std::uint64_t const p : pages)
        if (p >> 63) sum += static_cast<std::ptrdiff_t>(page);
    return sum;
}

/// Whether this system says which pages are in memory; if not, one line: the test skips.
inline bool knows_residency() {
    std::byte here{};
    if (resident_bytes({&here, 1}) > 0) return true;
    MESSAGE("skipped: /proc/self/pagemap does not say what is in memory");
    return false;
}

}  // namespace graft_test
