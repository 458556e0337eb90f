// SPDX-License-Identifier: Apache-2.0
// Any text as a pattern, and what follows a zero byte as a name: matched, not matched or refused, soon.
#include <graft/io/module_pattern.hpp>

#include <tests/fuzz/one_line.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    std::size_t const cut = text.find('\0');
    auto const pattern = text.substr(0, cut), name = cut == text.npos ? std::string_view{} : text.substr(cut + 1, 300);
    for (bool const key : {false, true}) {
        auto const made = key ? graft::module_pattern::of_key(pattern) : graft::module_pattern::make(pattern);
        if (!one_line(made)) continue;
        if (made->covers(name) && !made->begins(name)) std::abort();
    }
    return 0;
}
