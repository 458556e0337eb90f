// SPDX-License-Identifier: Apache-2.0
// PEFT's adapter_config.json: what we write, and what a strict reader makes of others'.  (layer 16: io)
#pragma once

#include <graft/io/adapter_data.hpp>
#include <graft/io/file_calls.hpp>
#include <graft/io/json_file.hpp>

#include <array>
#include <cstdint>
#include <optional>

namespace graft {

/// What adapter_config.json says of all pairs; single modules may differ by `rank_of` and `alpha_of`.
struct peft_config {
    std::string base_name;
    index_t rank = 0;
    double alpha = 0;
    bool rslora = false;
    std::vector<std::string> targets;  // empty: given as a pattern, so the tensors say
    nlohmann::json ranks = nlohmann::json::object(), alphas = nlohmann::json::object();
};

namespace detail {

/// Whether PEFT's key of a pattern names the module, by its rule `(.*\.)?(KEY)$`. No regular expression is run: only
/// keys without operators are understood ('.' and '\.' are; '^' at the start); nothing for others.
inline std::optional<bool> pattern_names(std::string_view key, std::string_view module) {
    bool const whole = key.starts_with('^');
    if (whole) key.remove_prefix(1);
    std::string plain;  // '.' any character, '\n' a dot
    for (std::size_t i = 0; i < key.size(); ++i) {
        char const c = key[i];
        bool const word =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
        bool const dot = c == '\\' && i + 1 < key.size() && key[i + 1] == '.';
        if (!word && !dot && c != '.') return std::nullopt;
        plain += dot ? '\n' : c;
        i += dot;
    }
    if (plain.empty() || plain.size() > module.size() || (whole && plain.size() != module.size()))
        return plain.empty() ? std::nullopt : std::optional(false);
    std::size_t const start = module.size() - plain.size();
    if (start > 0 && module[start - 1] != '.') return false;
    for (std::size_t i = 0; i < plain.size(); ++i)
        if (plain[i] != '.' && module[start + i] != (plain[i] == '\n' ? '.' : plain[i])) return false;
    return true;
}

/// The value that a rank_pattern or alpha_pattern has for a module, if any. PEFT takes the first key that fits, but
/// JSON objects have no order here: keys that disagree are refused.
inline result<std::optional<double>> pattern_value(nlohmann::json const& pattern, char const* field,
                                                   std::string const& module, std::string const& file) {
    std::optional<double> found;
    for (auto const& [key, value] : pattern.items()) {
        auto const fits = pattern_names(key, module);
        if (!fits) return bad_field(file, field, "keys that are names, not regular expressions", key);
        if (!*fits) continue;
        if (!value.is_number()) return bad_field(file, field, "numbers", value);
        if (found && *found != value.get<double>()) return bad_field(file, field, "one value for " + module, pattern);
        found = value.get<double>();
    }
    return found;
}

/// Fields that would change what the adapter computes must be absent or plain; fields nobody here knows must be empty.
inline result<void> refuse_unknown_fields(nlohmann::json const& json, std::string const& file) {
    constexpr std::array<std::string_view, 27> harmless{"peft_type",
                                                        "r",
                                                        "lora_alpha",
                                                        "use_rslora",
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
        if (key == "use_dora")
            return bad_field(file, key, "false", value, "merging the adapter: DoRA's magnitudes are not read here");
        return bad_field(file, key, "nothing: adapters with this are not supported", value, "an adapter of plain LoRA");
    }
    auto const bias = json_get_or<std::string>(json, "bias", "none", file);
    if (!bias) return bias.error();
    if (*bias != "none") return bad_field(file, "bias", "none", *bias, "an adapter of plain LoRA");
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
    if (*type != "LORA") return bad_field(file, "peft_type", "LORA", *type, "an adapter of plain LoRA");
    if (auto const r = detail::refuse_unknown_fields(json, file); !r) return r.error();
    auto const rank = json_get_or<std::int32_t>(json, "r", 8, file);
    auto const alpha = json_get_or<double>(json, "lora_alpha", 8, file);
    auto const rslora = json_get_or<bool>(json, "use_rslora", false, file);
    auto const base = json_get_or<std::string>(json, "base_model_name_or_path", "", file);
    if (!rank) return rank.error();
    if (!alpha) return alpha.error();
    if (!rslora) return rslora.error();
    if (!base) return base.error();
    if (*rank < 1) return bad_field(file, "r", "at least 1", *rank);
    if (!(std::isfinite(static_cast<float>(*alpha)) && *alpha > 0))
        return bad_field(file, "lora_alpha", "a finite number above 0", *alpha);
    c.rank = *rank, c.alpha = *alpha, c.rslora = *rslora, c.base_name = *base;
    if (auto const* const targets = find_field(json, "target_modules"); targets && !targets->is_string()) {
        auto list = json_get<std::vector<std::string>>(json, "target_modules", file);
        if (!list) return list.error();
        c.targets = std::move(*list);
    }
    for (auto const& [key, to] : {std::pair{"rank_pattern", &c.ranks}, std::pair{"alpha_pattern", &c.alphas}}) {
        auto const* const pattern = find_field(json, key);
        if (pattern && !pattern->is_object()) return bad_field(file, key, "an object", *pattern);
        if (pattern) *to = *pattern;
    }
    return c;
}

/// The text of adapter_config.json: sorted keys, two spaces.
inline std::string peft_config_text(adapter const& a) {
    nlohmann::json ranks = nlohmann::json::object();
    for (lora_pair const& p : a.pairs)
        if (p.rank != a.rank) ranks[p.module] = p.rank;
    auto const targets = detail::targets_of(a.pairs);
    bool const local =
        a.base_name.starts_with('/');  // converters follow this name: a path of this machine helps nobody
    bool const whole = std::floor(a.alpha) == a.alpha && std::abs(a.alpha) < 1e15;
    nlohmann::json const json = {
        {"alpha_pattern", nlohmann::json::object()},
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
        {"lora_alpha", whole ? nlohmann::json(static_cast<std::int64_t>(a.alpha)) : nlohmann::json(a.alpha)},
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
        {"use_dora", false},
        {"use_rslora", a.rslora}};
    return json_text(json, 2) + "\n";
}

}  // namespace graft
