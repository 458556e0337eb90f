// SPDX-License-Identifier: Apache-2.0
// graft finetune as a process: what it writes, that it resumes to the bit, and how it stops.
#include <tests/tool/short_run.hpp>

#include <graft/io/adapter.hpp>
#include <graft/io/model_file.hpp>

#include <chrono>
#include <thread>

using namespace graft_test;
namespace fs = std::filesystem;

TEST_CASE(
    "finetune: a run lowers the held-out loss and leaves an adapter in both formats, metrics, a plot and a record") {
    for (auto const arch : {graft::architecture::llama, graft::architecture::qwen2}) {
        short_run const b({.arch = arch});
        auto const r = b.run("out", {"--epochs", "8", "--show-sample"});
        INFO(r.err);
        REQUIRE(r.code == 0);
        auto const s = r.json();
        CHECK(s["loss_after"].get<double>() < 0.7 * s["loss_before"].get<double>());
        CHECK(s["steps"] == 24);
        CHECK(s["planned_bytes"] == s["high_water_bytes"]);
        CHECK(s["tokens"].get<int>() > 24 * 4 * 20);
        CHECK(s["peak_rss_anon_bytes"].get<double>() > s["planned_bytes"].get<double>() / 2);
        CHECK(r.says("[[he says "));
        CHECK(r.says("<|im_end|>]]"));

        auto const model = graft::open_model(b.model);
        REQUIRE(model);
        auto const peft = graft::open_adapter(b.path("out"), model->config);
        auto const gguf = graft::open_adapter(s["adapter"]["gguf"].get<std::string>(), model->config);
        REQUIRE(peft);
        REQUIRE(gguf);
        CHECK(peft->pairs == gguf->pairs);
        CHECK(peft->pairs.size() == 14);

        auto const metrics = lines_of(b.path("out") + "/metrics.jsonl");
        CHECK(metrics.size() == 24 + 9);  // a line a step; validations before the first step and after every epoch
        CHECK(metrics.front()["validation_loss"] == s["loss_before"]);
        CHECK(metrics.back()["validation_loss"] == s["loss_after"]);
        CHECK(read_file(b.path("out") + "/loss.svg").find("<polyline") != std::string::npos);
        CHECK(nlohmann::json::parse(read_file(b.path("out") + "/run.json"))["options"]["rank"] == 4);

        auto const before = tool({"eval", "-m", b.model, "-d", b.data, "--split", "held_out", "--json"});
        auto const after =
            tool({"eval", "-m", b.model, "-d", b.data, "--split", "held_out", "--json", "--adapter", b.path("out")});
        auto const same = tool({"eval", "-m", b.model, "-d", b.data, "--split", "held_out", "--json", "--adapter",
                                b.path("out") + "/adapter.gguf"});
        CHECK(before.json()["loss"].get<double>() == doctest::Approx(s["loss_before"].get<double>()).epsilon(1e-5));
        CHECK(after.json()["loss"].get<double>() == doctest::Approx(s["loss_after"].get<double>()).epsilon(1e-5));
        CHECK(same.json()["loss"] == after.json()["loss"]);
    }
}

TEST_CASE("finetune: stopped after any step and resumed, it gives the same bytes as a run without a stop") {
    short_run const b;
    for (char const* const strategy : {"mesp", "full"})
        for (char const* const optimizer : {"adamw", "sgd"}) {
            std::vector<std::string> const how{"--steps",     "5",       "--strategy", strategy,
                                               "--optimizer", optimizer, "--overwrite"};
            REQUIRE(b.run("whole", how).code == 0);
            for (int stop = 1; stop < 5; ++stop) {
                CAPTURE(strategy);
                CAPTURE(optimizer);
                CAPTURE(stop);
                auto first = how;
                first.insert(first.end(), {"--stop-after", std::to_string(stop)});
                auto const part = b.run("parts", first);
                CHECK(part.code == 0);
                CHECK(part.json()["steps"] == stop);
                CHECK_FALSE(fs::exists(b.path("parts") + "/adapter.gguf"));
                auto rest = how;
                rest.back() = "--resume";
                auto const done = b.run("parts", rest);
                INFO(done.err);
                CHECK(done.code == 0);
                CHECK(b.adapter("parts") == b.adapter("whole"));
                CHECK(lines_of(b.path("parts") + "/metrics.jsonl").size() ==
                      lines_of(b.path("whole") + "/metrics.jsonl").size());
                fs::remove_all(b.path("parts"));
            }
        }
}

