// SPDX-License-Identifier: Apache-2.0
#include <graft/block/adapters.hpp>
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/block/shapes.hpp>
#include <graft/rule/rules.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace graft;

namespace {

constexpr transformer_sizes n{.tokens = 4, .width = 8, .heads = 4, .kv_heads = 2, .head = 2, .hidden = 24, .rank = 3};

// Seven maps: q and o 8 × 8, k and v 4 × 8, gate, up and down 24 × 8.
static_assert(adapter_numbers<llama<lora>>(n) == 3 * (2 * 16 + 2 * 12 + 3 * 32));
static_assert(adapter_numbers<llama<frozen>>(n) == 0);
static_assert(find_shape("qwen2.5-0.5b")->qkv_bias && !find_shape("smollm2-135m")->qkv_bias &&
              find_shape("gpt-5") == nullptr);
// 358 million numbers in the blocks' maps and 136 million in the head, as the published model has.
static_assert([] {
    auto const& c = *find_shape("qwen2.5-0.5b");
    index_t const maps = c.width * (2 * c.heads + 2 * c.kv_heads) * c.head + 3 * c.width * c.hidden;
    return c.layers * maps / 1'000'000 == 357 && c.vocabulary * c.width / 1'000'000 == 136;
}());

template <class Block>
std::vector<std::string> names() {
    layer_weights<Block, float> w;
    std::vector<std::string> out;
    w.visit([&](auto op, auto&) {
        if constexpr (requires { decltype(op)::text; }) out.emplace_back(decltype(op)::text);
    });
    return out;
}

}  // namespace

TEST_CASE("block: weights are visited in running order, each once, by the names of model files") {
    std::vector<std::string> const expected{"input_layernorm",  "self_attn.q_proj", "self_attn.k_proj",
                                            "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm",
                                            "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
    CHECK(names<llama<lora>>() == expected);
    CHECK(names<qwen2<frozen>>() == expected);
}

TEST_CASE("block: q, k and v of qwen2 have a bias, nothing else has") {
    layer_weights<qwen2<lora>, float> w;
    std::string with;
    w.visit([&](auto op, auto& x) {
        if constexpr (requires { x.W; })
            if (decltype(op)::has_bias) with += decltype(op)::text.substr(decltype(op)::text.size() - 6);
    });
    CHECK(with == "q_projk_projv_proj");
}

TEST_CASE("block: adapters lie one after another, start as nothing, and depend on the seed alone") {
    layer_weights<llama<lora>, float> w;
    auto m = n;
    m.targets = target_bit("q_proj") | target_bit("mlp.down_proj");
    std::vector<float> numbers(static_cast<std::size_t>(adapter_numbers<llama<lora>>(m)), 7), again = numbers;
    lay_adapters<llama<lora>, float>(w, m, numbers.data(), nullptr, 2.0f);
    start_adapters<llama<lora>, float>(w, 3, 11);
    auto const& q = w.of<decltype(llama<lora>::Q)>();
    auto const& d = w.of<decltype(llama<lora>::D)>();
    CHECK(q.A.data == numbers.data());
    CHECK(d.A.data == numbers.data() + 3 * 16);
    CHECK(d.B.data + 8 * 3 == numbers.data() + numbers.size());
    CHECK(!w.of<decltype(llama<lora>::K)>().A);
    float largest = 0;
    for (index_t i = 0; i < 3 * 8; ++i) {
        largest = std::max(largest, std::abs(q.A.data[i]));
        CHECK(q.B.data[i] == 0);
    }
    CHECK(largest <= 1 / std::sqrt(8.0f));
    CHECK(largest > 0.2f);
    lay_adapters<llama<lora>, float>(w, m, again.data(), nullptr, 2.0f);
    start_adapters<llama<lora>, float>(w, 3, 11);
    CHECK(again == numbers);
    start_adapters<llama<lora>, float>(w, 4, 11);
    CHECK(again != numbers);
}

TEST_CASE("block: LoRA divides alpha by the rank, rsLoRA by its root") {
    CHECK(adapter_scale(16, 8, false) == 2);
    CHECK(adapter_scale(16, 16, true) == 4);
}
