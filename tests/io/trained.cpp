// SPDX-License-Identifier: Apache-2.0
// One adapter on one model, as GGUF (interleaved q and k) and as a Hugging Face directory (half-split), by way of every
// file an adapter can be: the losses must agree.
#include <graft/io/bind.hpp>
#include <graft/io/laid_adapter.hpp>
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

std::vector<int> const ids{3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3};

template <class Block>
struct opened {
    using trainer_type = trainer<Block, mesp, adamw>;
    model_file file;
    bound_model<Block> bound;
    typename trainer_type::settings s;
    poisoned_memory memory;
    trainer_type t;

    static typename trainer_type::settings settings(index_t rank) {
        typename trainer_type::settings how;
        how.tokens = 12, how.rank = rank, how.alpha = 16;
        return how;
    }
    opened(std::string const& path, index_t rank)
        : file(open_model(path).value()), bound(bind_model<Block>(file).value()), s(settings(rank)),
          memory(trainer_type::memory_plan(file.config, s).total()), t(bound.net, s, memory.span) {
        t.start(1);
    }
    double laid_scale() const { return adapter_scale(s.alpha, s.rank, false); }
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
};

template <class Block>
void check(architecture arch) {
    scratch_folder folder;
    auto const made = make_tiny_model(arch);
    std::string const gguf = (folder.path / "m.gguf").string(), directory = (folder.path / "m").string();
    write_gguf(gguf, made);
    write_huggingface(directory, made);
    opened<Block> a(gguf, 4), b(directory, 4);
    double const before = a.loss();
    CHECK(b.loss() == doctest::Approx(before).epsilon(1e-6));

    a.train();
    double const after = a.loss();
    CHECK(after < before - 0.1);
    auto const adapter_of = take_adapter(a.bound.net, 4, 16, false, "tiny");
    CHECK(adapter_of.pairs.size() == static_cast<std::size_t>(7 * a.file.config.layers));
    CHECK(adapter_of.targets.size() == 7);

    put_adapter(b.bound.net, adapter_of, b.laid_scale());
    CHECK(b.loss() == doctest::Approx(after).epsilon(1e-5));

    std::string const peft = (folder.path / "peft").string(), lora_file = (folder.path / "lora.gguf").string();
    succeed(write_peft(peft, adapter_of, {}));
    succeed(write_adapter_gguf(lora_file, adapter_of, a.file.config, {}));
    for (auto const& path : {peft, lora_file}) {
        auto const read = open_adapter(path, a.file.config);
        REQUIRE_MESSAGE(read.ok(), (read.ok() ? "" : describe(read.error())));
        succeed(check_adapter(*read, a.file.config, path));
        CHECK(extent_of(*read).rank == 4);
        CHECK(extent_of(*read).targets == all_targets);
        auto other = bind_model<Block>(a.file);
        REQUIRE(other.ok());
        auto const laid = lay_adapter(*other, path);
        REQUIRE(laid.ok());
        CHECK(laid->rank == 4);
        CHECK(laid->numbers == std::vector<float>(a.t.parameters().begin(), a.t.parameters().end()));
        opened<Block> again(gguf, 4);
        put_adapter(again.bound.net, *read, again.laid_scale());
        CHECK(again.loss() == doctest::Approx(after).epsilon(1e-6));
        opened<Block> wider(directory, 6);  // room for more: padded with zeros, the scale folded into B
        put_adapter(wider.bound.net, *read, wider.laid_scale());
        CHECK(wider.loss() == doctest::Approx(after).epsilon(1e-5));
    }
}

}  // namespace

TEST_CASE("trained: an adapter means the same on either file of a model, by way of either adapter file") {
    SUBCASE("llama") { check<llama<lora>>(architecture::llama); }
    SUBCASE("qwen2") { check<qwen2<lora>>(architecture::qwen2); }
}
