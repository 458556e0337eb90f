// SPDX-License-Identifier: Apache-2.0
// The example that fine-tunes inside a program of its own: what its callbacks print, and what it leaves.
#include <tests/tool/chat_model.hpp>
#include <tests/tool/process.hpp>

#include <graft/io/adapter.hpp>
#include <graft/io/model_file.hpp>

#include <cstdio>
#include <sstream>

using namespace graft_test;

TEST_CASE("example 10: prints steps and held-out losses that fall, an answer, and saves an adapter in both formats") {
    scratch_folder const folder;
    auto const path = [&](char const* name) { return (folder.path / name).string(); };
    write_rows(path("rows.jsonl"), 20);
    for (auto const arch : {graft::architecture::llama, graft::architecture::qwen2}) {
        write_chat_model(path("tiny.gguf"), {.arch = arch});
        auto const r = example("10_fine_tune_inside", {path("tiny.gguf"), path("rows.jsonl"), path("adapter")});
        INFO(r.err);
        REQUIRE(r.code == 0);
        std::vector<double> losses, held_out;
        std::vector<int> steps, evaluated;
        bool answered = false, saved = false;
        std::istringstream lines(r.out);
        for (std::string line; std::getline(lines, line);) {
            int step = 0;
            double loss = 0;
            if (std::sscanf(line.c_str(), "step %d of 30: loss %lf", &step, &loss) == 2)
                steps.push_back(step), losses.push_back(loss);
            if (std::sscanf(line.c_str(), "after step %d: held-out loss %lf", &step, &loss) == 2)
                evaluated.push_back(step), held_out.push_back(loss);
            answered |= line.starts_with("What is graft? ");
            saved |= line == "saved " + path("adapter");
        }
        INFO(r.out);
        CHECK(steps == std::vector<int>{5, 10, 15, 20, 25, 30});
        CHECK(losses.back() < 0.9 * losses.front());
        CHECK(evaluated == std::vector<int>{0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30});
        CHECK(held_out.back() < 0.9 * held_out.front());
        CHECK(answered);
        CHECK(saved);

        auto const model = graft::open_model(path("tiny.gguf"));
        REQUIRE(model);
        auto const peft = graft::open_adapter(path("adapter"), model->config);
        auto const gguf = graft::open_adapter(path("adapter") + "/adapter.gguf", model->config);
        REQUIRE(peft);
        REQUIRE(gguf);
        CHECK(peft->pairs == gguf->pairs);
        CHECK(peft->rank == 8);
        auto const again = example("10_fine_tune_inside", {path("tiny.gguf"), path("rows.jsonl"), path("adapter")});
        CHECK(again.out == r.out);
        auto const eval = tool({"eval", "-m", path("tiny.gguf"), "-d", path("rows.jsonl"), "--split", "held_out",
                                "--seq-len", "128", "--adapter", path("adapter"), "--json"});
        CHECK(eval.json()["loss"].get<double>() == doctest::Approx(held_out.back()).epsilon(1e-3));
    }
    auto const wrong = example("10_fine_tune_inside", {path("rows.jsonl")});
    CHECK(wrong.code == 3);
    CHECK(wrong.says("error: "));
}
