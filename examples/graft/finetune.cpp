// SPDX-License-Identifier: Apache-2.0
// graft finetune: from a model and a data file to an adapter that other tools accept.
#include "fine_tuning.hpp"
#include "memory_budget.hpp"
#include "output_directory.hpp"
#include "profile_report.hpp"
#include "session.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace tool {
namespace {

constexpr char const no_gguf[] =
    "GGUF's adapters have no place for DoRA's magnitudes; `graft merge` makes a model that has them";

/// What is known before any memory is taken.
struct prepared {
    any_model base;
    packed_data data;
    std::optional<adapter> start;
    index_t steps = 0, reader = 0;  // bytes of tokenizer and reader
    run_identity identity;
};

/// A fused update takes one pass: all its examples must fit it, whichever they are.
result<void> check_fused(prepared const& p, finetune_options const& o) {
    if (!o.run.gradients.fused()) return {};
    std::vector<index_t> rows;
    for (index_t const i : p.data.split().train)
        rows.push_back(rows_of(p.data.source().examples[static_cast<std::size_t>(i)]));
    std::sort(rows.rbegin(), rows.rend());
    index_t sum = 0;
    for (std::size_t i = 0; i < std::min(rows.size(), static_cast<std::size_t>(o.batch_size)); ++i) sum += rows[i];
    if (sum <= o.run.pass_tokens || o.batch_size == 1) return {};
    return usage("--update fused takes all examples of an update in one pass",
                 "--pass-tokens " + std::to_string(sum) + " for --batch-size " + std::to_string(o.batch_size),
                 std::to_string(o.run.pass_tokens), "--batch-size 1, or --pass-tokens " + std::to_string(sum));
}

result<prepared> prepare(finetune_options& o, options const& given) {
    if (auto r = o.check(given); !r) return r.error();
    if (auto r = check_output(o); !r) return r.error();
    auto base = open_session(o.model, o.chat_format);
    if (!base) return base.error();
    std::optional<adapter> start;
    if (!o.adapter.empty()) {
        auto a = open_block_adapter(o.adapter, base->config());
        if (!a) return a.error();
        o.run.adapters.take(*a, base->config());
        start = std::move(*a);
    }
    if (auto r = o.run.settle(given, base->config()); !r) return r.error();

    auto const text = read_text(o.data);
    if (!text) return text.error();
    auto const on = find_train_on(o.train_on);
    if (!on) return on.error();
    auto rows = read_dataset(*text, o.data, base->words(), base->chat(),
                             {.seq_len = o.run.seq_len, .on = *on, .skip_bad = o.skip_bad / 100});
    if (!rows) return rows.error();
    warn_of_data(*base, *rows, *text, o.data);
    data_settings how;
    how.pass_tokens = o.run.pass_tokens, how.examples = o.batch_size * o.grad_accum, how.validation = o.val_split,
    how.seed = o.seed;
    auto data = packed_data::make(std::move(*rows), how, o.data);
    if (!data) return data.error();
    prepared p{std::move(*base), std::move(*data), std::move(start), 0, 0, {}};
    if (auto r = check_fused(p, o); !r) return r.error();
    p.reader = reader_bytes(p.base);
    pick_schedule(p.base.config(), o.run, o.run.settings(o.max_grad_norm), p.reader);
    p.steps = steps_of(o.schedule(), p.data.updates_per_epoch());
    p.identity = {{"options", given.values(true)},
                  {"modules", o.run.adapters.identity()},
                  {"steps", p.steps},
                  {"schedule", o.run.picked ? nlohmann::json(describe(o.run.picked->strategy, p.base.config().layers))
                                            : nlohmann::json()},  // the options say it
                  {"base", {{"tensors", identify(p.base.file())}, {"chat_format", p.base.chat().name()}}},
                  {"data", {{"bytes", fingerprint().add(*text).text()}, {"rows", p.data.source().rows}}}};
    return p;
}

void tell(prepared const& p, finetune_options const& o, memory_table const& table, index_t lanes) {
    auto const& c = p.base.config();
    auto const& rows = p.data.source();
    std::fprintf(stderr, "model   %s: %s, %td layers of width %td, %s\n", printable(p.base.file().name).c_str(),
                 name_of(c.arch), c.layers, c.width, printable(o.model).c_str());
    std::fprintf(stderr, "data    %s: %zu rows to train on, %zu held out, %td of %td tokens count; chat format %s\n",
                 rows.kind.c_str(), p.data.split().train.size(), p.data.split().validation.size(), rows.target_tokens,
                 rows.tokens, std::string(p.base.chat().name()).c_str());
    if (o.lr == 0) warn("--lr is 0: nothing will be learnt");
    std::fprintf(stderr, "run     %td steps, %td an epoch, of %td examples; %s, %s, %td threads\n", p.steps,
                 p.data.updates_per_epoch(), o.batch_size * o.grad_accum, o.run.adapters.text().c_str(),
                 o.run.moved.text().c_str(), lanes);
    if (o.run.picked && o.run.picked->fits)
        std::fprintf(stderr, "budget  %s picks: %s\n", in_mebibytes(static_cast<double>(o.run.memory_budget)).c_str(),
                     table.strategy_text.c_str());
    else
        std::fprintf(stderr, "strategy %s\n", table.strategy_text.c_str());
    if (!o.no_clipping.empty()) std::fprintf(stderr, "note    no clipping: %s\n", o.no_clipping.c_str());
    if (o.run.adapters.is_dora()) std::fprintf(stderr, "note    no adapter.gguf: %s\n", no_gguf);
    std::fprintf(stderr, "plan    of a pass of %td rows\n%s", o.run.pass_tokens, table.text().c_str());
}

/// The first row to train on as the model reads it; what counts stands in [[ ]].
void show_sample(prepared const& p) {
    training_example const& e = p.data.source().examples[static_cast<std::size_t>(p.data.split().train.front())];
    std::string s;
    for (std::size_t i = 0; i < e.ids.size(); ++i) {
        bool const counts = e.target[i] != 0, before = i > 0 && e.target[i - 1] != 0,
                   after = i + 1 < e.ids.size() && e.target[i + 1] != 0;
        s += (counts && !before ? "[[" : "") + std::string(p.base.words().bytes(e.ids[i])) +
             (counts && !after ? "]]" : "");
    }
    std::fprintf(stderr, "sample  line %td, what counts in [[ ]]:\n%s\n", e.line, s.c_str());
}

result<int> train(prepared& p, finetune_options const& o, options const& given) {
    auto const& config = p.base.config();
    auto const settings = o.run.settings(o.max_grad_norm, o.seed);
    auto table = table_of(config, o.run, settings, p.base.file().bytes, p.reader);
    if (o.run.resident_limit > 0) {
        auto const resident = weight_residency::make(p.base.file(), static_cast<index_t>(o.run.resident_limit));
        if (!resident) return resident.error();
        table.resident = resident->plan();
    }
    tell(p, o, table, settings.lanes);
    if (o.show_sample) show_sample(p);
    if (auto r = check_budget(config, o.run, settings, table); !r) return r.error();
    if (o.dry_run) {
        if (o.json) print(nlohmann::json{{"plan", table.json()}, {"steps", p.steps}, {"options", given.values()}});
        return 0;
    }

    auto const lock = take_output(o);
    if (!lock) return lock.error();
    auto const bytes = static_cast<std::uint64_t>(table.plan.arena.adapters + table.plan.arena.optimizer);
    if (auto r = trial_save(o.output, bytes); !r) return r.error();
    auto t = p.base.tuner(settings, o.seed,
                          {o.run.gradients.checkpoint_file.empty() ? o.output : o.run.gradients.checkpoint_file,
                           static_cast<index_t>(o.run.resident_limit)});
    if (!t) return t.error();
    if (p.start)
        if (auto r = t->load(*p.start); !r) return r.error();

    run_state state;
    if (o.resume) {
        auto saved = load_run(o.output + "/checkpoints", **t, p.identity);
        if (!saved) return saved.error();
        state = *saved;
        std::fprintf(stderr, "resumed after step %td\n", state.progress.step);
    }
    auto log = metrics_log::open(o.log, o.resume, state.progress.step);
    if (!log) return log.error();
    fine_tuning loop(*t, o, p.data.updates_per_epoch(), p.identity, *log);
    loop.state = state;
    timed_steps timed((*t)->lanes());
    if (o.profile) (*t)->watch(&timed.table);
    stop_between_steps();
    auto const end = loop.run(p.data, p.steps);
    if (!end) return end.error();

    auto const& s = loop.state;
    auto const& done = s.progress;
    std::optional<profile_report> profile;
    if (index_t const steps = done.step - state.progress.step; o.profile && steps > 0) {
        profile.emplace(timed.table, steps, s.step_seconds - state.step_seconds);
        save_options replace;
        replace.overwrite = true;
        auto const text = json_text(profile->json(), 2) + "\n";
        if (auto r = write_file(o.output + "/profile.json", text, replace); !r) return r.error();
    }
    double const speed = s.step_seconds > 0 ? static_cast<double>(done.rows) / s.step_seconds : 0;
    auto const number = [](std::optional<double> const& x) { return x ? nlohmann::json(*x) : nlohmann::json(); };
    nlohmann::json summary{{"loss_before", number(s.loss_before)},
                           {"loss_after", number(end->loss_after)},
                           {"steps", done.step},
                           {"complete", end->complete},
                           {"skipped_steps", done.skipped},
                           {"tokens", done.rows},
                           {"seconds", s.seconds},
                           {"tokens_per_second", speed},
                           {"strategy", table.strategy},
                           {"strategy_text", table.strategy_text},
                           {"planned_bytes", table.plan.arena.total()},
                           {"high_water_bytes", (*t)->high_water()},
                           {"planned_total_bytes", table.total()},
                           {"peak_rss_anon_bytes", loop.peak_memory},
                           {"peak_rss_bytes", peak_resident_bytes()}};
    if (end->complete && !end->signal) {
        summary["adapter"] = {{"peft", o.output}, {"gguf", o.output + "/adapter.gguf"}};
        if (o.run.adapters.is_dora()) summary["adapter"]["gguf"] = nullptr, summary["adapter"]["no_gguf"] = no_gguf;
        nlohmann::json const record{
            {"graft", GRAFT_VERSION}, {"architecture", GRAFT_ARCHITECTURE}, {"options", given.values()},
            {"run", p.identity},      {"summary", summary}};
        if (auto r = write_output(o, *t, p.base.file().name, *log, record); !r) return r.error();
    }
    if (profile) std::fputs(profile->text().c_str(), o.json ? stderr : stdout);
    if (o.json) {
        print(summary);
    } else {
        if (s.loss_before && end->loss_after)
            std::printf("held-out loss   %.4f before   %.4f after\n", *s.loss_before, *end->loss_after);
        std::printf("trained         %td steps, %td tokens in %s, %.0f tokens/s\n", done.step, done.rows,
                    progress::clock(s.seconds).c_str(), speed);
        std::printf("memory          %s planned, %s of its own at most, %s resident with mapped files\n",
                    in_mebibytes(table.total()).c_str(), in_mebibytes(static_cast<double>(loop.peak_memory)).c_str(),
                    in_mebibytes(static_cast<double>(peak_resident_bytes())).c_str());
        if (done.skipped > 0)
            std::printf("skipped         %td of these steps, whose loss or gradient was not finite\n", done.skipped);
        if (summary.contains("adapter") && o.run.adapters.is_dora())
            std::printf("adapter         %s (PEFT); no adapter.gguf: %s\n", o.output.c_str(), no_gguf);
        else if (summary.contains("adapter"))
            std::printf("adapter         %s (PEFT) and %s/adapter.gguf (llama.cpp)\n", o.output.c_str(),
                        o.output.c_str());
    }
    if (end->complete && !end->signal) return 0;
    std::fprintf(stderr, "stopped after step %td of %td, with a checkpoint; --resume goes on\n", done.step, p.steps);
    return end->signal ? 128 + end->signal : 0;
}

}  // namespace

int finetune(arguments const& all) {
    finetune_options o;
    auto declared = o.declare();
    auto const parsed = declared.parse(all);
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    auto p = prepare(o, declared);
    if (!p) return refuse(p.error(), o.json);
    auto const done = train(*p, o, declared);
    return done ? *done : refuse(done.error(), o.json);
}

}  // namespace tool
