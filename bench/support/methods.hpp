// SPDX-License-Identifier: Apache-2.0
// Adapters and optimizers by the names that command lines have for them.
#pragma once

#include <graft/train/any.hpp>

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace bench {

using namespace graft;

/// adamw, adamw8, sgd, lion, muon, or stiefel[:RETRACTION[:MOMENTUM]] with qr, polar or cayley, and sgd, adam or
/// projected; the first of each where it is not said.
inline std::optional<any_optimizer> find_optimizer(std::string_view name) {
    if (name == "adamw") return adamw{};
    if (name == "adamw8") return adamw8{};
    if (name == "sgd") return sgd{};
    if (name == "lion") return lion{};
    if (name == "muon") return muon{};
    auto const part = [&] {
        auto const end = name.find(':');
        auto const first = name.substr(0, end);
        name.remove_prefix(end == std::string_view::npos ? name.size() : end + 1);
        return first;
    };
    if (part() != "stiefel") return std::nullopt;
    any_stiefel s;
    auto const retraction = part(), momentum = part();
    if (retraction == "polar")
        s.retraction = polar{};
    else if (retraction == "cayley")
        s.retraction = cayley{};
    else if (!retraction.empty() && retraction != "qr")
        return std::nullopt;
    if (momentum == "adam")
        s.momentum = riemannian_adam{};
    else if (momentum == "projected")
        s.momentum = projected_adamw{};
    else if (!momentum.empty() && momentum != "sgd")
        return std::nullopt;
    if (!name.empty()) return std::nullopt;
    return s;
}

/// What is trained, and by what: ADAPTER+OPTIMIZER with lora, rslora, dora or dora-attached.
struct method {
    any_optimizer optimizer{};
    adapter_norm norm = adapter_norm::none;
    bool rank_stabilised = false;

    bool constrained() const { return optimizer.constrains({role::lora_b, 64, 8}); }
    void put(any_training& how) const {
        how.optimizer = optimizer, how.norm = norm, how.rank_stabilised = rank_stabilised;
    }
};
inline std::optional<method> find_method(std::string_view name) {
    auto const plus = name.find('+');
    if (plus == std::string_view::npos) return std::nullopt;
    auto const optimizer = find_optimizer(name.substr(plus + 1));
    auto const adapter = name.substr(0, plus);
    if (!optimizer) return std::nullopt;
    method m{*optimizer};
    if (adapter == "dora")
        m.norm = adapter_norm::detached;
    else if (adapter == "dora-attached")
        m.norm = adapter_norm::attached;
    else if (adapter == "rslora")
        m.rank_stabilised = true;
    else if (adapter != "lora")
        return std::nullopt;
    return m;
}

/// Checks of command lines.
inline CLI::Validator const a_method(
    [](std::string const& name) { return find_method(name) ? "" : name + " is no ADAPTER+OPTIMIZER"; },
    "ADAPTER+OPTIMIZER");
inline CLI::Validator const a_stiefel(
    [](std::string const& name) {
        auto const o = find_optimizer(name);
        return o && o->constrains({role::lora_b, 64, 8}) ? "" : name + " is no stiefel[:RETRACTION[:MOMENTUM]]";
    },
    "stiefel[:RETRACTION[:MOMENTUM]]");

}  // namespace bench
