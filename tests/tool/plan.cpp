// SPDX-License-Identifier: Apache-2.0
// graft plan and --memory-budget: what fits, what is picked, what is refused, what a process then takes.
#include <tests/tool/short_run.hpp>

#include <cstdlib>

using namespace graft_test;
namespace fs = std::filesystem;

TEST_CASE("budget: it picks the least arithmetic that fits, says so, and the most it allows is what fits") {
    short_run const b({.layers = 3});
    words const line{"plan", "-m", b.model, "--rank", "4", "--threads", "1", "--seq-len", "96"};
    auto const plan = [&](words const& how) {
        auto const r = tool(joined(joined(line, how), {"--json"}));
        INFO(r.err);
        REQUIRE(r.code == 0);
        return r.json();
    };
    auto const total = [](nlohmann::json const& j) { return j["total_bytes"].get<long>(); };
    auto const work = [](nlohmann::json const& j) { return j["multiply_adds"]["blocks"].get<double>(); };
    auto const full = plan({"--strategy", "full"}), mesp = plan({"--strategy", "mesp"});
    double last = 1e300;
    for (long budget = total(mesp) - 60000; budget < total(full) + 100000; budget += 100000) {
        auto const picked = plan({"--memory-budget", std::to_string(budget)});
        CHECK(picked["strategy"] == "budget");
        CHECK(total(picked) <= budget);
        CHECK(work(picked) <= last);
        last = work(picked);
    }
    CHECK(last <= work(full) * 1.001);

    long const budget = total(mesp) + 20000;
    for (words const& strategy : {words{}, {"--strategy", "mesp"}, {"--strategy", "lcsb"}, {"--strategy", "zo"}}) {
        CAPTURE(shown(strategy));
        auto const with = [&](char const* option, long value) {
            auto own = joined(line, strategy);
            if (option == std::string("--pass-tokens"))
                own = joined(own, {option, std::to_string(value)});
            else
                *(std::find(own.begin(), own.end(), std::string(option)) + 1) = std::to_string(value);
            return tool(joined(own, {"--memory-budget", std::to_string(budget), "--json"})).code;
        };
        auto const largest = plan(joined(strategy, {"--memory-budget", std::to_string(budget)}))["largest"];
        for (auto const& row : {std::pair{"--pass-tokens", "pass_tokens"}, {"--rank", "rank"}}) {
            char const *const option = row.first, *const key = row.second;
            CAPTURE(option);
            long const most = largest[key].get<long>();
            CHECK(with(option, most) == 0);
            CHECK(with(option, most + 1) == (most == 16 && key == std::string("rank") ? 2 : 5));  // 16: k_proj's rows
        }
        CHECK(largest["batch"].get<long>() == largest["pass_tokens"].get<long>() / 96);
    }

    auto const run = b.run("out", {"--steps", "2", "--memory-budget", std::to_string(budget)});
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK(run.says(" picks: keeps inputs"));
    CHECK(run.json()["strategy"] == "budget");
    CHECK(run.json()["planned_total_bytes"].get<long>() <= budget);
    CHECK(run.json()["high_water_bytes"] == run.json()["planned_bytes"]);

    auto const refused = b.run("no", {"--steps", "2", "--strategy", "full", "--memory-budget", std::to_string(budget)});
    CHECK(refused.code == 5);
    CHECK(refused.says("--seq-len "));
    CHECK(refused.says("no --strategy, so that --memory-budget picks the schedule"));
    CHECK(refused.says("--strategy zeroth-order"));
    CHECK_FALSE(fs::exists(b.path("no")));
    auto const hopeless = b.run("no", {"--steps", "2", "--memory-budget", "4K"});
    CHECK(hopeless.code == 5);
    auto const at = hopeless.err.find("--memory-budget ", hopeless.err.find("Try: "));
    REQUIRE(at != hopeless.err.npos);
    CHECK(b.run("yes", {"--steps", "1", "--memory-budget", std::to_string(std::stol(hopeless.err.substr(at + 16)))})
              .code == 0);
}

