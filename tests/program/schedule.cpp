// SPDX-License-Identifier: Apache-2.0
// What a schedule holds in each role of a block, and how much arithmetic that is.
#include <graft/block/llama.hpp>
#include <graft/program/schedule.hpp>
#include <graft/rule/rules.hpp>
#include <graft/strategy/checkpoint.hpp>
#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/strategy/mesp_published.hpp>
#include <graft/strategy/zeroth_order.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace graft;

namespace {

constexpr auto code = flatten<llama<lora>>();
// Steps in running order; the streams are 0 and 9.
enum : index_t { x, norm, q, q_rope, k, k_rope, v, attended, o, h, norm2, gate, up, gated, down };

constexpr transformer_sizes sizes{
    .tokens = 64, .width = 48, .heads = 4, .kv_heads = 2, .head = 16, .hidden = 176, .rank = 4};
constexpr block_role trains_all{}, lowest{true, false}, passes{false, true}, nothing{false, false};

/// Multiply-adds by hand: T tokens, d width, a = heads · head, b = kv_heads · head, I hidden, r rank.
struct by_hand {
    double T, d, a, b, I, r, products;
    explicit constexpr by_hand(transformer_sizes const& n)
        : T(static_cast<double>(n.tokens)), d(static_cast<double>(n.width)), a(static_cast<double>(n.heads * n.head)),
          b(static_cast<double>(n.kv_heads * n.head)), I(static_cast<double>(n.hidden)),
          r(static_cast<double>(n.rank)), products(T * T * a / 2) {}
    /// A map's forward: x Wᵀ, h = x Aᵀ, h Bᵀ.
    constexpr double map(double in, double out) const { return T * (in * out + r * (in + out)); }
    /// Its pull: dh = dy B, then dx = dy W + dh A, and h again, dB, dA.
    constexpr double pull(double in, double out, bool dx = true, bool trained = true) const {
        return T * (r * out + (dx ? in * out + r * in : 0) + (trained ? r * in + r * out + r * in : 0));
    }
    constexpr double qkv() const { return map(d, a) + 2 * map(d, b); }
    constexpr double forward() const { return qkv() + 2 * products + map(a, d) + 2 * map(d, I) + map(I, d); }
    constexpr double pulls(bool dx = true, bool trained = true) const {
        return pull(I, d, true, trained) + 2 * pull(d, I, true, trained) + pull(a, d, true, trained) + 7 * products +
               pull(d, a, dx, trained) + 2 * pull(d, b, dx, trained);
    }
};

template <class S>
constexpr block_work work(S s, block_role role = {}, transformer_sizes const& n = sizes) {
    return work_of(code, make_schedule(code, s, n, role), n, role);
}

/// Steps of the backward that an act happens to, in order.
std::string backward(act what, auto strategy, block_role role, transformer_sizes const& n = sizes) {
    auto const s = make_schedule(code, strategy, n, role);
    std::string out;
    for (index_t e = s.backward; e < s.size; ++e)
        if (s.at(e).what == what) out += std::to_string(s.at(e).step) + " ";
    return out;
}
unsigned wanted(auto strategy, block_role role, index_t step) {
    auto const s = make_schedule(code, strategy, sizes, role);
    for (index_t e = s.backward; e < s.size; ++e)
        if (s.at(e).what == act::pull && s.at(e).step == step) return s.at(e).wanted;
    return 99;
}

}  // namespace

TEST_CASE("schedule: the work of a block is what is counted by hand") {
    by_hand const n(sizes);
    double const again = n.forward() - n.map(n.I, n.d);  // mesp: the last map is not run again
    CHECK(work(inference{}).total() == n.forward());
    CHECK(work(zeroth_order{}).total() == n.forward());
    CHECK(work(full{}).forward == n.forward());
    CHECK(work(full{}).backward == n.pulls());
    CHECK(work(checkpoint{}).backward == n.forward() + n.pulls());
    CHECK(work(mesp{}).backward == again + n.pulls());
    CHECK(work(mesp{16}).backward == again + n.pulls());
    // Two phases: attention's stage once for the stream between, once for its own pull, without o and, in the second,
    // only to where its pulls read.
    double const first = n.qkv() + 2 * n.products;
    CHECK(work(mesp{0, phases::two}).backward == again + first + n.pulls());
    // Published: queries, keys and values once more; with P kept, a pull of attention is four products, not seven.
    CHECK(work(mesp_published{false}).backward == n.forward() + n.qkv() + n.pulls());
    auto stored = sizes;
    stored.stored_weights = true;
    CHECK(work(mesp_published{}, {}, stored).backward == n.forward() + n.qkv() + n.pulls() - 3 * n.products);
    CHECK(work(full{}, {}, stored).backward == n.pulls() - 3 * n.products);
}