TEST_CASE("finetune: stopped twice and resumed with other threads, the bytes are the same") {
    short_run const b;
    REQUIRE(b.run("whole", {"--steps", "6"}).code == 0);
    REQUIRE(b.run("parts", {"--steps", "6", "--stop-after", "2"}).code == 0);
    REQUIRE(b.run("parts", {"--steps", "6", "--stop-after", "2", "--resume", "--threads", "2"}).code == 0);
    REQUIRE(b.run("parts", {"--steps", "6", "--resume"}).code == 0);
    CHECK(b.adapter("parts") == b.adapter("whole"));
    CHECK(b.run("parts", {"--steps", "6", "--resume"}).code == 0);  // all is done: nothing changes
    CHECK(b.adapter("parts") == b.adapter("whole"));
}

TEST_CASE("finetune: a signal ends it after a step, with a checkpoint and the code of the signal") {
    short_run const b;
    std::vector<std::string> const how{"--steps", "400", "--eval-every", "1000"};
    REQUIRE(b.run("whole", how).code == 0);
    for (int const signal : {SIGINT, SIGTERM}) {
        process running(b.line("parts", how));
        for (int i = 0; i < 2000 && (!fs::exists(b.path("parts") + "/metrics.jsonl") ||
                                     fs::file_size(b.path("parts") + "/metrics.jsonl") < 2000);
             ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        running.send(signal);
        auto const stopped = running.wait();
        INFO(stopped.err);
        CHECK(stopped.code == 128 + signal);
        CHECK(stopped.json()["complete"] == false);
        CHECK(stopped.json()["steps"].get<int>() < 400);
        auto rest = how;
        rest.push_back("--resume");
        CHECK(b.run("parts", rest).code == 0);
        CHECK(b.adapter("parts") == b.adapter("whole"));
        fs::remove_all(b.path("parts"));
    }
}

TEST_CASE("finetune: killed at any moment, it resumes from the last save to the same bytes") {
    short_run const b;
    std::vector<std::string> const how{"--steps", "60", "--save-every", "1", "--eval-every", "1000"};
    REQUIRE(b.run("whole", how).code == 0);
    auto const metrics = b.path("parts") + "/metrics.jsonl";
    auto rest = how;
    for (std::uintmax_t written = 500; written <= 8000; written += 1500) {
        process running(b.line("parts", rest));
        for (int i = 0; i < 2000 && (!fs::exists(metrics) || fs::file_size(metrics) < written); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        running.send(SIGKILL);
        CHECK(running.wait().code == 1000 + SIGKILL);
        if (rest.back() != "--resume") rest.push_back("--resume");
    }
    auto const done = b.run("parts", rest);
    INFO(done.err);
    CHECK(done.code == 0);
    CHECK(b.adapter("parts") == b.adapter("whole"));
    CHECK(lines_of(metrics).size() == 60 + 2);  // no step is told twice
}

TEST_CASE("finetune: two runs cannot share an output directory") {
    short_run const b;
    process running(b.line("out", {"--steps", "100000"}));
    for (int i = 0; i < 2000 && !fs::exists(b.path("out") + "/metrics.jsonl"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    auto const second = b.run("out", {"--steps", "2", "--overwrite"});
    CHECK(second.code == 6);
    CHECK(second.says("in use by another run"));
}

TEST_CASE("finetune: accumulation and packing do not change what an update sees") {
    short_run const b;
    auto const final_loss = [](ended const& r) {
        INFO(r.err);
        REQUIRE(r.code == 0);
        return r.json()["loss_after"].get<double>();
    };
    double const one = final_loss(b.run("one", {"--steps", "4"}));
    double const split =
        final_loss(b.run("split", {"--steps", "4", "--batch-size", "2", "--grad-accum", "2", "--overwrite"}));
    double const wide = final_loss(b.run("wide", {"--steps", "4", "--pass-tokens", "400"}));
    CHECK(split == doctest::Approx(one).epsilon(1e-6));
    CHECK(wide == doctest::Approx(one).epsilon(1e-4));
}

TEST_CASE("finetune: a checkpoint of another run is refused with what differs, a broken one is passed over") {
    short_run const b;
    REQUIRE(b.run("whole", {"--steps", "4"}).code == 0);
    REQUIRE(b.run("out", {"--steps", "4", "--stop-after", "2", "--save-every", "1"}).code == 0);
    auto const rate = b.run("out", {"--steps", "4", "--resume", "--weight-decay", "0.5"});
    CHECK(rate.code == 4);
    CHECK(rate.says("weight-decay: 0.01 there, 0.5 here"));
    CHECK(rate.json()["error"]["code"] == 4);
    auto const steps = b.run("out", {"--steps", "5", "--resume"});
    CHECK(steps.code == 4);
    CHECK(steps.says("steps: 4 there, 5 here"));

    fs::copy_file(b.data, b.path("kept"));
    std::ofstream(b.data, std::ios::app) << "{\"prompt\": \"x\", \"completion\": \"y\"}\n";
    CHECK(b.run("out", {"--steps", "4", "--resume"}).code != 0);
    write_rows(b.data, 9);
    auto const data = b.run("out", {"--steps", "4", "--resume"});
    CHECK(data.code == 4);
    CHECK(data.says("data."));
    fs::copy_file(b.path("kept"), b.data, fs::copy_options::overwrite_existing);
    write_chat_model(b.model, {.seed = 2});
    auto const base = b.run("out", {"--steps", "4", "--resume"});
    CHECK(base.code == 4);
    CHECK(base.says("base.tensors"));
    write_chat_model(b.model);

    auto const newest = b.path("out") + "/checkpoints/step-2/adapters.f32";
    auto bytes = read_file(newest);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(newest, std::ios::binary) << bytes;
    auto const older = b.run("out", {"--steps", "4", "--resume"});
    CHECK(older.code == 0);
    CHECK(older.says("passed over"));
    CHECK(older.says("resumed after step 1"));
    CHECK(b.adapter("out") == b.adapter("whole"));

    CHECK(b.run("nothing", {"--steps", "4", "--resume"}).code == 6);
}

TEST_CASE("finetune: nothing in the output directory is lost without being told to") {
    short_run const b;
    fs::create_directory(b.path("out"));
    std::ofstream(b.path("out") + "/mine.txt") << "mine";
    auto const refused = b.run("out", {"--steps", "2"});
    CHECK(refused.code == 2);
    CHECK(refused.says("not empty"));
    CHECK(b.run("out", {"--steps", "2", "--overwrite"}).code == 0);
    auto const first = b.adapter("out");
    CHECK(b.run("out", {"--steps", "3", "--overwrite"}).code == 0);
    CHECK(b.adapter("out") != first);
    CHECK_FALSE(fs::exists(b.path("out") + "/checkpoints/step-2"));
    CHECK(read_file(b.path("out") + "/mine.txt") == "mine");
    CHECK(b.run("rows.jsonl", {"--steps", "2"}).code == 6);  // a file
    auto const model = read_file(b.model);
    CHECK(b.run("log", {"--steps", "2", "--overwrite", "--log", b.model}).code == 2);
    CHECK(b.run("plot", {"--steps", "2", "--overwrite", "--plot", b.model}).code == 2);
    CHECK(read_file(b.model) == model);
    CHECK(b.run("log", {"--steps", "2", "--log", b.path("out") + "/mine.txt"}).code == 6);
    auto const inside =
        tool({"finetune", "-m", b.model, "-d", b.data, "-o", b.path("out"), "--adapter", b.path("out"), "--overwrite"});
    CHECK(inside.code == 2);
}

TEST_CASE("finetune: starting from an adapter goes on from its loss") {
    short_run const b;
    auto const first = b.run("first", {"--epochs", "4"});
    REQUIRE(first.code == 0);
    auto const second = tool({"finetune", "-m", b.model, "-d", b.data, "-o", b.path("second"), "--adapter",
                              b.path("first") + "/adapter.gguf", "--steps", "1", "--lr", "0", "--json"});
    INFO(second.err);
    REQUIRE(second.code == 0);
    CHECK(second.json()["loss_before"].get<double>() ==
          doctest::Approx(first.json()["loss_after"].get<double>()).epsilon(1e-5));
    CHECK(second.says("warning: --lr is 0"));
    CHECK(second.json()["loss_after"] == second.json()["loss_before"]);  // lr 0: nothing moves
    CHECK(nlohmann::json::parse(read_file(b.path("second") + "/run.json"))["options"]["rank"] == 4);
    write_chat_model(b.path("other.gguf"), {.layers = 3, .width = 48});
    CHECK(tool({"finetune", "-m", b.path("other.gguf"), "-d", b.data, "-o", b.path("x"), "--adapter", b.path("first")})
              .code == 4);
}

TEST_CASE("finetune: training that diverges ends with code 7 and saves nothing that is not finite") {
    short_run const b({.scale = std::numeric_limits<float>::infinity()});
    auto const r = b.run("out", {"--steps", "9", "--save-every", "1"});
    CHECK(r.code == 7);
    CHECK(r.says("three times in a row"));
    CHECK(r.json()["error"]["cause"] == "diverged");
    CHECK_FALSE(fs::exists(b.path("out") + "/adapter.gguf"));
    CHECK_FALSE(fs::exists(b.path("out") + "/adapter_model.safetensors"));

    short_run const good;
    auto const wild = good.run("out", {"--steps", "30", "--optimizer", "sgd", "--lr", "1e9", "--max-grad-norm", "0"});
    CHECK(wild.code == 7);
    CHECK_FALSE(fs::exists(good.path("out") + "/adapter.gguf"));
}

TEST_CASE("finetune: a run that will not fit is refused before it begins, with what would fit") {
    short_run const b;
    auto const r = b.run("out", {"--steps", "2", "--memory-budget", "450KiB"});
    CHECK(r.code == 5);
    CHECK(r.says("--memory-budget"));
    CHECK(r.says("Try: --seq-len "));
    CHECK_FALSE(fs::exists(b.path("out")));
    auto const at = r.err.find("--seq-len ") + 10;
    std::string const fits = std::to_string(std::stoi(r.err.substr(at)));
    CHECK(tool({"plan", "-m", b.model, "--rank", "4", "--threads", "1", "--seq-len", fits, "--memory-budget", "450KiB"})
              .code == 0);
    CHECK(tool({"plan", "-m", b.model, "--rank", "4", "--threads", "1", "--seq-len",
                std::to_string(std::stoi(fits) + 1), "--memory-budget", "450KiB"})
              .code == 5);

    auto const dry = b.run("out", {"--steps", "2", "--dry-run"});
    CHECK(dry.code == 0);
    CHECK(dry.json()["steps"] == 2);
    CHECK_FALSE(fs::exists(b.path("out")));
    auto const plan = tool({"plan", "-m", b.model, "--rank", "4", "--threads", "1", "--seq-len", "96", "--json"});
    CHECK(plan.json() == dry.json()["plan"]);
    CHECK(b.run("out", {"--steps", "2"}).json()["planned_bytes"] == plan.json()["peak_bytes"]);
}

TEST_CASE("finetune: a profile's entries add up to the steps, and change no bit of what is trained") {
    short_run const b;
    auto const plain = b.run("plain", {"--steps", "4"});
    auto const told = b.run("told", {"--steps", "4", "--profile", "--threads", "2"});
    INFO(told.err);
    REQUIRE(plain.code == 0);
    REQUIRE(told.code == 0);
    CHECK(b.adapter("told") == b.adapter("plain"));
    CHECK(told.says("frozen weights, backward"));
    CHECK(told.says("decoding stored weights: "));
    CHECK_FALSE(fs::exists(b.path("plain") + "/profile.json"));

    auto const p = nlohmann::json::parse(read_file(b.path("told") + "/profile.json"));
    CHECK(p["steps"] == 4);
    CHECK(p["threads"] == 2);
    double seconds = 0, shares = 0;
    std::vector<int> attention;  // calls in each part: one a layer and pass
    for (auto const& e : p["entries"]) {
        seconds += e["seconds"].get<double>(), shares += e["share"].get<double>();
        if (e["kind"] == "attention") attention.push_back(e["calls"].get<int>());
    }
    REQUIRE(attention.size() == 3);  // forward, computed again, backward
    CHECK(attention[0] >= 4 * 2);
    CHECK(attention[0] % 2 == 0);
    CHECK(attention[1] == attention[0]);
    CHECK(attention[2] == attention[0]);
    CHECK(seconds == doctest::Approx(p["seconds"].get<double>()));
    CHECK(shares == doctest::Approx(1));
    CHECK(p["profiled_seconds"].get<double>() <= p["seconds"].get<double>());
    CHECK(p["parts"]["backward"]["decoding_share"].get<double>() > 0);

    auto const again = b.run("told", {"--steps", "4", "--profile", "--threads", "2", "--resume"});  // nothing is left
    CHECK(again.code == 0);
    CHECK_FALSE(again.says("frozen weights, backward"));
    CHECK(nlohmann::json::parse(read_file(b.path("told") + "/profile.json")) == p);
}
