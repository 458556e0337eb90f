// SPDX-License-Identifier: Apache-2.0
// graft plan: the memory of a training step, from a model's numbers alone.
#include "command.hpp"
#include "memory_budget.hpp"
#include "session.hpp"

#include <graft/block/shapes.hpp>

#include <cstdio>

namespace tool {
namespace {

struct plan_options {
    std::string model, shape, weights = "q4_0";
    bool compare = false, json = false;
    run_options run;

    options declare() {
        options o("plan", "The bytes of a training step, region by region. Nothing is allocated or trained.",
                  "Examples:\n"
                  "  graft plan --model m.gguf --seq-len 1024 --rank 16\n"
                  "  graft plan --shape qwen2.5-0.5b --strategy mesp --tile 64 --phases two --json\n"
                  "  graft plan --shape smollm2-135m --memory-budget 100M\n"
                  "  graft plan --shape qwen2.5-0.5b --seq-len 256 --compare");
        o.text("model", model, "PATH", "a GGUF file or a Hugging Face directory").short_form("m").also({"model-path"});
        std::vector<std::string> names;
        for (auto const& s : named_shapes) names.emplace_back(s.name);
        o.choice("shape", shape, names, "a model by name, without a file");
        o.choice("weights", weights,
                 {"f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"},
                 "the format of a named shape's matrices");
        run.declare(o);
        o.flag("compare", compare, "a line for each strategy, with these options as far as they belong to it");
        o.flag("json", json, "the bytes as an object");
        return o;
    }
};

/// Bytes of a named shape's matrices in one format; rows that are not whole blocks stay f16.
std::uint64_t bytes_of(model_config const& c, format const& how) {
    std::uint64_t bytes = 0;
    for (auto const& t : expected_tensors(c)) {
        if (t.shape.size() != 2) continue;
        format const& own = t.shape[1] % how.block == 0 ? how : f16;
        bytes += static_cast<std::uint64_t>(t.shape[0] * own.row_bytes(t.shape[1]));
    }
    return bytes;
}

/// Bytes of tokenizer and reader for each token of a named shape, whose tokenizer is not there to be measured: those
/// of smollm2-135m's, as `plan --model` finds them.
constexpr index_t bytes_of_a_token = 178;

struct compared {
    std::string what;
    memory_table table;
};

/// The strategies side by side, in this run's lengths, rank, optimizer and types.
std::vector<compared> compare(model_config const& c, run_options const& run, memory_table const& own) {
    run_options bare = run;
    bare.picked.reset();
    strategy_options plain;
    plain.adapter_type = run.gradients.adapter_type;
    std::vector<compared> all;
    auto const add = [&](auto&& change, bool keeps_streams = true) {
        bare.gradients = plain;
        if (keeps_streams) {
            bare.gradients.checkpoint_type = run.gradients.checkpoint_type;
            bare.gradients.apart = run.gradients.apart, bare.gradients.update = run.gradients.update;
        }
        change(bare.gradients);
        auto const s = bare.settings();
        auto table = table_of(c, bare, s, 0, own.reader);
        all.push_back({table.strategy_text, std::move(table)});
    };
    for (char const* const name : {"full", "checkpoint", "mesp-published", "mesp"})
        add([&](strategy_options& g) { g.name = name; });
    add([](strategy_options& g) { g.tile = 64, g.pulled = "two"; });
    add([&](strategy_options& g) { g.name = "lcsb", g.groups = std::min<index_t>(2, c.layers); });
    add([](strategy_options& g) { g.name = "zeroth-order"; }, false);
    if (run.picked || !run.gradients.is("mesp") || run.gradients.text() != "mesp")
        all.push_back({run.picked ? "budget: " + own.strategy_text : "this run: " + own.strategy_text, own});
    return all;
}

void print_comparison(std::vector<compared> const& all) {
    double const whole = all.front().table.work.total();
    std::printf("%12s %12s %12s %9s  %s\n", "peak", "total", "G mul-adds", "of full", "strategy");
    for (auto const& [what, t] : all)
        std::printf("%12s %12s %12.2f %8.1f%%  %s\n", in_mebibytes(t.plan.arena.total()).c_str(),
                    in_mebibytes(t.total()).c_str(), t.work.total() / 1e9, 100 * t.work.total() / whole, what.c_str());
}

result<int> show(plan_options& o, options const& given) {
    if (auto r = o.run.check(given); !r) return r.error();
    if (o.model.empty() == o.shape.empty())
        return usage("a plan needs one model", "--model PATH or --shape NAME", o.model.empty() ? "neither" : "both");
    for (auto const& [option, other] : {std::pair{"weights", "--shape NAME"}, {"resident-limit", "--model PATH"}})
        if (given.given(option) && (option == std::string("weights") ? o.shape : o.model).empty())
            return usage("--" + std::string(option) + " has no meaning here", other,
                         o.shape.empty() ? "--model" : "--shape", other);
    model_config c;
    std::uint64_t mapped = 0;
    index_t reader = 0;
    residency_plan resident;
    if (!o.shape.empty()) {
        c = *find_shape(o.shape);
        mapped = bytes_of(c, *find_format(o.weights)), reader = c.vocabulary * bytes_of_a_token;
    } else {
        auto const m = open_session(o.model, {});
        if (!m) return m.error();
        c = m->config(), mapped = m->file().bytes, reader = reader_bytes(*m);
        if (o.run.resident_limit > 0) {
            auto const r = weight_residency::make(m->file(), static_cast<index_t>(o.run.resident_limit));
            if (!r) return r.error();
            resident = r->plan();
        }
    }
    if (auto r = o.run.settle(given, c); !r) return r.error();
    pick_schedule(c, o.run, o.run.settings(), reader);
    auto const s = o.run.settings();
    auto table = table_of(c, o.run, s, mapped, reader);
    table.resident = resident;
    if (o.run.memory_budget)
        if (auto r = check_budget(c, o.run, s, table); !r) return r.error();
    memory_budget const budget{c, o.run, s, static_cast<index_t>(o.run.memory_budget), reader};
    auto const largest = o.run.memory_budget ? budget.largest_json() : nlohmann::json();
    auto const others = o.compare ? compare(c, o.run, table) : std::vector<compared>{};
    if (o.json) {
        auto j = table.json();
        if (o.run.memory_budget) j["largest"] = largest;
        if (o.compare) {
            j["compared"] = nlohmann::json::array();
            for (auto const& other : others) j["compared"].push_back(other.table.json());
        }
        return print(j), 0;
    }
    if (o.compare) return print_comparison(others), 0;
    std::printf("%s; %s, %s, passes of %td rows, %td threads\n%s", table.strategy_text.c_str(),
                o.run.moved.text().c_str(), o.run.adapters.text().c_str(), o.run.pass_tokens, s.lanes,
                table.text().c_str());
    if (!o.shape.empty())
        std::printf("tokenizer and reader: %td bytes a token, as those of smollm2-135m have\n", bytes_of_a_token);
    if (o.run.memory_budget)
        std::printf(
            "in %s would fit, everything else as it is: --seq-len up to %td, passes of %td rows (%td examples "
            "of --seq-len %td), --rank up to %td\n",
            in_mebibytes(static_cast<double>(o.run.memory_budget)).c_str(), largest["seq_len"].get<index_t>(),
            largest["pass_tokens"].get<index_t>(), largest["batch"].get<index_t>(), o.run.seq_len,
            largest["rank"].get<index_t>());
    return 0;
}

}  // namespace

int plan(arguments const& all) {
    plan_options o;
    auto declared = o.declare();
    auto const parsed = declared.parse(all);
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    auto const done = show(o, declared);
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace tool