TEST_CASE("plan --compare: a line for each strategy, each as a plan of its own says") {
    auto const r = tool({"plan", "--shape", "qwen2.5-0.5b", "--seq-len", "256", "--threads", "1", "--compare", "--json",
                         "--memory-budget", "200M"});
    INFO(r.err);
    REQUIRE(r.code == 0);
    auto const all = r.json()["compared"];
    REQUIRE(all.size() == 8);
    std::vector<words> const same{
        {"--strategy", "full"}, {"--strategy", "checkpoint"},        {"--strategy", "mesp-published"},
        {"--strategy", "mesp"}, {"--tile", "64", "--phases", "two"}, {"--strategy", "lcsb"},
        {"--strategy", "zo"},   {"--memory-budget", "200M"}};
    for (std::size_t i = 0; i < same.size(); ++i) {
        auto const own =
            tool(joined({"plan", "--shape", "qwen2.5-0.5b", "--seq-len", "256", "--threads", "1", "--json"}, same[i]));
        CAPTURE(shown(same[i]));
        REQUIRE(own.code == 0);
        CHECK(own.json()["peak_bytes"] == all[i]["peak_bytes"]);
        CHECK(own.json()["multiply_adds"] == all[i]["multiply_adds"]);
    }
    auto const peak = [&](std::size_t i) { return all[i]["peak_bytes"].get<double>(); };
    CHECK(peak(6) < peak(5));  // zeroth-order < lcsb < mesp < checkpoint < full
    CHECK(peak(5) < peak(3));
    CHECK(peak(3) < peak(1));
    CHECK(peak(1) < peak(0));
    auto const text = tool({"plan", "--shape", "smollm2-135m", "--compare"});
    CHECK(std::count(text.out.begin(), text.out.end(), '\n') == 8);
}

TEST_CASE("plan: the arithmetic of selections and estimates follows from that of their parts") {
    auto const work = [](words const& how, char const* part = "blocks") {
        auto const r =
            tool(joined({"plan", "--shape", "qwen2.5-0.5b", "--seq-len", "64", "--threads", "1", "--json"}, how));
        INFO(r.err);
        REQUIRE(r.code == 0);
        return r.json()["multiply_adds"][part].get<double>();
    };
    double const mesp = work({}), forward = work({"--strategy", "zo", "--zo-one-point"});
    auto const lcsb = [&](words const& how) { return work(joined({"--strategy", "lcsb"}, how)); };
    CHECK(lcsb({"--groups", "1"}) == doctest::Approx(mesp).epsilon(1e-12));
    CHECK(work({"--strategy", "zo", "--zo-samples", "3"}) == doctest::Approx(6 * forward).epsilon(1e-12));
    CHECK(work({"--strategy", "zo"}, "head") == work({}, "head"));
    // One of 24 blocks: all forward, one pulled. The lowest block that is trained needs no gradient of its input.
    double const top = lcsb({"--select", "top", "--layers-per-step", "1"});
    CHECK(top > forward);
    CHECK(lcsb({"--groups", "24"}) == doctest::Approx(top).epsilon(1e-12));
    CHECK(lcsb({"--select", "random", "--layers-per-step", "1"}) == doctest::Approx(top).epsilon(1e-12));
    double const half = lcsb({"--select", "top", "--layers-per-step", "12"});
    CHECK(lcsb({"--groups", "2"}) == doctest::Approx(half).epsilon(1e-12));
    CHECK(lcsb({"--select", "contiguous", "--groups", "2"}) == doctest::Approx(half).epsilon(1e-12));
    double const each = (half - top) / 11;  // a block that is pulled in full
    CHECK(mesp == doctest::Approx(top + 23 * each).epsilon(1e-9));
    // Through the other blocks: dx of all above the lowest, which costs less than training them.
    double const exact = lcsb({"--groups", "2", "--unselected", "exact"});
    CHECK(exact > half);
    CHECK(exact < mesp);
}

TEST_CASE("plan: of a real model, what a process takes for itself is what was planned, within 5 %") {
    auto const model = smollm2();
    if (!model) return;
    short_run b;
    b.model = model->string();
    std::ofstream(b.path("text.txt")) << std::string(6000, 'a') << read_file(project("README.md"));
    b.data = b.path("text.txt");
    for (words const& how : {words{"--memory-budget", "100M"}, {"--strategy", "lcsb", "--groups", "3"}}) {
        auto const r = b.run("out", joined(joined(how, full_passes),
                                           {"--steps", "1", "--overwrite", "--batch-size", "2", "--eval-every", "10"}));
        INFO(r.err);
        REQUIRE(r.code == 0);
        auto const s = r.json();
        MESSAGE(shown(how) << s.dump());
        CHECK(s["planned_bytes"] == s["high_water_bytes"]);
        double const planned = s["planned_total_bytes"].get<double>(), real = s["peak_rss_anon_bytes"].get<double>();
        CHECK(real / planned > 0.95);
        CHECK(real / planned < 1.05);
    }
}
