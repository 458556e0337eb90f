// SPDX-License-Identifier: Apache-2.0
// What adapters are like, as options: method, ranks and factors, how they start, what is dropped out.
#pragma once

#include "module_values.hpp"
#include "spelling.hpp"
#include "strategy_options.hpp"

#include <graft/io/trained.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace tool {

/// "self_attn.q_proj" of "q_proj".
inline std::string_view module_of(std::string_view map) {
    for (module_name const& m : layer_modules)
        if (m.canonical.ends_with(map)) return m.canonical;
    return map;
}
inline std::string module_of(index_t layer, std::string_view map) {
    return "model.layers." + std::to_string(layer) + "." + std::string(module_of(map));
}
/// The smaller dimension of a linear map: no low-rank map of it has more columns.
inline index_t smaller_side(model_config const& c, std::string_view map) {
    auto const shape = shape_of_module(c, module_of(map));
    return std::min(shape[0], shape[1]);
}

struct adapter_options {
    std::string method = "lora", norm = "detached", init = "kaiming";
    index_t rank = 8;
    double alpha = 16, dropout = 0;
    unsigned targets = all_targets;
    module_values ranks{4096, true}, alphas{1e6, false};
    std::vector<adapter_exception> exceptions{};  // what these, or a given adapter, mean on the model

    void declare(options& o) {
        o.choice("method", method, {"lora", "rslora", "dora", "rsdora"},
                 "scale is alpha / rank, or alpha / sqrt(rank) with rs; dora also trains the lengths of rows",
                 {{"stiefel", "is an optimizer: --optimizer stiefel"}},
                 {{"dora-rslora", "rsdora"}, {"rs-dora", "rsdora"}})
            .also({"fine-tune-type", "finetuning-type"});
        o.choice("dora-norm", norm, {"detached", "attached"},
                 "dora: attached: gradients know that the length of a row depends on the adapter");
        o.count("rank", rank, 1, 4096, "columns of the low-rank maps").short_form("r").also({"lora-rank", "lora-r"});
        o.number("alpha", alpha, 0, 1e6, "numerator of the adapter's scale", true).also({"lora-alpha"});
        declare(o, "rank-pattern", ranks, "ranks of single modules: {\"PATTERN\": N, ...} or @FILE, as PEFT has them");
        declare(o, "alpha-pattern", alphas, "alphas of single modules, likewise");
        o.custom(
             "targets", "NAMES", "maps that get an adapter: all, or some of q_proj,k_proj,v_proj,o_proj,...",
             [this](std::string const& v) { return read_targets(v); }, [this] { return nlohmann::json(target_text()); })
            .also({"target-modules", "lora-modules", "lora-target"});
        o.choice("init", init, {"kaiming", "gaussian", "orthogonal", "pissa"},
                 "how adapters start: at random, or with the largest singular values of the weights", {},
                 {{"true", "kaiming"}, {"default", "kaiming"}})
            .also({"init-lora-weights"});
        o.number("dropout", dropout, 0, 0.99, "part of what enters adapters that is left out at a step")
            .also({"lora-dropout"});
    }

    bool is_dora() const { return method.ends_with("dora"); }
    bool is_rank_stabilised() const { return method.starts_with("rs"); }
    bool is_pissa() const { return init == "pissa"; }

    /// Options without a meaning beside these strategies and optimizers.
    result<void> check(options const& o, strategy_options const& g, std::string const& optimizer) const {
        if (dropout > 0 && !g.pulls())
            return usage("--dropout has no meaning here: zeroth-order compares losses, with nothing left out",
                         "--dropout 0", json_text(dropout), "--dropout 0, or another --strategy");
        if (o.given("init") && !is_pissa() && optimizer == "stiefel")
            return usage("--init has no meaning here: stiefel starts with random orthonormal columns of B, and A = 0",
                         "--init pissa, or no --init", init, "no --init, or another --optimizer");
        return {};
    }

