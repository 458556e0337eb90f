// SPDX-License-Identifier: Apache-2.0
// Half precision and bfloat16 one by one, as block formats hold them.                    (layer 5: quant)
#pragma once

#include <graft/simd/narrow.hpp>
#include <graft/simd/widen.hpp>

namespace graft {

/// The float of bfloat16 bits; exact.
constexpr float brain_to_float(std::uint16_t upper) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16);
}

}  // namespace graft
