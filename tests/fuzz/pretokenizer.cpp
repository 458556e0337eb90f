// SPDX-License-Identifier: Apache-2.0
// Any bytes as a text: under every pattern the words are not empty and, together, the text.
#include <graft/text/pretokenizer.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using graft::pretokenizer;
    std::string const text(reinterpret_cast<char const*>(data), size);
    for (auto const how : {pretokenizer::gpt2, pretokenizer::smollm, pretokenizer::qwen2, pretokenizer::llama3}) {
        std::string together;
        graft::split_words(how, text, [&](std::string_view word) {
            if (word.empty()) std::abort();
            together += word;
        });
        if (together != text) std::abort();
    }
    return 0;
}
