// SPDX-License-Identifier: Apache-2.0
// One training step of three tiny models, and two steps of AdamW, against figures of tests/oracle/tiny_step.py (numpy,
// double precision; its recipe rebuilds the same weights here).
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/data.hpp>
#include <tests/support/random_model.hpp>

#include <nlohmann/json.hpp>

using namespace graft;
using namespace graft_test;

namespace {

/// The recipe's generator.
struct draws {
    std::uint64_t state;
    float operator()(double scale) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<float>((2 * (static_cast<double>(state >> 11) * 0x1p-53) - 1) * scale);
    }
};

template <class Block>
struct rebuilt {
    model<Block, double> net;
    std::vector<layer_weights<Block, double>> layers;
    std::deque<std::vector<float>> memory;
    std::vector<double> adapters;

    rebuilt(model_config c, draws next) {
        net.config = c;
        layers.resize(static_cast<std::size_t>(c.layers));
        auto const n = sizes_of(c, 1, 2);
        auto const fill = [&](index_t count, double scale) -> std::vector<float>& {
            auto& v = memory.emplace_back(static_cast<std::size_t>(count));
            for (float& x : v) x = next(scale);
            return v;
        };
        auto const norm = [&] {
            auto& v = fill(c.width, 0.25);
            for (float& x : v) x = static_cast<float>(static_cast<double>(x) + 1);
            return v.data();
        };
        auto const matrix_of = [&](index_t rows, index_t columns, double scale) {
            return weight{reinterpret_cast<std::byte const*>(fill(rows * columns, scale).data()), rows, columns, f32};
        };
        net.embedding = matrix_of(c.vocabulary, c.width, 0.5);
        for (auto& layer : layers)
            layer.visit([&](auto op, auto& w) {
                using Op = decltype(op);
                if constexpr (requires { w.w; }) {
                    w.w = norm();
                } else if constexpr (requires { w.W; }) {
                    index_t const out = Op::out_axis::of(n), in = Op::in_axis::of(n);
                    w.W = matrix_of(out, in, 1.5 / std::sqrt(static_cast<double>(in)));
                    if constexpr (Op::has_bias) w.b = fill(out, 0.5).data();
                }
            });
        net.norm = norm();
        net.head = c.tied_head ? net.embedding : matrix_of(c.vocabulary, c.width, 0.3);
        net.layers = layers;
        for (auto& layer : layers)
            layer.visit([&](auto op, auto& w) {
                using Op = decltype(op);
                if constexpr (requires { w.A; }) {
                    index_t const out = Op::out_axis::of(n), in = Op::in_axis::of(n);
                    for (index_t i = 0; i < 2 * in; ++i)
                        adapters.push_back(static_cast<double>(next(1 / std::sqrt(static_cast<double>(in)))));
                    for (index_t i = 0; i < 2 * out; ++i) adapters.push_back(static_cast<double>(next(0.3)));
                }
            });
    }
};

std::array<double, 7> digest(matrix<double> x) {
    index_t const size = x.rows * x.columns;
    double sum = 0, mixed = 0, square = 0;
    for (index_t j = 0; j < size; ++j)
        sum += x.data[j], mixed += x.data[j] * static_cast<double>((7 * j) % 11 - 5), square += x.data[j] * x.data[j];
    return {sum, mixed, std::sqrt(square), x.data[0], x.data[size / 3], x.data[2 * size / 3], x.data[size - 1]};
}

void same(std::array<double, 7> const& got, nlohmann::json const& expected) {
    double const size = std::abs(expected[2].get<double>());
    for (std::size_t i = 0; i < 7; ++i)
        CHECK(std::abs(got[i] - expected[i].get<double>()) <= 1e-10 * (size + std::abs(got[i])));
}

/// "self_attn.q_proj" is "q" there.
std::string short_name(std::string_view name) {
    auto const last = name.substr(name.rfind('.') + 1);
    return std::string(last.substr(0, last.find('_')));
}

