// SPDX-License-Identifier: Apache-2.0
// Every strategy as the tool runs it: the plan is what is used, a resumed run is the same run, budgets are kept.
#include <tests/tool/short_run.hpp>

#include <cmath>

using namespace graft_test;
namespace fs = std::filesystem;

namespace {

/// Every kind of strategy, and of how its numbers rest and move.
std::vector<words> const kinds{
    {"--strategy", "full"},
    {"--strategy", "checkpoint"},
    {"--strategy", "mesp"},
    {"--strategy", "mesp-published"},
    {"--strategy", "mesp", "--tile", "64", "--phases", "two"},
    {"--checkpoint-every", "2"},
    {"--checkpoint-type", "f16"},
    {"--checkpoint-type", "bf16", "--checkpoint-every", "2"},
    {"--adapter-type", "bf16"},
    {"--adapter-type", "f16", "--optimizer", "sgd"},
    {"--strategy", "lcsb", "--groups", "3"},
    {"--strategy", "lcsb", "--select", "contiguous", "--lcsb-inner", "full"},
    {"--strategy", "lcsb", "--select", "random", "--layers-per-step", "2", "--unselected-update", "none"},
    {"--strategy", "lcsb", "--select", "top", "--unselected", "exact", "--lcsb-inner", "checkpoint"},
    {"--strategy", "lcsb", "--select", "importance", "--layers-per-step", "1", "--unselected", "exact"},
    {"--strategy", "zeroth-order"},
    {"--strategy", "mezo", "--zo-samples", "3", "--zo-epsilon", "0.01", "--adapter-type", "bf16"},
    {"--strategy", "zo", "--zo-one-point", "--optimizer", "sgd"},
    {"--update", "fused", "--batch-size", "1"},
    {"--update", "fused", "--batch-size", "1", "--strategy", "lcsb", "--unselected-update", "none"},
    {"--memory-budget", "2M"},
};

}  // namespace

TEST_CASE("strategies: what the plan says is what a run uses, to the byte") {
    short_run b({.layers = 3});
    b.data = b.path("text.txt");
    write_text(b.data);
    for (auto const& kind : kinds) {
        CAPTURE(shown(kind));
        bool const fused = kind[1] == "fused";
        auto const how = joined(kind, fused ? words{"--train-on", "full", "--seq-len", "127"} : full_passes);
        auto const r = b.run("out", joined(how, {"--steps", "4", "--overwrite"}));
        INFO(r.err);
        REQUIRE(r.code == 0);
        auto const s = r.json();
        CHECK(s["planned_bytes"].get<double>() >= s["high_water_bytes"].get<double>());
        if (!fused) CHECK(s["planned_bytes"] == s["high_water_bytes"]);
        CHECK(s["peak_rss_bytes"] > s["peak_rss_anon_bytes"]);
        words line{"plan", "-m", b.model, "--rank", "4", "--threads", "1", "--json"};
        auto memory = how;  // without what plan has no options for
        for (char const* const own : {"--train-on", "--batch-size"})
            if (auto const at = std::find(memory.begin(), memory.end(), own); at != memory.end())
                memory.erase(at, at + 2);
        auto const plan = tool(joined(line, memory));
        INFO(plan.err);
        REQUIRE(plan.code == 0);
        auto const p = plan.json();
        CHECK(p["peak_bytes"] == s["planned_bytes"]);
        CHECK(p["total_bytes"] == s["planned_total_bytes"]);
        CHECK(p["strategy_text"] == s["strategy_text"]);
        CHECK(p["multiply_adds"]["blocks"].get<double>() > 0);
    }
}

TEST_CASE("strategies: stopped after any step and resumed, each gives the same bytes as a run without a stop") {
    short_run const b({.layers = 3});
    for (auto const& kind : kinds) {
        CAPTURE(shown(kind));
        auto const how = joined(kind, {"--steps", "5"});
        auto const whole = b.run("whole", joined(how, {"--overwrite"}));
        INFO(whole.err);
        REQUIRE(whole.code == 0);
        CHECK(std::abs(whole.json()["loss_after"].get<double>() - whole.json()["loss_before"].get<double>()) > 1e-7);
        for (int const stop : {1, 3, 4}) {
            CHECK(b.run("parts", joined(how, {"--stop-after", std::to_string(stop)})).code == 0);
            auto const done = b.run("parts", joined(how, {"--resume"}));
            INFO(done.err);
            CHECK(done.code == 0);
            CHECK(b.adapter("parts") == b.adapter("whole"));
            fs::remove_all(b.path("parts"));
        }
    }
}

