// SPDX-License-Identifier: Apache-2.0
// Any bytes as the two files of a PEFT adapter, and as a GGUF adapter: read or refused; what is read fits the model.
#include <graft/io/adapter.hpp>

#include <cstdlib>

namespace {

graft::model_config config() {
    graft::model_config c;
    c.layers = 2, c.width = 32, c.heads = 4, c.kv_heads = 2, c.head = 8, c.hidden = 64, c.vocabulary = 264,
    c.context = 128;
    return c;
}

void check(graft::result<graft::adapter> const& r) {
    if (!r) {
        if (describe(r.error()).find('\n') != std::string::npos) std::abort();  // an error is one line
        return;
    }
    for (auto const& p : r->pairs)
        if (static_cast<graft::index_t>(p.a.size()) != p.rank * p.in ||
            static_cast<graft::index_t>(p.b.size()) != p.out * p.rank)
            std::abort();
    (void)check_adapter(*r, config());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const bytes = std::as_bytes(std::span(data, size));
    check(graft::parse_adapter_gguf(bytes, "fuzz.gguf", config()));
    if (size < 2) return 0;
    // The first two bytes say where the config ends and the tensors begin.
    std::size_t const cut = std::min<std::size_t>(data[0] * 256u + data[1], size - 2);
    check(graft::parse_peft(graft::as_text(bytes.subspan(2, cut)), "adapter_config.json", bytes.subspan(2 + cut),
                            "adapter_model.safetensors"));
    return 0;
}
