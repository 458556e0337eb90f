// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF adapter for a small model: refused, or pairs whose numbers are all there and fit the model.
#include <graft/io/adapter_gguf.hpp>

#include <tests/fuzz/one_line.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    graft::model_config c;
    c.layers = 2, c.width = 32, c.heads = 4, c.kv_heads = 2, c.head = 8, c.hidden = 64, c.vocabulary = 264,
    c.context = 128;
    auto const a = graft::parse_adapter_gguf(std::as_bytes(std::span(data, size)), "fuzz.gguf", c);
    if (!one_line(a)) return 0;
    for (auto const& p : a->pairs) {
        auto const numbers = [](std::vector<float> const& v) { return static_cast<graft::index_t>(v.size()); };
        if (numbers(p.a) != p.rank * p.in || numbers(p.b) != p.out * p.rank) std::abort();
    }
    if (!check_adapter(*a, c)) std::abort();
    return 0;
}