TEST_CASE("strategies: exact ones end where full ends, fused updates where deferred ones do, wherever numbers lie") {
    short_run const b({.layers = 3});
    auto const loss = [&](words const& how) {
        auto const r = b.run("out", joined(how, {"--steps", "6", "--overwrite"}));
        INFO(r.err);
        REQUIRE(r.code == 0);
        return r.json()["loss_after"].get<double>();
    };
    double const full = loss({"--strategy", "full"});
    for (words const& how : {words{"--strategy", "checkpoint"},
                             {"--strategy", "mebp"},
                             {"--strategy", "mesp"},
                             {"--strategy", "mesp_published"},
                             {"--checkpoint-every", "3"},
                             {"--phases", "two"},
                             {"--memory-budget", "2M"},
                             {"--strategy", "lcsb", "--groups", "1"},
                             {"--strategy", "lcsb", "--select", "random", "--layers-per-step", "3"}}) {
        CAPTURE(shown(how));
        CHECK(loss(how) == doctest::Approx(full).epsilon(1e-5));
    }
    CHECK(loss({"--checkpoint-type", "f16"}) == doctest::Approx(full).epsilon(2e-3));
    CHECK(loss({"--strategy", "lcsb", "--groups", "3"}) != doctest::Approx(full).epsilon(1e-5));

    words const one{"--batch-size", "1", "--max-grad-norm", "0"};
    loss(one);
    auto const deferred = b.adapter("out");
    auto const fused = b.run("out", {"--batch-size", "1", "--update", "fused", "--steps", "6", "--overwrite"});
    REQUIRE(fused.code == 0);
    CHECK(fused.says("no clipping: --update fused sees no whole gradient"));
    CHECK(b.adapter("out") == deferred);

    loss({});
    auto const plain = b.adapter("out");
    auto const apart = b.run("out", {"--checkpoint-file", "--steps", "6", "--overwrite"});
    if (apart.code == 6 && apart.says("lies in memory itself")) {
        MESSAGE(
            "skipped: the folder for temporary files lies in memory, so that no checkpoints' file can be made there");
    } else {
        INFO(apart.err);
        REQUIRE(apart.code == 0);
        CHECK(b.adapter("out") == plain);
        CHECK(apart.json()["planned_bytes"] == apart.json()["high_water_bytes"]);
    }
    auto const limited = b.run("out", {"--resident-limit", "8M", "--steps", "6", "--overwrite"});
    INFO(limited.err);
    REQUIRE(limited.code == 0);
    CHECK(b.adapter("out") == plain);
    auto const too_little = b.run("out", {"--resident-limit", "1K", "--steps", "6", "--overwrite"});
    CHECK(too_little.code == 5);
    CHECK(too_little.says("at least "));
}

TEST_CASE("strategies: a checkpoint of another strategy, type or schedule is not gone on with") {
    short_run const b({.layers = 3});
    auto const run = [&](words const& how) { return b.run("out", joined({"--steps", "4"}, how)); };
    REQUIRE(run({"--stop-after", "2", "--strategy", "lcsb"}).code == 0);
    for (auto const& row :
         {std::pair<words, std::string>{{"--strategy", "mesp"}, R"(strategy: "lcsb" there, "mesp" here)"},
          {{"--strategy", "zo"}, R"(strategy: "lcsb" there, "zeroth-order" here)"},
          {{"--strategy", "lcsb", "--groups", "3"}, "groups: 2 there, 3 here"},
          {{"--strategy", "lcsb", "--adapter-type", "f16"}, R"(adapter-type: "f32" there, "f16" here)"},
          {{"--memory-budget", "2M"}, "schedule: "}}) {
        auto const& how = row.first;
        auto const& says = row.second;
        auto const r = run(joined(how, {"--resume"}));
        CAPTURE(says);
        CAPTURE(r.err);
        CHECK(r.code == 4);
        CHECK(r.says(says));
    }
    CHECK(run({"--strategy", "lcsb", "--resume", "--resident-limit", "8M"}).code == 0);
}