    /// The maps of an adapter that training starts from.
    void take(adapter const& a, model_config const& c) {
        auto const extent = extent_of(a);
        method = std::string(a.rslora ? "rs" : "") + (extent.magnitudes ? "dora" : "lora");
        rank = extent.rank, alpha = a.alpha, targets = extent.targets;
        for_each(c, [&](index_t layer, std::string_view map) {
            std::string const module = module_of(layer, map);
            auto const p =
                std::find_if(a.pairs.begin(), a.pairs.end(), [&](auto const& x) { return x.module == module; });
            index_t const own = p == a.pairs.end() ? 0 : p->rank;
            double const factor = own > 0 && alpha_of(a, *p) != alpha ? alpha_of(a, *p) : 0;
            if (own != rank || factor > 0)
                exceptions.push_back({layer, target_bit(map), own != rank ? own : -1, factor});
        });
    }

    /// Finds the modules that patterns are about; a problem where there is none, or a rank that a module cannot have.
    result<void> settle(options const& o, model_config const& c, std::string const& optimizer) {
        if (o.given("dora-norm") && !is_dora())
            return usage("--dora-norm has no meaning here", "--method dora or rsdora", "--method " + method,
                         "--method dora, or no --dora-norm");
        for (auto const& [name, values] : {std::pair{"rank-pattern", &ranks}, {"alpha-pattern", &alphas}})
            if (auto r = check_patterns(name, *values, c); !r) return r;
        if (!ranks.entries.empty() || !alphas.entries.empty()) {
            exceptions.clear();
            for (auto const map : target_names)
                if (targets & target_bit(map)) add_exceptions(map, c);
        }
        return check_ranks(c, optimizer);
    }

    /// The highest --rank of the maps that have it; the rank itself where all have their own.
    index_t highest_rank(model_config const& c) const {
        index_t most = c.width;
        bool any = false;
        for_each(c, [&](index_t layer, std::string_view map) {
            if (!has_own_rank(layer, map)) any = true, most = std::min(most, smaller_side(c, map));
        });
        return any ? most : rank;
    }

    void put(any_training& s) const {
        s.rank = rank, s.alpha = alpha, s.rank_stabilised = is_rank_stabilised(), s.targets = targets;
        s.exceptions = exceptions, s.dropout = dropout;
        s.norm = !is_dora() ? adapter_norm::none : norm == "attached" ? adapter_norm::attached : adapter_norm::detached;
        s.start = init == "gaussian"     ? adapter_start::gaussian
                  : init == "orthogonal" ? adapter_start::orthogonal
                  : is_pissa()           ? adapter_start::pissa
                                         : adapter_start::kaiming;
    }

    /// "dora of rank 8 on all"
    std::string text() const {
        return method + (is_dora() && norm == "attached" ? " (attached)" : "") + " of rank " + std::to_string(rank) +
               (exceptions.empty() ? "" : " and others") + " on " + target_text() + (is_pissa() ? ", pissa" : "");
    }
    std::string target_text() const {
        if (targets == all_targets) return "all";
        std::string s;
        for (auto const name : target_names)
            if (targets & target_bit(name)) s += (s.empty() ? "" : ",") + std::string(name);
        return s;
    }
    /// Ranks and alphas that differ from the others, for a run's identity.
    nlohmann::json identity() const {
        nlohmann::json all = nlohmann::json::array();
        for (auto const& e : exceptions) all.push_back({e.layer, e.targets, e.rank, e.alpha});
        return all;
    }

private:
    static void declare(options& o, char const* name, module_values& to, char const* about) {
        o.custom(
             name, "OBJECT", about, [&to](std::string const& v) { return to.read(v); }, [&to] { return to.json(); })
            .may_be_object();
    }

    /// f(layer, map) for every module that gets an adapter.
    void for_each(model_config const& c, auto&& f) const {
        for (index_t l = 0; l < c.layers; ++l)
            for (auto const map : target_names)
                if (targets & target_bit(map)) f(l, map);
    }

    bool has_own_rank(index_t layer, std::string_view map) const {
        return std::any_of(exceptions.begin(), exceptions.end(), [&](adapter_exception const& e) {
            return (e.layer < 0 || e.layer == layer) && (e.targets & target_bit(map)) && e.rank >= 0;
        });
    }

    bool has_common_rank(std::string_view map, model_config const& c) const {
        bool any = false;
        for_each(c, [&](index_t layer, std::string_view m) { any = any || (m == map && !has_own_rank(layer, m)); });
        return any;
    }

