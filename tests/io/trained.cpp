// SPDX-License-Identifier: Apache-2.0
// One adapter on one model, as GGUF (interleaved q and k) and as a Hugging Face directory (half-split), by way of every
// file an adapter can be, and merged: the losses must agree. Of every kind of adapter that trains.
#include <graft/io/bind.hpp>
#include <graft/io/laid_adapter.hpp>
#include <graft/io/merge.hpp>
#include <graft/io/trained.hpp>
#include <graft/optimizer/adamw.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/data.hpp>
#include <tests/support/random_model.hpp>
#include <tests/support/tiny_model.hpp>

using namespace graft;
using namespace graft_test;

namespace {

using settings = training<mesp, adamw>;

std::vector<int> const ids{3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3};

template <class Block>
struct opened {
    using trainer_type = trainer<Block, mesp, adamw>;
    model_file file;
    bound_model<Block> bound;
    settings s;
    poisoned_memory memory;
    trainer_type t;

    opened(std::string const& path, settings const& how)
        : file(open_model(path).value()),
          bound(bind_model<Block>(file).value()),
          s(how),
          memory(trainer_type::memory_plan(file.config, s).total()),
          t(bound.net, s, memory.span) {
        t.start(1);
    }
    double loss() {
        std::vector<int> const targets(ids.begin() + 1, ids.end());
        return t.evaluate({std::span(ids).first(11), targets, {}});
    }
    void train() {
        std::vector<int> const targets(ids.begin() + 1, ids.end());
        for (int k = 0; k < 5; ++k) {
            t.accumulate({std::span(ids).first(11), targets, {}}, 1.0 / 11);
            t.apply(1e-2);
        }
    }
    adapter take() {
        return take_adapter(t.of(), s.rank, s.alpha, s.rank_stabilised, "tiny", [&](index_t l) { t.open_layer(l); });
    }
    void put(adapter const& a) {
        put_adapter(
            t.of(), a, [&](index_t l) { t.open_layer(l); }, [&](index_t l) { t.close_layer(l); });
    }
};

settings plain(index_t rank = 4) {
    settings how;
    how.tokens = 12, how.rank = rank, how.alpha = 16;
    return how;
}

template <class Block>
void check(architecture arch, settings const& how, bool every_map = true) {
    scratch_folder folder;
    auto const made = make_tiny_model(arch);
    std::string const gguf = (folder.path / "m.gguf").string(), directory = (folder.path / "m").string();
    write_gguf(gguf, made);
    write_huggingface(directory, made);
    bool const dora = how.norm != adapter_norm::none, principal = how.start == adapter_start::pissa;
    opened<Block> a(gguf, how), frozen(directory, plain(0));
    double const before = a.loss();
    CHECK(frozen.loss() == doctest::Approx(before).epsilon(1e-6));

    a.train();
    double const after = a.loss();
    CHECK(after < before - 0.1);
    auto const taken = a.take();
    if (every_map) CHECK(taken.pairs.size() == static_cast<std::size_t>(7 * a.file.config.layers));
    if (every_map) CHECK(taken.targets.size() == 7);
    CHECK(has_magnitudes(taken) == dora);
    CHECK(taken.rank == (principal ? 2 : 1) * how.rank);
    for (auto const& p : taken.pairs) {  // settings were taken over as they were written, s to the last bit
        auto const split = *split_layer(p.module);
        CHECK(static_cast<float>(scale(taken, p)) ==
              static_cast<float>(how.adapter().scale_of(split.layer, target_bit(p.module))));
        CHECK(p.rank == (principal ? 2 : 1) * how.adapter().rank_of(split.layer, target_bit(p.module)));
    }

    settings room = plain(12);  // more than enough: padded with zeros, each module's scale folded into B
    room.norm = how.norm;
    opened<Block> wide(directory, room);
    wide.put(taken);
    CHECK(wide.loss() == doctest::Approx(after).epsilon(1e-5));
    if (!principal) {
        opened<Block> b(directory, how);
        b.put(taken);
        CHECK(b.loss() == doctest::Approx(after).epsilon(1e-5));
        CHECK(b.take() == taken);
    }

    std::string const merged = (folder.path / "merged.gguf").string();
    auto const report = merge(gguf, taken, merged);
    REQUIRE_MESSAGE(report.ok(), (report.ok() ? "" : describe(report.error())));
    opened<Block> whole(merged, plain(0));
    CHECK(whole.loss() == doctest::Approx(after).epsilon(1e-5));

    std::string const peft = (folder.path / "peft").string(), lora_file = (folder.path / "lora.gguf").string();
    succeed(write_peft(peft, taken, {}));
    CHECK(write_adapter_gguf(lora_file, taken, a.file.config, {}).ok() == !dora);
    for (auto const& path : {peft, lora_file}) {
        if (dora && path == lora_file) continue;
        auto const read = open_adapter(path, a.file.config);
        REQUIRE_MESSAGE(read.ok(), (read.ok() ? "" : describe(read.error())));
        if (path == peft) CHECK(*read == taken);
        auto const extent = extent_of(*read);
        CHECK(extent.targets == (every_map ? all_targets : extent.targets & all_targets));
        CHECK(extent.magnitudes == dora);
        opened<Block> again(gguf, room);
        again.put(*read);
        CHECK(again.loss() == doctest::Approx(after).epsilon(1e-5));
    }
}

template <class Block>
void check_kinds(architecture arch) {
    settings how = plain();
    SUBCASE("LoRA") {}
    SUBCASE("rsLoRA") { how.rank_stabilised = true, how.alpha = 6.1; }
    SUBCASE("DoRA") { how.norm = adapter_norm::detached; }
    SUBCASE("DoRA, attached, rsLoRA's scale") { how.norm = adapter_norm::attached, how.rank_stabilised = true; }
    SUBCASE("PiSSA") { how.start = adapter_start::pissa; }
    SUBCASE("PiSSA, rsLoRA's scale") { how.start = adapter_start::pissa, how.rank_stabilised = true; }
    check<Block>(arch, how);

    adapter_exception const others[] = {
        {.targets = target_bit("q_proj") | target_bit("up_proj"), .rank = 2, .alpha = 3.3},
        {.layer = 1, .targets = target_bit("up_proj"), .rank = 5},
        {.layer = 0, .targets = target_bit("v_proj"), .rank = 0}};
    how.exceptions = others;
    check<Block>(arch, how, false);
}

}  // namespace

