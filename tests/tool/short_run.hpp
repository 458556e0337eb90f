// SPDX-License-Identifier: Apache-2.0
// Whole runs of `graft finetune` on a tiny model, as processes.
#pragma once

#include <tests/tool/chat_model.hpp>
#include <tests/tool/process.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace graft_test {

/// A model, rows, and the options of a short run.
struct short_run {
    scratch_folder folder;
    std::string model = (folder.path / "tiny.gguf").string(), data = (folder.path / "rows.jsonl").string();

    explicit short_run(chat_model_options const& o = {}) { write_chat_model(model, o), write_rows(data); }
    std::string path(std::string const& name) const { return (folder.path / name).string(); }

    std::vector<std::string> line(std::string const& output, std::vector<std::string> const& more = {}) const {
        std::vector<std::string> all{"finetune", "--model", model, "--data", data, "--output", path(output), "--json"};
        for (auto const& [name, value] : {std::pair{"--batch-size", "4"},
                                          {"--seq-len", "96"},
                                          {"--rank", "4"},
                                          {"--lr", "0.01"},
                                          {"--threads", "1"}})
            if (std::find(more.begin(), more.end(), name) == more.end()) all.insert(all.end(), {name, value});
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    ended run(std::string const& output, std::vector<std::string> const& more = {}) const {
        return tool(line(output, more));
    }
    std::string adapter(std::string const& output) const {
        return read_file(path(output) + "/adapter_model.safetensors") + read_file(path(output) + "/adapter.gguf");
    }
};

inline std::vector<nlohmann::json> lines_of(std::string const& path) {
    std::vector<nlohmann::json> all;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) all.push_back(nlohmann::json::parse(line));
    return all;
}

using words = std::vector<std::string>;

inline words joined(words a, words const& b) { return a.insert(a.end(), b.begin(), b.end()), a; }
inline std::string shown(words const& all) {
    std::string s;
    for (auto const& w : all) s += w + " ";
    return s;
}

/// Text in rows whose passes are full: a target in every row of a pass of 126.
inline void write_text(std::string const& path) {
    std::ofstream out(path);
    for (int i = 0; i < 300; ++i) out << "the " << i * 7919 % 1000 << "th word, he said; ";
}
inline words const full_passes{"--train-on", "full", "--seq-len", "64", "--pass-tokens", "126"};

}  // namespace graft_test
