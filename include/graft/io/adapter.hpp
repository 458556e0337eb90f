// SPDX-License-Identifier: Apache-2.0
// Opens an adapter, whichever of the supported formats it has.                           (layer 16: io)
#pragma once

#include <graft/io/adapter_gguf.hpp>
#include <graft/io/adapter_peft.hpp>

namespace graft {

/// A PEFT directory or a GGUF file, and only one that belongs to the model.
inline result<adapter> open_adapter(std::string const& path, model_config const& c) {
    if (!is_directory(path)) return read_adapter_gguf(path, c);
    auto a = read_peft(path);
    if (!a) return a.error();
    a->arch = c.arch;
    if (auto const r = check_adapter(*a, c, path); !r) return r.error();
    return a;
}

}  // namespace graft
