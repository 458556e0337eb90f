// SPDX-License-Identifier: Apache-2.0
// Any text as adapter_config.json, and what follows it as adapter_model.safetensors: read or refused.
#include <graft/io/adapter_peft.hpp>

#include <tests/fuzz/one_line.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    std::size_t const cut = text.find('\0');
    auto const config = text.substr(0, cut), weights = cut == text.npos ? std::string_view{} : text.substr(cut + 1);
    one_line(graft::parse_peft(config, "adapter_config.json", std::as_bytes(std::span(weights)),
                               "adapter_model.safetensors"));
    return 0;
}
