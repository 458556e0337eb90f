// SPDX-License-Identifier: Apache-2.0
// The bytes of a file, mapped read-only or read into memory.                             (layer 16: io)
#pragma once

#include <graft/base/result.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace graft {

/// `map`: pages come from the file when they are touched. `read`: all bytes are copied into memory at once, so that a
/// file that shrinks later cannot harm (a mapped one then raises SIGBUS, which only a program can handle).
enum class file_access : unsigned char { map, read };

/// What a path leads to, in words: "a directory", "a named pipe".
inline char const* kind_of_file(mode_t mode) {
    if (S_ISREG(mode)) return "a regular file";
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a named pipe";
    if (S_ISCHR(mode)) return "a character device";
    if (S_ISBLK(mode)) return "a block device";
    if (S_ISSOCK(mode)) return "a socket";
    return "of an unknown kind";
}

/// The problem behind an `errno`: "FILE: cannot be opened: got No such file or directory".
inline problem system_problem(std::string file, std::string what, int code, std::string hint = {}) {
    cause const why = code == ENOMEM ? cause::memory : cause::io;
    return {why, std::move(file), std::move(what), {}, {}, std::strerror(code), std::move(hint)};
}

/// A regular file's bytes, for as long as this lives. Movable: the bytes stay where they are.
class mapped_file {
public:
    static result<mapped_file> open(std::string const& path, file_access access = file_access::map) {
        int const handle = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe must not block
        if (handle < 0) return system_problem(path, "cannot be opened", errno);
        mapped_file file;
        file.name = path;
        result<void> const loaded = file.load(handle, access);
        ::close(handle);
        if (!loaded) return loaded.error();
        return file;
    }

    mapped_file() = default;
    mapped_file(mapped_file&& other) noexcept { swap(other); }
    mapped_file& operator=(mapped_file&& other) noexcept {
        mapped_file taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~mapped_file() {
        if (mapped)
            ::munmap(start, length);
        else
            std::free(start);
    }

    std::span<std::byte const> bytes() const { return {static_cast<std::byte const*>(start), length}; }
    std::string const& path() const { return name; }
    /// Whether the bytes are pages of the file: only those can leave memory and come back (`io/page_release.hpp`).
    bool is_mapped() const { return mapped; }

private:
    result<void> load(int handle, file_access access) {
        struct stat about {};
        if (::fstat(handle, &about) != 0) return system_problem(name, "cannot be examined", errno);
        if (!S_ISREG(about.st_mode))
            return problem{cause::io,
                           name,
                           "is not a file that can be read here",
                           {},
                           "a regular file",
                           kind_of_file(about.st_mode),
                           {}};
        auto const size = static_cast<std::uint64_t>(about.st_size);
        if (size > PTRDIFF_MAX) return system_problem(name, "is larger than the address space", EFBIG);
        if (size == 0) return {};
        if (access == file_access::read) return read_all(handle, static_cast<std::size_t>(size));
        void* const at = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, handle, 0);
        if (at == MAP_FAILED) return system_problem(name, "cannot be mapped", errno, "reading it into memory instead");
        start = at, length = static_cast<std::size_t>(size), mapped = true;
        return {};
    }

    result<void> read_all(int handle, std::size_t size) {
        start = std::aligned_alloc(64, (size + 63) / 64 * 64);
        if (!start)
            return problem{cause::memory, name, "does not fit in memory", {}, {}, std::to_string(size) + " bytes",
                           "mapping it"};
        while (length < size) {
            ssize_t const n = ::read(handle, static_cast<std::byte*>(start) + length, size - length);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return system_problem(name, "cannot be read", errno);
            if (n == 0)
                return problem{cause::io,
                               name,
                               "shrank while it was read",
                               {},
                               std::to_string(size) + " bytes",
                               std::to_string(length),
                               {}};
            length += static_cast<std::size_t>(n);
        }
        return {};
    }

    void swap(mapped_file& other) noexcept {
        std::swap(start, other.start), std::swap(length, other.length), std::swap(mapped, other.mapped);
        name.swap(other.name);
    }

    void* start = nullptr;
    std::size_t length = 0;
    bool mapped = false;
    std::string name;
};

}  // namespace graft
