// SPDX-License-Identifier: Apache-2.0
// merge, convert, and adapters that are weighed and added, as processes.
#include <graft/io/adapter.hpp>
#include <graft/io/model_file.hpp>
#include <graft/io/requantize.hpp>

#include <tests/tool/chat_model.hpp>
#include <tests/tool/process.hpp>

#include <algorithm>
#include <cmath>

using namespace graft_test;
namespace fs = std::filesystem;

namespace {

/// A random adapter on all maps.
graft::adapter random_adapter(graft::model_config const& c, graft::index_t rank, std::uint64_t seed, double strength,
                              bool dora = false) {
    graft::adapter a;
    a.base_name = "somebody/tiny", a.arch = c.arch, a.rank = rank, a.alpha = static_cast<double>(rank);
    std::uint64_t which = 0;
    for (graft::index_t l = 0; l < c.layers; ++l)
        for (auto const& m : graft::layer_modules) {
            auto const shape = graft::shape_of_module(c, m.canonical);
            if (shape.empty()) continue;
            graft::lora_pair p{"model.layers." + std::to_string(l) + "." + std::string(m.canonical), rank, shape[1],
                               shape[0]};
            ++which;
            auto const draw = [&](std::uint64_t stream, graft::index_t i) {
                return 2 * graft::uniform(seed, which, static_cast<std::uint32_t>(stream),
                                          static_cast<std::uint64_t>(i)) -
                       1;
            };
            for (graft::index_t i = 0; i < rank * p.in; ++i) p.a.push_back(static_cast<float>(draw(1, i)));
            for (graft::index_t i = 0; i < rank * p.out; ++i) p.b.push_back(static_cast<float>(strength * draw(2, i)));
            for (graft::index_t i = 0; dora && i < p.out; ++i) p.m.push_back(static_cast<float>(1 + 0.3 * draw(3, i)));
            a.pairs.push_back(std::move(p));
        }
    return a;
}

struct files {
    scratch_folder folder;
    std::string model = path("tiny.gguf"), data = path("rows.jsonl");
    std::string path(std::string const& name) const { return (folder.path / name).string(); }
    files() {
        write_chat_model(model), write_rows(data);
        auto const c = graft::open_model(model)->config;
        REQUIRE(graft::write_peft(path("A"), random_adapter(c, 3, 1, 0.1)));
        REQUIRE(graft::write_peft(path("B"), random_adapter(c, 2, 2, 0.1)));
        REQUIRE(graft::write_peft(path("dora"), random_adapter(c, 2, 3, 0.1, true)));
        REQUIRE(graft::write_peft(path("weak"), random_adapter(c, 1, 4, 1e-4)));
    }
    double loss(std::string const& of, std::vector<std::string> const& adapters = {}) const {
        std::vector<std::string> line{"eval", "-m", of, "-d", data, "--json", "--threads", "1"};
        for (auto const& a : adapters) line.insert(line.end(), {"--adapter", a});
        auto const r = tool(line);
        CAPTURE(r.err);
        REQUIRE(r.code == 0);
        return r.json()["loss"].get<double>();
    }
    std::string said(std::string const& of, std::vector<std::string> const& adapters = {}) const {
        std::vector<std::string> line{"generate", "-m", of, "--prompt", "he", "-n", "12", "--threads", "1"};
        for (auto const& a : adapters) line.insert(line.end(), {"--adapter", a});
        auto const r = tool(line);
        CAPTURE(r.err);
        REQUIRE(r.code == 0);
        return r.out;
    }
};

/// One line of error with this code, and the same code in the object.
void refused(ended const& r, int code, std::string const& says) {
    CAPTURE(r.err);
    CAPTURE(says);
    CHECK(r.code == code);
    CHECK(r.says("error: "));
    CHECK(r.says(says));
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
    auto const j = r.json();
    CHECK((j.is_object() && j.contains("error") && j["error"]["code"] == code));
}

}  // namespace

