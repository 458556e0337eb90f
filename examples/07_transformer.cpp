// SPDX-License-Identifier: Apache-2.0
// A transformer from its equations: the block is yours, its training step and its memory follow.
#include <graft/graft.hpp>

#include <cstdio>
#include <vector>

using namespace graft;

/// Attention and feed-forward side by side, as in PaLM: both read one norm, one sum ends the block.
struct parallel_block {
    using sizes = transformer_sizes;
    static constexpr lora<"q_proj", q_width, width> Q{};  // y = x Wᵀ + s (x Aᵀ) Bᵀ
    static constexpr lora<"k_proj", kv_width, width> K{};
    static constexpr lora<"v_proj", kv_width, width> V{};
    static constexpr lora<"o_proj", width, q_width> O{};
    static constexpr lora<"up_proj", hidden, width> U{};
    static constexpr lora<"down_proj", width, hidden> D{};
    static constexpr stream<width> x{};
    static constexpr auto n = rms_norm<"norm">(x);
    static constexpr auto attention = O(attend(rope(Q(n)), rope(K(n)), V(n)));
    static constexpr auto feed_forward = D(silu(U(n)));
    static constexpr auto equations = residual(attention + feed_forward);
};

constexpr model_config tiny{.layers = 2, .width = 32, .heads = 4, .kv_heads = 2, .head = 8,
                            .hidden = 64, .vocabulary = 128, .context = 64};
using trains = trainer<parallel_block, mesp, adamw>;
using answers = generator<parallel_block>;
constexpr trains::settings how{.tokens = 64, .rank = 8};
alignas(64) static std::byte memory_of_a_step[trains::memory_plan(tiny, how).total()];
alignas(64) static std::byte memory_of_an_answer[answers::memory_bytes(tiny, {}, how.adapter())];

int main() {
    std::vector<tensor<float, any, any>> frozen;  // random: only A and B are trained
    auto const random = [&](index_t rows, index_t columns) -> weight {
        auto& w = frozen.emplace_back(rows, columns);
        for (std::uint64_t k = 0; float& x : w)
            x = static_cast<float>(0.6 * uniform(frozen.size(), 0, 0, k++) - 0.3);
        return {reinterpret_cast<std::byte const*>(w.data()), rows, columns, f32};
    };
    tensor<float, tiny.width> const ones(fill{1}), fives(fill{5});
    layer_weights<parallel_block, float> layers[tiny.layers];
    for (auto& layer : layers) layer.visit([&]<class Op>(Op, auto& of) {
        constexpr auto n = sizes_of(tiny, 1);
        if constexpr (requires { of.W; }) of.W = random(Op::out_axis::of(n), Op::in_axis::of(n));
        else if constexpr (requires { of.w; }) of.w = ones.data();
    });
    trains t({tiny, random(128, 32), random(128, 32), fives.data(), layers}, how, memory_of_a_step);
    t.start(1);
    constexpr char text[] = "every gradient follows from the equations.\n";
    std::vector<int> const ids(text, text + 43);  // a character is a token
    batch const all[]{{std::span(ids).first(42), std::span(ids).last(42), {}}};
    fit(t, batches{all}, {.steps = 31, .rate = {.peak = 0.02}}, [](fit_step const& s) {
        if (s.step % 10 == 1) std::printf("step %2td: loss %.2f\n", s.step, s.loss);
    });
    answers model(t.of(), {}, memory_of_an_answer, {}, how.adapter());
    for (int id = ids[0], k = 0; k < 43; ++k, id = sampler{}(model.feed({&id, 1}), 0))
        std::putchar(id);
}
