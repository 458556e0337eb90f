// SPDX-License-Identifier: Apache-2.0
// What a file is that is not what was asked for.                                         (layer 16: io)
#pragma once

#include <graft/base/result.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace graft {

/// What the first bytes of a file look like, and what to do about it: {"a zip archive …", "…"}.
struct file_identity {
    char const* kind;
    char const* hint;
};

inline file_identity identify(std::span<std::byte const> bytes) {
    std::string_view const start(reinterpret_cast<char const*>(bytes.data()), std::min<std::size_t>(bytes.size(), 256));
    auto const is = [&](std::string_view magic) { return start.substr(0, magic.size()) == magic; };
    if (start.empty()) return {"an empty file", "downloading it again"};
    if (is("GGUF")) return {"a GGUF file", "passing it where a model or a GGUF adapter is asked for"};
    if (is("FUGG"))
        return {"a GGUF file with its magic byte-swapped (big-endian)",
                "converting the model for little-endian machines"};
    if (is("tjgg") || is("GGJT"))
        return {"an old GGJT model, older than GGUF", "converting the original model to GGUF again"};
    if (is("lmgg") || is("GGML"))
        return {"an old GGML model, older than GGUF", "converting the original model to GGUF again"};
    if (is("fmgg") || is("GGMF"))
        return {"an old GGMF model, older than GGUF", "converting the original model to GGUF again"};
    if (is("algg") || is("GGLA"))
        return {"an old GGLA adapter, older than GGUF", "the PEFT directory it was made from"};
    if (is("PK\x03\x04")) return {"a zip archive (PyTorch's .bin and .pt are such)", "converting it to safetensors"};
    if (is("\x1f\x8b")) return {"a gzip archive", "unpacking it first"};
    if (is("version https://git-lfs"))
        return {"a Git-LFS pointer, not the file itself", "`git lfs pull` where it was cloned"};
    if (is("\x80\x02") || is("\x80\x03") || is("\x80\x04")) return {"a Python pickle", "converting it to safetensors"};
    std::size_t const text = start.find_first_not_of(" \t\r\n");
    if (text != start.npos && start[text] == '<')
        return {"an HTML or XML page, as a failed download leaves", "downloading it again"};
    if (start.size() >= 9 && start[8] == '{' && start[7] == 0 && start[6] == 0)
        return {"a safetensors file", "passing the directory it lies in"};
    if (text != start.npos && (start[text] == '{' || start[text] == '['))
        return {"JSON text", "passing the directory it lies in"};
    if (std::all_of(start.begin(), start.end(), [](char c) { return c == 0; }))
        return {"all zeros, as an interrupted download leaves", "downloading it again"};
    return {"of an unknown kind", "checking the path"};
}

/// The problem of a file that should be `wanted` and is something else.
inline problem wrong_kind(std::string const& file, std::string const& wanted, std::span<std::byte const> bytes) {
    file_identity const found = identify(bytes);
    return {cause::bad_file, file, "is not " + wanted, "at byte 0", wanted, found.kind, found.hint};
}

}  // namespace graft
