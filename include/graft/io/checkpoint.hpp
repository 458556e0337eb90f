// SPDX-License-Identifier: Apache-2.0
// Checkpoints that survive a kill at any moment: saved whole, verified when loaded.      (layer 16: io)
#pragma once

#include <graft/io/atomic_directory.hpp>
#include <graft/io/crc32.hpp>
#include <graft/io/json_file.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace graft {

/// Bytes to be saved under a plain file name, and bytes that were loaded.
struct named_blob {
    std::string name;
    std::span<std::byte const> bytes;
};
struct blob {
    std::string name;
    std::vector<std::byte> bytes;
};

struct checkpoint_options {
    std::size_t keep = 2;  // older ones are deleted after a save; at least 1
    file_calls calls;
};

/// One checkpoint, verified. `manifest` is what the program saved with it.
struct stored_checkpoint {
    std::uint64_t step = 0;
    std::string path;
    nlohmann::json manifest;
    std::vector<blob> blobs;

    blob const* find(std::string_view name) const {
        for (blob const& b : blobs)
            if (b.name == name) return &b;
        return nullptr;
    }
};

namespace detail {

inline constexpr std::uint64_t checkpoint_version = 1;
inline constexpr char const* manifest_name = "manifest.json";

inline std::string step_name(std::uint64_t step) { return "step-" + std::to_string(step); }

inline std::optional<std::uint64_t> step_of(std::string_view name) {
    std::uint64_t step = 0;
    if (!name.starts_with("step-")) return std::nullopt;
    auto const [end, code] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
    if (code != std::errc{} || end != name.data() + name.size() || step_name(step) != name) return std::nullopt;
    return step;
}

/// Steps of all checkpoints in a directory, newest first, whether whole or not.
inline std::vector<std::uint64_t> steps_in(std::string const& directory) {
    std::vector<std::uint64_t> steps;
    for (std::string const& name : names_in(directory))
        if (auto const step = step_of(name)) steps.push_back(*step);
    std::sort(steps.rbegin(), steps.rend());
    return steps;
}

inline std::string hexadecimal(std::uint32_t n) {
    std::string s(8, '0');
    for (std::size_t i = 8; i-- > 0; n >>= 4) s[i] = "0123456789abcdef"[n & 15];
    return s;
}

/// {"body": {…}, "crc32": checksum of the body's text}: one wrong byte anywhere is noticed.
inline std::string manifest_text(std::uint64_t step, nlohmann::json const& state, std::span<named_blob const> blobs) {
    nlohmann::json files = nlohmann::json::array();
    for (named_blob const& b : blobs)
        files.push_back({{"name", b.name}, {"bytes", b.bytes.size()}, {"crc32", hexadecimal(crc32(b.bytes))}});
    nlohmann::json const body = {{"format", "graft checkpoint"},
                                 {"version", checkpoint_version},
                                 {"step", step},
                                 {"files", files},
                                 {"state", state}};
    nlohmann::json const whole = {{"body", body}, {"crc32", hexadecimal(crc32(as_bytes(json_text(body))))}};
    return json_text(whole, 2) + "\n";
}

inline bool is_plain_name(std::string_view name) {
    return !name.empty() && name.size() <= 100 && name[0] != '.' && name.find_first_of("/\\") == name.npos &&
           name.find('\0') == name.npos && valid_utf8(name);
}

/// The blob that an entry of the manifest speaks of, read and compared.
inline result<blob> load_blob(std::string const& directory, nlohmann::json const& entry, std::string const& file) {
    auto const name = json_get<std::string>(entry, "name", file),
               checksum = json_get<std::string>(entry, "crc32", file);
    auto const size = json_get<std::uint64_t>(entry, "bytes", file);
    if (!name) return name.error();
    if (!checksum) return checksum.error();
    if (!size) return size.error();
    if (!is_plain_name(*name)) return bad_field(file, "name", "a plain file name", *name);
    std::string const path = directory + "/" + *name;
    auto const content = mapped_file::open(path, file_access::read);
    if (!content) return content.error();
    if (content->bytes().size() != *size)
        return problem{cause::bad_file,
                       path,
                       "has the wrong length",
                       {},
                       std::to_string(*size) + " bytes",
                       std::to_string(content->bytes().size()),
                       {}};
    std::string const found = hexadecimal(crc32(content->bytes()));
    if (found != *checksum)
        return problem{cause::bad_file, path, "has the wrong checksum", {}, printable(*checksum), found, {}};
    return blob{*name, {content->bytes().begin(), content->bytes().end()}};
}

}  // namespace detail