TEST_CASE("trained: an adapter means the same on either file of a model, by way of either adapter file, and merged") {
    SUBCASE("llama") { check_kinds<llama<dora>>(architecture::llama); }
    SUBCASE("qwen2") { check_kinds<qwen2<dora>>(architecture::qwen2); }
}

TEST_CASE("trained: LoRA in a model that can do DoRA, and maps that the adapter leaves out, change nothing") {
    scratch_folder folder;
    auto const made = make_tiny_model(architecture::llama);
    std::string const gguf = (folder.path / "m.gguf").string();
    write_gguf(gguf, made);
    auto a = make_tiny_adapter(made.config);
    a.alpha = 1;
    std::erase_if(a.pairs, [](auto const& p) { return p.module.ends_with("mlp.up_proj"); });
    settings how = plain();
    opened<llama<dora>> lora_model(gguf, how);
    double const frozen = lora_model.loss();
    lora_model.put(a);
    how.norm = adapter_norm::detached;
    opened<llama<dora>> dora_model(gguf, how);
    dora_model.put(a);
    CHECK(std::abs(lora_model.loss() - frozen) > 0.05);
    CHECK(dora_model.loss() == doctest::Approx(lora_model.loss()).epsilon(1e-5));

    opened<llama<dora>> narrow(gguf, plain(3));
    CHECK_THROWS(narrow.put(a));
    for (auto& p : a.pairs) p.m.assign(static_cast<std::size_t>(p.out), 1);
    CHECK_THROWS(lora_model.put(a));
}

TEST_CASE("trained: the alpha that files state is the shortest that gives the factor") {
    for (double const alpha : {16.0, 3.3, 0.1, 1e-3, 7.25, 12345.678, 16 * std::sqrt(2.0)})
        for (index_t const rank : {1, 3, 8, 48})
            for (bool const rs : {false, true}) {
                auto const s = static_cast<float>(adapter_scale(alpha, rank, rs));
                double const found = detail::shortest_alpha(s, rank, rs);
                CHECK(static_cast<float>(adapter_scale(found, rank, rs)) == s);
                if (alpha != 16 * std::sqrt(2.0) && alpha < 1000) CHECK(found == alpha);
            }
}
