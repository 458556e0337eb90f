// SPDX-License-Identifier: Apache-2.0
// SmolLM2-135M-Instruct, as its file holds it, against figures another implementation computed (tests/oracle).
#include <graft/io/bind.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/sampler.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/data.hpp>
#include <tests/support/random_model.hpp>

#include <nlohmann/json.hpp>

using namespace graft;
using namespace graft_test;

TEST_CASE("real model: logits, losses and greedy tokens of SmolLM2-135M agree with another implementation") {
    auto const path = smollm2();
    if (!path) return;
    auto const file = open_model(path->string());
    REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : describe(file.error())));
    auto bound = bind_model<llama<lora>>(*file);
    REQUIRE(bound.ok());
    auto const reference = nlohmann::json::parse(read_file(project("tests/oracle/smollm2-reference.json")));

    thread_pool pool(2);
    generation const g{.context = 256, .chunk = 48, .lanes = 2};
    poisoned_memory memory(generator<llama<lora>>::memory_bytes(file->config, g));
    generator<llama<lora>> next(bound->net, g, memory.span, pool.handle(nullptr, 0));

    using trainer_type = trainer<llama<lora>, mesp, sgd>;
    trainer_type::settings s;
    s.tokens = 256, s.rank = 1, s.targets = 0, s.lanes = 2;

    for (auto const& prompt : reference["prompts"]) {
        CAPTURE(prompt["name"].get<std::string>());
        auto const ids = prompt["ids"].get<std::vector<int>>();
        double worst = 0;
        next.clear();
        std::size_t fed = 0;
        for (auto const& at : prompt["positions"]) {  // ascending; several rows at a time
            auto const position = at["position"].get<std::size_t>();
            auto const logits = next.feed(std::span(ids).subspan(fed, position + 1 - fed));
            fed = position + 1;
            double const largest = at["largest"].get<double>();
            for (std::size_t k = 0; k < reference["indices"].size(); ++k)
                worst =
                    std::max(worst, std::abs(static_cast<double>(logits[reference["indices"][k].get<std::size_t>()]) -
                                             at["logits"][k].get<double>()) /
                                        largest);
            for (auto const& top : at["top"])
                worst = std::max(
                    worst,
                    std::abs(static_cast<double>(logits[top[0].get<std::size_t>()]) - top[1].get<double>()) / largest);
        }
        MESSAGE(prompt["name"].get<std::string>()
                << ": largest difference of a logit, over the largest logit: " << worst);
        CHECK(worst <= 1e-3);

        REQUIRE(fed == ids.size());
        std::vector<int> greedy;
        next.clear();
        auto logits = next.feed(ids);
        for (std::size_t k = 0; k < prompt["greedy"].size(); ++k) {
            greedy.push_back(sampler{}(logits, 0));
            logits = next.feed({&greedy.back(), 1});
        }
        CHECK(greedy == prompt["greedy"].get<std::vector<int>>());

        poisoned_memory arena(trainer_type::memory_plan(file->config, s).total());
        trainer_type t(bound->net, s, arena.span, pool.handle(nullptr, 0));
        std::vector<int> targets(ids.begin() + 1, ids.end());
        double const loss =
            t.evaluate({std::span(ids).first(ids.size() - 1), targets, {}}) / static_cast<double>(targets.size());
        CHECK(loss == doctest::Approx(prompt["loss"].get<double>()).epsilon(1e-4));
    }
}
