// SPDX-License-Identifier: Apache-2.0
// What a run tells about each step, as lines of JSON that are there as soon as the step is done.
#pragma once

#include "session.hpp"

#include <graft/io/atomic_file.hpp>
#include <graft/text/json.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace tool {

struct loss_point {
    index_t step;
    double loss;
};

/// A file of one object a line: {"step", "loss", "lr", ...} of an update, {"step", "validation_loss"} of a validation.
class metrics_log {
public:
    /// Starts the file, or goes on with one: what it says of steps after `done` is forgotten, so no step is told twice.
    static result<metrics_log> open(std::string const& path, bool resumed, index_t done) {
        metrics_log log;
        std::string kept;
        if (resumed && path_exists(path)) {
            auto const text = read_text(path);
            if (!text) return text.error();
            for (std::size_t at = 0; at < text->size();) {
                std::size_t const end = text->find('\n', at);
                if (end == text->npos) break;  // the line was being written when the run ended
                auto const line = parse_json(std::string_view(*text).substr(at, end - at), path);
                if (line && line->is_object() && line->contains("step") && (*line)["step"].is_number_integer() &&
                    (*line)["step"] <= done) {
                    log.remember(*line);
                    kept.append(*text, at, end + 1 - at);
                }
                at = end + 1;
            }
        }
        if (auto r = write_file(path, std::string_view(kept), {.overwrite = true, .inputs = {}, .calls = {}}); !r)
            return r.error();
        log.file.reset(std::fopen(path.c_str(), "ae"));
        if (!log.file) return system_problem(path, "cannot be written", errno);
        return log;
    }

    /// A log that cannot be written stops no training.
    void add(nlohmann::json const& line) {
        remember(line);
        std::string const text = json_text(line) + "\n";
        bool const ok =
            std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() && std::fflush(file.get()) == 0;
        if (!ok && !complained) warn("the log of metrics cannot be written"), complained = true;
    }

    std::vector<loss_point> training, validation;

private:
    void remember(nlohmann::json const& line) {
        for (auto [key, to] : {std::pair{"loss", &training}, {"validation_loss", &validation}})
            if (auto const at = line.find(key); at != line.end() && at->is_number())
                to->push_back({line["step"].get<index_t>(), at->get<double>()});
    }
    struct closes {
        void operator()(std::FILE* f) const { std::fclose(f); }
    };
    std::unique_ptr<std::FILE, closes> file;
    bool complained = false;
};

}  // namespace tool
