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
constexpr adapter_settings like{.rank = 3, .alpha = 6};
static_assert(adapter_numbers<llama<lora>>(like, n) == 3 * (2 * 16 + 2 * 12 + 3 * 32));
static_assert(adapter_numbers<llama<frozen>>(like, n) == 0);
// With magnitudes every map has its out numbers more, and keeps as many twice.
constexpr adapter_settings lengths{.rank = 3, .alpha = 6, .norm = adapter_norm::detached};
static_assert(adapter_numbers<llama<dora>>(lengths, n) == 3 * (2 * 16 + 2 * 12 + 3 * 32) + 80);
static_assert(norm_numbers<llama<dora>>(lengths, n) == 2 * 80 && norm_numbers<llama<dora>>(like, n) == 0);
static_assert(offset_numbers<llama<dora>>(lengths, n) == adapter_numbers<llama<lora>>(like, n));
static_assert(carries_magnitudes<llama<dora>, float>() && !carries_magnitudes<llama<lora>, float>());
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

TEST_CASE("block: adapters lie one after another, their magnitudes behind them, apart what is kept beside") {
    layer_weights<llama<dora>, float> w;
    auto some = lengths;
    some.targets = target_bit("q_proj") | target_bit("mlp.down_proj");
    std::vector<float> numbers(static_cast<std::size_t>(adapter_numbers<llama<dora>>(some, n)));
    std::vector<float> norms(static_cast<std::size_t>(norm_numbers<llama<dora>>(some, n))), gradients = numbers;
    lay_adapters(w, 2, some, n, adapter_places<float>{numbers.data(), gradients.data(), norms.data()});
    auto const& q = w.of<decltype(llama<dora>::Q)>();
    auto const& d = w.of<decltype(llama<dora>::D)>();
    CHECK(q.A.data == numbers.data());
    CHECK(q.m.data == numbers.data() + 3 * 16);
    CHECK(d.A.data == q.m.data + 8);
    CHECK(d.m.data + 8 == numbers.data() + numbers.size());
    CHECK(d.dm.data + 8 == gradients.data() + gradients.size());
    CHECK(q.k == norms.data());
    CHECK(d.squares + 8 == norms.data() + norms.size());
    CHECK(q.s == 2);
    CHECK(!q.A0);
    CHECK(!w.of<decltype(llama<dora>::K)>().A);
    CHECK(q.place != d.place);
    auto const before = q.place;
    lay_adapters(w, 3, some, n, adapter_places<float>{numbers.data()});
    CHECK(q.place != before);
    CHECK(!q.dA);
    CHECK(!q.dm);
}

TEST_CASE("block: single modules may have another rank and alpha, or no adapter; the last word counts") {
    unsigned const q = target_bit("q_proj"), v = target_bit("v_proj");
    adapter_exception const some[] = {
        {.targets = q, .rank = 5}, {.layer = 1, .rank = 2}, {.layer = 1, .targets = v, .rank = 0}, {.alpha = 12}};
    adapter_settings s{.rank = 3, .alpha = 6, .exceptions = some};
    CHECK(s.rank_of(0, q) == 5);
    CHECK(s.rank_of(0, v) == 3);
    CHECK(s.rank_of(1, q) == 2);
    CHECK(s.rank_of(1, v) == 0);
    CHECK(s.most_rank() == 5);
    CHECK(s.scale_of(0, q) == doctest::Approx(12.0 / 5));
    s.targets = v;
    CHECK(s.rank_of(0, q) == 0);  // exceptions do not adapt what is not a target
    s.targets = all_targets;
    CHECK(adapter_numbers<llama<lora>>(s, n, 1) < adapter_numbers<llama<lora>>(s, n, 0));
    layer_weights<llama<lora>, float> w;
    std::vector<float> numbers(static_cast<std::size_t>(adapter_numbers<llama<lora>>(s, n, 1)));
    lay_adapters(w, 1, s, n, adapter_places<float>{numbers.data()});
    CHECK(w.of<decltype(llama<lora>::Q)>().A.rows == 2);
    CHECK(!w.of<decltype(llama<lora>::V)>().A);
    CHECK(w.of<decltype(llama<lora>::D)>().B.data + 8 * 2 == numbers.data() + numbers.size());
}

TEST_CASE("block: LoRA divides alpha by the rank, rsLoRA by its root") {
    CHECK(adapter_scale(16, 8, false) == 2);
    CHECK(adapter_scale(16, 16, true) == 4);
}
