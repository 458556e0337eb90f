// SPDX-License-Identifier: Apache-2.0
// The plan of a step against sizes counted by hand, against an independent count of the published method, and against
// what the papers report.
#include <graft/block/llama.hpp>
#include <graft/block/qwen2.hpp>
#include <graft/block/shapes.hpp>
#include <graft/train/any.hpp>
#include <graft/train/memory_plan.hpp>

#include <tests/support/random_model.hpp>

#include <doctest/doctest.h>

using namespace graft;
using namespace graft_test;

namespace {

/// Five layers, 12 tokens, rank 3: a stream has 12 · 32 numbers, the adapters of a layer 3 · 512.
model_config five_layers() {
    auto c = tiny_config();
    c.layers = 5;
    return c;
}
any_training settings(any_strategy s) {
    any_training how;
    how.tokens = 12, how.rank = 3, how.strategy = s;
    return how;
}
template <class Block = llama<lora>>
training_memory plan(any_training const& how, model_config const& c = five_layers()) {
    return step_layout<Block, any_strategy, any_optimizer, float>{c, how}.memory();
}
any_training fused(any_training how) {
    how.updates = updating::fused, how.max_grad_norm = 0, how.optimizer = sgd{};
    return how;
}
any_training small(any_training how) {
    how = fused(how);
    how.checkpoints = how.adapters = resting::brain;
    return how;
}
constexpr index_t a_stream = 12 * 32 * 4, a_layer = 3 * 512 * 4;  // bytes

training_memory qwen(char const* name, index_t tokens, any_strategy s, any_training (*made)(any_training),
                     index_t r = 8) {
    auto how = settings(s);
    how.tokens = tokens, how.rank = r;
    return plan<qwen2<lora>>(made(how), *find_shape(name));
}
double MiB(index_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

TEST_CASE("memory_plan: kept streams, one for each block that is pulled") {
    auto const streams = [](any_strategy s) { return plan(settings(s)).checkpoints; };
    for (any_strategy s : {any_strategy(full{}), any_strategy(mesp{}), any_strategy(checkpoint{true}),
                           any_strategy(mesp_published{}), any_strategy(rematerialised{})})
        CHECK(streams(s) == 5 * a_stream);
    CHECK(streams(inference{}) == 0);
    CHECK(streams(zeroth_order{}) == 0);
    // Every k-th, and those of the k − 1 blocks between.
    index_t const expected[] = {5, 5, 4, 4, 5, 5};
    for (index_t every = 1; every <= 5; ++every)
        CHECK(streams(mesp{0, phases::two, every}) == expected[every] * a_stream);
    // Of selections: of as many blocks as are trained at once, of all where the gradient goes through all.
    CHECK(streams(lcsb<cyclic_strided>{{2}}) == 3 * a_stream);
    CHECK(streams(lcsb<top_layers>{{2}}) == 2 * a_stream);
    CHECK(streams(lcsb<top_layers, full>{{2}, {}, unselected_gradient::exact}) == 5 * a_stream);
    for (resting how : {resting::half, resting::brain}) {
        auto s = settings(mesp{});
        s.checkpoints = how;
        CHECK(plan(s).checkpoints == 5 * a_stream / 2);
    }
}

TEST_CASE("memory_plan: the streams that are computed with") {
    CHECK(plan(settings(mesp{})).stream == a_stream);  // a block reads where the stream is kept
    CHECK(plan(settings(inference{})).stream == 2 * a_stream);
    CHECK(plan(settings(zeroth_order{})).stream == 2 * a_stream);
    CHECK(plan(settings(lcsb<top_layers>{{2}})).stream == 2 * a_stream);
    CHECK(plan(settings(mesp{0, phases::one, 2})).stream == 2 * a_stream);
    CHECK(plan(small(settings(mesp{}))).stream == 2 * a_stream);
    CHECK(plan(small(settings(mesp{0, phases::one, 2}))).stream == 3 * a_stream);
}

TEST_CASE("memory_plan: parameters, gradients, what the optimizer remembers") {
    struct row { any_training how; index_t adapters, gradients, optimizer; };
    auto sixteen = settings(mesp{});
    sixteen.adapters = resting::half;
    for (auto const& [how, a, g, o] :
         {row{settings(mesp{}), 10, 10, 20}, row{fused(settings(mesp{})), 10, 2, 0}, row{sixteen, 7, 10, 20},
          row{settings(zeroth_order{}), 12, 2, 20}, row{settings(inference{}), 10, 0, 0},
          row{settings(lcsb<cyclic_contiguous>{{3}}), 10, 4, 20}, row{settings(lcsb<random_layers>{{1}}), 10, 2, 20}}) {
        auto const m = plan(how);
        CHECK(m.adapters == a * a_layer / 2);
        CHECK(m.gradients == g * a_layer / 2);
        CHECK(m.optimizer == o * a_layer / 2);
    }
}

TEST_CASE("memory_plan: values kept inside blocks, in all that are pulled at once") {
    auto const c = five_layers();
    auto const how = settings(full{});
    step_layout<llama<lora>, any_strategy, any_optimizer, float> const lay{c, how};
    index_t const each = lay.plan(0, duty::train).kept_bytes;
    // Norm, q, k, v, o, log-sum-exp, the stream between, norm, gate, up, their product.
    CHECK(each == 12 * 4 * (32 + 32 + 16 + 16 + 32 + 4 + 32 + 32 + 64 + 64 + 64));
    CHECK(plan(how).kept == 5 * each);
    CHECK(plan(settings(lcsb<cyclic_strided, full>{{2}})).kept == 3 * each);
    CHECK(plan(settings(mesp{})).kept == 0);
    mesp gate;
    gate.kept = step_set{1} << 11 | step_set{1} << 12;
    CHECK(plan(settings(gate)).kept == 5 * 12 * 4 * 128);
    CHECK(plan(settings(rematerialised{mesp{}, gate, 3})).kept == 2 * 12 * 4 * 128);
}

TEST_CASE("memory_plan: the total is the sum of its parts, block and head sharing one place") {
    auto how = settings(mesp{});
    auto const m = plan(how);
    index_t const rest = m.tables + m.panels + m.batch + m.stream + m.kept + m.adapters + m.gradients + m.optimizer;
    CHECK(m.total() == rest + m.checkpoints + std::max(m.block, m.head));
    how.checkpoints_apart = true;
    CHECK(plan(how).checkpoints == m.checkpoints);
    CHECK(plan(how).total() == m.total() - m.checkpoints);
    how.lanes = 3;
    CHECK(plan(how).panels == 3 * m.panels);
    for (index_t part : {m.tables, m.panels, m.batch, m.checkpoints, m.stream, m.block, m.head, m.adapters})
        CHECK(part % buffer_alignment == 0);
}

TEST_CASE("memory_plan: only the schedules that can occur are planned") {
    auto const uses = [](any_strategy s) {
        auto const c = five_layers();
        auto const how = settings(s);
        step_layout<llama<lora>, any_strategy, any_optimizer, float> const lay{c, how};
        std::string out;
        for (index_t d = 0; d < duties; ++d) out += lay.uses(0, static_cast<duty>(d)) ? "tlps"[d] : '-';
        return out;
    };
    CHECK(uses(mesp{}) == "tl--");
    CHECK(uses(inference{}) == "t---");
    CHECK(uses(zeroth_order{}) == "---s");
    CHECK(uses(lcsb<cyclic_strided>{}) == "tl-s");
    CHECK(uses(lcsb<cyclic_strided>{{}, {}, unselected_gradient::exact}) == "tlps");
    CHECK(role_of(duty::train) == block_role{true, true});
    CHECK(role_of(duty::lowest) == block_role{true, false});
    CHECK(role_of(duty::pass) == block_role{false, true});
    CHECK(role_of(duty::skip) == block_role{false, false});
}

TEST_CASE("memory_plan: the published method's block is what its own count says") {
    // Counted from the paper, tensor by tensor, apart from this library: eight tensors and the gradients beside them,
    // MiB in 32 bits; the stream's gradient is with the streams here. (For long batches attention is leaner here: its
    // pull uses the weights up.)
    struct row { char const* name; index_t tokens; double published, chunked_head; };
    for (auto const& [name, tokens, published, head] :
         {row{"qwen2.5-0.5b", 128, 14.94, 3.31}, row{"qwen2.5-0.5b", 256, 31.62, 6.62},
          row{"qwen2.5-1.5b", 256, 54.25, 8.50}, row{"qwen2.5-3b", 256, 67.75, 10.0}}) {
        auto const m = qwen(name, tokens, mesp_published{}, fused);
        CHECK(MiB(m.block + m.stream) == doctest::Approx(published).epsilon(0.002));
        CHECK(MiB(m.head) < head);
    }
    CHECK(MiB(qwen("qwen2.5-0.5b", 512, mesp_published{}, fused).block) < 79.0);
}

TEST_CASE("memory_plan: strategies in the order of their memory, for every shape and length") {
    for (char const* name : {"qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b"})
        for (index_t tokens : {128, 256, 512, 1024}) {
            CAPTURE(name);
            CAPTURE(tokens);
            index_t last = qwen(name, tokens, full{}, fused).total();
            for (any_strategy s :
                 {any_strategy(checkpoint{true}), any_strategy(mesp_published{}), any_strategy(mesp{}),
                  any_strategy(mesp{0, phases::two}), any_strategy(mesp{64, phases::two}),
                  any_strategy(mesp{64, phases::two, 4})}) {
                index_t const now = qwen(name, tokens, s, fused).total();
                CHECK(now < last);
                last = now;
            }
            CHECK(qwen(name, tokens, mesp{64, phases::two, 4}, small).total() < last);
        }
}

TEST_CASE("memory_plan: a step beyond the mapped weights, in megabytes, of the papers' models") {
    any_strategy const ours = mesp{64, phases::two};
    struct row { char const* name; index_t tokens; double wide, narrow, published; };
    for (auto const& [name, tokens, wide, narrow, published] :
         {row{"qwen2.5-0.5b", 256, 52, 34, 136.2}, row{"qwen2.5-0.5b", 1024, 137, 84, 513.6},
          row{"qwen2.5-3b", 256, 151, 95, 368.4}}) {
        CHECK(static_cast<double>(qwen(name, tokens, ours, fused).total()) <= wide * 1e6);
        CHECK(static_cast<double>(qwen(name, tokens, ours, small).total()) <= narrow * 1e6);
        CHECK(wide < published);
    }
    index_t last = 0;  // what rank costs: adapters, one block's gradients, h
    for (index_t r : {4, 8, 16, 32}) {
        index_t const now = qwen("qwen2.5-0.5b", 256, ours, fused, r).total();
        if (last > 0) CHECK(MiB(now - last) == doctest::Approx(1.1 * static_cast<double>(r)).epsilon(0.1));
        last = now;
    }
}

TEST_CASE("memory_plan: a constant, for firmware and for the largest shapes alike") {
    constexpr model_config tiny{.layers = 2, .width = 32, .heads = 4, .kv_heads = 2, .head = 8, .hidden = 64,
                                .vocabulary = 128, .context = 64};
    using selective = training<lcsb<cyclic_strided>, adamw>;
    constexpr selective how{.tokens = 16, .rank = 2};
    constexpr auto m = step_layout<llama<lora>, lcsb<cyclic_strided>, adamw, float>{tiny, how}.memory();
    static_assert(m.checkpoints == 16 * 32 * 4 && m.gradients == 2 * 512 * 4 && m.optimizer == 4 * m.gradients);
    constexpr training<mesp, sgd> large{.tokens = 256, .max_grad_norm = 0, .strategy = {64, phases::two},
                                        .updates = updating::fused};
    constexpr auto q =
        step_layout<qwen2<lora>, mesp, sgd, float>{*find_shape("qwen2.5-0.5b"), large}.memory();
    static_assert(memory_limit<q.total(), 52'000'000>::holds);
    static_assert(q.checkpoints == 24 * 256 * 896 * 4);
}
