// SPDX-License-Identifier: Apache-2.0
// Methods and starts as the tool runs them: each acts, is planned, resumed, and in the files.
#include <tests/tool/adapter_run.hpp>

#include <cmath>

using namespace graft_test;
namespace fs = std::filesystem;

namespace {

/// Every method, start and optimizer, and some together.
std::vector<words> const kinds{
    {"--method", "rslora"},
    {"--method", "dora"},
    {"--method", "rsdora", "--dora-norm", "attached"},
    {"--init", "gaussian"},
    {"--init", "orthogonal"},
    {"--init", "pissa"},
    {"--method", "dora", "--init", "pissa", "--adapter-type", "bf16"},
    {"--dropout", "0.2"},
    {"--dropout", "0.1", "--method", "dora", "--strategy", "lcsb"},
    {"--rank-pattern", R"({"1.mlp.down_proj": 7, "down_proj": 2, "0.self_attn.q_proj": 1})"},
    {"--alpha-pattern", R"({"v_proj": 3})", "--method", "dora"},
    {"--optimizer", "adamw8"},
    {"--optimizer", "sgd", "--momentum", "0.9", "--nesterov", "--lr", "0.05"},
    {"--optimizer", "lion", "--lr", "0.003"},
    {"--optimizer", "muon", "--method", "dora"},
    {"--optimizer", "stiefel", "--lr", "0.003"},
    {"--optimizer", "stiefel", "--stiefel-momentum", "sgd", "--retraction", "cayley", "--lr", "0.003"},
    {"--optimizer", "stiefel", "--stiefel-momentum", "projected-adamw", "--retraction", "polar", "--lr", "0.003"},
    {"--optimizer", "stiefel", "--method", "dora", "--init", "pissa", "--lr", "0.001"},
    {"--optimizer", "stiefel", "--strategy", "zeroth-order", "--lr", "0.001"},
    {"--optimizer", "muon", "--strategy", "zeroth-order", "--method", "dora"},
};

}  // namespace

TEST_CASE("adapters: what the plan says is what a run uses, to the byte") {
    short_run b;
    b.data = b.path("text.txt");
    write_text(b.data);
    for (auto const& kind : kinds) {
        CAPTURE(shown(kind));
        auto const s = done(b, "out", joined(joined(kind, full_passes), {"--steps", "3"}));
        CHECK(s["planned_bytes"] == s["high_water_bytes"]);
        words memory = joined(kind, full_passes);
        for (char const* const own : {"--train-on", "--lr"})
            if (auto const at = std::find(memory.begin(), memory.end(), own); at != memory.end())
                memory.erase(at, at + 2);
        std::erase(memory, "--nesterov");
        auto const plan = tool(joined({"plan", "-m", b.model, "--rank", "4", "--threads", "1", "--json"}, memory));
        INFO(plan.err);
        REQUIRE(plan.code == 0);
        CHECK(plan.json()["peak_bytes"] == s["planned_bytes"]);
        CHECK(plan.json()["total_bytes"] == s["planned_total_bytes"]);
    }
}

TEST_CASE("adapters: each kind trains, answers with the loss it had, and is resumed to the bit") {
    short_run const b;
    double const base = loss_of(b, "");
    for (auto const& kind : kinds) {
        CAPTURE(shown(kind));
        bool const estimates = std::find(kind.begin(), kind.end(), "zeroth-order") != kind.end(),
                   rests = std::find(kind.begin(), kind.end(), "bf16") != kind.end();
        auto const how = joined(kind, {"--steps", "12"});
        auto const s = done(b, "whole", how);
        double const before = s["loss_before"].get<double>(), after = s["loss_after"].get<double>();
        CHECK(before == doctest::Approx(base).epsilon(rests ? 2e-3 : 1e-5));
        if (!estimates) CHECK(after < 0.97 * before);
        CHECK(loss_of(b, "whole") == doctest::Approx(after).epsilon(2e-5));
        for (int const stop : {1, 7}) {
            done(b, "parts", joined(how, {"--stop-after", std::to_string(stop)}));
            auto const rest = b.run("parts", joined(how, {"--resume", "--threads", "2"}));
            INFO(rest.err);
            CHECK(rest.code == 0);
            CHECK(b.adapter("parts") == b.adapter("whole"));
            fs::remove_all(b.path("parts"));
        }
    }
}

TEST_CASE("adapters: DoRA is saved for PEFT alone, which is said with the way out") {
    short_run const b;
    done(b, "out", {"--steps", "3"});
    CHECK(fs::exists(b.path("out") + "/adapter.gguf"));
    auto const r = b.run("out", {"--steps", "3", "--method", "dora", "--overwrite"});
    REQUIRE(r.code == 0);
    CHECK(r.says("no adapter.gguf"));
    CHECK(r.says("graft merge"));
    CHECK(r.json()["adapter"]["gguf"].is_null());
    CHECK_FALSE(fs::exists(b.path("out") + "/adapter.gguf"));  // the run before it left one
    auto const config = config_in(b, "out");
    CHECK(config["use_dora"] == true);
    CHECK(config["use_rslora"] == false);
    for (auto const& p : adapter_in(b, "out").pairs) CHECK(static_cast<graft::index_t>(p.m.size()) == p.out);
    auto const seen = tool({"inspect", b.path("out"), "--json"}).json();
    CHECK(seen["method"] == "dora");
    CHECK(seen["tensors"].size() == 14 * 3);
    done(b, "both", {"--steps", "3", "--method", "rsdora"});
    CHECK(config_in(b, "both")["use_rslora"] == true);
    CHECK(tool({"inspect", b.path("both"), "--json"}).json()["method"] == "rsdora");
}

