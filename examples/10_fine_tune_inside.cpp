// SPDX-License-Identifier: Apache-2.0
// Fine-tunes a chat model inside a program of your own, which hears of every step, and asks it a question.
//
//     10_fine_tune_inside [MODEL [ROWS.jsonl [ADAPTER]]]
//
// Without arguments, from the top of the project: the model that `sh examples/smollm2.sh` places, rows about graft, and
// an adapter in build/ that PEFT and llama.cpp take.
#include <graft/hosted.hpp>

#include <cstdio>

using namespace graft;

static int complain(problem const& p) {
    std::fprintf(stderr, "error: %s\n", describe(p).c_str());
    return static_cast<int>(p.why);
}

int main(int count, char** arguments) {
    auto const argument = [&](int i, char const* otherwise) { return i < count ? arguments[i] : otherwise; };

    auto const model = any_model::open(argument(1, "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    if (!model) return complain(model.error());
    auto data = model->read_data(argument(2, "examples/data/graft.jsonl"), {.seq_len = 128});
    if (!data) return complain(data.error());
    auto tuner = model->tuner({.tokens = 128, .rank = 8, .lanes = 0});  // MeSP and AdamW, unless you say otherwise
    if (!tuner) return complain(tuner.error());

    tuner->fit(
        *data, {.steps = 30, .rate = {.peak = 2e-3, .warmup = 3}},
        [](fit_step const& s) {
            if (s.step % 5 == 0) std::printf("step %td of %td: loss %.3f\n", s.step, s.steps, s.loss);
        },
        [](fit_evaluation const& e) { std::printf("after step %td: held-out loss %.3f\n", e.step, e.loss); });

    auto const said = tuner->generate("What is graft?", {.max_tokens = 40});
    if (!said) return complain(said.error());
    std::printf("What is graft? %s\n", said->text.c_str());

    char const* const adapter = argument(3, "build/adapter_inside");
    if (auto saved = tuner->save(adapter, {.overwrite = true}); !saved) return complain(saved.error());
    std::printf("saved %s\n", adapter);
}
