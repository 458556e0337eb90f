// SPDX-License-Identifier: Apache-2.0
// graft inspect: what a model, an adapter or a checkpoint holds, without using it.
#include "options.hpp"
#include "session.hpp"
#include "spelling.hpp"

#include <graft/io/adapter.hpp>
#include <graft/io/checkpoint.hpp>
#include <graft/io/gguf_reader.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/text/json.hpp>

#include <cstdio>
#include <map>
#include <optional>

namespace tool {
namespace {

/// What is shown: facts in order, and a table of tensors.
struct findings {
    std::vector<std::pair<std::string, nlohmann::json>> facts;
    nlohmann::json tensors = nlohmann::json::array();

    void add(std::string name, nlohmann::json value) { facts.emplace_back(std::move(name), std::move(value)); }
    void add_tensor(std::string_view name, std::string_view type, nlohmann::json shape, std::uint64_t bytes) {
        tensors.push_back({{"name", name}, {"type", type}, {"shape", std::move(shape)}, {"bytes", bytes}});
    }
};

/// A value as one short line, or as JSON.
nlohmann::json value_of(gguf const& g, gguf_entry const& e) {
    std::string const key(e.key);
    if (e.type == gguf_type::array) return "[" + std::to_string(e.count) + " of " + name_of(e.element) + "]";
    if (auto const text = g.text(key)) return *text;
    if (auto const flag = g.flag(key)) return *flag;
    if (auto const number = g.number(key)) return *number;
    if (auto const count = g.count(key)) return *count;
    return std::string(name_of(e.type));
}

/// Types of tensors with how many there are of each.
std::string types_of(nlohmann::json const& tensors) {
    std::map<std::string, int> counts;
    for (auto const& t : tensors) ++counts[t["type"].get<std::string>()];
    std::string s;
    for (auto const& [type, n] : counts) s += (s.empty() ? "" : ", ") + std::to_string(n) + " " + type;
    return s;
}

void add_config(findings& f, model_config const& c) {
    f.add("architecture", name_of(c.arch));
    for (auto const& [name, n] : {std::pair{"layers", c.layers},
                                  {"width", c.width},
                                  {"heads", c.heads},
                                  {"kv_heads", c.kv_heads},
                                  {"head", c.head},
                                  {"hidden", c.hidden},
                                  {"vocabulary", c.vocabulary},
                                  {"context", c.context}})
        f.add(name, n);
    f.add("rope_base", c.rope_base), f.add("norm_epsilon", c.norm_epsilon), f.add("tied_head", c.tied_head);
}

void add_text(findings& f, model_file const& m) {
    f.add("tokenizer", m.tokens.model + (m.tokens.pre.empty() ? "" : ", " + m.tokens.pre) + ", " +
                           std::to_string(m.tokens.tokens.size()) + " tokens");
    auto const words = tokenizer::make(m.tokens, m.path);
    if (!words) return f.add("tokenizer_problem", describe(words.error()));
    auto const chat = chat_format::make(*words, "", m.path);
    f.add("chat_format", chat ? std::string(chat->name()) : "unknown: needs --chat-format");
}

result<findings> of_gguf(std::string const& path) {
    findings f;
    auto const file = mapped_file::open(path);
    if (!file) return file.error();
    auto const g = parse_gguf(file->bytes(), path);
    if (!g) return g.error();
    auto const kind = g->text("general.type", "model");
    if (!kind) return kind.error();
    f.add("file", path), f.add("kind", "GGUF " + *kind), f.add("version", g->version),
        f.add("bytes", file->bytes().size());
    if (*kind == "model") {
        auto const model = open_model(path);
        if (model) {
            f.add("name", model->name), add_config(f, model->config), add_text(f, *model);
            for (auto const& w : model->warnings) warn(path + ": " + w);
        } else {
            f.add("problem", describe(model.error()));
        }
    }
    for (auto const& e : g->entries) f.add(std::string(e.key), value_of(*g, e));
    for (auto const& t : g->tensors) {
        nlohmann::json shape = nlohmann::json::array();
        for (std::uint32_t i = t.rank; i-- > 0;) shape.push_back(t.dims[i]);
        f.add_tensor(t.name, t.type->name, std::move(shape), t.data.size());
    }
    for (auto const& w : g->warnings) warn(path + ": " + w);
    return f;
}

result<findings> of_safetensors(std::string const& path) {
    findings f;
    auto const file = mapped_file::open(path);
    if (!file) return file.error();
    auto const s = parse_safetensors(file->bytes(), path);
    if (!s) return s.error();
    f.add("file", path), f.add("kind", "safetensors"), f.add("bytes", file->bytes().size());
    for (auto const& [key, value] : s->metadata) f.add(key, value);
    for (auto const& t : s->tensors) f.add_tensor(t.name, t.type->name, t.shape, t.data.size());
    return f;
}

result<findings> of_adapter(std::string const& path) {
    findings f;
    auto const a = read_peft(path);
    if (!a) return a.error();
    f.add("file", path), f.add("kind", "PEFT adapter"), f.add("base", a->base_name),
        f.add("method", std::string(a->rslora ? "rs" : "") + (has_magnitudes(*a) ? "dora" : "lora"));
    f.add("rank", a->rank), f.add("alpha", a->alpha), f.add("targets", a->targets), f.add("pairs", a->pairs.size());
    nlohmann::json ranks = nlohmann::json::object(), alphas = ranks;
    for (auto const& p : a->pairs) {
        if (p.rank != a->rank) ranks[p.module] = p.rank;
        if (alpha_of(*a, p) != a->alpha) alphas[p.module] = alpha_of(*a, p);
    }
    if (!ranks.empty()) f.add("rank_pattern", ranks);
    if (!alphas.empty()) f.add("alpha_pattern", alphas);
    double numbers = 0;
    for (auto const& p : a->pairs) {
        f.add_tensor(p.module + ".lora_A", "F32", {p.rank, p.in}, p.a.size() * sizeof(float));
        f.add_tensor(p.module + ".lora_B", "F32", {p.out, p.rank}, p.b.size() * sizeof(float));
        if (!p.m.empty()) f.add_tensor(p.module + ".lora_magnitude_vector", "F32", {p.out}, p.m.size() * sizeof(float));
        numbers += static_cast<double>(p.a.size() + p.b.size() + p.m.size());
    }
    f.add("parameters", static_cast<std::uint64_t>(numbers));
    return f;
}

result<findings> of_checkpoint(std::string const& path) {
    findings f;
    auto const c = load_checkpoint(path);
    if (!c) return c.error();
    f.add("file", path), f.add("kind", "checkpoint, verified"), f.add("step", c->step);
    for (auto const& [key, value] : c->manifest.items()) f.add(key, value);
    for (auto const& b : c->blobs) {
        bool const half = b.name.ends_with("16"), wide = b.name.ends_with("f64"), single = b.name.ends_with("f32");
        std::size_t const each = half ? 2 : wide ? 8 : single ? 4 : 1;
        std::string const type = each == 1 ? "U8" : b.name.ends_with("bf16") ? "BF16" : "F" + std::to_string(8 * each);
        f.add_tensor(b.name, type, {b.bytes.size() / each}, b.bytes.size());
    }
    return f;
}

result<findings> of_model_directory(std::string const& path) {
    findings f;
    auto const m = open_model(path);
    if (!m) return m.error();
    f.add("file", path), f.add("kind", "Hugging Face model"), f.add("name", m->name), f.add("bytes", m->bytes);
    add_config(f, m->config), add_text(f, *m);
    for (auto const& t : m->tensors) f.add_tensor(t.name, t.how->name, t.shape, t.data.size());
    return f;
}

result<findings> look_at(std::string const& path) {
    if (is_directory(path)) {
        auto const has = [&](char const* name) { return path_exists(path + "/" + name); };
        if (has("manifest.json")) return of_checkpoint(path);
        if (has("adapter_config.json")) return of_adapter(path);
        if (has("config.json")) return of_model_directory(path);
        std::string const own = has("checkpoints") ? path + "/checkpoints" : path;
        auto const newest = newest_valid(own);
        for (auto const& p : newest.skipped) warn(describe(p));
        if (newest.found) return of_checkpoint(newest.found->path);
        return problem{cause::bad_file,
                       path,
                       "holds nothing that is known here",
                       {},
                       "config.json, adapter_config.json, or checkpoints",
                       {},
                       {}};
    }
    return path.ends_with(".safetensors") ? of_safetensors(path) : of_gguf(path);
}

std::string short_text(nlohmann::json const& j) {
    return printable(j.is_string() ? j.get<std::string>() : json_text(j), 90);
}

void show(findings const& f, bool all_tensors) {
    for (auto const& [name, value] : f.facts)
        std::printf("%-42s %s\n", printable(name, 60).c_str(), short_text(value).c_str());
    std::printf("%-42s %zu (%s)\n", "tensors", f.tensors.size(), types_of(f.tensors).c_str());
    if (!all_tensors) return;
    for (auto const& t : f.tensors)
        std::printf("  %-56s %-6s %-18s %12s\n", short_text(t["name"]).c_str(), t["type"].get<std::string>().c_str(),
                    json_text(t["shape"]).c_str(),
                    in_mebibytes(static_cast<double>(t["bytes"].get<std::uint64_t>())).c_str());
}

}  // namespace

int inspect(arguments const& all) {
    bool json = false, tensors = false;
    std::vector<std::string> paths;
    options o(
        "inspect", "What a model, an adapter or a checkpoint holds.",
        "Examples:\n  graft inspect m.gguf\n  graft inspect out --tensors\n  graft inspect out/checkpoints --json");
    o.flag("tensors", tensors, "list all tensors");
    o.flag("json", json, "an object, with all tensors");
    o.words("PATH", paths, 1, "a GGUF or safetensors file; the directory of a model, an adapter or a checkpoint");
    auto const parsed = o.parse(all);
    if (!parsed) return refuse(parsed.error(), wants_json(all));
    if (!*parsed) return 0;
    if (paths.empty()) return refuse(usage("there is nothing to inspect", "PATH", {}, "graft inspect --help"), json);
    auto const found = look_at(paths[0]);
    if (!found) return refuse(found.error(), json);
    if (json) {
        nlohmann::json out{{"tensors", found->tensors}};
        for (auto const& [name, value] : found->facts) out[name] = value;
        print(out);
    } else {
        show(*found, tensors);
    }
    return 0;
}

}  // namespace tool
