// SPDX-License-Identifier: Apache-2.0
// A whole training run as firmware sees the library: -fno-exceptions -fno-rtti, scalar packs, one static arena whose
// size is proven when compiling, no heap, and errors that go to a function of the program's own.
#include <graft/block/llama.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/program/assign.hpp>
#include <graft/program/prepare.hpp>
#include <graft/quant/formats.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/strategy/zeroth_order.hpp>
#include <graft/tensor/tensor.hpp>
#include <graft/train/trainer.hpp>

#include <cstdio>
#include <cstdlib>
#include <new>

using namespace graft;

namespace {

constexpr model_config config = [] {
    model_config c;
    c.layers = 2, c.width = 32, c.heads = 4, c.kv_heads = 2, c.head = 8, c.hidden = 48;
    c.vocabulary = 40, c.context = 16;
    return c;
}();

using block = llama<lora>;
using tuner = trainer<block, mesp, adamw>;
constexpr tuner::settings settings = [] {
    tuner::settings s;
    s.tokens = 16, s.rank = 4;
    return s;
}();
constexpr index_t peak = tuner::memory_plan(config, settings).total();
static_assert(peak <= 256 * 1024, "a step must fit beside the radio stack");

/// A device's step, 32 or 16 tokens of a model of 260 thousand or a million parameters: rank 4 on q and v. Pointers of
/// 64 bits take some hundred bytes more here than on the device.
constexpr model_config stories = [] {
    model_config c;
    c.layers = 5, c.width = 64, c.heads = 8, c.kv_heads = 4, c.head = 8, c.hidden = 192, c.vocabulary = 512;
    return c;
}();
constexpr model_config million = [] {
    model_config c;
    c.layers = 6, c.width = 128, c.heads = 4, c.kv_heads = 4, c.head = 32, c.hidden = 256, c.vocabulary = 256;
    return c;
}();
template <class Trainer>
constexpr typename Trainer::settings device(index_t tokens, decltype(Trainer::settings::strategy) how) {
    typename Trainer::settings s;
    s.tokens = tokens, s.rank = 4, s.targets = target_bit("q_proj") | target_bit("v_proj"), s.strategy = how;
    s.max_grad_norm = 0;
    if (answers_of(how).pulls()) s.updates = updating::fused, s.embeds_again = true;
    return s;
}
using plain = trainer<block, mesp, sgd>;
using drawn = trainer<block, zeroth_order, sgd>;
constexpr mesp by_16{16, phases::two, 1, 0, true}, by_8{8, phases::two, 1, 0, true};
constexpr auto t32 = device<tuner>(32, by_16), t16 = device<tuner>(16, by_8);
constexpr auto t16_sgd = device<plain>(16, by_8);
constexpr auto t16_drawn = device<drawn>(16, {1, 1e-3, false, 8});
static_assert(memory_limit<constant_plan<tuner, stories, t32>::total(), 151'000>::holds);
static_assert(memory_limit<constant_plan<tuner, stories, t16>::total(), 108'000>::holds);
static_assert(memory_limit<constant_plan<plain, stories, t16_sgd>::total(), 72'000>::holds);
static_assert(memory_limit<constant_plan<drawn, stories, t16_drawn>::total(), 58'000>::holds);
static_assert(memory_limit<constant_plan<tuner, million, t16>::total(), 280'000>::holds);

alignas(64) std::byte memory[peak];
alignas(64) float numbers[32 * 1024];  // all weights of the model

/// The weights, handed out of `numbers` in the order of asking.
struct flash {
    index_t used = 0;

    float* take(index_t count, float centre, float spread) {
        float* const at = numbers + used;
        used += count;
        if (used > static_cast<index_t>(sizeof numbers / sizeof *numbers)) std::abort();
        for (index_t i = 0; i < count; ++i) {
            double const u = uniform(1, 2, 3, static_cast<std::uint64_t>(used + i));
            at[i] = centre + spread * static_cast<float>(2 * u - 1);
        }
        return at;
    }
    weight matrix_of(index_t rows, index_t columns) {
        float const* const at = take(rows * columns, 0, 0.3f);
        return {reinterpret_cast<std::byte const*>(at), rows, columns, format_of(weight_type::f32)};
    }
};

/// Logistic regression on windows of a sensor: a function of tensors in place, its memory known when compiling.
namespace regression {
constexpr symbol<"readings", 24, 6> readings;
constexpr symbol<"alarm", 24> alarm;
constexpr symbol<"w", 6> w;
constexpr auto score = sum<-1>(readings * w);
constexpr auto step = value_and_gradient(mean(softplus(score) - alarm * score), wrt(w));
constexpr index_t needs =
    bytes<float>(step, readings = sizes_t{2, {24, 6}}, alarm = sizes_t{1, {24}}, w = sizes_t{1, {6}});
static_assert(needs <= 512, "what lies between a window and its gradient must fit beside it");
alignas(64) std::byte space[needs];
}  // namespace regression

int checks = 0, failures = 0;
bool mistake_expected = false;

void check(bool holds, char const* what) {
    ++checks;
    if (holds) return;
    ++failures;
    std::printf("no_exceptions: wrong: %s\n", what);
}

[[noreturn]] void finish() {
    std::printf("[no_exceptions] test cases: %d | %d passed | %d failed | 0 skipped\n", checks, checks - failures,
                failures);
    std::exit(failures == 0 ? 0 : 1);
}

}  // namespace

// The one symbol a program without exceptions defines.
void graft::fail(error const& e) {
    check(mistake_expected, e.what);
    check(e.kind == fault::bounds, "the mistake's kind");
    finish();
}

// Nothing takes memory from the heap.
void* operator new(std::size_t) { std::abort(); }
void operator delete(void*) noexcept {}
void operator delete(void*, std::size_t) noexcept {}

int main() {
    static layer_weights<block, float> layers[config.layers];
    auto const n = sizes_of(config, settings.tokens, settings.rank);
    flash weights;
    for (auto& layer : layers)
        layer.visit([&](auto op, auto& w) {
            using Op = decltype(op);
            if constexpr (requires { w.W; }) w.W = weights.matrix_of(Op::out_axis::of(n), Op::in_axis::of(n));
            else if constexpr (requires { w.w; }) w.w = weights.take(config.width, 1, 0);
        });
    model<block, float> net;
    net.config = config;
    net.embedding = net.head = weights.matrix_of(config.vocabulary, config.width);
    net.norm = weights.take(config.width, 1, 0);
    net.layers = layers;

    tuner t(net, settings, memory);
    t.start(1);
    constexpr int ids[] = {3, 1, 4, 1, 5, 9, 2, 6}, targets[] = {1, 4, 1, 5, 9, 2, 6, 5};
    constexpr index_t starts[] = {0};
    batch const b{ids, targets, starts};
    double const before = t.evaluate(b);
    for (int step = 0; step < 60; ++step) {
        t.accumulate(b, 1.0 / 8);
        check(t.apply(0.02).finite, "the gradient is finite");
    }
    double const after = t.evaluate(b);
    check(after < before / 2, "the loss halves in 60 steps");
    check(t.high_water() <= peak, "the plan holds");

    tensor<float, 24, 6> windows;
    tensor<float, 24> rang;
    tensor<float, 6> weights_of_score;
    for (index_t i = 0; i < 24; ++i) {
        for (index_t j = 0; j < 6; ++j)
            windows(i, j) =
                static_cast<float>(uniform(7, 0, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(j))) - 0.5f;
        rang(i) = windows(i, 1) > windows(i, 4) ? 1.0f : 0.0f;
    }
    auto learn = prepare_in<float>(regression::space, regression::step, regression::readings = windows,
                                   regression::alarm = rang, regression::w = weights_of_score);
    learn();
    float const at_first = learn.value();
    for (int k = 0; k < 200; ++k) learn(), weights_of_score -= 2.0f * learn.gradient(regression::w);
    check(learn.value() < at_first / 2, "logistic regression halves its loss in place");
    check(weights_of_score(1) > 1 && weights_of_score(4) < -1, "it finds the two readings that matter");

    mistake_expected = true;
    t.apply(0.02);  // nothing was accumulated: ends in graft::fail
    check(false, "a mistake was not noticed");
    finish();
}
