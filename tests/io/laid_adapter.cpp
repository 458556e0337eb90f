// SPDX-License-Identifier: Apache-2.0
// Adapters in a model that answers: its logits are those of the merged model, and one adapter follows another.
#include <graft/io/laid_adapter.hpp>

#include <graft/io/heap_arena.hpp>
#include <graft/io/merge.hpp>
#include <graft/train/generator.hpp>

#include <tests/support/data.hpp>
#include <tests/support/tiny_model.hpp>

#include <cmath>

using namespace graft;
using namespace graft_test;

namespace {

using block = llama<dora>;

std::vector<int> const ids{3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3};

constexpr generation g{.context = 16, .chunk = 5, .lanes = 1};

std::vector<adapter_choice> one_choice(std::string path) { return {{std::move(path), 1}}; }

std::vector<float> logits_of(bound_model<block> const& m, adapter_extent const& e) {
    auto const like = e.like();
    auto memory = heap_arena::make(generator<block>::memory_bytes(m.net.config, g, like)).value();
    generator<block> runs(m.net, g, memory.bytes(), {}, like);
    auto const z = runs.feed(ids);
    return {z.begin(), z.end()};
}

double departure(std::vector<float> const& a, std::vector<float> const& b) {
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]))),
        largest = std::max(largest, std::abs(static_cast<double>(a[i])));
    return worst / largest;
}

struct files {
    scratch_folder folder;
    tiny_model made = make_tiny_model(architecture::llama);
    model_config const& c = made.config;
    std::string path(char const* name) const { return (folder.path / name).string(); }
    files() { write_gguf(path("m"), made); }

    std::vector<float> merged(adapter const& a) const {
        auto const r = merge(path("m"), a, path("merged"), {nullptr, {true, {}, {}}});
        if (!r) FAIL(describe(r.error()));
        auto const file = open_model(path("merged"));
        return logits_of(*bind_model<block>(*file), {});
    }
};

adapter one(model_config const& c, std::uint64_t seed, bool magnitudes, bool rslora) {
    adapter a = make_tiny_adapter(c, 4, seed);
    auto const small = make_tiny_adapter(c, 2, seed + 1);
    a.alpha = 2, a.rslora = rslora, a.pairs[0] = small.pairs[0], a.pairs[9].alpha = 3;
    a.pairs.erase(a.pairs.begin() + 5);
    if (magnitudes)
        for (auto& p : a.pairs)
            for (index_t o = 0; o < p.out; ++o) p.m.push_back(0.7f + 0.02f * static_cast<float>(o % 13));
    return a;
}

}  // namespace

TEST_CASE("laid_adapter: logits with an adapter beside the weights are those of the merged model") {
    files const f;
    auto const file = open_model(f.path("m"));
    for (bool const magnitudes : {false, true})
        for (bool const rslora : {false, true}) {
            auto const a = one(f.c, 7, magnitudes, rslora);
            auto bound = bind_model<block>(*file).value();
            auto const frozen = logits_of(bound, {});
            auto laid = lay_out(bound, a);
            REQUIRE(laid.ok());
            CHECK(laid->extent.rank == 4);
            CHECK(laid->extent.magnitudes == magnitudes);
            CHECK(departure(frozen, logits_of(bound, extent_of(a))) == 0);  // not carried yet
            carry(bound, &*laid);
            auto const with = logits_of(bound, extent_of(a));
            CHECK(departure(with, f.merged(a)) < 1e-5);
            CHECK(departure(with, frozen) > 0.05);
            carry(bound, nullptr);
            CHECK(departure(frozen, logits_of(bound, {})) == 0);

            succeed(write_peft(f.path("peft"), a, {true, {}, {}}));
            auto again = bind_model<block>(*file).value();
            auto moved = lay_adapter(again, one_choice(f.path("peft")));
            REQUIRE(moved.ok());
            auto const kept = std::move(*moved);
            CHECK(logits_of(again, extent_of(a)) == with);
            CHECK(lay_adapter(again, {})->extent.rank == 0);
            CHECK(departure(frozen, logits_of(again, {})) == 0);
        }
}

