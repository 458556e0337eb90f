// SPDX-License-Identifier: Apache-2.0
// An adapter as PEFT's directory: adapter_config.json and adapter_model.safetensors.     (layer 16: io)
#pragma once

#include <graft/io/atomic_directory.hpp>
#include <graft/io/peft_config.hpp>
#include <graft/io/safetensors_writer.hpp>

#include <map>

namespace graft {

namespace detail {

/// A, B and DoRA's magnitudes of one module, as the tensors of the file.
struct found_pair {
    safetensors_tensor const *a = nullptr, *b = nullptr, *m = nullptr;
};

inline result<std::map<std::string, found_pair>> find_pairs(safetensors const& s) {
    std::map<std::string, found_pair> pairs;
    for (safetensors_tensor const& t : s.tensors) {
        constexpr std::string_view prefix = "base_model.model.";
        constexpr std::pair<std::string_view, safetensors_tensor const * found_pair::*> kinds[] = {
            {".lora_A.weight", &found_pair::a},
            {".lora_B.weight", &found_pair::b},
            {".lora_magnitude_vector", &found_pair::m},
            {".lora_magnitude_vector.weight", &found_pair::m}};
        std::string_view name = t.name;
        if (name.find("lora_embedding_") != name.npos)
            return bad_tensor(s.file, name, "adapts an embedding, which is not supported");
        auto const kind =
            std::find_if(std::begin(kinds), std::end(kinds), [&](auto const& k) { return name.ends_with(k.first); });
        if (kind != std::end(kinds)) name.remove_suffix(kind->first.size());
        if (!name.starts_with(prefix) || kind == std::end(kinds) || name.size() > 300)
            return bad_tensor(s.file, t.name, "is not a tensor of a LoRA adapter",
                              "base_model.model.MODULE.lora_A.weight, lora_B.weight or lora_magnitude_vector");
        name.remove_prefix(prefix.size());
        auto& place = pairs[std::string(name)].*kind->second;
        if (place) return bad_tensor(s.file, t.name, "is there twice, under two names");
        place = &t;
    }
    return pairs;
}

inline result<lora_pair> read_pair(safetensors const& s, std::string const& module, found_pair const& found,
                                   peft_config const& config, std::string const& config_file) {
    lora_pair p;
    p.module = module;
    if (!found.a || !found.b)
        return bad_tensor(s.file,
                          (found.a   ? found.a
                           : found.b ? found.b
                                     : found.m)
                              ->name,
                          found.b ? "has no lora_A beside it" : "has no lora_B beside it");
    for (auto const* t : {found.a, found.b, found.m}) {
        if (!t) continue;
        if (!t->type->is_weight)
            return bad_tensor(s.file, t->name, "has a type that is not supported", "F32, F16 or BF16",
                              std::string(t->type->name));
        std::size_t const dimensions = t == found.m ? 1 : 2;
        if (t->shape.size() != dimensions || t->data.empty() || t->shape[0] > INT32_MAX || t->shape.back() > INT32_MAX)
            return bad_tensor(s.file, t->name, dimensions == 1 ? "is not a vector" : "is not a matrix",
                              dimensions == 1 ? "1 dimension" : "2 dimensions", std::to_string(t->shape.size()));
    }
    if (!found.m != !config.dora)
        return found.m ? bad_tensor(s.file, found.m->name, "belongs to DoRA", "use_dora in " + config_file)
                       : bad_tensor(s.file, found.b->name, "has no lora_magnitude_vector beside it",
                                    "one, for adapter_config.json says use_dora");
    index_t const wanted =
        static_cast<index_t>(value_of(config.ranks, module).value_or(static_cast<double>(config.rank)));
    double const alpha = value_of(config.alphas, module).value_or(config.alpha);
    p.rank = static_cast<index_t>(found.a->shape[0]), p.in = static_cast<index_t>(found.a->shape[1]),
    p.out = static_cast<index_t>(found.b->shape[0]);
    if (p.rank != wanted)
        return bad_tensor(s.file, found.a->name, "does not have the rank of adapter_config.json",
                          std::to_string(wanted) + " rows", std::to_string(p.rank));
    if (found.b->shape[1] != found.a->shape[0])
        return bad_tensor(s.file, found.b->name, "does not fit its lora_A", std::to_string(p.rank) + " columns",
                          std::to_string(found.b->shape[1]));
    if (found.m && found.m->shape[0] != found.b->shape[0])
        return bad_tensor(s.file, found.m->name, "does not fit its lora_B", std::to_string(p.out) + " numbers",
                          std::to_string(found.m->shape[0]));
    auto a = adapter_numbers(format_of(found.a->type->weight), found.a->data, p.rank, p.in, s.file, found.a->name);
    auto b = adapter_numbers(format_of(found.b->type->weight), found.b->data, p.out, p.rank, s.file, found.b->name);
    if (!a) return a.error();
    if (!b) return b.error();
    p.a = std::move(*a), p.b = std::move(*b);
    if (found.m) {
        auto m = adapter_numbers(format_of(found.m->type->weight), found.m->data, 1, p.out, s.file, found.m->name);
        if (!m) return m.error();
        p.m = std::move(*m);
    }
    if (alpha != config.alpha) p.alpha = alpha;
    return p;
}

}  // namespace detail

/// An adapter from the bytes of its two files. `arch` is not in them: check_adapter compares the shapes instead.
inline result<adapter> parse_peft(std::string_view config_text, std::string const& config_file,
                                  std::span<std::byte const> tensors, std::string const& tensor_file) {
    auto const config = read_peft_config(config_text, config_file);
    if (!config) return config.error();
    auto const parsed = parse_safetensors(tensors, tensor_file);
    if (!parsed) return parsed.error();
    auto const found = detail::find_pairs(*parsed);
    if (!found) return found.error();
    adapter a;
    a.base_name = config->base_name, a.rank = config->rank, a.alpha = config->alpha, a.rslora = config->rslora;
    for (auto const& [module, pair] : *found) {
        auto p = detail::read_pair(*parsed, module, pair, *config, config_file);
        if (!p) return p.error();
        if (!is_target(*config, module))
            return detail::bad_pair(cause::bad_file, tensor_file, module,
                                    "is not one of the target_modules of adapter_config.json");
        a.pairs.push_back(std::move(*p));
    }
    if (a.pairs.empty())
        return problem{cause::mismatch, tensor_file, "has no LoRA pair", {}, "lora_A and lora_B tensors", "none", {}};
    a.targets = detail::targets_of(a.pairs);
    detail::sort_pairs(a);
    return a;
}

/// An adapter from a directory as PEFT saves it.
inline result<adapter> read_peft(std::string const& directory) {
    std::string const config_path = directory + "/adapter_config.json", path = directory + "/adapter_model.safetensors";
    if (!path_exists(config_path) && path_exists(directory + "/config.json"))
        return problem{cause::mismatch,       directory,     "is a model, not an adapter",           {},
                       "adapter_config.json", "config.json", "passing it where models are asked for"};
    auto const config = mapped_file::open(config_path, file_access::read);
    if (!config) return config.error();
    if (!path_exists(path) && path_exists(directory + "/adapter_model.bin"))
        return problem{cause::bad_file,
                       directory + "/adapter_model.bin",
                       "is a Python pickle and is not read",
                       {},
                       "adapter_model.safetensors",
                       {},
                       "saving the adapter as safetensors"};
    auto const tensors = mapped_file::open(path, file_access::read);
    if (!tensors) return tensors.error();
    return parse_peft(as_text(config->bytes()), config_path, tensors->bytes(), path);
}

namespace detail {

inline std::string model_card(adapter const& a) {
    std::string card = "---\nlibrary_name: peft\n";
    if (!a.base_name.empty() && !a.base_name.starts_with('/'))
        card += "base_model: " + json_text(nlohmann::json(a.base_name)) + "\n";
    card += "tags:\n- lora\n---\n\nA " + std::string(has_magnitudes(a) ? "DoRA" : "LoRA") + " adapter of rank " +
            std::to_string(a.rank) + " for " +
            (a.base_name.empty() ? "a language model" : printable(base_name(a.base_name))) +
            ", for PEFT and everything that reads its files.\n";
    return card;
}

}  // namespace detail

/// Writes the directory: whole or not at all where it is new; file by file, the tensors first, where it is overwritten.
inline result<void> write_peft(std::string const& directory, adapter const& a, save_options const& options = {}) {
    if (auto const r = detail::may_be_written(a, directory); !r) return r;
    auto out = atomic_directory::create(directory, options);
    if (!out) return out.error();
    std::vector<tensor_to_write> tensors;
    for (lora_pair const& p : a.pairs) {
        auto const n = [](index_t i) { return static_cast<std::uint64_t>(i); };
        tensors.push_back({"base_model.model." + p.module + ".lora_A.weight",
                           "F32",
                           {n(p.rank), n(p.in)},
                           std::as_bytes(std::span(p.a))});
        tensors.push_back({"base_model.model." + p.module + ".lora_B.weight",
                           "F32",
                           {n(p.out), n(p.rank)},
                           std::as_bytes(std::span(p.b))});
        if (!p.m.empty())
            tensors.push_back({"base_model.model." + p.module + ".lora_magnitude_vector",
                               "F32",
                               {n(p.out)},
                               std::as_bytes(std::span(p.m))});
    }
    if (auto const r = write_safetensors(out->path_of("adapter_model.safetensors"), tensors, {{"format", "pt"}},
                                         out->options_of_files());
        !r)
        return r;
    if (auto const r = out->write("README.md", detail::model_card(a)); !r) return r;
    if (auto const r = out->write("adapter_config.json", peft_config_text(a)); !r) return r;
    return out->commit();
}

}  // namespace graft
