// SPDX-License-Identifier: Apache-2.0
// A file that appears whole or not at all.                                               (layer 16: io)
#pragma once

#include <graft/io/byte_reader.hpp>
#include <graft/io/file_calls.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace graft {

/// Bytes go to a temporary file beside the path; `commit` syncs it and renames it into place. Until then the path is as
/// it was, and a writer that goes away before takes its temporary file with it.
class atomic_file {
public:
    static result<atomic_file> create(std::string const& path, save_options const& options = {}) {
        if (auto const r = may_write(path, options); !r) return r.error();
        if (is_directory(path)) return problem{cause::io, path, "is a directory", {}, "a path for a file", {}, {}};
        atomic_file file;
        file.name = path;
        file.options = options;
        for (int attempt = 0; file.handle < 0 && attempt < 100; ++attempt) {  // a killed process may have left its own
            file.temporary = folder_of(path) + "/.tmp-" + std::to_string(::getpid()) + "-" + std::to_string(attempt) +
                             "-" + base_name(path);
            if (file.temporary.size() - folder_of(path).size() > 200)
                file.temporary.resize(folder_of(path).size() + 200);
            file.handle = options.calls.create(file.temporary);
            if (file.handle < 0 && errno != EEXIST) break;
        }
        if (file.handle < 0)
            return system_problem(path, "cannot be written", errno, "a directory that exists and can be written to");
        return file;
    }

    atomic_file() = default;
    atomic_file(atomic_file&& other) noexcept { swap(other); }
    atomic_file& operator=(atomic_file&& other) noexcept {
        atomic_file taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~atomic_file() {
        if (handle < 0) return;
        options.calls.close(handle, temporary);
        options.calls.remove(temporary);
    }

    /// Appends; small pieces are gathered first.
    result<void> write(std::span<std::byte const> bytes) {
        total += bytes.size();
        if (bytes.size() >= gathered_bytes) {
            if (auto const r = flush(); !r) return r;
            return pass(bytes);
        }
        if (gathered.size() + bytes.size() > gathered_bytes)
            if (auto const r = flush(); !r) return r;
        gathered.insert(gathered.end(), bytes.begin(), bytes.end());
        return {};
    }

    /// Bytes written so far.
    std::uint64_t size() const { return total; }
    std::string const& path() const { return name; }

    /// Makes it the file at the path. The writer is done with, whether or not this succeeds.
    result<void> commit() {
        if (auto const r = flush(); !r) return r;
        file_calls const& calls = options.calls;
        if (!calls.sync(handle, temporary)) return system_problem(name, "cannot be written", errno);
        bool const closed = calls.close(std::exchange(handle, -1), temporary);
        if (auto const r = closed ? may_write(name, options) : system_problem(name, "cannot be written", errno); !r) {
            calls.remove(temporary);
            return r;
        }
        if (!calls.rename(temporary, name)) {
            problem const p = system_problem(name, "cannot be put in place", errno);
            calls.remove(temporary);
            return p;
        }
        if (!calls.sync_directory(folder_of(name))) return system_problem(folder_of(name), "cannot be synced", errno);
        return {};
    }

private:
    static constexpr std::size_t gathered_bytes = 1 << 16;

    result<void> flush() {
        auto const r = gathered.empty() ? result<void>{} : pass(gathered);
        gathered.clear();
        return r;
    }
    result<void> pass(std::span<std::byte const> bytes) {
        if (handle < 0) return problem{cause::io, name, "is not open for writing", {}, {}, {}, {}};
        if (!options.calls.write(handle, bytes, temporary)) return system_problem(name, "cannot be written", errno);
        return {};
    }
    void swap(atomic_file& other) noexcept {
        std::swap(name, other.name), std::swap(temporary, other.temporary), std::swap(options, other.options);
        std::swap(handle, other.handle), std::swap(total, other.total), std::swap(gathered, other.gathered);
    }

    std::string name, temporary;
    save_options options;
    int handle = -1;
    std::uint64_t total = 0;
    std::vector<std::byte> gathered;
};

/// A whole file at once.
inline result<void> write_file(std::string const& path, std::span<std::byte const> bytes,
                               save_options const& options = {}) {
    auto file = atomic_file::create(path, options);
    if (!file) return file.error();
    if (auto const r = file->write(bytes); !r) return r;
    return file->commit();
}
inline result<void> write_file(std::string const& path, std::string_view text, save_options const& options = {}) {
    return write_file(path, as_bytes(text), options);
}

}  // namespace graft
