// SPDX-License-Identifier: Apache-2.0
// The options of `graft finetune`.
#pragma once

#include "run_options.hpp"

#include <graft/text/json.hpp>
#include <graft/train/fit.hpp>

#include <string>

namespace tool {

struct finetune_options {
    std::string model, data, output, adapter, scheduler = "cosine", train_on = "all", chat_format, log, plot;
    run_options run;
    double lr = 2e-4, lr_min = 0, warmup_ratio = 0.03, max_grad_norm = 1, epochs = 3, val_split = 0.1, skip_bad = 0;
    index_t cycles = 1, warmup_steps = 0, batch_size = 8, grad_accum = 1, steps = 0, eval_every = 0, save_every = 100,
            stop_after = 0;
    std::uint64_t seed = 0;
    bool resume = false, dry_run = false, json = false, overwrite = false, show_sample = false, profile = false;
    std::string no_clipping;  // why there is none, where nobody asked for that

    options declare() {
        options o(
            "finetune",
            "Trains an adapter (LoRA, rsLoRA, DoRA) on a data file. What lies in --output at the end is the adapter of "
            "the last step.",
            "Examples:\n"
            "  graft finetune --model m.gguf --data rows.jsonl --output out\n"
            "  graft finetune --model m.gguf --data rows.jsonl --output out --resume\n"
            "  graft finetune -m m.gguf -d rows.jsonl -o out --rank 16 --targets q_proj,v_proj --epochs 2\n"
            "  graft finetune -m m.gguf -d rows.jsonl -o out --config run.json --memory-budget 200M --dry-run\n"
            "  graft finetune -m m.gguf -d rows.jsonl -o out --strategy lcsb --select random --layers-per-step 8\n"
            "  graft finetune -m m.gguf -d rows.jsonl -o out --method dora --init pissa --dropout 0.05\n"
            "  graft finetune -m m.gguf -d rows.jsonl -o out --optimizer stiefel --rank-pattern '{\"down_proj\": 16}'\n"
            "  graft finetune -m m.gguf -d rows.jsonl -o out --strategy zeroth-order --optimizer sgd --lr 1e-6\n"
            "Ctrl-C ends after the running step, with a checkpoint that --resume goes on from, to the same result.");
        o.text("model", model, "PATH", "a GGUF file or a Hugging Face directory")
            .short_form("m")
            .required()
            .outside()
            .also({"model-path"});
        o.text("data", data, "FILE", "rows to train on: JSON Lines, or plain text (.txt)")
            .short_form("d")
            .required()
            .outside();
        o.text("output", output, "DIR", "for the adapter, checkpoints, metrics and the plot")
            .short_form("o")
            .required()
            .outside()
            .also({"output-dir"});
        o.text("adapter", adapter, "PATH", "start from this adapter, with its method, ranks, alphas and targets");
        run.declare(o);
        o.number("lr", lr, 0, 1e9, "the highest learning rate").also({"learning-rate"});
        run.moved.declare_numbers(o);
        o.choice("scheduler", scheduler, {"cosine", "linear", "constant", "cosine-with-restarts", "inverse-sqrt"},
                 "how the rate falls after warm-up", {},
                 {{"constant-with-warmup", "constant"}, {"cosine-with-min-lr", "cosine"}})
            .also({"lr-scheduler", "lr-scheduler-type", "lr-schedule"});
        o.count("num-cycles", cycles, 1, 1 << 20, "cosine-with-restarts: how often the rate falls");
        o.number("lr-min", lr_min, 0, 1e9, "what the rate falls towards").also({"min-lr"});
        o.count("warmup-steps", warmup_steps, 0, 1 << 30, "steps in which the rate rises from 0");
        o.number("warmup-ratio", warmup_ratio, 0, 1, "the same as a part of all steps");
        o.number("max-grad-norm", max_grad_norm, 0, 1e9,
                 "clip the gradient's norm, 0: no clipping; 0 with fused updates and zeroth-order")
            .also({"clip-grad-norm"});
        o.count("batch-size", batch_size, 1, 1 << 20, "examples of an update, packed into passes").short_form("b");
        o.count("grad-accum", grad_accum, 1, 1 << 20, "an update takes so many times batch-size examples")
            .also({"gradient-accumulation-steps", "grad-accumulation-steps"});
        o.count("steps", steps, 1, index_t{1} << 40, "updates, in place of --epochs").also({"iters", "max-steps"});
        o.number("epochs", epochs, 0, 1e6, "times through the data", true).also({"num-epochs", "num-train-epochs"});
        o.choice("train-on", train_on, {"all", "last", "full"},
                 "tokens that count: of all assistant turns, of the last, all");
        o.text("chat-format", chat_format, "NAME", "chatml, llama3 or none; else by the model's template");
        o.count("eval-every", eval_every, 0, 1 << 30, "steps between validations, 0: every epoch")
            .outside()
            .also({"eval-steps", "steps-per-eval"});
        o.number("val-split", val_split, 0, 0.9, "part of the rows to hold out, if no row says \"split\": \"held_out\"")
            .also({"val-size"});
        o.count("save-every", save_every, 0, 1 << 30, "steps between checkpoints, 0: only at the end")
            .outside()
            .also({"save-steps"});
        o.flag("resume", resume, "go on from the newest checkpoint in --output").outside();
        o.flag("overwrite", overwrite, "replace what an earlier run left in --output").outside();
        o.count("stop-after", stop_after, 0, 1 << 30, "stop after so many steps of this call, as Ctrl-C does; 0: never")
            .outside();
        o.seed("seed", seed, "adapters' first numbers and the order of rows");
        o.number("skip-bad", skip_bad, 0, 100, "percent of rows that may be bad and are left out");
        o.flag("show-sample", show_sample, "show a rendered row and which of its tokens count").outside();
        o.flag("profile", profile, "end with where the time of a step went; also OUTPUT/profile.json").outside();
        o.flag("dry-run", dry_run, "print the plan and stop").outside();
        o.text("log", log, "FILE", "metrics, a JSON object a line; else OUTPUT/metrics.jsonl").outside();
        o.text("plot", plot, "FILE", "the loss as SVG; else OUTPUT/loss.svg").outside();
        o.flag("json", json, "end with a summary object on stdout").outside();
        o.config_file();
        return o;
    }