TEST_CASE("merge: the merged model has the loss, and says the words, of the model with the adapter") {
    files const f;
    for (char const* const which : {"A", "dora"}) {
        auto const a = f.path(which), merged = f.path(std::string("merged-") + which);
        auto const r = tool({"merge", "-m", f.model, "--adapter", a, "-o", merged, "--probe", f.data, "--json"});
        CAPTURE(r.err);
        REQUIRE(r.code == 0);
        auto const j = r.json();
        CHECK(j["tensors"].size() == 14);
        CHECK(j["tensors"][0]["lost_share"].get<double>() < 1e-5);
        CHECK(j["lost_share"].get<double>() < 1e-5);
        double const with = f.loss(f.model, {a});
        CHECK(std::abs(with - f.loss(f.model)) > 1e-3);
        CHECK(f.loss(merged) == doctest::Approx(with).epsilon(1e-5));
        CHECK(j["probe"]["base"].get<double>() == doctest::Approx(f.loss(f.model)));
        CHECK(j["probe"]["adapter"].get<double>() == doctest::Approx(with));
        CHECK(j["probe"]["merged"].get<double>() == doctest::Approx(f.loss(merged)));
        CHECK(f.said(merged) == f.said(f.model, {a}));
        CHECK(f.said(merged) != f.said(f.model));
        refused(tool({"merge", "-m", f.model, "--adapter", a, "-o", merged, "--json"}), 6, "is already there");
        CHECK(tool({"merge", "-m", f.model, "--adapter", a, "-o", merged, "--overwrite"}).code == 0);
    }
}

TEST_CASE("merge: what a format loses is told, and warned of when it is most") {
    files const f;
    auto const small = f.path("q4"), out = f.path("out");
    REQUIRE(tool({"quantize", "-m", f.model, "--type", "q4_0", "-o", small}).code == 0);
    auto const keep = tool({"merge", "-m", small, "--adapter", f.path("weak"), "-o", out, "--json"});
    REQUIRE(keep.code == 0);
    CHECK(keep.json()["lost_share"].get<double>() > 0.5);
    CHECK(keep.json()["tensors"][3]["to"] == "q4_0");
    CHECK(keep.says("warning: "));
    auto const wide =
        tool({"merge", "-m", small, "--adapter", f.path("A"), "-o", f.path("q8"), "--type", "q8_0", "--json"});
    REQUIRE(wide.code == 0);
    CHECK(wide.json()["lost_share"].get<double>() < 0.05);
    CHECK(wide.err.empty());
    CHECK(wide.json()["tensors"][3]["to"] == "q8_0");
    auto const shown = tool({"merge", "-m", small, "--adapter", f.path("A"), "-o", out, "--overwrite"});
    CHECK(shown.out.find("blk.1.ffn_down.weight") != std::string::npos);
    CHECK(shown.out.find("14 matrices merged") != std::string::npos);
}

TEST_CASE("adapters: weighed and added, on the command line, in a file, and merged, they are the same") {
    files const f;
    auto const a = f.path("A"), b = f.path("B");
    double const both = f.loss(f.model, {a + ":0.7", b + ":-0.5"});
    CHECK(std::abs(both - f.loss(f.model, {a})) > 1e-3);
    CHECK(f.loss(f.model, {a + ":1", b + ":0"}) == doctest::Approx(f.loss(f.model, {a})).epsilon(1e-5));
    for (char const* const name : {"sum.gguf", "sum"}) {
        REQUIRE(
            tool({"convert", "-m", f.model, "--adapter", a + ":0.7", "--adapter=" + b + ":-0.5", "-o", f.path(name)})
                .code == 0);
        CHECK(f.loss(f.model, {f.path(name)}) == doctest::Approx(both).epsilon(1e-5));
    }
    REQUIRE(tool({"merge", "-m", f.model, "--lora", a + ":0.7", "--adapter", b + ":-0.5", "-o", f.path("m")}).code ==
            0);
    CHECK(f.loss(f.path("m")) == doctest::Approx(both).epsilon(1e-5));
    CHECK(f.said(f.path("m")) == f.said(f.model, {a + ":0.7", b + ":-0.5"}));

    fs::copy(a, a + ":0.7", fs::copy_options::recursive);  // a path that exists is that path
    CHECK(f.loss(f.model, {a + ":0.7"}) == f.loss(f.model, {a}));
    CHECK(f.loss(f.model, {a + ":0.7:0"}) == doctest::Approx(f.loss(f.model)).epsilon(1e-6));
}

