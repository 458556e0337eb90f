// SPDX-License-Identifier: Apache-2.0
// A real pretrained model of 260k parameters: ids, losses and greedy tokens as a double-precision reference has them.
#include <graft/io/bind.hpp>
#include <graft/io/requantize.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/strategy/full.hpp>
#include <graft/text/tokenizer.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/sampler.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/data.hpp>
#include <tests/support/random_model.hpp>
#include <tests/support/stories260k.hpp>

#include <nlohmann/json.hpp>

#include <iomanip>

using namespace graft;
using namespace graft_test;

namespace {

using block = llama<lora>;

/// The first 60 paragraphs of at least 200 bytes, trimmed: what the reference was computed from.
std::vector<std::string> paragraphs(std::string const& text) {
    std::vector<std::string> found;
    std::string now;
    auto const flush = [&] {
        auto const first = now.find_first_not_of(" \t\r\n"), last = now.find_last_not_of(" \t\r\n");
        std::string const trimmed = first == std::string::npos ? "" : now.substr(first, last - first + 1);
        if (trimmed.size() >= 200 && found.size() < 60) found.push_back(trimmed);
        now.clear();
    };
    for (std::size_t at = 0; at < text.size();) {
        auto const end = std::min(text.find('\n', at), text.size());
        std::string const line = text.substr(at, end - at);
        if (line.find_first_not_of(" \t\r") == std::string::npos) flush();
        else now += line + "\n";
        at = end + 1;
    }
    flush();
    return found;
}

std::vector<double> losses(model_file const& file, std::vector<std::vector<int>> const& texts) {
    auto bound = bind_model<block>(file);
    REQUIRE(bound.ok());
    using trainer_type = trainer<block, full, sgd>;
    trainer_type::settings s;
    s.tokens = 256, s.targets = 0;
    poisoned_memory memory(trainer_type::memory_plan(file.config, s).total());
    trainer_type t(bound->net, s, memory.span);
    std::vector<double> out;
    for (auto const& ids : texts) {
        std::vector<int> const targets(ids.begin() + 1, ids.end());
        out.push_back(t.evaluate({std::span(ids).first(ids.size() - 1), targets, {}}) /
                      static_cast<double>(targets.size()));
    }
    return out;
}

}  // namespace

TEST_CASE("stories260K: ids, every paragraph's loss and the greedy story agree with the reference") {
    auto const bin = shared_data("stories260K.bin"), tok = shared_data("tok512.bin"),
               stories = shared_data("tinystories.txt"), figures = shared_data("stories260k-reference.json");
    if (!bin || !tok || !stories || !figures) return;
    scratch_folder folder;
    std::string const path = (folder.path / "stories260K.gguf").string();
    auto const converted = stories260k_to_gguf(bin->string(), tok->string(), path);
    REQUIRE_MESSAGE(converted.ok(), (converted.ok() ? "" : describe(converted.error())));
    auto const file = open_model(path);
    REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : describe(file.error())));
    auto const words = tokenizer::make(file->tokens, path);
    REQUIRE_MESSAGE(words.ok(), (words.ok() ? "" : describe(words.error())));
    auto const reference = nlohmann::json::parse(read_file(*figures));

    std::vector<std::vector<int>> texts;
    for (auto const& p : paragraphs(read_file(*stories))) {
        std::vector<int> ids{words->bos()};
        words->encode(p, specials::off, ids);
        if (ids.size() > 256) ids.resize(256);
        texts.push_back(ids);
    }
    REQUIRE(texts.size() == reference["paragraph_loss"].size());
    for (std::size_t k = 0; k < reference["first_ids"].size(); ++k)
        CHECK(texts[k] == reference["first_ids"][k].get<std::vector<int>>());

    auto const exact = losses(*file, texts);
    double sum = 0, tokens = 0, worst = 0;
    auto const mean = [&](std::vector<double> const& each) {
        sum = tokens = 0;
        for (std::size_t k = 0; k < each.size(); ++k) {
            double const n = static_cast<double>(texts[k].size() - 1);
            sum += n * each[k], tokens += n;
        }
        return sum / tokens;
    };
    for (std::size_t k = 0; k < exact.size(); ++k)
        worst = std::max(worst, std::abs(exact[k] - reference["paragraph_loss"][k].get<double>()));
    CHECK(worst <= 1e-4);
    CHECK(mean(exact) == doctest::Approx(reference["mean_loss"].get<double>()).epsilon(1e-5));
    CHECK(tokens == reference["tokens"].get<double>());

    auto bound = bind_model<block>(*file);
    REQUIRE(bound.ok());
    generation const g{.context = 64, .chunk = 8};
    poisoned_memory memory(generator<block>::memory_bytes(file->config, g));
    generator<block> next(bound->net, g, memory.span);
    std::vector<int> greedy{1};
    while (greedy.size() < reference["greedy"].size()) {
        auto const logits = next.feed({&greedy.back(), 1});
        greedy.push_back(sampler{}(logits, 0));
    }
    CHECK(greedy == reference["greedy"].get<std::vector<int>>());
    CHECK(" " + words->decode(std::span(greedy).subspan(1)) ==  // the space that encoding puts first is taken off again
          reference["greedy_text"].get<std::string>());

    for (format const* how : {&q8_0, &q4_0}) {  // rows that are not whole blocks stay f16
        std::string const small = (folder.path / (std::string(how->name) + ".gguf")).string();
        auto const report = requantize(path, small, *how, {});
        REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : describe(report.error())));
        auto const copy = open_model(small);
        REQUIRE(copy.ok());
        double const loss = mean(losses(*copy, texts));
        MESSAGE(std::setprecision(8) << "mean loss with " << std::string(how->name) << " weights: " << loss
                                     << ", f32: " << mean(exact));
        CHECK(std::abs(loss - mean(exact)) < (how == &q8_0 ? 0.01 : 0.5));
    }
}
