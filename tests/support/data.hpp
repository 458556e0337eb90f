// SPDX-License-Identifier: Apache-2.0
// Where tests find files: the project's own, and real data that is not part of it.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace graft_test {

/// A file of the project, by its path from the top: "examples/data/graft.jsonl".
inline std::filesystem::path project(std::string const& path) { return std::filesystem::path(GRAFT_SOURCE_DIR) / path; }

/// A file of the data folder (GRAFT_DATA, else ../shared/data beside the project); absent: one line, the test skips.
inline std::optional<std::filesystem::path> shared_data(std::string const& name) {
    char const* const set = std::getenv("GRAFT_DATA");
    auto const path =
        (set ? std::filesystem::path(set) : std::filesystem::path(GRAFT_SOURCE_DIR) / "../shared/data") / name;
    if (std::filesystem::exists(path)) return path;
    MESSAGE("skipped: no " << name << " (set GRAFT_DATA to the folder that holds it)");
    return std::nullopt;
}

/// The real chat model (SmolLM2-135M-Instruct, Q4_1): GRAFT_SMOLLM2, else where `examples/finetune.sh` keeps it.
inline std::optional<std::filesystem::path> smollm2() {
    char const* const set = std::getenv("GRAFT_SMOLLM2");
    auto const path = set ? std::filesystem::path(set) : project("build/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if (std::filesystem::exists(path)) return path;
    MESSAGE("skipped: no SmolLM2-135M-Instruct (set GRAFT_SMOLLM2 to the .gguf, or run examples/finetune.sh once)");
    return std::nullopt;
}

inline std::string read_file(std::filesystem::path const& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A folder of its own for one test, removed at the end.
struct scratch_folder {
    std::filesystem::path path;
    scratch_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "graft-test-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    scratch_folder(scratch_folder const&) = delete;
    scratch_folder& operator=(scratch_folder const&) = delete;
};

}  // namespace graft_test
