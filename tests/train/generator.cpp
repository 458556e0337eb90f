// SPDX-License-Identifier: Apache-2.0
#include <graft/block/llama.hpp>
#include <graft/optimizer/sgd.hpp>
#include <graft/strategy/full.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/trainer.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

namespace {

using block = llama<lora>;
std::vector<int> const ids{3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3, 2, 36, 0, 1};

struct rig {
    random_model<block, double> m{tiny_config(), q8_0};
    generation how;
    poisoned_memory memory;
    generator<block, double> g;
    explicit rig(index_t chunk)
        : how{.context = 16, .chunk = chunk, .lanes = 1},
          memory(generator<block, double>::memory_bytes(m.net.config, how)), g(m.net, how, memory.span) {}
};

}  // namespace

TEST_CASE("generator: logits do not depend on how the past was fed") {
    rig whole(16);
    auto const l = whole.g.feed(ids);
    std::vector<double> const expected(l.begin(), l.end());
    for (index_t chunk : {1, 5, 7}) {
        rig r(chunk);
        auto const at_once = r.g.feed(ids);
        for (std::size_t i = 0; i < expected.size(); ++i)
            CHECK(at_once[i] == doctest::Approx(expected[i]).epsilon(1e-11));
        r.g.clear();
        r.g.feed(std::span(ids).first(6));
        for (std::size_t i = 6; i + 1 < ids.size(); ++i) r.g.feed({&ids[i], 1});
        auto const one_by_one = r.g.feed({&ids.back(), 1});
        for (std::size_t i = 0; i < expected.size(); ++i)
            CHECK(one_by_one[i] == doctest::Approx(expected[i]).epsilon(1e-11));
        CHECK(r.g.position() == 16);
    }
}

TEST_CASE("generator: its probabilities are the trainer's losses") {
    rig r(4);
    double loss = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        auto const l = r.g.feed({&ids[i], 1});
        double const most = *std::max_element(l.begin(), l.end());
        double sum = 0;
        for (double x : l) sum += std::exp(x - most);
        loss += most + std::log(sum) - l[static_cast<std::size_t>(ids[i + 1])];
    }
    using trainer_type = trainer<block, full, sgd, double>;
    trainer_type::settings s;
    s.tokens = 16, s.targets = 0;
    poisoned_memory memory(trainer_type::memory_plan(r.m.net.config, s).total());
    trainer_type t(r.m.net, s, memory.span);
    CHECK(t.evaluate({std::span(ids).first(15), std::span(ids).subspan(1), {}}) ==
          doctest::Approx(loss).epsilon(1e-11));
}

TEST_CASE("generator: more rows than the context are refused") {
    rig r(4);
    r.g.feed(ids);
    CHECK_THROWS_AS(r.g.feed({ids.data(), 1}), failure);
    CHECK_THROWS_AS(r.g.feed({}), failure);
}

TEST_CASE("generator: layers that carry adapters need a generator planned for them") {
    rig r(4);
    adapter_settings const like{.rank = 3, .alpha = 3};
    auto const n = sizes_of(r.m.net.config, 1, like);
    std::vector<double> numbers(static_cast<std::size_t>(2 * adapter_numbers<block>(like, n)));
    for (std::size_t l = 0; l < 2; ++l)
        lay_adapters(r.m.layers[l], static_cast<index_t>(l), like, n,
                     adapter_places<double>{numbers.data() + l * numbers.size() / 2});
    poisoned_memory memory(generator<block, double>::memory_bytes(r.m.net.config, r.how, like));
    CHECK_THROWS_AS((generator<block, double>(r.m.net, r.how, memory.span)), failure);
    generator<block, double> planned(r.m.net, r.how, memory.span, {}, like);
    CHECK(planned.feed(ids).size() == 37);
}
