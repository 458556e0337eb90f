// SPDX-License-Identifier: Apache-2.0
#include <graft/io/combine.hpp>

#include <tests/support/data.hpp>
#include <tests/support/tiny_model.hpp>

#include <cmath>
#include <limits>

using namespace graft;
using namespace graft_test;

namespace {

/// s B A of one module, {} where the adapter has none; in double.
std::vector<double> delta(adapter const& a, std::string const& module) {
    std::vector<double> d;
    for (auto const& p : a.pairs)
        if (p.module == module) {
            d.assign(static_cast<std::size_t>(p.out * p.in), 0);
            for (std::size_t o = 0; o < static_cast<std::size_t>(p.out); ++o)
                for (std::size_t r = 0; r < static_cast<std::size_t>(p.rank); ++r)
                    for (std::size_t i = 0; i < static_cast<std::size_t>(p.in); ++i)
                        d[o * static_cast<std::size_t>(p.in) + i] +=
                            scale(a, p) * static_cast<double>(p.b[o * static_cast<std::size_t>(p.rank) + r]) *
                            static_cast<double>(p.a[r * static_cast<std::size_t>(p.in) + i]);
        }
    return d;
}

void check_sum(adapter const& sum, std::vector<weighed_adapter> const& parts) {
    for (auto const& p : sum.pairs) {
        auto const now = delta(sum, p.module);
        std::vector<double> wanted(now.size(), 0);
        double largest = 0, worst = 0;
        for (auto const& [a, weight] : parts) {
            auto const d = delta(a, p.module);
            for (std::size_t i = 0; i < d.size(); ++i) wanted[i] += weight * d[i];
        }
        for (std::size_t i = 0; i < now.size(); ++i)
            largest = std::max(largest, std::abs(wanted[i])), worst = std::max(worst, std::abs(wanted[i] - now[i]));
        CHECK(largest > 0.05);
        CHECK(worst <= 1e-6 * largest);
    }
}

}  // namespace

TEST_CASE("combine: the sum has the weighed sum of the changes, with the ranks one behind the other") {
    auto const c = make_tiny_model(architecture::llama).config;
    adapter const a = make_tiny_adapter(c, 4, 5);
    adapter b = make_tiny_adapter(c, 3, 6);
    b.rslora = true, b.alpha = 2.5, b.pairs[2].alpha = 7, b.base_name = "elsewhere/tiny";
    b.pairs.erase(b.pairs.begin() + 5);
    std::string const alone = a.pairs[5].module;
    std::vector<weighed_adapter> const parts{{a, 0.7}, {b, -1.5}};
    auto const sum = combine(parts);
    REQUIRE(sum.ok());
    check_sum(*sum, parts);
    CHECK(sum->rank == 7);
    CHECK(sum->pairs.size() == 14);
    CHECK(sum->base_name == "somebody/tiny");
    for (auto const& p : sum->pairs) {
        CHECK(p.rank == (p.module == alone ? 4 : 7));
        CHECK(scale(*sum, p) == 1);
    }
    CHECK(check_adapter(*sum, c).ok());
    std::vector<weighed_adapter> const three{{a, 1}, {b, 1}, {a, 1}};
    check_sum(*combine(three), three);

    scratch_folder folder;  // files can hold what comes out
    auto const peft = (folder.path / "a").string(), gguf = (folder.path / "a.gguf").string();
    succeed(write_peft(peft, *sum));
    succeed(write_adapter_gguf(gguf, *sum, c));
    for (auto const& path : {peft, gguf}) {
        auto const back = open_adapter(path, c);
        REQUIRE(back.ok());
        check_sum(*back, parts);
        std::vector<adapter_choice> const choices{{peft, 2}, {gguf, -1}};
        check_sum(*open_adapters(choices, c), parts);
    }
}

TEST_CASE("combine: one adapter stays as it is, or is weighed") {
    auto const c = make_tiny_model(architecture::qwen2).config;
    adapter const a = make_tiny_adapter(c);
    CHECK(*combine(std::vector<weighed_adapter>{{a, 1}}) == a);
    std::vector<weighed_adapter> const half{{a, 0.5}};
    check_sum(*combine(half), half);
}

TEST_CASE("combine: what cannot be added is refused, with the way out for DoRA") {
    auto const c = make_tiny_model(architecture::llama).config;
    adapter const a = make_tiny_adapter(c);
    adapter dora = a;
    for (auto& p : dora.pairs) p.m.assign(static_cast<std::size_t>(p.out), 1);
    auto const refused = [](std::vector<weighed_adapter> const& all) {
        auto const r = combine(all);
        REQUIRE_FALSE(r.ok());
        return r.error();
    };
    CHECK(*combine(std::vector<weighed_adapter>{{dora, 1}}) == dora);
    for (auto const& all : {std::vector<weighed_adapter>{{a, 1}, {dora, 1}}, {{dora, 1}, {dora, 1}}, {{dora, 0.5}}}) {
        CHECK(refused(all).what.find("DoRA") == 0);
        CHECK(refused(all).hint.find("graft merge") != std::string::npos);
    }
    CHECK(refused({}).why == cause::usage);
    CHECK(refused({{a, std::numeric_limits<double>::quiet_NaN()}}).why == cause::usage);
    CHECK(refused({{a, std::numeric_limits<double>::infinity()}}).why == cause::usage);
    adapter other = a;
    other.base_name = "somebody/else";
    CHECK(refused({{a, 1}, {other, 1}}).got == "'else'");
    other = a, other.arch = architecture::qwen2;
    CHECK(refused({{a, 1}, {other, 1}}).got == "qwen2");
    auto wider = c;
    wider.width = 64;
    CHECK(refused({{a, 1}, {make_tiny_adapter(wider), 1}}).got == "32 x 64");
    std::vector<adapter_choice> const absent{{"/nowhere/at/all", 1}};
    CHECK(open_adapters(absent, c).error().why == cause::io);
}

TEST_CASE("combine: an adapter of blocks alone is told from one that changes the head") {
    auto const c = make_tiny_model(architecture::llama, 1, false).config;
    adapter a = make_tiny_adapter(c);
    CHECK(check_block_adapter(a).ok());
    a.pairs.push_back({"lm_head", 1, c.width, c.vocabulary});
    CHECK(check_block_adapter(a, "f").error().where == "module 'lm_head'");
}