TEST_CASE("laid_adapter: weighed adapters add up") {
    files const f;
    auto const file = open_model(f.path("m"));
    auto const a = one(f.c, 7, false, false), b = one(f.c, 11, false, true);
    succeed(write_peft(f.path("a"), a));
    succeed(write_adapter_gguf(f.path("b.gguf"), b, f.c));
    std::vector<adapter_choice> const both{{f.path("a"), 0.7}, {f.path("b.gguf"), -0.4}};
    auto bound = bind_model<block>(*file).value();
    auto const laid = lay_adapter(bound, both);
    REQUIRE(laid.ok());
    auto const sum = *combine(std::vector<weighed_adapter>{{a, 0.7}, {b, -0.4}});
    CHECK(departure(logits_of(bound, extent_of(sum)), f.merged(sum)) < 1e-5);
    CHECK(departure(logits_of(bound, extent_of(sum)), f.merged(a)) > 1e-2);

    auto head = a;
    tiny_model const untied = make_tiny_model(architecture::llama, 1, false);
    write_gguf(f.path("untied"), untied);
    head.pairs = {{"lm_head", 1, 32, untied.config.vocabulary, std::vector<float>(32, 1.0f),
                   std::vector<float>(static_cast<std::size_t>(untied.config.vocabulary), 1.0f)}};
    head.rank = 1;
    succeed(write_peft(f.path("head"), head));
    auto const other = open_model(f.path("untied"));
    auto with_head = bind_model<block>(*other).value();
    CHECK(lay_adapter(with_head, one_choice(f.path("head"))).error().where == "module 'lm_head'");
}

TEST_CASE("laid_adapter: one adapter follows another, without their files") {
    files const f;
    std::vector<adapter> const all{one(f.c, 7, false, false), one(f.c, 11, true, false), one(f.c, 13, false, true)};
    auto const file = open_model(f.path("m"));
    auto bound = bind_model<block>(*file).value();
    auto set = laid_adapters::make(bound, all);
    REQUIRE(set.ok());
    CHECK(set->size() == 3);
    CHECK(set->extent().rank == 4);
    CHECK(set->extent().magnitudes);
    auto const frozen = logits_of(bound, {});
    std::vector<std::vector<float>> wanted;
    for (auto const& a : all) wanted.push_back(f.merged(a));
    std::filesystem::remove_all(f.folder.path);
    auto const like = set->extent().like();  // one generator for all of them
    auto memory = heap_arena::make(generator<block>::memory_bytes(bound.net.config, g, like)).value();
    generator<block> runs(bound.net, g, memory.bytes(), {}, like);
    for (index_t const i : {1, 0, 2, 1, -1, 2}) {
        set->use(bound, i);
        runs.clear();
        auto const z = runs.feed(ids);
        std::vector<float> const now(z.begin(), z.end());
        CHECK(departure(now, i < 0 ? frozen : wanted[static_cast<std::size_t>(i)]) < 1e-5);
    }
    CHECK_THROWS(set->use(bound, 3));
    CHECK_THROWS(set->use(bound, -2));
}

TEST_CASE("laid_adapter: a row of zero length is refused, for DoRA divides by it") {
    files f;
    auto& v = f.made.values["model.layers.1.self_attn.v_proj.weight"];
    std::fill_n(v.begin() + 64, 32, 0.0f);
    write_gguf(f.path("z"), f.made);
    auto const file = open_model(f.path("z"));
    auto const bound = bind_model<block>(*file).value();
    auto a = one(f.c, 7, true, false);
    CHECK(lay_out(bound, a).ok());
    for (auto& p : a.pairs)
        if (p.module == "model.layers.1.self_attn.v_proj") std::fill_n(p.b.begin() + 2 * p.rank, p.rank, 0.0f);
    CHECK(lay_out(bound, a).error().where == "module 'model.layers.1.self_attn.v_proj'");
}
