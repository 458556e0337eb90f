// SPDX-License-Identifier: Apache-2.0
// Opens a model, whichever of the supported formats it has.                              (layer 16: io)
#pragma once

#include <graft/io/model_gguf.hpp>
#include <graft/io/model_huggingface.hpp>

namespace graft {

/// A GGUF file, or a Hugging Face directory. Everything is checked at once: a model that opens has every tensor of its
/// architecture with the exact shape, in a format that can be decoded.
inline result<model_file> open_model(std::string const& path, open_options const& options = {}) {
    if (is_directory(path)) return open_huggingface_model(path, options);
    auto file = mapped_file::open(path, options.access);
    if (!file) return file.error();
    return open_gguf_model(std::move(*file), options);
}

}  // namespace graft
