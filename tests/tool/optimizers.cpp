// SPDX-License-Identifier: Apache-2.0
// Optimizers, schedules and their numbers as the tool runs them; steps that are not finite.
#include <tests/tool/adapter_run.hpp>

#include <cmath>

using namespace graft_test;
namespace fs = std::filesystem;

TEST_CASE("optimizers: every option changes what comes out") {
    short_run const b;
    struct change {
        words base, more;
    };
    words const stiefel{"--optimizer", "stiefel", "--lr", "0.003"}, momentum{"--optimizer", "sgd", "--momentum", "0.5"};
    for (auto const& row : {
             change{{}, {"--method", "rslora"}},
             {{}, {"--method", "dora"}},
             {{"--method", "dora"}, {"--dora-norm", "attached"}},
             {{}, {"--init", "gaussian"}},
             {{}, {"--init", "orthogonal"}},
             {{}, {"--init", "pissa"}},
             {stiefel, {"--init", "pissa"}},
             {{}, {"--dropout", "0.01"}},
             {{}, {"--rank-pattern", R"({"q_proj": 3})"}},
             {{}, {"--alpha-pattern", R"({"q_proj": 3})"}},
             {{}, {"--optimizer", "adamw8"}},
             {{}, {"--optimizer", "lion"}},
             {{}, {"--optimizer", "muon"}},
             {{}, {"--optimizer", "stiefel"}},
             {{"--optimizer", "sgd"}, {"--momentum", "0.5"}},
             {momentum, {"--nesterov"}},
             {{"--optimizer", "muon"}, {"--no-nesterov"}},
             {{"--optimizer", "muon"}, {"--momentum", "0.5"}},
             {{}, {"--beta1", "0.8"}},
             {{}, {"--beta2", "0.9"}},
             {{}, {"--adam-epsilon", "0.001"}},
             {{"--optimizer", "adamw8"}, {"--beta1", "0.8"}},
             {{"--optimizer", "adamw8"}, {"--adam-epsilon", "0.001"}},
             {{"--optimizer", "lion"}, {"--beta2", "0.5"}},
             {{"--optimizer", "lion"}, {"--weight-decay", "1"}},
             {{"--optimizer", "muon"}, {"--weight-decay", "1"}},
             {stiefel, {"--weight-decay", "1"}},
             {stiefel, {"--beta2", "0.5"}},
             {stiefel, {"--stiefel-momentum", "sgd"}},
             {joined(stiefel, {"--stiefel-momentum", "sgd"}), {"--momentum", "0.5"}},
             {stiefel, {"--stiefel-momentum", "projected-adamw"}},
             {stiefel, {"--retraction", "cayley"}},
             {stiefel, {"--retraction", "polar"}},
             {stiefel, {"--lr-ratio-b", "3"}},
             {{}, {"--lr-ratio-b", "4"}},
             {{}, {"--scheduler", "cosine-with-restarts", "--num-cycles", "2"}},
             {{"--scheduler", "cosine-with-restarts"}, {"--num-cycles", "2"}},
             {{}, {"--scheduler", "inverse_sqrt"}},
             {{}, {"--lr-min", "0.001"}},
         }) {
        words const &base = row.base, &more = row.more;
        CAPTURE(shown(base));
        CAPTURE(shown(more));
        done(b, "plain", joined(base, {"--steps", "5"}));
        done(b, "other", joined(joined(base, more), {"--steps", "5"}));
        CHECK(b.adapter("plain") != b.adapter("other"));
    }
}

TEST_CASE("optimizers: under stiefel the columns of every saved B are orthonormal, and A starts at zero") {
    short_run const b;
    for (words const& how : {words{}, {"--stiefel-momentum", "sgd", "--retraction", "cayley"}, {"--init", "pissa"}}) {
        CAPTURE(shown(how));
        auto const s = done(b, "out", joined(how, {"--optimizer", "stiefel", "--steps", "20", "--lr", "0.003"}));
        CHECK(s["loss_before"].get<double>() == doctest::Approx(loss_of(b, "")).epsilon(1e-5));
        for (auto const& p : adapter_in(b, "out").pairs)
            for (graft::index_t i = 0; i < 4; ++i)
                for (graft::index_t j = 0; j <= i; ++j) {
                    double dot = 0;
                    for (graft::index_t o = 0; o < p.out; ++o)
                        dot += static_cast<double>(p.b[static_cast<std::size_t>(o * p.rank + i)]) *
                               static_cast<double>(p.b[static_cast<std::size_t>(o * p.rank + j)]);
                    CHECK(std::abs(dot - (i == j)) < 1e-6);
                }
    }
}

