// SPDX-License-Identifier: Apache-2.0
// A training step of a model for a microcontroller in one byte less than its plan.
// expects: memory_limit<
// expects: the plan needs more bytes than the limit
#include <graft/firmware.hpp>

using namespace graft;

constexpr model_config tiny{.layers = 2, .width = 32, .heads = 4, .kv_heads = 2, .head = 8,
                            .hidden = 64, .vocabulary = 128, .context = 64};
using trains = trainer<llama<lora>, mesp, sgd>;
constexpr trains::settings how{.tokens = 32, .rank = 4, .max_grad_norm = 0, .strategy = {16, phases::two},
                               .updates = updating::fused};
constexpr index_t peak = trains::memory_plan(tiny, how).total();

#ifdef RIGHT
static_assert(memory_limit<peak, peak>::holds);
#else
static_assert(memory_limit<peak, peak - 1>::holds);
#endif
