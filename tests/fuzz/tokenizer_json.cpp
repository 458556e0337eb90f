// SPDX-License-Identifier: Apache-2.0
// Any text as tokenizer.json, and its end as tokenizer_config.json: read or refused; a tokenizer that can be made
// encodes its own file and gives it back.
#include <graft/text/tokenizer.hpp>
#include <graft/text/tokenizer_json.hpp>

#include <tests/fuzz/one_line.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    std::size_t const cut = text.find('\0');
    std::string_view const config = cut == text.npos ? "" : text.substr(cut + 1);
    auto read = graft::read_tokenizer_json(text.substr(0, cut), config, "tokenizer.json", "tokenizer_config.json");
    if (!one_line(read)) return 0;
    auto const made = graft::tokenizer::make(*std::move(read), "tokenizer.json");
    if (one_line(made)) (void)made->decode(made->encode(text));
    return 0;
}
