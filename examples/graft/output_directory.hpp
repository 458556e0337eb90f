// SPDX-License-Identifier: Apache-2.0
// The directory of a run: that nothing of a user's is lost in it, and what is written to it at the end.
#pragma once

#include "finetune_options.hpp"
#include "metrics.hpp"
#include "plot.hpp"

#include <graft/io/atomic_directory.hpp>
#include <graft/io/output_folder.hpp>

#include <filesystem>
#include <string>
#include <system_error>

namespace tool {

/// Refuses, before anything is read or written, a directory that holds something else, or an input.
inline result<void> check_output(finetune_options const& o) {
    if (path_exists(o.output) && !is_directory(o.output))
        return problem{
            cause::io, o.output, "is not a directory", {}, "a directory for the adapter, or a path for a new one",
            {},        {}};
    for (auto const* const input : {&o.model, &o.adapter, &o.data}) {
        if (input->empty()) continue;
        bool const inside = is_directory(*input) ? same_file(o.output, *input) || lies_in(o.output, *input) : false;
        if (inside || (input == &o.adapter && path_exists(o.output) && lies_in(*input, o.output)))
            return usage("--output and an input are in each other", "an output directory outside of '" + *input + "'",
                         "'" + o.output + "'");
    }
    auto names = names_in(o.output);
    std::erase(names, ".lock");
    if (!names.empty() && !o.overwrite && !o.resume)
        return problem{cause::usage,
                       o.output,
                       "the output directory is not empty",
                       {},
                       {},
                       "'" + names.front() + "' and " + std::to_string(names.size() - 1) + " more",
                       "--resume to go on, --overwrite to replace an earlier run, or another --output"};
    if (o.resume && names.empty())
        return problem{cause::io,
                       o.output,
                       "no checkpoint to resume from",
                       {},
                       "the output directory of an earlier run",
                       "nothing there",
                       "the same command without --resume"};
    save_options how;
    how.overwrite = o.resume || o.overwrite, how.inputs = {o.model, o.data, o.adapter};
    std::erase(how.inputs, "");
    for (auto const* const file : {&o.log, &o.plot})
        if (auto r = may_write(*file, how); !r) return r;
    return {};
}

/// Makes the directory; with --overwrite an earlier run's checkpoints go, so that none is taken for this run's.
inline result<output_lock> take_output(finetune_options const& o) {
    std::error_code error;
    std::filesystem::create_directories(o.output, error);
    if (error) return system_problem(o.output, "cannot be made", error.value());
    auto lock = output_lock::take(o.output);
    if (!lock) return lock.error();
    if (o.overwrite)
        for (auto const& name : names_in(o.output + "/checkpoints"))
            if (name.starts_with("step-")) remove_flat_directory(o.output + "/checkpoints/" + name);
    return lock;
}

/// The adapter in both formats, the picture, and the record of the run.
inline result<void> write_output(finetune_options const& o, any_tuner const& t, std::string const& base,
                                 metrics_log const& log, nlohmann::json const& record) {
    save_options replace;
    replace.overwrite = true;
    if (auto r = t.save(o.output, replace); !r) return r;
    std::string const title = "Loss: " + base + ", " + o.run.adapters.text() + ", " + o.run.moved.text();
    if (auto r = write_file(o.plot, loss_plot(log.training, log.validation, title), replace); !r) return r;
    return write_file(o.output + "/run.json", json_text(record, 2) + "\n", replace);
}

}  // namespace tool
