// SPDX-License-Identifier: Apache-2.0
// A whole training run as firmware sees the library: -fno-exceptions -fno-rtti, scalar packs, one static arena whose
// size is proven when compiling, no heap, and errors that go to a function of the program's own.
#include <graft/block/llama.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/program/assign.hpp>
#include <graft/program/prepare.hpp>
#include <graft/quant/formats.hpp>
#include <graft/strategy/mesp.hpp>
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