template <class Block, class Strategy>
void check(char const* variant, Strategy strategy) {
    auto const all = nlohmann::json::parse(read_file(project("tests/oracle/tiny-step.json")));
    auto const& v = all["variants"][variant];
    model_config c;
    c.arch = v["bias"].get<bool>() ? architecture::qwen2 : architecture::llama;
    c.layers = all["blocks"], c.width = all["width"], c.heads = all["heads"], c.kv_heads = all["kv_heads"],
    c.head = all["head"];
    c.hidden = all["hidden"], c.vocabulary = all["vocabulary"], c.context = 16;
    c.norm_epsilon = all["epsilon"], c.rope_base = all["rope_base"];
    c.pairing = v["interleaved"].get<bool>() ? rope_pairing::interleaved : rope_pairing::half_split;
    c.tied_head = v["tied"], c.qkv_bias = v["bias"];
    for (std::size_t i = 0; i < 4; ++i) c.rope_factors[i] = v["factors"][i];
    c.rope_factor_count = 4;

    rebuilt<Block> m(c, {v["seed"].get<std::uint64_t>()});
    using trainer_type = trainer<Block, Strategy, adamw, double>;
    typename trainer_type::settings s;
    s.tokens = 10, s.rank = 2, s.alpha = all["alpha"], s.max_grad_norm = 0, s.strategy = strategy;
    s.optimizer = {.weight_decay = 0.1};
    poisoned_memory memory(trainer_type::memory_plan(c, s).total());
    trainer_type t(m.net, s, memory.span);
    t.start(0);
    REQUIRE(t.parameters().size() == m.adapters.size());
    std::copy(m.adapters.begin(), m.adapters.end(), t.parameters().begin());

    auto const ids = all["ids"].get<std::vector<int>>(), targets = all["targets"].get<std::vector<int>>();
    std::vector<index_t> const starts{0, all["lengths"][0].get<index_t>()};
    batch const b{ids, targets, starts};
    double const counted =
        static_cast<double>(std::count_if(targets.begin(), targets.end(), [](int x) { return x >= 0; }));

    double const loss = t.accumulate(b, 1 / counted) / counted;
    CHECK(loss == doctest::Approx(v["loss"].get<double>()).epsilon(1e-11));
    for (index_t l = 0; l < c.layers; ++l)
        t.layer(l).visit([&](auto op, auto& w) {
            if constexpr (requires { w.A; }) {
                std::string const map = short_name(decltype(op)::text);
                CAPTURE(map);
                auto const& expected = v["gradients"][static_cast<std::size_t>(l)];
                same(digest(w.dA), expected[map + ".A"]);
                same(digest(w.dB), expected[map + ".B"]);
                if (l == 0 && map == "q")
                    for (std::size_t i = 0; i < 64; ++i) {
                        CHECK(w.dA.data[i] == doctest::Approx(v["q_dA"][i].get<double>()).epsilon(1e-9));
                        CHECK(w.dB.data[i] == doctest::Approx(v["q_dB"][i].get<double>()).epsilon(1e-9));
                    }
            }
        });
    t.apply(1e-2);
    CHECK(t.evaluate(b) / counted == doctest::Approx(v["loss_after"][0].get<double>()).epsilon(1e-10));
    t.accumulate(b, 1 / counted), t.apply(1e-2);
    CHECK(t.evaluate(b) / counted == doctest::Approx(v["loss_after"][1].get<double>()).epsilon(1e-10));
    for (index_t l = 0; l < c.layers; ++l)
        t.layer(l).visit([&](auto op, auto& w) {
            if constexpr (requires { w.A; }) {
                auto const& expected = v["after"][static_cast<std::size_t>(l)];
                same(digest(w.A), expected[short_name(decltype(op)::text) + ".A"]);
                same(digest(w.B), expected[short_name(decltype(op)::text) + ".B"]);
            }
        });
}

}  // namespace

TEST_CASE("trainer: losses, gradients and AdamW steps are those of the numpy oracle") {
    SUBCASE("llama, interleaved, tied, full") { check<llama<lora>>("llama", full{}); }
    SUBCASE("llama, interleaved, tied, mesp") { check<llama<lora>>("llama", mesp{}); }
    SUBCASE("llama 3: half-split, own head, scaled frequencies") { check<llama<lora>>("llama3", mesp{3, phases::two}); }
    SUBCASE("qwen2: biases") { check<qwen2<lora>>("qwen2", mesp{4}); }
}
