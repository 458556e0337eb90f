// SPDX-License-Identifier: Apache-2.0
// How gradients come about, as options: a strategy, what belongs to it, and which of them have no meaning together.
#pragma once

#include "options.hpp"
#include "spelling.hpp"

#include <graft/train/any.hpp>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

namespace tool {

/// A schedule that a budget picked, in words: what is kept in which blocks, what is tiled.
inline std::string describe(rematerialised const& r, index_t layers) {
    auto const kept = [](mesp const& m) {
        int const n = std::popcount(m.kept);
        return n == 0 ? std::string("inputs") : "inputs and " + std::to_string(n) + (n == 1 ? " value" : " values");
    };
    bool const split = r.from > 0 && r.from < layers && r.low.kept != r.high.kept;
    std::string s = "keeps " + kept(r.from > 0 ? r.low : r.high) + " of each block";
    if (split) s += ", " + kept(r.high) + " from block " + std::to_string(r.from) + " on";
    if (r.every > 1) s += ", of every " + std::to_string(r.every) + "th block only";
    if (r.tile > 0) s += ", " + std::to_string(r.tile) + " rows at a time";
    return s + (r.low.pulled == phases::two ? ", two phases" : ", one phase");
}

struct strategy_options {
    std::string name = "mesp", pulled = "one", select = "cyclic", inner = "mesp", unselected = "identity",
                unselected_update = "zero-gradient", checkpoint_type = "f32", adapter_type = "f32", update = "deferred",
                checkpoint_file;
    index_t tile = 0, every = 1, groups = 2, layers_per_step = 0;
    index_t samples = 1;
    double epsilon = 1e-3;
    bool one_point = false, apart = false;

    static std::vector<std::string> names() {
        return {"full", "checkpoint", "mesp", "mesp-published", "lcsb", "zeroth-order"};
    }

    void declare(options& o) {
        o.custom(
             "strategy", "NAME",
             "full, checkpoint (or mebp), mesp, mesp-published, lcsb or zeroth-order (or mezo, zo): where gradients "
             "come "
             "from; without it --memory-budget picks the schedule",
             [this](std::string const& v) { return read_name(v); }, [this] { return nlohmann::json(name); })
            .also({"grad"});
        o.count("tile", tile, 0, 1 << 20, "mesp, zeroth-order: rows of the feed-forward half at a time, 0: all");
        o.choice("phases", pulled, {"one", "two"}, "mesp: two takes less memory and runs attention once more");
        o.count("checkpoint-every", every, 1, 1 << 10,
                "mesp: keep the input of every so many blocks, run those between "
                "once more");
        o.choice("checkpoint-type", checkpoint_type, {"f32", "f16", "bf16"}, "how kept inputs of blocks rest");
        o.custom(
             "checkpoint-file", "DIR", "kept inputs of blocks lie in a file on this disk, without DIR in --output",
             [this](std::string const& v) { return apart = true, checkpoint_file = v, ""; },
             [this] { return apart ? nlohmann::json(checkpoint_file) : nlohmann::json(); })
            .may_stand_alone()
            .outside();
        o.choice("adapter-type", adapter_type, {"f32", "f16", "bf16"},
                 "how adapters rest; 16 bits are rounded at random, so that small steps are not lost");
        o.choice("update", update, {"deferred", "fused"},
                 "fused moves each block right after its gradient: one block's gradients exist, none are clipped");
        o.choice("select", select, {"cyclic", "contiguous", "random", "top", "importance"},
                 "lcsb: which blocks are trained at a step");
        o.count("groups", groups, 1, 1 << 10, "lcsb, cyclic and contiguous: one of so many groups at a step");
        o.count("layers-per-step", layers_per_step, 1, 1 << 10,
                "lcsb, random, top and importance: so many blocks at a step; else half of them");
        o.choice("lcsb-inner", inner, {"full", "checkpoint", "mesp", "mesp-published"},
                 "lcsb: how the blocks that are trained are pulled");
        o.choice("unselected", unselected, {"identity", "exact"},
                 "lcsb: the gradient goes around the other blocks, or through them");
        o.choice("unselected-update", unselected_update, {"zero-gradient", "none"},
                 "lcsb: the optimizer sees a zero gradient of the other blocks, or leaves them alone");
        o.count("zo-samples", samples, 1, 1 << 12, "zeroth-order: random directions of a step");
        o.number("zo-epsilon", epsilon, 0, 1, "zeroth-order: how far adapters move along a direction", true)
            .also({"zo-eps"});
        o.flag("zo-one-point", one_point, "zeroth-order: one loss a direction, against that of the step before");
    }

    bool is(char const* which) const { return name == which; }
    bool pulls() const { return !is("zeroth-order"); }
    /// What pulls a block: the strategy, or that of the blocks lcsb chose.
    std::string const& of_blocks() const { return is("lcsb") ? inner : name; }
    bool fused() const { return update == "fused"; }
    bool in_groups() const { return select == "cyclic" || select == "contiguous"; }

    /// Was a schedule named, so that no budget is to pick one?
    static bool named(options const& o) {
        return o.given("strategy") || o.given("tile") || o.given("phases") || o.given("checkpoint-every");
    }

