// SPDX-License-Identifier: Apache-2.0
// Scratch memory that lies in a file without a name: for what is written once and read much later. (layer 16: io)
#pragma once

#include <graft/base/index.hpp>
#include <graft/io/page_release.hpp>
#include <graft/memory/visitor.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <sys/vfs.h>

namespace graft {

/// Memory for the stream between blocks, say: `bytes()` is read and written as any other, and what is `written` leaves
/// resident memory for the file until it is touched again. The file loses its name at once, so that the system frees it
/// however the process ends; its room on the disk is taken when it is made, so that a full disk is an error then and no
/// SIGBUS later (file systems that copy on write may promise more than they hold). Movable: the bytes stay where they
/// are.
class mapped_memory {
public:
    /// `directory`: on a disk; "": the system's for temporary files.
    static result<mapped_memory> make(index_t bytes, std::string directory = {}, file_calls const& calls = {}) {
        if (bytes < 0)
            return problem{cause::usage, {}, "scratch memory has a negative size", {}, "0 bytes or more",
                           std::to_string(bytes), {}};
        if (directory.empty()) {
            std::error_code code;
            directory = std::filesystem::temp_directory_path(code).string();
            if (code)
                return problem{cause::io, {}, "there is no directory for temporary files",
                               {},        {}, code.message(), hint};
        }
        mapped_memory m;
        m.about = std::make_unique<state>();
        m.about->folder = directory, m.about->calls = calls;
        if (auto const r = m.about->open(); !r) return r.error();
        if (auto const r = m.about->take(static_cast<std::size_t>(bytes)); !r) return r.error();
        return m;
    }

    /// Whole pages, of at least as many bytes as were asked for; zeros at first.
    std::span<std::byte> bytes() const {
        return about ? std::span(about->start, about->length) : std::span<std::byte>{};
    }

    /// The system starts to write bytes [first, first + count) to the disk, and their whole pages leave this process's
    /// memory; all stay readable.
    result<void> written(index_t first, index_t count) {
        index_t const size = static_cast<index_t>(bytes().size());
        if (first < 0 || count < 0 || first > size || count > size - first)
            return problem{cause::usage, about ? about->folder : std::string{},
                           "bytes that are not of this memory", {},
                           "a run within " + std::to_string(size) + " bytes",
                           std::to_string(count) + " from " + std::to_string(first), {}};
        return count == 0 ? result<void>{} : about->leave(static_cast<std::size_t>(first),
                                                          static_cast<std::size_t>(count));
    }

    /// For code that knows no files: what it used is `written`. Runs of other memory are left alone. The first problem
    /// is kept for `trouble`; the data are whole all the same, as long as the process lives.
    memory_visitor visitor() {
        if (!about) return {};
        return {[](void* self, std::byte const* at, index_t count) {
                    auto& me = *static_cast<state*>(self);
                    std::size_t const first = static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(at) -
                                                                       reinterpret_cast<std::uintptr_t>(me.start)),
                                      n = static_cast<std::size_t>(count);
                    if (first > me.length || n > me.length - first) return;
                    if (auto const r = me.leave(first, n); !r && !me.wrong) me.wrong = r.error();
                },
                about.get()};
    }
    std::optional<problem> trouble() const { return about ? about->wrong : std::nullopt; }

private:
    static constexpr char const* hint = "another directory, or doing without a file";

    struct state {
        ~state() {
            if (start) ::munmap(start, length);
            if (handle >= 0) ::close(handle);
        }

        result<void> open() {
            struct statfs system {};
            if (::statfs(folder.c_str(), &system) != 0)
                return system_problem(folder, "cannot be used for scratch memory", errno, hint);
            constexpr long tmpfs = 0x01021994, ramfs = 0x858458f6;
            if (system.f_type == tmpfs || system.f_type == ramfs)
                return problem{cause::io, folder, "lies in memory itself, so that a file there saves none", {},
                               "a directory on a disk", system.f_type == tmpfs ? "tmpfs" : "ramfs", hint};
            for (int attempt = 0; handle < 0 && attempt < 100; ++attempt) {  // of this process: one name per live call
                name = folder + "/.tmp-memory-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
                handle = calls.create_scratch(name);
                if (handle < 0 && errno != EEXIST) break;
            }
            if (handle < 0) return system_problem(folder, "cannot hold scratch memory", errno, hint);
            if (!calls.remove(name)) {
                problem const p = system_problem(name, "cannot be removed", errno, hint);
                ::unlink(name.c_str());
                return p;
            }
            return {};
        }

        result<void> take(std::size_t wanted) {
            std::size_t const page = page_bytes(), all = (wanted + page - 1) / page * page;
            if (all == 0) return {};
            auto const refusal = [&](char const* what) {
                problem p = system_problem(folder, what, errno, hint);
                p.expected = std::to_string(all) + " bytes";
                return p;
            };
            if (!calls.reserve(handle, all, name)) return refusal("has no room for scratch memory");
            void* const at = calls.map(handle, all, name);
            if (!at) return refusal("scratch memory cannot be mapped");
            start = static_cast<std::byte*>(at), length = all;
            return {};
        }

        result<void> leave(std::size_t first, std::size_t count) {
            bool const started = calls.write_back(handle, first, count, folder);
            int const code = errno;
            auto const pages = whole_pages({start + first, count});
            if (!pages.empty()) (void)calls.release(const_cast<std::byte*>(pages.data()), pages.size(), folder);
            if (started) return {};
            problem p = system_problem(folder, "scratch memory cannot be written to the disk", code, hint);
            p.where = "at byte " + std::to_string(first);
            p.expected = "room for " + std::to_string(count) + " bytes";
            return p;
        }

        std::byte* start = nullptr;
        std::size_t length = 0;
        int handle = -1;
        std::string folder, name;
        file_calls calls;
        std::optional<problem> wrong;
    };
    std::unique_ptr<state> about;
};

}  // namespace graft
