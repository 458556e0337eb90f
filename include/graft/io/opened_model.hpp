// SPDX-License-Identifier: Apache-2.0
// A model with all that text needs: its file, its tokenizer, its chat format.            (layer 16: io)
#pragma once

#include <graft/io/model_file.hpp>
#include <graft/text/chat.hpp>
#include <graft/text/tokenizer.hpp>

#include <string>
#include <utility>

namespace graft {

struct opened_model {
    model_file file;
    tokenizer words;
    chat_format chat;

    /// Weights are mapped and not read. `format`: chatml, llama3 or none; "": by the model's own template.
    static result<opened_model> open(std::string const& path, std::string const& format = {}) {
        auto file = open_model(path);
        if (!file) return file.error();
        auto words = tokenizer::make(std::move(file->tokens), path);
        if (!words) return words.error();
        auto chat = chat_format::make(*words, format, path);
        if (!chat) return chat.error();
        return opened_model{std::move(*file), std::move(*words), std::move(*chat)};
    }
};

/// A whole file as text.
inline result<std::string> read_text(std::string const& path) {
    auto file = mapped_file::open(path, file_access::read);
    if (!file) return file.error();
    auto const bytes = file->bytes();
    return std::string(reinterpret_cast<char const*>(bytes.data()), bytes.size());
}

}  // namespace graft