TEST_CASE("schedule: work in numbers, once in full: Qwen2.5-0.5B, 256 tokens, rank 8") {
    constexpr transformer_sizes qwen{
        .tokens = 256, .width = 896, .heads = 14, .kv_heads = 2, .head = 64, .hidden = 4864, .rank = 8};
    // W: 896² · 2 + 2 · 896 · 128 + 3 · 896 · 4864 = 14,909,440; adapters 8 · (2 · 1792 + 2 · 1024 + 3 · 5760)
    // = 183,296; attention 256² · 896 / 2 · 2 = 58,720,256.
    static_assert(work(full{}, {}, qwen).forward == 256.0 * (14'909'440 + 183'296) + 58'720'256);
    static_assert(work(full{}, {}, qwen).backward ==
                  256.0 * (14'909'440 + 183'296 * 2 + 8.0 * (896 * 5 + 896 + 4864)) + 3.5 * 58'720'256);
    CHECK(by_hand(qwen).pulls() == work(full{}, {}, qwen).backward);
}

TEST_CASE("schedule: below the lowest trained block nothing is wanted, so its inputs' gradients are not pulled") {
    by_hand const n(sizes);
    for (index_t map : {q, k, v}) {
        CHECK(wanted(mesp{}, trains_all, map) == 1);
        CHECK(wanted(mesp{}, lowest, map) == 0);
    }
    for (index_t step : {q_rope, k_rope, o, gated, down}) CHECK((wanted(mesp{}, lowest, step) & 1) == 1);
    CHECK(backward(act::pull, mesp{}, trains_all) == "14 13 12 11 10 8 7 6 5 4 3 2 1 ");
    CHECK(backward(act::pull, mesp{}, lowest) == "14 13 12 11 10 8 7 6 5 4 3 2 ");  // nor the norm
    CHECK(work(full{}, lowest).backward == n.pulls(false));
    CHECK(work(mesp{}, lowest).backward == work(mesp{}).backward - n.pulls() + n.pulls(false));
}

TEST_CASE("schedule: a block that only passes computes what dx needs, and none of the adapters' gradients") {
    by_hand const n(sizes);
    CHECK(work(full{}, passes).backward == n.pulls(true, false));
    CHECK(backward(act::pull, mesp{}, passes) == "14 13 12 11 10 8 7 6 5 4 3 2 1 ");
    // dx of a map needs no x: the gate itself (13) is not computed again.
    CHECK(backward(act::run, mesp{}, passes) == "1 2 3 4 5 6 7 8 10 11 12 ");
    CHECK(backward(act::run, mesp{}, trains_all) == "1 2 3 4 5 6 7 8 10 11 12 13 ");
}

TEST_CASE("schedule: what nothing trains and nothing passes has no backward") {
    CHECK(backward(act::run, mesp{}, nothing).empty());
    CHECK(work(mesp{0, phases::two}, nothing).backward == 0);
    CHECK(work(checkpoint{}, nothing).backward == 0);
    // One adapter on the last map alone, in the lowest block: only that map is pulled, and only its operand runs again.
    auto only_down = sizes;
    only_down.targets = target_bit("down_proj");
    CHECK(backward(act::pull, mesp{}, lowest, only_down) == "14 ");
    CHECK(backward(act::run, mesp{}, lowest, only_down) == "1 2 3 4 5 6 7 8 10 11 12 13 ");
    auto only_q = sizes;
    only_q.targets = target_bit("q_proj");
    CHECK(backward(act::pull, mesp{}, lowest, only_q) == "14 13 12 11 10 8 7 3 2 ");  // not k, not v
}

TEST_CASE("schedule: values that are kept are not computed again, nor what only they need") {
    auto const kept = [](std::initializer_list<index_t> which) {
        mesp m;
        for (index_t s : which) m.kept |= step_set{1} << s;
        return m;
    };
    CHECK(backward(act::run, kept({attended, q_rope, k_rope, v, norm}), trains_all) == "8 10 11 12 13 ");
    CHECK(backward(act::run, kept({h}), trains_all) == "1 2 3 4 5 6 7 10 11 12 13 ");  // the stream between: no o
    CHECK(backward(act::run, kept({gate, up}), trains_all) == "1 2 3 4 5 6 7 8 10 13 ");
    CHECK(backward(act::run, kept({norm, q_rope, k_rope, v, attended, h, norm2, gate, up, gated}), trains_all).empty());
    by_hand const n(sizes);
    CHECK(work(kept({norm, q_rope, k_rope, v, attended, h, norm2, gate, up, gated})).backward == n.pulls());
    CHECK(work(kept({gate})).backward == work(mesp{}).backward - n.map(n.d, n.I));
    // The last value of a stage is not there to be kept: the stream takes its place.
    CHECK(backward(act::run, kept({o, down}), trains_all) == backward(act::run, mesp{}, trains_all));
}

TEST_CASE("schedule: the published method holds its eight tensors to the end") {
    auto const s = make_schedule(code, mesp_published{}, sizes);
    std::string held;
    for (index_t e = s.backward; e < s.size; ++e)
        if (s.at(e).what == act::hold) held += std::to_string(s.at(e).step) + " ";
    CHECK(held == "0 1 7 9 10 11 12 ");  // stream, norm, attended (with its weights), stream, norm, gate, up
    // Both halves once more as a whole, then for the pulls the gate, and queries, keys and values with their rotations.
    CHECK(backward(act::run, mesp_published{}, trains_all) == "1 2 3 4 5 6 7 8 10 11 12 13 14 13 2 3 4 5 6 ");
}