    /// Options that do not belong to the strategy.
    result<void> check(options const& o) const {
        bool const mesp_inside = of_blocks() == "mesp";
        auto const stray = [&](char const* option, bool belongs, std::string const& where) -> result<void> {
            if (!o.given(option) || belongs) return {};
            std::string const dashes = "--" + std::string(option);
            return usage(dashes + " has no meaning here", where, "--strategy " + name, where + ", or no " + dashes);
        };
        for (char const* const option :
             {"select", "groups", "layers-per-step", "lcsb-inner", "unselected", "unselected-update"})
            if (auto r = stray(option, is("lcsb"), "--strategy lcsb"); !r) return r;
        for (char const* const option : {"zo-samples", "zo-epsilon", "zo-one-point"})
            if (auto r = stray(option, is("zeroth-order"), "--strategy zeroth-order"); !r) return r;
        if (auto r =
                stray("tile", mesp_inside || is("zeroth-order"), is("lcsb") ? "--lcsb-inner mesp" : "--strategy mesp");
            !r)
            return r;
        if (auto r = stray("phases", mesp_inside, is("lcsb") ? "--lcsb-inner mesp" : "--strategy mesp"); !r) return r;
        if (auto r = stray("checkpoint-every", is("mesp"), "--strategy mesp"); !r) return r;
        for (char const* const option : {"checkpoint-type", "checkpoint-file"})
            if (auto r = stray(option, pulls(), "a strategy that keeps inputs of blocks, as mesp does"); !r) return r;
        if (fused() && !pulls())
            return usage("--update fused moves a block after its gradient, and --strategy zeroth-order has none",
                         "--update deferred", "fused", "no --update");
        if (is("lcsb") && o.given("groups") && !in_groups())
            return usage("--groups belongs to --select cyclic and contiguous", "--layers-per-step K",
                         "--select " + select, "--layers-per-step");
        if (is("lcsb") && o.given("layers-per-step") && in_groups())
            return usage("--layers-per-step belongs to --select random, top and importance", "--groups G",
                         "--select " + select, "--groups, or --select random");
        return {};
    }

    /// What cannot be more than the model has.
    result<void> settle(index_t layers) {
        if (layers_per_step == 0) layers_per_step = (layers + 1) / 2;
        for (auto [option, value, used] : {std::tuple{"--groups", groups, is("lcsb") && in_groups()},
                                           {"--layers-per-step", layers_per_step, is("lcsb") && !in_groups()},
                                           {"--checkpoint-every", every, is("mesp")}})
            if (used && value > layers)
                return usage(std::string(option) + " is larger than the number of layers",
                             "at most " + std::to_string(layers), std::to_string(value),
                             std::string(option) + " " + std::to_string(layers));
        return {};
    }

    any_strategy make() const {
        any_strategy const inside = make_blocks();
        if (!is("lcsb")) return inside;
        return {inside, make_selection(),
                unselected == "exact" ? unselected_gradient::exact : unselected_gradient::identity,
                unselected_update == "none" ? graft::unselected_update::none : graft::unselected_update::zero_gradient};
    }

    static resting rest_of(std::string const& type) {
        return type == "f16" ? resting::half : type == "bf16" ? resting::brain : resting::same;
    }

    /// "lcsb of mesp, cyclic, one of 4 groups a step"
    std::string text() const {
        std::string s = name;
        if (is("lcsb")) {
            s += " of " + inner + ", " + select + ", ";
            s += in_groups() ? "one of " + std::to_string(groups) + " groups a step"
                             : std::to_string(layers_per_step) + " layers a step";
            if (unselected == "exact") s += ", exact";
            if (unselected_update == "none") s += ", others left alone";
        }
        if (is("zeroth-order"))
            s += ", " + std::to_string(samples) + (samples == 1 ? " direction a step" : " directions a step") +
                 (one_point ? ", one point" : "");
        if (tile > 0) s += ", " + std::to_string(tile) + " rows at a time";
        if (of_blocks() == "mesp" && pulled == "two") s += ", two phases";
        if (every > 1) s += ", every " + std::to_string(every) + "th input";
        return s;
    }

private:
    std::string read_name(std::string v) {
        std::replace(v.begin(), v.end(), '_', '-');
        if (v == "zo" || v == "mezo") v = "zeroth-order";
        if (v == "mebp") v = "checkpoint";
        auto const known = names();
        if (std::find(known.begin(), known.end(), v) != known.end()) return name = v, "";
        std::string const close = nearest(v, known);
        return listed(known) + (close.empty() ? "" : " (did you mean " + close + "?)");
    }

    any_strategy make_blocks() const {
        std::string const& which = of_blocks();
        if (which == "full") return full{};
        if (which == "checkpoint") return checkpoint{};
        if (which == "mesp-published") return mesp_published{};
        if (which == "zeroth-order") return zeroth_order{samples, epsilon, one_point, tile};
        return mesp{tile, pulled == "two" ? phases::two : phases::one, every};
    }
    any_selection make_selection() const {
        if (select == "contiguous") return cyclic_contiguous{groups};
        if (select == "random") return random_layers{layers_per_step};
        if (select == "top") return top_layers{layers_per_step};
        if (select == "importance") return by_importance{layers_per_step};
        return cyclic_strided{groups};
    }
};

}  // namespace tool
