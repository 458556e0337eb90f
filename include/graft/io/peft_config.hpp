// SPDX-License-Identifier: Apache-2.0
// PEFT's adapter_config.json: what we write, and what a strict reader makes of others'.  (layer 16: io)
#pragma once

#include <graft/io/adapter_data.hpp>
#include <graft/io/file_calls.hpp>
#include <graft/io/json_file.hpp>
#include <graft/io/module_pattern.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <optional>

namespace graft {

/// A key of rank_pattern or alpha_pattern, and what it says of the modules that it matches.
struct module_value {
    module_pattern names;
    double value;
};

/// What adapter_config.json says of all pairs; single modules may differ.
struct peft_config {
    std::string base_name;
    index_t rank = 0;
    double alpha = 0;
    bool rslora = false, dora = false;
    std::vector<std::string> targets;              // empty: `target_names` says, or the tensors alone
    std::optional<module_pattern> target_names{};  // target_modules as one pattern
    std::vector<module_value> ranks{}, alphas{};   // in the file's order
};

/// What the first key that matches a module says, if one does.
inline std::optional<double> value_of(std::vector<module_value> const& pattern, std::string_view module) {
    for (module_value const& v : pattern)
        if (v.names.begins(module)) return v.value;
    return std::nullopt;
}

/// Is the module one that the configuration adapts?
inline bool is_target(peft_config const& c, std::string_view module) {
    if (c.target_names) return c.target_names->covers(module);
    return c.targets.empty() || std::any_of(c.targets.begin(), c.targets.end(), [&](std::string const& t) {
               return module == t || module.ends_with("." + t) || (t == "all-linear" && module != "lm_head");
           });
}

namespace detail {

/// Collects the keys of the objects that are members of the outermost one, in the file's order.
struct key_order {
    std::map<std::string, std::vector<std::string>> keys;
    std::string member;
    int depth = 0;