TEST_CASE("plan: what DoRA's lengths, PiSSA's copy and each optimizer's memory take") {
    auto const plan = [](words const& how) {
        auto const r = tool(joined({"plan", "--shape", "smollm2-135m", "--threads", "1", "--json"}, how));
        INFO(r.err);
        REQUIRE(r.code == 0);
        return r.json();
    };
    auto const bytes = [](nlohmann::json const& j, char const* of) { return j[of].get<double>(); };
    auto const lora = plan({}), dora = plan({"--method", "dora"}), pissa = plan({"--init", "pissa"});
    double const rows = 30 * (2 * 576 + 2 * 192 + 2 * 1536 + 576), numbers = bytes(lora, "gradients_bytes") / 4;
    CHECK(bytes(lora, "dora_norms_bytes") == 0);
    CHECK(bytes(lora, "pissa_copy_bytes") == 0);
    CHECK(bytes(dora, "dora_norms_bytes") == 2 * rows * 4);
    CHECK(bytes(dora, "gradients_bytes") == (numbers + rows) * 4);
    CHECK(bytes(dora, "adapters_bytes") == (numbers + 3 * rows) * 4);
    CHECK(bytes(pissa, "pissa_copy_bytes") == numbers * 4);
    CHECK(bytes(pissa, "adapters_bytes") == 2 * numbers * 4);
    CHECK(bytes(lora, "adapters_bytes") == numbers * 4);
    auto const state = [&](words const& how) { return bytes(plan(how), "optimizer_bytes") / numbers; };
    CHECK(state({}) == 8);
    CHECK(state({"--optimizer", "sgd"}) == 0);
    CHECK(state({"--optimizer", "sgd", "--momentum", "0.9"}) == 4);
    CHECK(state({"--optimizer", "lion"}) == 4);
    CHECK(state({"--optimizer", "muon"}) == 4);
    CHECK(state({"--optimizer", "adamw8"}) == doctest::Approx(2.0625).epsilon(0.02));
    CHECK(state({"--optimizer", "stiefel"}) < 8);
    CHECK(state({"--optimizer", "stiefel"}) > 4);
    CHECK(state({"--optimizer", "stiefel", "--stiefel-momentum", "projected-adamw"}) == 8);
    auto const text =
        tool({"plan", "--shape", "smollm2-135m", "--method", "dora", "--init", "pissa", "--optimizer", "stiefel"});
    CHECK(text.out.find("stiefel (adam, cholesky-qr), dora of rank 8 on all, pissa") != std::string::npos);
    CHECK(text.out.find("of these lengths of rows that DoRA keeps") != std::string::npos);
    CHECK(text.out.find("of these what PiSSA started from") != std::string::npos);

    auto const tight =
        tool({"plan", "--shape", "smollm2-135m", "--method", "dora", "--init", "pissa", "--threads", "1", "--strategy",
              "mesp", "--memory-budget", std::to_string(plan({"--method", "dora"})["total_bytes"].get<long>())});
    CHECK(tight.code == 5);
    CHECK(tight.says("--optimizer adamw8"));
    CHECK(tight.says("--init kaiming"));
}

TEST_CASE("schedules: the rate of every step is what its name says, with the names that other tools have") {
    short_run const b;
    auto const rates = [&](words const& how) {
        done(b, "out", joined(how, {"--steps", "12", "--lr", "0.01", "--warmup-steps", "2", "--eval-every", "100"}));
        std::vector<double> all;
        for (auto const& line : lines_of(b.path("out") + "/metrics.jsonl"))
            if (line.contains("lr")) all.push_back(line["lr"].get<double>());
        REQUIRE(all.size() == 12);
        return all;
    };
    auto const is = [](double x, double expected) { CHECK(x == doctest::Approx(expected).epsilon(1e-9)); };
    double const pi = std::acos(-1.0);
    auto const restarts = rates({"--scheduler", "cosine_with_restarts", "--num-cycles", "2"}),
               roots = rates({"--lr-scheduler-type", "inverse_sqrt"}),
               flat = rates({"--scheduler", "constant_with_warmup"}),
               floor = rates({"--scheduler", "linear", "--lr-min", "0.004"});
    for (auto const* all : {&restarts, &roots, &flat, &floor}) is((*all)[0], 0.005), is((*all)[1], 0.01);
    for (std::size_t k = 2; k < 12; ++k) {
        double const after = static_cast<double>(k - 2);
        is(restarts[k], 0.01 * 0.5 * (1 + std::cos(pi * std::fmod(after / 5, 1))));
        is(roots[k], 0.01 / std::sqrt((after + 2) / 2));
        is(flat[k], 0.01);
        is(floor[k], 0.004 + 0.006 * (1 - after / 10));
    }
}

TEST_CASE("finetune: single steps that are not finite are skipped, counted, told; too many end the run with code 7") {
    short_run const b({.broken = '#'});
    auto const rows = [&](int good, int bad) {
        std::ofstream out(b.data);
        for (int i = 0; i < good + bad + 2; ++i)
            out << R"({"messages": [{"role": "user", "content": "say )" << (i % 16 == 5 && i / 16 < bad ? "#" : "it")
                << R"("}, {"role": "assistant", "content": "he says )" << i % 7 << "\"}]"
                << (i < good + bad ? "" : R"(, "split": "held_out")") << "}\n";
    };
    rows(30, 2);
    auto const how = words{"--batch-size", "1", "--epochs", "1", "--save-every", "1"};
    auto const r = b.run("out", how);
    INFO(r.err);
    REQUIRE(r.code == 0);
    CHECK(r.json()["skipped_steps"] == 2);
    CHECK(r.says("is not finite; the step is skipped"));
    int skipped = 0;
    for (auto const& line : lines_of(b.path("out") + "/metrics.jsonl")) skipped += line.value("skipped", false);
    CHECK(skipped == 2);
    for (auto const& p : adapter_in(b, "out").pairs)
        CHECK(std::all_of(p.b.begin(), p.b.end(), [](float x) { return std::isfinite(x); }));
    auto line = b.line("text", how);
    std::erase(line, "--json");
    CHECK(tool(line).out.find("skipped         2 of these steps") != std::string::npos);

    rows(60, 4);
    auto const many = b.run("many", how);
    CHECK(many.code == 7);
    CHECK(many.says("4 steps of 64 were not finite, more than 1 in 100"));
    CHECK(many.says("the last good checkpoint is kept"));
    CHECK_FALSE(fs::exists(b.path("many") + "/adapter.gguf"));
}
