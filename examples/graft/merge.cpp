// SPDX-License-Identifier: Apache-2.0
// graft merge: a copy of a model with adapters merged into its matrices, and what the format loses of them.
#include "adapter_option.hpp"
#include "evaluator.hpp"
#include "options.hpp"
#include "spelling.hpp"

#include <graft/io/merge.hpp>
#include <graft/text/json.hpp>

#include <cstdio>
#include <optional>

namespace tool {
namespace {

struct merge_line {
    std::string model, output, type = "keep", probe, chat_format;
    adapter_list adapters;
    bool json = false, overwrite = false;
    index_t seq_len = 512, threads = 0;

    options declare() {
        options o(
            "merge",
            "A copy of a GGUF model with adapters merged into its matrices: W + s B A, and DoRA's\n"
            "diag(m / n)(W + s B A). Everything else is copied. A quantised matrix is rounded again: the share\n"
            "of the change that its format loses is told for each.",
            "Examples:\n"
            "  graft merge --model m.gguf --adapter out --output merged.gguf\n"
            "  graft merge --model m.q4_k.gguf --adapter out --type q8_0 --output merged.gguf --probe rows.jsonl\n"
            "  graft merge --model m.gguf --adapter A:0.7 --adapter B --output merged.gguf --json");
        o.text("model", model, "FILE", "a GGUF file").short_form("m").required().also({"model-path"});
        adapters.declare(o).required();
        o.text("output", output, "FILE", "the merged model").short_form("o").required();
        o.choice("type", type, {"keep", "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0"},
                 "the format of all matrices; keep: each as it is",
                 {{"q4_k", "can be read but not written"},
                  {"q5_k", "can be read but not written"},
                  {"q6_k", "can be read but not written"}})
            .also({"outtype"});
        o.text("probe", probe, "FILE",
               "JSON Lines or plain text: the loss of the model, of model and adapter, and of the merged model");
        o.text("chat-format", chat_format, "NAME", "of the probe: chatml, llama3 or none; else by the template");
        o.count("seq-len", seq_len, 2, 1 << 20, "of the probe: tokens of a row; longer ones are cut");
        o.count("threads", threads, 0, 256, "of the probe; 0: as many as the machine has").short_form("t");
        o.flag("overwrite", overwrite, "replace an existing file");
        o.flag("json", json, "what was done, as an object");
        return o;
    }
};

/// Losses on the probe; `unmerged` is missing for an adapter that only a merged model can carry.
struct losses {
    double base = 0, merged = 0;
    std::optional<double> unmerged{};
};

nlohmann::json as_json(merge_line const& o, merge_report const& r, std::optional<losses> const& probe) {
    nlohmann::json tensors = nlohmann::json::array();
    for (auto const& t : r.tensors)
        tensors.push_back({{"name", t.name},
                           {"from", t.from->name},
                           {"to", t.to->name},
                           {"delta", t.delta},
                           {"lost", t.lost},
                           {"lost_share", t.share()}});
    nlohmann::json j{{"output", o.output},
                     {"tensors", tensors},
                     {"delta", r.delta},
                     {"lost", r.lost},
                     {"lost_share", r.share()},
                     {"bytes_before", r.bytes_before},
                     {"bytes_after", r.bytes_after}};
    if (probe) {
        j["probe"] = {{"base", probe->base}, {"merged", probe->merged}};
        j["probe"]["adapter"] = probe->unmerged ? nlohmann::json(*probe->unmerged) : nlohmann::json();
    }
    return j;
}

void show(merge_line const& o, merge_report const& r, std::optional<losses> const& probe) {
    std::printf("%-28s %-5s %-5s %12s %9s\n", "tensor", "from", "to", "|change|", "lost");
    for (auto const& t : r.tensors)
        std::printf("%-28s %-5s %-5s %12.5g %8.2f%%\n", printable(t.name, 60).c_str(), t.from->name, t.to->name,
                    t.delta, 100 * t.share());
    std::printf("%-28s %-5s %-5s %12.5g %8.2f%%\n", "all", "", "", r.delta, 100 * r.share());
    if (probe) {
        std::printf("loss of the model     %.4f\n", probe->base);
        if (probe->unmerged) std::printf("with the adapter      %.4f\n", *probe->unmerged);
        std::printf("of the merged model   %.4f\n", probe->merged);
    }
    std::printf("%s: %zu matrices merged; %s of weights, were %s\n", o.output.c_str(), r.tensors.size(),
                in_mebibytes(static_cast<double>(r.bytes_after)).c_str(),
                in_mebibytes(static_cast<double>(r.bytes_before)).c_str());
}

result<dataset> read_probe(any_model const& m, merge_line const& o) {
    auto const text = read_text(o.probe);
    if (!text) return text.error();
    auto data = read_dataset(*text, o.probe, m.words(), m.chat(), {.seq_len = o.seq_len});
    if (data) warn_of_data(m, *data, *text, o.probe);
    return data;
}

result<int> run(merge_line const& o) {
    auto const model = open_model(o.model, {.tokenizer = false});
    if (!model) return model.error();
    auto const a = open_adapters(o.adapters.choices, model->config);
    if (!a) return a.error();
    std::optional<losses> probe;
    std::optional<dataset> data;
    if (!o.probe.empty()) {  // before anything is written: what is wrong with it is told now
        auto const m = open_session(o.model, o.chat_format);
        if (!m) return m.error();
        auto rows = read_probe(*m, o);
        if (!rows) return rows.error();
        data = std::move(*rows);
        auto const base = mean_loss(*m, nullptr, *data, o.seq_len, o.threads);
        if (!base) return base.error();
        probe = losses{*base};
        if (check_block_adapter(*a)) {
            auto const unmerged = mean_loss(*m, &*a, *data, o.seq_len, o.threads);
            if (!unmerged) return unmerged.error();
            probe->unmerged = *unmerged;
        }
    }
    format const* const type = o.type == "keep" ? nullptr : find_format(o.type);
    auto const report = graft::merge(o.model, *a, o.output, {type, {o.overwrite, {o.model}, {}}});
    if (!report) return report.error();
    if (probe) {
        auto const m = open_session(o.output, o.chat_format);
        if (!m) return m.error();
        auto const merged = mean_loss(*m, nullptr, *data, o.seq_len, o.threads);
        if (!merged) return merged.error();
        probe->merged = *merged;
    }
    if (o.json)
        print(as_json(o, *report, probe));
    else
        show(o, *report, probe);
    char room[160];
    std::snprintf(room, sizeof room, "rounding to the format loses %.0f %% of the adapter's change of the weights",
                  100 * report->share());
    if (report->share() > 0.5)
        warn(o.output + ": " + room + ": --type q8_0 or f16 keep more, and an adapter beside the model keeps all");
    return 0;
}

}  // namespace

int merge(arguments const& all) {
    merge_line o;
    auto declared = o.declare();
    auto const parsed = declared.parse(adapter_list::gather(all));
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    auto const done = run(o);
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace tool
