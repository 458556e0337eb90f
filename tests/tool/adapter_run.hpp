// SPDX-License-Identifier: Apache-2.0
// Runs of `graft finetune` whose adapters are looked at.
#pragma once

#include <tests/tool/short_run.hpp>

#include <graft/io/adapter.hpp>
#include <graft/io/model_file.hpp>

namespace graft_test {

/// A run that must succeed, with what it says in the end.
inline nlohmann::json done(short_run const& b, std::string const& output, words const& how) {
    auto const r = b.run(output, joined(how, {"--overwrite"}));
    INFO(shown(how) << r.err);
    REQUIRE(r.code == 0);
    return r.json();
}

inline graft::adapter adapter_in(short_run const& b, std::string const& output) {
    auto const model = graft::open_model(b.model);
    REQUIRE(model);
    auto const a = graft::open_adapter(b.path(output), model->config);
    REQUIRE(a);
    return *a;
}

/// The held-out loss; "": without an adapter.
inline double loss_of(short_run const& b, std::string const& output) {
    words line{"eval", "-m", b.model, "-d", b.data, "--split", "held_out", "--json"};
    if (!output.empty()) line = joined(line, {"--adapter", b.path(output)});
    auto const r = tool(line);
    INFO(r.err);
    REQUIRE(r.code == 0);
    return r.json()["loss"].get<double>();
}

inline nlohmann::json config_in(short_run const& b, std::string const& output) {
    return nlohmann::json::parse(read_file(b.path(output) + "/adapter_config.json"));
}

}  // namespace graft_test
