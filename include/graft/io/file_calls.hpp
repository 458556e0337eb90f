// SPDX-License-Identifier: Apache-2.0
// The operating system's calls that change files or their pages, with a place to make each fail. (layer 16: io)
#pragma once

#include <graft/base/result.hpp>
#include <graft/io/mapped_file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace graft {

/// The calls that savers make, and those about pages of files.
enum class file_call : unsigned char {
    create,
    write,
    sync,
    close,
    rename,
    remove,
    make_directory,
    remove_directory,
    sync_directory,
    reserve,
    map,
    write_back,
    release
};

/// Every change a saver makes to the disk goes through here. `before` may look at each call and make it fail by
/// returning an errno instead of 0: this is how the tests stop a save at its N-th step. A write that is made to fail
/// writes half. Pages that leave memory, and files that are memory, go through here as well.
struct file_calls {
    int (*before)(void* self, file_call call, char const* path) = nullptr;
    void* self = nullptr;

    /// A new file, which must not exist yet; its handle, or -1 with errno.
    int create(std::string const& path) const {
        if (!allowed(file_call::create, path)) return -1;
        return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }

    /// All of `bytes`, in as many pieces as the system wants.
    bool write(int handle, std::span<std::byte const> bytes, std::string const& path) const {
        bool const whole = allowed(file_call::write, path);
        int const refusal = errno;
        if (!whole) bytes = bytes.first(bytes.size() / 2);
        while (!bytes.empty()) {
            ssize_t const n = ::write(handle, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return false;
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
        if (!whole) errno = refusal;
        return whole;
    }

    bool sync(int handle, std::string const& path) const {
        return allowed(file_call::sync, path) && ::fsync(handle) == 0;
    }

    /// Closes the handle whatever happens; false where the system reports that what was written is lost.
    bool close(int handle, std::string const& path) const {
        bool const wanted = allowed(file_call::close, path);
        int const refusal = errno;
        bool const closed = ::close(handle) == 0;
        if (!wanted) errno = refusal;
        return wanted && closed;
    }

    bool rename(std::string const& from, std::string const& to) const {
        return allowed(file_call::rename, to) && ::rename(from.c_str(), to.c_str()) == 0;
    }
    bool remove(std::string const& path) const {
        return allowed(file_call::remove, path) && ::unlink(path.c_str()) == 0;
    }
    bool make_directory(std::string const& path) const {
        return allowed(file_call::make_directory, path) && ::mkdir(path.c_str(), 0777) == 0;
    }
    bool remove_directory(std::string const& path) const {
        return allowed(file_call::remove_directory, path) && ::rmdir(path.c_str()) == 0;
    }

    /// Makes the names in a directory as durable as the files behind them.
    bool sync_directory(std::string const& path) const {
        if (!allowed(file_call::sync_directory, path)) return false;
        int const handle = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (handle < 0) return false;
        bool const done = ::fsync(handle) == 0 || errno == EINVAL;  // some file systems cannot, and need not
        int const code = errno;
        ::close(handle);
        errno = code;
        return done;
    }

    /// A new file as `create` makes it, to write and to read.
    int create_scratch(std::string const& path) const {
        if (!allowed(file_call::create, path)) return -1;
        return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    /// Makes a file `bytes` long with room on the disk for all of them.
    bool reserve(int handle, std::size_t bytes, std::string const& path) const {
        if (!allowed(file_call::reserve, path)) return false;
        do errno = ::posix_fallocate(handle, 0, static_cast<off_t>(bytes));
        while (errno == EINTR);
        return errno == 0;
    }
    /// A file's bytes as memory to read and to write; null with errno.
    void* map(int handle, std::size_t bytes, std::string const& path) const {
        if (!allowed(file_call::map, path)) return nullptr;
        void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
        return at == MAP_FAILED ? nullptr : at;
    }
    /// Starts to write what was changed in a run of a mapped file, and does not wait for it.
    bool write_back(int handle, std::size_t first, std::size_t bytes, std::string const& path) const {
        return allowed(file_call::write_back, path) &&
               ::sync_file_range(handle, static_cast<off_t>(first), static_cast<off_t>(bytes),
                                 SYNC_FILE_RANGE_WRITE) == 0;
    }
    /// Whole pages of a mapped file leave this process's memory; they come back from the file when they are touched.
    bool release(void* first, std::size_t bytes, std::string const& path) const {
        return allowed(file_call::release, path) && ::madvise(first, bytes, MADV_DONTNEED) == 0;
    }

private:
    bool allowed(file_call call, std::string const& path) const {
        int const refusal = before ? before(self, call, path.c_str()) : 0;
        if (refusal != 0) errno = refusal;
        return refusal == 0;
    }
};

/// The directory a path lies in: "a/b" → "a", "b" → ".".
inline std::string folder_of(std::string const& path) {
    std::size_t const slash = path.find_last_of('/');
    if (slash == path.npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// The last part of a path: "a/b" → "b".
inline std::string base_name(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    std::size_t const slash = path.find_last_of('/');
    return slash == path.npos ? path : path.substr(slash + 1);
}

inline bool path_exists(std::string const& path) {
    struct stat about {};
    return ::lstat(path.c_str(), &about) == 0;
}

/// True where both paths lead to one file or directory, by whatever names.
inline bool same_file(std::string const& a, std::string const& b) {
    struct stat one {
    }, other{};
    return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

inline bool is_directory(std::string const& path) {
    struct stat about {};
    return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

/// True where `path`, which need not exist, is somewhere below `directory`.
inline bool lies_in(std::string path, std::string const& directory) {
    while (path != "/" && path != ".") {
        path = folder_of(path);
        if (path_exists(path)) break;
    }
    char* const resolved = ::realpath(path.c_str(), nullptr);
    std::string above = resolved ? resolved : path;
    std::free(resolved);
    for (; !same_file(above, directory); above = folder_of(above))
        if (above == "/" || above == ".") return false;
    return true;
}

/// How a saver treats what is already there.
struct save_options {
    bool overwrite = false;             // replace an existing file or directory
    std::vector<std::string> inputs{};  // files that are being read: never replaced, with or without `overwrite`
    file_calls calls{};
};

/// Why nothing may be written to `path`, if so: it is an input, or something is there already.
inline result<void> may_write(std::string const& path, save_options const& options) {
    for (std::string const& input : options.inputs) {
        if (same_file(path, input))
            return problem{cause::usage,         path, "is one of the inputs and cannot be the output too", {}, {}, {},
                           "another output path"};
        if (is_directory(input) && lies_in(path, input))
            return problem{cause::usage, path,  "lies inside one of the inputs", {},
                           {},           input, "an output path outside of it"};
    }
    if (!options.overwrite && path_exists(path))
        return problem{cause::io, path, "is already there and is not replaced", {},
                       {},        {},   "another path, or --overwrite"};
    return {};
}

}  // namespace graft
