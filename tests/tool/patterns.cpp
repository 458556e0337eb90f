// SPDX-License-Identifier: Apache-2.0
// Patterns that give single modules their rank and alpha, as PEFT has them.
#include <tests/tool/adapter_run.hpp>

using namespace graft_test;
namespace fs = std::filesystem;

TEST_CASE("patterns: modules get the ranks and alphas of the first that matches, from text, a file or options") {
    short_run const b;
    std::string const ranks = R"({"1.self_attn.q_proj": 2, "q_proj": 3, "mlp\\..*_proj": 5})";
    words const how{"--steps", "2", "--rank-pattern", ranks, "--alpha-pattern", R"({"layers.0.mlp.up_proj": 3.5})"};
    done(b, "text", how);
    auto const a = adapter_in(b, "text");
    REQUIRE(a.pairs.size() == 14);
    for (auto const& p : a.pairs) {
        CAPTURE(p.module);
        bool const q = p.module.ends_with("q_proj"), mlp = p.module.find("mlp.") != p.module.npos;
        CHECK(p.rank == (q ? p.module.find("layers.1.") != p.module.npos ? 2 : 3 : mlp ? 5 : 4));
        CHECK(graft::alpha_of(a, p) == (p.module == "model.layers.0.mlp.up_proj" ? 3.5 : 16));
    }
    auto const config = config_in(b, "text");
    CHECK(config["rank_pattern"]["model.layers.1.self_attn.q_proj"] == 2);
    CHECK(config["r"] == 4);

    std::ofstream(b.path("ranks.json")) << ranks;
    done(b, "file",
         {"--steps", "2", "--rank-pattern", "@" + b.path("ranks.json"), "--alpha-pattern",
          R"({"layers.0.mlp.up_proj": 3.5})"});
    CHECK(b.adapter("file") == b.adapter("text"));
    std::ofstream(b.path("options.json"))
        << R"({"alpha_pattern": {"layers.0.mlp.up_proj": 3.5}, "rank_pattern": )" << ranks << "}";
    done(b, "options", {"--steps", "2", "--config", b.path("options.json")});
    CHECK(b.adapter("options") == b.adapter("text"));

    auto const wrong = [&](words const& more, std::string const& says) {
        auto const r = b.run("no", joined({"--steps", "1"}, more));
        CAPTURE(says);
        CAPTURE(r.err);
        CHECK(r.code == 2);
        CHECK(r.says(says));
        CHECK_FALSE(fs::exists(b.path("no")));
    };
    wrong({"--rank-pattern", R"({"q_porj": 3})"}, "matches no module: expected modules such as model.layers.0.self_");
    wrong({"--rank-pattern", R"({"q_porj": 3})"}, "Try: q_proj");
    wrong({"--alpha-pattern", R"({"layers.2.self_attn.q_proj": 3})"}, "Try: model.layers.");
    wrong({"--rank-pattern", R"({"q_proj": 3})", "--targets", "v_proj"}, "Try: --targets with q_proj");
    wrong({"--rank-pattern", R"({"q_proj": 3, "0.self_attn.q_proj": 2})"}, "the narrower pattern first");
    wrong({"--rank-pattern", R"({"k_proj": 17})"}, "at most 16, got 17");
    wrong({"--rank", "17", "--rank-pattern", R"({"k_proj": 16})"}, "above a dimension of v_proj");
    wrong({"--optimizer", "stiefel", "--rank", "17"}, "no more orthonormal columns");
    CHECK(b.run("wide", {"--steps", "1", "--rank", "20", "--rank-pattern", R"({"[kv]_proj": 16})"}).code == 0);
}
