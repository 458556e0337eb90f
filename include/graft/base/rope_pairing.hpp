// SPDX-License-Identifier: Apache-2.0
// Which two columns of a head rotary positions turn together.                            (layer 0: base)
#pragma once

namespace graft {

/// Columns 2i and 2i + 1 (GGUF's llama), or i and i + head/2 (all else).
enum class rope_pairing : unsigned char { interleaved, half_split };

}  // namespace graft