TEST_CASE("convert: an adapter goes to the other format and back") {
    files const f;
    auto const a = f.path("A");
    auto const there = tool({"convert", "-m", f.model, "--adapter", a, "-o", f.path("a.gguf"), "--json"}).json();
    CHECK(there["kind"] == "GGUF adapter");
    CHECK(there["pairs"] == 14);
    CHECK(tool({"convert", "-m", f.model, "--adapter", f.path("a.gguf"), "-o", f.path("back")}).code == 0);
    CHECK(read_file(f.path("back") + "/adapter_model.safetensors") == read_file(a + "/adapter_model.safetensors"));
    auto const same = tool({"convert", "-m", f.model, "--adapter", f.path("dora"), "-o", f.path("dora2"), "--json"});
    CHECK(same.json()["method"] == "dora");
    CHECK(read_file(f.path("dora2") + "/adapter_model.safetensors") ==
          read_file(f.path("dora") + "/adapter_model.safetensors"));
    CHECK(read_file(f.path("dora2") + "/adapter_config.json") == read_file(f.path("dora") + "/adapter_config.json"));
    refused(tool({"convert", "-m", f.model, "--adapter", f.path("dora"), "-o", f.path("d.gguf"), "--json"}), 4,
            "graft merge");
    CHECK_FALSE(fs::exists(f.path("d.gguf")));
    refused(tool({"convert", "-m", f.model, "--adapter", a, "-o", f.path("a.gguf"), "--json"}), 6, "is already there");
}

TEST_CASE("merge, convert, adapters: what cannot be is told in one line") {
    files const f;
    auto const a = f.path("A"), out = f.path("out");
    refused(tool({"merge", "-m", f.model, "--adapter", a, "--json"}), 2, "--output");
    refused(tool({"merge", "-m", f.model, "-o", out, "--json"}), 2, "--adapter");
    refused(tool({"merge", "-m", f.model, "--adapter", "--json"}), 2, "--adapter");
    refused(tool({"merge", "-m", f.model, "--adapter", "", "-o", out, "--json"}), 2, "PATH");
    refused(tool({"merge", "-m", f.model, "--adapter", a + ":x", "-o", out, "--json"}), 2, "number");
    refused(tool({"merge", "-m", f.model, "--adapter", a + ":nan", "-o", out, "--json"}), 2, "number");
    refused(tool({"merge", "-m", f.model, "--adapter", a + ":1e9", "-o", out, "--json"}), 2, "number");
    refused(tool({"merge", "-m", f.model, "--adapter", f.path("none") + ":2", "-o", out, "--json"}), 6, "none");
    refused(tool({"merge", "-m", f.model, "--adapter", f.model, "-o", out, "--json"}), 4, "is not an adapter");
    refused(tool({"merge", "-m", f.model, "--adapter", a, "-o", out, "--type", "q4_k", "--json"}), 2, "not written");
    refused(tool({"merge", "-m", f.model, "--adapter", a, "-o", f.model, "--overwrite", "--json"}), 2, "tiny.gguf");
    refused(tool({"merge", "-m", f.model, "--adapter", a, "-o", out, "--probe", f.path("none"), "--json"}), 6, "none");
    CHECK_FALSE(fs::exists(out));
    refused(tool({"merge", "-m", f.model, "--adapter", a, "--adapter", f.path("dora"), "-o", out, "--json"}), 4,
            "DoRA");
    refused(tool({"eval", "-m", f.model, "-d", f.data, "--adapter", f.path("dora") + ":0.5", "--json"}), 4, "DoRA");
    refused(tool({"generate", "-m", f.model, "--prompt", "x", "--adapter", a, "--adapter", f.path("none"), "--json"}),
            6, "none");
    {
        auto const other = f.path("wide.gguf");
        write_chat_model(other, {.width = 64});
        refused(tool({"merge", "-m", other, "--adapter", a, "-o", out, "--json"}), 4, "does not belong");
    }
}
