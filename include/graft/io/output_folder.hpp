// SPDX-License-Identifier: Apache-2.0
// Before a long run: that its output directory is its own, and has room.                 (layer 16: io)
#pragma once

#include <graft/io/atomic_directory.hpp>

#include <cstdint>

#include <sys/file.h>
#include <sys/statvfs.h>

namespace graft {

/// Holds a directory for this process: a second run in it is refused. The system frees it however the process ends.
class output_lock {
public:
    static result<output_lock> take(std::string const& directory) {
        std::string const path = directory + "/.lock";
        output_lock lock;
        lock.handle = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (lock.handle < 0)
            return system_problem(path, "cannot be made", errno, "a directory that exists and can be written to");
        if (::flock(lock.handle, LOCK_EX | LOCK_NB) == 0) return lock;
        if (errno != EWOULDBLOCK) return system_problem(path, "cannot be locked", errno);
        return problem{cause::io,
                       directory,
                       "is in use by another run",
                       {},
                       {},
                       {},
                       "another output directory, or waiting for that run"};
    }

    output_lock(output_lock&& other) noexcept : handle(std::exchange(other.handle, -1)) {}
    output_lock& operator=(output_lock&& other) noexcept {
        std::swap(handle, other.handle);
        return *this;
    }
    ~output_lock() {
        if (handle >= 0) ::close(handle);
    }

private:
    output_lock() = default;
    int handle = -1;
};

/// Does all that a save of `bytes` will do, and undoes it: a full disk or a directory without permission is met now and
/// not hours later. There must be room for two such saves.
inline result<void> trial_save(std::string const& directory, std::uint64_t bytes, file_calls const& calls = {}) {
    if (!path_exists(directory) && !calls.make_directory(directory))
        return system_problem(directory, "cannot be made", errno);
    struct statvfs about {};
    if (::statvfs(directory.c_str(), &about) != 0) return system_problem(directory, "cannot be examined", errno);
    std::uint64_t const piece = about.f_frsize, room = piece == 0 ? UINT64_MAX : about.f_bavail;  // in pieces
    if (piece != 0 && bytes / piece > room / 2)
        return problem{cause::io,
                       directory,
                       "has not enough room",
                       {},
                       "twice " + std::to_string(bytes) + " bytes",
                       std::to_string(room) + " blocks of " + std::to_string(piece),
                       "another disk, or deleting something"};
    std::string const working = directory + "/.tmp-trial-" + std::to_string(::getpid()),
                      place = directory + "/.tmp-tried-" + std::to_string(::getpid());
    if (!calls.make_directory(working)) return system_problem(working, "cannot be made", errno);
    auto const attempt = [&]() -> result<void> {
        auto file = atomic_file::create(working + "/numbers", {false, {}, calls});
        if (!file) return file.error();
        std::vector<std::byte> const zeros(1 << 16);
        for (std::uint64_t left = bytes; left > 0;) {
            auto const n = static_cast<std::size_t>(std::min<std::uint64_t>(left, zeros.size()));
            if (auto const r = file->write(std::span(zeros).first(n)); !r) return r;
            left -= n;
        }
        if (auto const r = file->commit(); !r) return r;
        if (!calls.sync_directory(working)) return system_problem(working, "cannot be synced", errno);
        if (!calls.rename(working, place)) return system_problem(place, "cannot be put in place", errno);
        return {};
    };
    auto const r = attempt();
    remove_flat_directory(r ? place : working, calls);
    return r;
}

}  // namespace graft