    /// A pattern that decides about no module is a mistake.
    result<void> check_patterns(std::string const& option, module_values const& values, model_config const& c) const {
        std::vector<module_values::entry const*> used;
        for_each(c, [&](index_t layer, std::string_view map) { used.push_back(values.of(module_of(layer, map))); });
        for (auto const& e : values.entries) {
            if (std::find(used.begin(), used.end(), &e) != used.end()) continue;
            std::vector<std::string> adapted, others;
            bool matched = false;
            for (auto const map : target_names)
                for (index_t l = 0; l < c.layers; ++l) {
                    bool const has_adapter = targets & target_bit(map);
                    if (e.names.begins(module_of(l, map))) matched = matched || has_adapter, others.emplace_back(map);
                    if (has_adapter) adapted.push_back(module_of(l, map));
                }
            std::string const what = "--" + option + ": the pattern '" + printable(e.key) + "' ";
            if (matched)
                return usage(what + "comes after others that match all of its modules", "the narrower pattern first",
                             {}, "another order");
            if (!others.empty())
                return usage(what + "matches no module with an adapter", "one of --targets " + target_text(),
                             others.front(), "--targets with " + others.front());
            return usage(what + "matches no module", "modules such as " + adapted.front(), {},
                         close_to(e.key, adapted));
        }
        return {};
    }
    /// The name that a misspelt pattern was meant to be: a map's, with its part of a block, or a module's.
    std::string close_to(std::string const& key, std::vector<std::string> const& modules) const {
        std::vector<std::string> known;
        for (auto const map : target_names)
            if (targets & target_bit(map)) known.emplace_back(map), known.emplace_back(module_of(map));
        std::string const close = nearest(key, known);
        return !close.empty() ? close : nearest(key, modules);
    }

    void add_exceptions(std::string_view map, model_config const& c) {
        std::vector<adapter_exception> own;
        for (index_t l = 0; l < c.layers; ++l) {
            std::string const module = module_of(l, map);
            auto const *r = ranks.of(module), *a = alphas.of(module);
            if (r || a) own.push_back({l, target_bit(map), r ? static_cast<index_t>(r->value) : -1, a ? a->value : 0});
        }
        auto const same = [&](adapter_exception const& e) { return e.rank == own[0].rank && e.alpha == own[0].alpha; };
        if (static_cast<index_t>(own.size()) == c.layers && std::all_of(own.begin(), own.end(), same))
            own.resize(1), own[0].layer = -1;
        exceptions.insert(exceptions.end(), own.begin(), own.end());
    }

    result<void> check_ranks(model_config const& c, std::string const& optimizer) const {
        std::string const reason = optimizer == "stiefel" ? ", whose B has no more orthonormal columns" : "";
        if (index_t const most = highest_rank(c); rank > most) {
            std::string narrow;
            for (auto const name : target_names)
                if (has_common_rank(name, c) && smaller_side(c, name) == most)
                    narrow += (narrow.empty() ? "" : ", ") + std::string(name);
            return usage("--rank is above a dimension of " + narrow + reason, "at most " + std::to_string(most),
                         std::to_string(rank), "--rank " + std::to_string(most) + ", or --targets without " + narrow);
        }
        result<void> done;
        for_each(c, [&](index_t layer, std::string_view map) {
            auto const* const e = ranks.of(module_of(layer, map));
            index_t const most = smaller_side(c, map);
            if (done && e && e->value > static_cast<double>(most))
                done = usage("--rank-pattern: the rank of '" + printable(e->key) + "' is above a dimension of " +
                                 module_of(layer, map) + reason,
                             "at most " + std::to_string(most), std::to_string(static_cast<index_t>(e->value)),
                             "a pattern of its own for " + std::string(map));
        });
        return done;
    }
    std::string read_targets(std::string const& v) {
        std::vector<std::string> const known(target_names.begin(), target_names.end());
        std::string const expected = "all, or names from " + listed(known, "and") + " with commas between them";
        unsigned bits = v == "all" ? all_targets : 0;
        for (std::size_t at = 0; v != "all" && at <= v.size();) {
            std::size_t const comma = std::min(v.find(',', at), v.size());
            std::string const name = v.substr(at, comma - at);
            unsigned const bit = name.find('.') == name.npos ? target_bit(name) : 0;
            if (bit == 0) {
                std::string const close = nearest(name, known);
                return expected + (close.empty() ? "" : " (did you mean " + close + "?)");
            }
            if (bits & bit) return "each name once";
            bits |= bit, at = comma + 1;
        }
        return targets = bits, "";
    }
};

}  // namespace tool
