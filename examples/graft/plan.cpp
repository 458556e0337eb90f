// SPDX-License-Identifier: Apache-2.0
// graft plan: the memory of a training step, from a model's numbers alone.
#include "command.hpp"
#include "memory_table.hpp"
#include "run_options.hpp"

#include <graft/block/shapes.hpp>
#include <graft/io/model_file.hpp>

#include <cstdio>

namespace tool {
namespace {

struct plan_options {
    std::string model, shape, weights = "q4_0";
    bool json = false;
    run_options run;

    options declare() {
        options o("plan", "The bytes of a training step, region by region. Nothing is allocated or trained.",
                  "Examples:\n"
                  "  graft plan --model m.gguf --seq-len 1024 --rank 16\n"
                  "  graft plan --shape qwen2.5-0.5b --strategy mesp --tile 64 --phases two --json\n"
                  "  graft plan --shape smollm2-135m --memory-budget 100MiB");
        o.text("model", model, "PATH", "a GGUF file or a Hugging Face directory").short_form("m").also({"model-path"});
        std::vector<std::string> names;
        for (auto const& s : named_shapes) names.emplace_back(s.name);
        o.choice("shape", shape, names, "a model by name, without a file");
        o.choice("weights", weights,
                 {"f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"},
                 "the format of a named shape's matrices");
        run.declare(o);
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

result<int> show(plan_options& o, options const& given) {
    if (auto r = o.run.check(given); !r) return r.error();
    if (o.model.empty() == o.shape.empty())
        return usage("a plan needs one model", "--model PATH or --shape NAME", o.model.empty() ? "neither" : "both");
    if (!o.model.empty() && given.given("weights"))
        return usage("--weights belongs to --shape; a file has its own", "--shape NAME", "--model");
    model_config c;
    std::uint64_t mapped = 0;
    if (!o.shape.empty()) {
        c = *find_shape(o.shape);
        mapped = bytes_of(c, *find_format(o.weights));
    } else {
        auto const file = open_model(o.model, {.tokenizer = false});
        if (!file) return file.error();
        c = file->config, mapped = file->bytes;
    }
    if (auto r = o.run.settle(given, c.context); !r) return r.error();
    auto const s = o.run.settings();
    auto const table = table_of(c, s, mapped);
    if (o.run.memory_budget)
        if (auto r = check_budget(c, o.run, s, table); !r) return r.error();
    if (o.json) return print(table.json()), 0;
    std::printf("%s, %s, %s of rank %td on %s, passes of %td rows, %td threads\n%s", o.run.strategy.c_str(),
                o.run.optimizer.c_str(), o.run.method.c_str(), o.run.rank, o.run.target_text().c_str(),
                o.run.pass_tokens, s.lanes, table.text().c_str());
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
