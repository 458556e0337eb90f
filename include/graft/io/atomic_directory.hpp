// SPDX-License-Identifier: Apache-2.0
// A directory of files that appears whole or not at all.                                 (layer 16: io)
#pragma once

#include <graft/io/atomic_file.hpp>

#include <algorithm>

#include <dirent.h>

namespace graft {

/// The names in a directory but for "." and "..", sorted; empty where it cannot be read.
inline std::vector<std::string> names_in(std::string const& directory) {
    std::vector<std::string> names;
    DIR* const open = ::opendir(directory.c_str());
    if (!open) return names;
    while (dirent const* const entry = ::readdir(open)) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
    }
    ::closedir(open);
    std::sort(names.begin(), names.end());
    return names;
}

/// Removes a directory that holds only files; what else it holds stays, and then it stays too.
inline bool remove_flat_directory(std::string const& path, file_calls const& calls = {}) {
    for (std::string const& name : names_in(path)) calls.remove(path + "/" + name);
    return calls.remove_directory(path);
}

/// Files are written to a temporary directory beside the path, each synced; `commit` renames that into place. Where the
/// directory is there already and may be overwritten, its files of these names are replaced one by one, in the order of
/// the calls, and its other files stay: nothing of a user's is ever deleted.
class atomic_directory {
public:
    static result<atomic_directory> create(std::string path, save_options const& options = {}) {
        while (path.size() > 1 && path.back() == '/') path.pop_back();
        atomic_directory d;
        d.name = path;
        d.options = options;
        bool const there = is_directory(path), empty = there && names_in(path).empty();
        save_options relaxed = options;
        relaxed.overwrite = options.overwrite || empty;
        if (auto const r = may_write(path, relaxed); !r) return r.error();
        if (!there && path_exists(path))
            return problem{cause::io, path, "is not a directory", {}, {}, {}, "another path"};
        if (there) {
            d.working = path;
            return d;
        }
        for (int attempt = 0; attempt < 100; ++attempt) {
            d.working = folder_of(path) + "/.tmp-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
            if (options.calls.make_directory(d.working)) {
                d.temporary = true;
                return d;
            }
            if (errno != EEXIST) break;
        }
        return system_problem(path, "cannot be written", errno, "a directory that exists and can be written to");
    }

    atomic_directory(atomic_directory&& other) noexcept { swap(other); }
    atomic_directory& operator=(atomic_directory&& other) noexcept {
        atomic_directory taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~atomic_directory() {
        if (temporary) remove_flat_directory(working, options.calls);
    }

    /// Where a file of that name is to be written, with `options_of_files()`.
    std::string path_of(std::string const& file) const { return working + "/" + file; }
    save_options options_of_files() const {
        save_options o = options;
        o.overwrite = true;
        return o;
    }
    result<void> write(std::string const& file, std::string_view text) {
        return write_file(path_of(file), text, options_of_files());
    }
    result<void> write(std::string const& file, std::span<std::byte const> bytes) {
        return write_file(path_of(file), bytes, options_of_files());
    }

    /// Puts the directory in place; the object is done with.
    result<void> commit() {
        file_calls const& calls = options.calls;
        if (!calls.sync_directory(working)) return system_problem(name, "cannot be synced", errno);
        if (!temporary) return {};
        if (!calls.rename(working, name)) return system_problem(name, "cannot be put in place", errno);
        temporary = false;
        if (!calls.sync_directory(folder_of(name))) return system_problem(folder_of(name), "cannot be synced", errno);
        return {};
    }

private:
    atomic_directory() = default;
    void swap(atomic_directory& other) noexcept {
        std::swap(name, other.name), std::swap(working, other.working), std::swap(options, other.options),
            std::swap(temporary, other.temporary);
    }

    std::string name, working;
    save_options options;
    bool temporary = false;
};

}  // namespace graft