TEST_CASE("adapters: PiSSA starts from the principal parts, is saved as twice the rank, and changes nothing at first") {
    short_run const b;
    auto const still = done(b, "still", {"--steps", "1", "--lr", "0", "--init", "pissa"});
    CHECK(still["loss_after"] == still["loss_before"]);
    auto const a = adapter_in(b, "still");
    CHECK(a.rank == 8);
    for (auto const& p : a.pairs) {
        REQUIRE(p.rank == 8);
        double change = 0, size = 0;  // of A over A₀, B beside −B₀: what is added is nothing, and its halves are not
        for (graft::index_t o = 0; o < p.out; ++o)
            for (graft::index_t i = 0; i < p.in; ++i) {
                double half = 0, all = 0;
                for (graft::index_t k = 0; k < 8; ++k) {
                    double const x = static_cast<double>(p.b[static_cast<std::size_t>(o * 8 + k)]) *
                                     static_cast<double>(p.a[static_cast<std::size_t>(k * p.in + i)]);
                    all += x, half += k < 4 ? x : 0;
                }
                change += all * all, size += half * half;
            }
        CHECK(std::sqrt(change) <= 1e-6 * std::sqrt(size));
        CHECK(size > 0);
    }
    CHECK(loss_of(b, "still") == doctest::Approx(still["loss_after"].get<double>()).epsilon(1e-5));
    auto const twice = b.run("x", {"--adapter", b.path("still"), "--init", "pissa", "--steps", "1"});
    CHECK(twice.code == 2);
}

TEST_CASE("adapters: training goes on from an adapter with its method, ranks and alphas, whatever optimizer moves it") {
    short_run const b;
    for (words const& how : {words{"--method", "rsdora"},
                             {"--rank-pattern", R"({"0.mlp.down_proj": 7, "q_proj": 2})"},
                             {"--alpha-pattern", R"({"0.mlp.down_proj": 3})", "--method", "rslora"},
                             {"--init", "pissa"},
                             {"--targets", "q_proj,up_proj"}})
        for (char const* const optimizer : {"adamw", "stiefel"}) {
            CAPTURE(shown(how));
            CAPTURE(optimizer);
            auto const first = done(b, "first", joined(how, {"--steps", "8"}));
            auto const second =
                tool({"finetune", "-m", b.model, "-d", b.data, "-o", b.path("second"), "--adapter", b.path("first"),
                      "--steps", "1", "--lr", "0", "--json", "--optimizer", optimizer, "--overwrite"});
            INFO(second.err);
            REQUIRE(second.code == 0);
            CHECK(second.json()["loss_before"].get<double>() ==
                  doctest::Approx(first["loss_after"].get<double>()).epsilon(2e-5));
            auto const one = adapter_in(b, "first"), two = adapter_in(b, "second");
            CHECK(one.rslora == two.rslora);
            CHECK(graft::has_magnitudes(one) == graft::has_magnitudes(two));
            REQUIRE(one.pairs.size() == two.pairs.size());
            for (std::size_t i = 0; i < one.pairs.size(); ++i) {
                CHECK(one.pairs[i].rank == two.pairs[i].rank);
                CHECK(graft::scale(one, one.pairs[i]) == doctest::Approx(graft::scale(two, two.pairs[i])));
                if (optimizer == std::string("adamw")) CHECK(one.pairs[i].b == two.pairs[i].b);
            }
        }
    for (words const& own : {words{"--rank-pattern", R"({"q_proj": 2})"}, {"--method", "dora"}, {"--init", "pissa"}}) {
        auto const r = b.run("no", joined({"--adapter", b.path("first"), "--steps", "1", "--rank", "4"}, own));
        CHECK(r.code == 2);
    }
    auto const plain = tool({"finetune", "-m", b.model, "-d", b.data, "-o", b.path("no"), "--adapter", b.path("first"),
                             "--dora-norm", "attached"});
    CHECK(plain.code == 2);
    CHECK(plain.says("--method dora or rsdora"));
}

TEST_CASE("adapters: a checkpoint of another method, start, pattern or optimizer is not gone on with") {
    short_run const b;
    words const run{"--steps", "4"};
    done(b, "out", joined(run, {"--stop-after", "2", "--rank-pattern", R"({"q_proj": 3})"}));
    for (auto const& row : {std::pair<words, std::string>{{}, "rank-pattern: "},
                                    {{"--rank-pattern", R"({"q_proj": 2})"}, "modules: "},
                                    {{"--method", "dora"}, R"(method: "lora" there, "dora" here)"},
                                    {{"--init", "pissa"}, R"(init: "kaiming" there, "pissa" here)"},
                                    {{"--dropout", "0.1"}, "dropout: 0.0 there, 0.1 here"},
                                    {{"--optimizer", "lion"}, R"(optimizer: "adamw" there, "lion" here)"},
                                    {{"--beta2", "0.9"}, "beta2: 0.999 there, 0.9 here"},
                                    {{"--lr-ratio-b", "2"}, "lr-ratio-b: "},
                                    {{"--lr-min", "1e-5"}, "lr-min: "},
                                    {{"--scheduler", "linear"}, "scheduler: "}}) {
        auto const& how = row.first;
        auto const& says = row.second;
        auto const r = b.run("out", joined(joined(run, how), {"--resume"}));
        CAPTURE(says);
        CAPTURE(r.err);
        CHECK(r.code == 4);
        CHECK(r.says(says));
    }
    CHECK(b.run("out", joined(run, {"--rank-pattern", R"({"q_proj": 3})", "--resume"})).code == 0);
}
