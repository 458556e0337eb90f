// SPDX-License-Identifier: Apache-2.0
// Pages of a mapped file that nobody needs for a while leave memory.                     (layer 16: io)
#pragma once

#include <graft/base/index.hpp>
#include <graft/io/file_calls.hpp>
#include <graft/io/mapped_file.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

#include <unistd.h>

namespace graft {

/// Of this system's memory: usually 4096, on some ARM machines 16384 or 65536.
inline std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

/// The whole pages inside a run of bytes: none that it shares with what lies beside it.
inline std::span<std::byte const> whole_pages(std::span<std::byte const> run) {
    std::uintptr_t const start = reinterpret_cast<std::uintptr_t>(run.data()), page = page_bytes();
    std::size_t const before = static_cast<std::size_t>((page - start % page) % page);
    if (before >= run.size()) return {};
    return run.subspan(before, (run.size() - before) / page * page);
}

/// The whole pages of `run` leave this process's memory (MADV_DONTNEED) and come back from the file when they are
/// touched again; the file's last page, of which nobody else has a part, counts as whole. A run that is not inside the
/// file's mapping is left alone. True where pages were given back; false is harmless, for this is advice.
inline bool release_pages(mapped_file const& file, std::span<std::byte const> run, file_calls const& calls = {}) {
    auto const all = file.bytes();
    auto const at = reinterpret_cast<std::uintptr_t>(run.data()), start = reinterpret_cast<std::uintptr_t>(all.data());
    if (!file.is_mapped() || at < start || at - start > all.size() || run.size() > all.size() - (at - start))
        return false;
    bool const to_the_end = at - start + run.size() == all.size();
    std::size_t const tail = to_the_end ? (page_bytes() - all.size() % page_bytes()) % page_bytes() : 0;
    auto const pages = whole_pages({run.data(), run.size() + tail});
    return !pages.empty() && calls.release(const_cast<std::byte*>(pages.data()), pages.size(), file.path());
}

}  // namespace graft
