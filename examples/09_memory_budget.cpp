// SPDX-License-Identifier: Apache-2.0
// A number of bytes in, a training step out: what to keep, what to compute again, what to tile.
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

/// What one schedule keeps in each block, as a count of its values.
int kept(mesp const& s) { return std::popcount(s.kept); }

int main() {
    // When compiling: firmware that does not fit does not build. Both numbers stand in the error.
    constexpr model_config tiny{.layers = 2, .width = 32, .heads = 4, .kv_heads = 2, .head = 8,
                                .hidden = 64, .vocabulary = 128, .context = 64};
    using trains = trainer<llama<lora>, mesp, sgd>;
    constexpr trains::settings small{.tokens = 32, .rank = 4, .max_grad_norm = 0,
                                     .strategy = {16, phases::two}, .updates = updating::fused};
    constexpr index_t peak = trains::memory_plan(tiny, small).total();
    static_assert(memory_limit<peak, 288 * 1024>::holds);
    std::printf("the small step takes less than 288 KiB\n");

    // When running: the least arithmetic for Qwen2.5-0.5B's shape in 256 rows within some budgets.
    auto const& shape = *find_shape("qwen2.5-0.5b");
    training<mesp, adamw> const how{.tokens = 256, .rank = 8, .lanes = 2};
    double least = 0;
    for (index_t megabytes : {800, 400, 200, 120, 100, 80, 60}) {
        budgeted const b = cheapest_within<qwen2<lora>>(shape, how, megabytes * 1'000'000);
        if (least == 0) least = b.work;
        if (!b.fits) {
            std::printf("%3td MB: nothing fits; the least is %.0f MB\n", megabytes,
                        static_cast<double>(b.total()) / 1e6);
            continue;
        }
        auto const& s = b.strategy;
        std::printf("%3td MB: arithmetic x %.2f: %d values of a block stay", megabytes, b.work / least, kept(s.low));
        if (s.from < shape.layers) std::printf(", %d in the upper %td", kept(s.high), shape.layers - s.from);
        std::printf(s.tile > 0 ? "; tiles of %td rows\n" : "\n", s.tile);
    }
}