    result<void> check(options const& o) {
        if (o.given("steps") && o.given("epochs"))
            return usage("--steps and --epochs are both given", "one of them", "both");
        if (o.given("warmup-steps") && o.given("warmup-ratio"))
            return usage("--warmup-steps and --warmup-ratio are both given", "one of them", "both");
        if (o.given("num-cycles") && scheduler != "cosine-with-restarts")
            return usage("--num-cycles has no meaning here", "--scheduler cosine-with-restarts",
                         "--scheduler " + scheduler, "--scheduler cosine-with-restarts, or no --num-cycles");
        if (o.given("lr-min") && scheduler == "constant")
            return usage("--lr-min has no meaning here: a constant rate does not fall",
                         "a --scheduler such as cosine or linear", "--scheduler constant", "no --lr-min");
        if (lr_min > lr)
            return usage("--lr-min is above --lr", "at most " + json_text(lr), json_text(lr_min), "a smaller --lr-min");
        if (resume && overwrite) return usage("--resume and --overwrite are both given", "one of them", "both");
        if (!adapter.empty())
            for (char const* const fixed :
                 {"rank", "alpha", "rank-pattern", "alpha-pattern", "method", "targets", "init"})
                if (o.given(fixed))
                    return usage("--" + std::string(fixed) + " is the adapter's own", "--adapter alone", "both",
                                 "no --" + std::string(fixed));
        if (log.empty()) log = output + "/metrics.jsonl";
        if (plot.empty()) plot = output + "/loss.svg";
        warmup_given = o.given("warmup-steps");
        if (auto r = run.check(o); !r) return r;
        auto const& g = run.gradients;
        if (g.fused() && o.given("max-grad-norm") && max_grad_norm > 0)
            return usage("--update fused sees no whole gradient to clip", "--max-grad-norm 0", json_text(max_grad_norm),
                         "--max-grad-norm 0, or --update deferred");
        if (g.fused() && grad_accum > 1)
            return usage("--update fused moves a block after one batch", "--grad-accum 1", std::to_string(grad_accum),
                         "--grad-accum 1, or --update deferred");
        if (!o.given("max-grad-norm") && (g.fused() || !g.pulls())) {
            max_grad_norm = 0;
            no_clipping =
                g.fused() ? "--update fused sees no whole gradient" : "the length of an estimated gradient says little";
        }
        return {};
    }

    fit_settings schedule() const {
        fit_settings s;
        s.steps = steps, s.epochs = epochs, s.evaluate_every = eval_every, s.save_every = save_every;
        s.rate.peak = lr, s.rate.warmup = warmup_steps, s.warmup_ratio = warmup_given ? 0 : warmup_ratio;
        s.rate.floor = lr_min, s.rate.cycles = cycles;
        s.rate.shape = scheduler == "linear"                 ? decay::linear
                       : scheduler == "constant"             ? decay::constant
                       : scheduler == "inverse-sqrt"         ? decay::inverse_sqrt
                       : scheduler == "cosine-with-restarts" ? decay::cosine_restarts
                                                             : decay::cosine;
        return s;
    }

private:
    bool warmup_given = false;
};

}  // namespace tool