/// Loads one checkpoint; a problem where anything about it is not as it was saved.
inline result<stored_checkpoint> load_checkpoint(std::string const& path) {
    std::string const file = path + "/" + detail::manifest_name;
    auto const whole = read_json_object(file);
    if (!whole) return whole.error();
    auto const body = json_object(*whole, "body", file);
    auto const checksum = json_get<std::string>(*whole, "crc32", file);
    if (!body) return body.error();
    if (!checksum) return checksum.error();
    std::string const found = detail::hexadecimal(crc32(as_bytes(json_text(**body))));
    if (found != *checksum)
        return problem{cause::bad_file, file, "has the wrong checksum", {}, printable(*checksum), found, {}};
    auto const format = json_get<std::string>(**body, "format", file);
    auto const version = json_get<std::uint64_t>(**body, "version", file),
               step = json_get<std::uint64_t>(**body, "step", file);
    auto const files = json_array(**body, "files", file);
    auto const state = find_field(**body, "state");
    if (!format) return format.error();
    if (!version) return version.error();
    if (!step) return step.error();
    if (!files) return files.error();
    if (*format != "graft checkpoint") return bad_field(file, "format", "graft checkpoint", *format);
    if (*version != detail::checkpoint_version)
        return problem{cause::mismatch,
                       file,
                       "was written by another version",
                       "key 'version'",
                       std::to_string(detail::checkpoint_version),
                       std::to_string(*version),
                       "the program that wrote it"};
    if (auto const named = detail::step_of(base_name(path)); named && *named != *step)
        return problem{
            cause::bad_file,       file, "has the step of another checkpoint", "key 'step'", std::to_string(*named),
            std::to_string(*step), {}};
    stored_checkpoint c;
    c.step = *step, c.path = path;
    if (state) c.manifest = *state;
    for (auto const& entry : **files) {
        auto loaded = detail::load_blob(path, entry, file);
        if (!loaded) return loaded.error();
        if (c.find(loaded->name)) return bad_field(file, "files", "every name once", loaded->name);
        c.blobs.push_back(std::move(*loaded));
    }
    for (std::string const& name : names_in(path))
        if (name != detail::manifest_name && !c.find(name))
            return problem{
                cause::bad_file, path + "/" + printable(name), "is not in the checkpoint's manifest", {}, {}, {}, {}};
    return c;
}

/// The newest checkpoint of a directory that is whole, and what was wrong with newer ones. A directory without any, or
/// none at all, is no problem: nothing is found.
struct checkpoint_search {
    std::optional<stored_checkpoint> found;
    std::vector<problem> skipped;
};

inline checkpoint_search newest_valid(std::string const& directory) {
    checkpoint_search search;
    for (std::uint64_t const step : detail::steps_in(directory)) {
        auto loaded = load_checkpoint(directory + "/" + detail::step_name(step));
        if (!loaded) {
            search.skipped.push_back(loaded.error());
            continue;
        }
        search.found = std::move(*loaded);
        break;
    }
    return search;
}

/// Saves `DIRECTORY/step-N`: files and then the manifest into a temporary directory, each synced; the directory renamed
/// into place; `latest` (a file with the name) repointed; only then are old checkpoints deleted. Whenever the program
/// is killed, the last checkpoint or this one is whole.
inline result<void> save_checkpoint(std::string const& directory, std::uint64_t step, nlohmann::json const& manifest,
                                    std::span<named_blob const> blobs, checkpoint_options const& options = {}) {
    file_calls const& calls = options.calls;
    for (std::size_t i = 0; i < blobs.size(); ++i) {
        bool plain = detail::is_plain_name(blobs[i].name) && blobs[i].name != detail::manifest_name;
        for (std::size_t j = 0; j < i; ++j) plain = plain && blobs[j].name != blobs[i].name;
        if (!plain)
            return problem{cause::usage,
                           directory,
                           "a checkpoint's files need different plain names",
                           {},
                           {},
                           in_quotes(blobs[i].name),
                           {}};
    }
    if (!path_exists(directory) && !calls.make_directory(directory))
        return system_problem(directory, "cannot be made", errno);
    std::string const name = detail::step_name(step), place = directory + "/" + name;
    for (std::string const& stale : names_in(directory))  // of a run that was killed; the lock keeps out those alive
        if (stale.starts_with(".tmp-step-")) remove_flat_directory(directory + "/" + stale, calls);

    std::string const working = directory + "/.tmp-" + name + "-" + std::to_string(::getpid());
    if (!calls.make_directory(working)) return system_problem(working, "cannot be made", errno);
    auto const fill = [&]() -> result<void> {
        save_options const plain{false, {}, calls};
        for (named_blob const& b : blobs)
            if (auto const r = write_file(working + "/" + b.name, b.bytes, plain); !r) return r;
        if (auto const r =
                write_file(working + "/" + detail::manifest_name, detail::manifest_text(step, manifest, blobs), plain);
            !r)
            return r;
        if (!calls.sync_directory(working)) return system_problem(working, "cannot be synced", errno);
        if (path_exists(place)) {  // saved before, by a run that then went back
            std::string const aside = directory + "/.tmp-" + name + "-replaced";
            if (!calls.rename(place, aside)) return system_problem(place, "cannot be replaced", errno);
        }
        if (!calls.rename(working, place)) return system_problem(place, "cannot be put in place", errno);
        return {};
    };
    if (auto const r = fill(); !r) {
        remove_flat_directory(working, calls);
        return r;
    }
    if (!calls.sync_directory(directory)) return system_problem(directory, "cannot be synced", errno);
    if (auto const r = write_file(directory + "/latest", name + "\n", {true, {}, calls}); !r) return r;

    remove_flat_directory(directory + "/.tmp-" + name + "-replaced", calls);
    std::size_t kept = 0;
    for (std::uint64_t const old : detail::steps_in(directory))
        if (old <= step && ++kept > std::max<std::size_t>(options.keep, 1))
            remove_flat_directory(directory + "/" + detail::step_name(old), calls);
    return {};
}

}  // namespace graft