    bool key(std::string& name) {
        if (depth == 1) member = name;
        if (depth == 2) keys[member].push_back(name);
        return true;
    }
    bool start_object(std::size_t) { return ++depth, true; }
    bool end_object() { return --depth, true; }
    bool start_array(std::size_t) { return depth += 2, true; }  // objects inside are nobody's members
    bool end_array() { return depth -= 2, true; }
    bool null() { return true; }
    bool boolean(bool) { return true; }
    bool number_integer(std::int64_t) { return true; }
    bool number_unsigned(std::uint64_t) { return true; }
    bool number_float(double, std::string const&) { return true; }
    bool string(std::string&) { return true; }
    bool binary(nlohmann::json::binary_t&) { return true; }
    bool parse_error(std::size_t, std::string const&, nlohmann::json::exception const&) { return false; }
};

/// A rank_pattern or an alpha_pattern. PEFT takes the first key that matches, so that their order matters.
inline result<std::vector<module_value>> read_module_values(nlohmann::json const& json, char const* field,
                                                            key_order const& order, bool whole,
                                                            std::string const& file) {
    std::vector<module_value> all;
    auto const* const object = find_field(json, field);
    if (!object) return all;
    if (!object->is_object()) return bad_field(file, field, "an object", *object);
    auto const keys = order.keys.find(field);
    if (keys == order.keys.end()) return all;
    for (std::string const& key : keys->second) {
        auto const& value = (*object)[key];
        if (whole ? !json_kind<std::int32_t>::fits(value) || value.get<std::int32_t>() < 1
                  : !value.is_number() || !std::isfinite(value.get<float>()) || !(value.get<double>() > 0))
            return bad_field(file, field, whole ? "whole numbers of at least 1" : "finite numbers above 0", value);
        auto names = module_pattern::of_key(key);
        if (!names) return bad_field(file, field, names.error().expected, key);
        all.push_back({std::move(*names), value.get<double>()});
    }
    return all;
}

/// Fields that would change what the adapter computes must be absent or plain; fields nobody here knows must be empty.
inline result<void> refuse_unknown_fields(nlohmann::json const& json, std::string const& file) {
    constexpr std::array<std::string_view, 28> harmless{"peft_type",
                                                        "r",
                                                        "lora_alpha",
                                                        "use_rslora",
                                                        "use_dora",
                                                        "target_modules",
                                                        "rank_pattern",
                                                        "alpha_pattern",
                                                        "auto_mapping",
                                                        "base_model_name_or_path",
                                                        "revision",
                                                        "inference_mode",
                                                        "lora_dropout",
                                                        "megatron_core",
                                                        "megatron_config",
                                                        "peft_version",
                                                        "runtime_config",
                                                        "exclude_modules",
                                                        "layers_to_transform",
                                                        "layers_pattern",
                                                        "qalora_group_size",
                                                        "task_type",
                                                        "bias",
                                                        "init_lora_weights",
                                                        "loftq_config",
                                                        "eva_config",
                                                        "corda_config",
                                                        "ensure_weight_tying"};
    for (auto const& [key, value] : json.items()) {
        if (std::find(harmless.begin(), harmless.end(), key) != harmless.end()) continue;
        bool const off =
            value.is_null() || value == false || ((value.is_object() || value.is_array()) && value.empty());
        if (off) continue;
        return bad_field(file, key, "nothing: adapters with this are not supported", value,
                         "an adapter of LoRA or DoRA");
    }
    auto const bias = json_get_or<std::string>(json, "bias", "none", file);
    if (!bias) return bias.error();
    if (*bias != "none") return bad_field(file, "bias", "none", *bias, "an adapter of LoRA or DoRA");
    auto const task = json_get_or<std::string>(json, "task_type", "CAUSAL_LM", file);
    if (!task) return task.error();
    if (*task != "CAUSAL_LM") return bad_field(file, "task_type", "CAUSAL_LM", *task, "an adapter of a language model");
    // Initialisations that change the base weights leave an adapter that fits only the changed ones.
    if (auto const* const start = find_field(json, "init_lora_weights"))
        if (!start->is_boolean() && *start != "gaussian" && *start != "orthogonal" && *start != "eva")
            return bad_field(file, "init_lora_weights", "an initialisation that leaves the base model as it is", *start,
                             "converting the adapter to plain LoRA when saving it");
    return {};
}

}  // namespace detail

/// Reads and checks adapter_config.json.
inline result<peft_config> read_peft_config(std::string_view text, std::string const& file) {
    auto const parsed = parse_json_object(text, file);
    if (!parsed) return parsed.error();
    nlohmann::json const& json = *parsed;
    peft_config c;
    auto const type = json_get<std::string>(json, "peft_type", file);
    if (!type) return type.error();
    if (*type != "LORA") return bad_field(file, "peft_type", "LORA", *type, "an adapter of LoRA or DoRA");
    if (auto const r = detail::refuse_unknown_fields(json, file); !r) return r.error();
    auto const rank = json_get_or<std::int32_t>(json, "r", 8, file);
    auto const alpha = json_get_or<double>(json, "lora_alpha", 8, file);
    auto const rslora = json_get_or<bool>(json, "use_rslora", false, file);
    auto const dora = json_get_or<bool>(json, "use_dora", false, file);
    auto const base = json_get_or<std::string>(json, "base_model_name_or_path", "", file);
    if (!rank) return rank.error();
    if (!alpha) return alpha.error();
    if (!rslora) return rslora.error();
    if (!dora) return dora.error();
    if (!base) return base.error();
    if (*rank < 1) return bad_field(file, "r", "at least 1", *rank);
    if (!(std::isfinite(static_cast<float>(*alpha)) && *alpha > 0))
        return bad_field(file, "lora_alpha", "a finite number above 0", *alpha);
    c.rank = *rank, c.alpha = *alpha, c.rslora = *rslora, c.dora = *dora, c.base_name = *base;
    if (auto const* const targets = find_field(json, "target_modules"); targets && targets->is_string()) {
        auto const pattern = targets->get<std::string>();
        auto names = module_pattern::make(pattern);
        if (pattern == "all-linear")
            c.targets = {pattern};
        else if (names)
            c.target_names = std::move(*names);
        else
            return bad_field(file, "target_modules", names.error().expected, pattern);
    } else if (targets) {
        auto list = json_get<std::vector<std::string>>(json, "target_modules", file);
        if (!list) return list.error();
        c.targets = std::move(*list);
    }
    detail::key_order order;
    nlohmann::json::sax_parse(text.begin(), text.end(), &order);
    auto ranks = detail::read_module_values(json, "rank_pattern", order, true, file),
         alphas = detail::read_module_values(json, "alpha_pattern", order, false, file);
    if (!ranks) return ranks.error();
    if (!alphas) return alphas.error();
    c.ranks = std::move(*ranks), c.alphas = std::move(*alphas);
    return c;
}

/// The text of adapter_config.json: sorted keys, two spaces.
inline std::string peft_config_text(adapter const& a) {
    auto const number = [](double x) {
        bool const whole = std::floor(x) == x && std::abs(x) < 1e15;
        return whole ? nlohmann::json(static_cast<std::int64_t>(x)) : nlohmann::json(x);
    };
    nlohmann::json ranks = nlohmann::json::object(), alphas = ranks;
    for (lora_pair const& p : a.pairs) {
        if (p.rank != a.rank) ranks[p.module] = p.rank;
        if (alpha_of(a, p) != a.alpha) alphas[p.module] = number(p.alpha);
    }
    auto const targets = detail::targets_of(a.pairs);
    bool const local =
        a.base_name.starts_with('/');  // converters follow this name: a path of this machine helps nobody
    nlohmann::json const json = {{"alpha_pattern", alphas},
                                 {"auto_mapping", nullptr},
                                 {"base_model_name_or_path", local ? base_name(a.base_name) : a.base_name},
                                 {"bias", "none"},
                                 {"exclude_modules", nullptr},
                                 {"fan_in_fan_out", false},
                                 {"inference_mode", true},
                                 {"init_lora_weights", true},
                                 {"layer_replication", nullptr},
                                 {"layers_pattern", nullptr},
                                 {"layers_to_transform", nullptr},
                                 {"loftq_config", nlohmann::json::object()},
                                 {"lora_alpha", number(a.alpha)},
                                 {"lora_bias", false},
                                 {"lora_dropout", 0.0},
                                 {"megatron_config", nullptr},
                                 {"megatron_core", "megatron.core"},
                                 {"modules_to_save", nullptr},
                                 {"peft_type", "LORA"},
                                 {"peft_version", "0.17.0"},
                                 {"r", a.rank},
                                 {"rank_pattern", ranks},
                                 {"revision", nullptr},
                                 {"target_modules", targets},
                                 {"task_type", "CAUSAL_LM"},
                                 {"use_dora", has_magnitudes(a)},
                                 {"use_rslora", a.rslora}};
    return json_text(json, 2) + "\n";
}

}  // namespace graft
