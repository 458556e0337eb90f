// SPDX-License-Identifier: Apache-2.0
// Opens a model from a Hugging Face directory: config.json, safetensors, tokenizer.json. (layer 16: io)
#pragma once

#include <graft/io/atomic_directory.hpp>
#include <graft/io/huggingface_config.hpp>
#include <graft/io/model_data.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/text/tokenizer_json.hpp>

#include <cstdlib>
#include <map>
#include <set>

namespace graft {

namespace detail {

/// The names in a directory that end like that, sorted.
inline std::vector<std::string> names_ending(std::string const& directory, std::string_view ending) {
    std::vector<std::string> names = names_in(directory);
    std::erase_if(names, [&](std::string const& name) { return !name.ends_with(ending); });
    return names;
}

inline std::string real_path(std::string const& path) {
    char* const found = ::realpath(path.c_str(), nullptr);
    std::string copy = found ? found : "";
    std::free(found);
    return copy;
}

/// A shard's name comes from a file nobody vouches for: it must be one plain name, and not lead out of the directory by
/// a link. (A download cache keeps `snapshots/REVISION` full of links into the `blobs` beside it: those are allowed.)
inline result<std::string> shard_path(std::string const& directory, std::string const& name, std::string const& index) {
    problem const refused{cause::bad_file,
                          index,
                          "the name of a shard is refused",
                          "key 'weight_map'",
                          "a plain file name in the same directory",
                          in_quotes(name),
                          "a model from a source you trust"};
    if (name.empty() || name == "." || name == ".." || name.size() > 255 || name.find_first_of("/\\") != name.npos ||
        name.find('\0') != name.npos)
        return refused;
    std::string path = directory + "/" + name;
    std::string const target = real_path(path), home = real_path(directory);
    if (target.empty()) return path;  // absent: opening it says so
    bool const inside = folder_of(target) == home;
    bool const cached =
        base_name(folder_of(home)) == "snapshots" && folder_of(target) == folder_of(folder_of(home)) + "/blobs";
    if (!inside && !cached) return refused;
    return path;
}

/// The safetensors files of a model: those its index names, else `model.safetensors`, else all there are.
struct shard_list {
    std::vector<std::string> names;
    std::map<std::string, std::string> file_of;  // tensor → shard; empty without an index
    std::string index;
};

inline result<shard_list> find_shards(std::string const& directory) {
    shard_list list;
    list.index = directory + "/model.safetensors.index.json";
    if (path_exists(list.index)) {
        auto const json = read_json_object(list.index);
        if (!json) return json.error();
        auto const map = json_object(*json, "weight_map", list.index);
        if (!map) return map.error();
        std::set<std::string> names;
        for (auto const& [tensor, shard] : (*map)->items()) {
            if (!shard.is_string()) return bad_field(list.index, "weight_map", "file names", shard);
            list.file_of[tensor] = shard.get<std::string>();
            names.insert(list.file_of[tensor]);
        }
        list.names.assign(names.begin(), names.end());
        return list;
    }
    if (path_exists(directory + "/model.safetensors"))
        list.names = {"model.safetensors"};
    else
        list.names = names_ending(directory, ".safetensors");
    std::erase(list.names, "adapter_model.safetensors");
    if (!list.names.empty()) return list;
    bool const pickles = !names_ending(directory, ".bin").empty() || !names_ending(directory, ".pt").empty();
    return problem{pickles ? cause::bad_file : cause::io,
                   directory,
                   "has no safetensors file",
                   {},
                   "model.safetensors",
                   pickles ? "PyTorch's .bin files" : "none",
                   pickles ? "converting it to safetensors" : "the directory of a complete model"};
}

/// Every shard opened and every tensor of the index found where the index says, and nowhere else.
struct opened_shards {
    std::vector<mapped_file> files;
    std::vector<safetensors> parsed;
    std::map<std::string, std::pair<safetensors const*, safetensors_tensor const*>> tensors;
};

inline result<opened_shards> open_shards(std::string const& directory, shard_list const& list, file_access access) {
    opened_shards all;
    for (std::string const& name : list.names) {
        auto const path = shard_path(directory, name, list.index);
        if (!path) return path.error();
        auto file = mapped_file::open(*path, access);
        if (!file) return file.error();
        auto parsed = parse_safetensors(file->bytes(), *path);
        if (!parsed) return parsed.error();
        all.files.push_back(std::move(*file));
        all.parsed.push_back(std::move(*parsed));
    }
    for (std::size_t i = 0; i < all.parsed.size(); ++i)
        for (safetensors_tensor const& t : all.parsed[i].tensors) {
            if (!all.tensors.try_emplace(t.name, &all.parsed[i], &t).second)
                return bad_tensor(all.parsed[i].file, t.name, "is in two shards");
            auto const told = list.file_of.find(t.name);
            if (!list.file_of.empty() && (told == list.file_of.end() || told->second != list.names[i]))
                return bad_tensor(list.index, t.name, "is not in the shard that the index names",
                                  told == list.file_of.end() ? "no shard" : told->second, list.names[i]);
        }
    for (auto const& [tensor, shard] : list.file_of)
        if (!all.tensors.contains(tensor))
            return bad_tensor(list.index, tensor, "is missing from its shard", in_quotes(shard), {});
    return all;
}

inline result<stored_tensor> as_stored(safetensors const& file, safetensors_tensor const& t) {
    if (!t.type->is_weight)
        return bad_tensor(file.file, t.name, "has a type that is not supported", "F32, F16 or BF16",
                          std::string(t.type->name));
    stored_tensor s;
    s.file_name = t.name;
    s.how = &format_of(t.type->weight);
    for (std::uint64_t const d : t.shape) {
        if (d > INT64_MAX) return bad_tensor(file.file, t.name, "has an impossible dimension", {}, std::to_string(d));
        s.shape.push_back(static_cast<index_t>(d));
    }
    s.data = t.data;
    return s;
}

/// tokenizer.json, with what tokenizer_config.json and a separate chat template add where they are there.
inline result<tokenizer_data> read_huggingface_tokens(std::string const& directory) {
    std::string const path = directory + "/tokenizer.json", config_path = directory + "/tokenizer_config.json",
                      chat_path = directory + "/chat_template.jinja";
    auto const text = mapped_file::open(path, file_access::read);
    if (!text) return text.error();
    mapped_file config, chat;
    for (auto const& [from, to] : {std::pair{&config_path, &config}, std::pair{&chat_path, &chat}}) {
        if (!path_exists(*from)) continue;
        auto file = mapped_file::open(*from, file_access::read);
        if (!file) return file.error();
        *to = std::move(*file);
    }
    auto tokens = read_tokenizer_json(as_text(text->bytes()), as_text(config.bytes()), path, config_path);
    if (tokens && tokens->chat_template.empty()) tokens->chat_template = as_text(chat.bytes());
    return tokens;
}

}  // namespace detail

/// A model from a directory as Hugging Face's libraries save it.
inline result<model_file> open_huggingface_model(std::string const& directory, open_options const& options = {}) {
    model_file model;
    model.path = directory;
    model.name = base_name(directory);
    std::string const config_path = directory + "/config.json";
    if (!path_exists(config_path) && path_exists(directory + "/adapter_config.json"))
        return problem{cause::mismatch,
                       directory,
                       "is an adapter, not a model",
                       {},
                       "config.json",
                       "adapter_config.json",
                       "passing it where adapters are asked for"};
    auto const json = read_json_object(config_path);
    if (!json) return json.error();
    auto read = read_huggingface_config(*json, config_path, model.warnings);
    if (!read) return read.error();
    model_config& c = model.config = read->config;

    auto const list = detail::find_shards(directory);
    if (!list) return list.error();
    auto shards = detail::open_shards(directory, *list, options.access);
    if (!shards) return shards.error();
    bool const has_head = shards->tensors.contains("lm_head.weight");
    c.tied_head = read->tied.value_or(!has_head);
    if (auto const r = check_config(c, config_path); !r) return r.error();

    std::set<std::string> used;
    if (c.tied_head) used.insert("lm_head.weight");  // some writers store the embedding twice
    for (expected_tensor const& e : expected_tensors(c)) {
        auto const at = shards->tensors.find(e.name);
        if (at == shards->tensors.end()) return detail::bad_tensor(directory, e.name, "is missing");
        auto const [file, tensor] = at->second;
        auto stored = detail::as_stored(*file, *tensor);
        if (!stored) return stored.error();
        if (auto const r = detail::bind_tensor(model, file->file, e, std::move(*stored)); !r) return r.error();
        used.insert(e.name);
    }
    std::vector<std::string> extras;
    for (auto const& [name, where] : shards->tensors)
        if (!used.contains(name)) extras.push_back(name);
    if (auto const r = detail::judge_extras(model, directory, extras); !r) return r.error();
    detail::sort_tensors(model);
    if (options.tokenizer) {
        auto tokens = detail::read_huggingface_tokens(directory);
        if (!tokens) return tokens.error();
        model.tokens = std::move(*tokens);
        if (auto const r = detail::check_vocabulary(model, directory); !r) return r.error();
    }
    model.files = std::move(shards->files);
    return model;
}

}  // namespace graft
