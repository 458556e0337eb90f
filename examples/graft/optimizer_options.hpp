// SPDX-License-Identifier: Apache-2.0
// How parameters are moved, as options: an optimizer, its numbers, and the rate of B beside that of A.
#pragma once

#include "options.hpp"

#include <graft/train/any.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace tool {

/// What the rate of B is in units of --lr where stiefel moves it and nobody says otherwise: B's columns have length 1,
/// and a step turns them by an angle, while A's numbers are small.
struct stiefel_rate_ratio {
    static constexpr double sgd = 3000, adam = 100, projected_adamw = 10;
};

struct optimizer_options {
    std::string name = "adamw", retraction = "cholesky-qr", along = "adam";
    double momentum = undecided, beta1 = undecided, beta2 = undecided, epsilon = undecided, weight_decay = 0.01,
           ratio_b = undecided;
    bool nesterov = false, no_nesterov = false;

    /// What memory depends on.
    void declare(options& o) {
        o.choice("optimizer", name, {"adamw", "adamw8", "sgd", "lion", "muon", "stiefel"},
                 "how adapters are moved; stiefel keeps the columns of every B orthonormal, AdamW moves the rest", {},
                 {{"adamw-torch", "adamw"},
                  {"adamw-8bit", "adamw8"},
                  {"adamw8bit", "adamw8"},
                  {"adamw-bnb-8bit", "adamw8"},
                  {"lion-32bit", "lion"}})
            .also({"optim"});
        o.number("momentum", momentum, 0, 0.999999, "sgd (else 0), muon (0.95), stiefel with sgd's momentum (0.9)");
        o.choice("stiefel-momentum", along, {"adam", "sgd", "projected-adamw"}, "stiefel: what B's steps remember");
        o.choice("retraction", retraction, {"cholesky-qr", "polar", "cayley"},
                 "stiefel: how a step of B comes back to orthonormal columns");
    }
    /// What only its numbers depend on.
    void declare_numbers(options& o) {
        o.flag("nesterov", nesterov, "sgd: look ahead along the momentum");
        o.flag("no-nesterov", no_nesterov, "muon: do not look ahead along the momentum");
        o.number("beta1", beta1, 0, 0.999999, "adamw, adamw8, lion, stiefel: of the mean gradient; else 0.9")
            .also({"adam-beta1"});
        o.number("beta2", beta2, 0, 0.99999999,
                 "of the mean square: 0.999 of adamw, adamw8, stiefel; of lion's momentum: 0.99")
            .also({"adam-beta2"});
        o.number("adam-epsilon", epsilon, 0, 1, "adamw, adamw8, stiefel: what is added to the root; else 1e-8", true)
            .also({"adam-eps"});
        o.number("weight-decay", weight_decay, 0, 1e3, "decoupled; not of orthonormal columns and lengths of rows")
            .also({"wd"});
        o.number("lr-ratio-b", ratio_b, 0, 1e9,
                 "the rate of B in units of --lr: 1; of stiefel 100, with sgd's momentum 3000, projected-adamw 10")
            .also({"loraplus-lr-ratio"});
    }

    bool is(char const* which) const { return name == which; }
    bool on_manifold() const { return is("stiefel"); }

    /// Refuses what does not belong together; decides what was not given.
    result<void> check(options const& o, std::string const& adapter_type) {
        using names = std::vector<std::string>;
        for (auto const& [option, owners] : {std::pair<char const*, names>{"stiefel-momentum", {"stiefel"}},
                                             {"retraction", {"stiefel"}},
                                             {"momentum", {"sgd", "muon", "stiefel"}},
                                             {"nesterov", {"sgd"}},
                                             {"no-nesterov", {"muon"}},
                                             {"beta1", {"adamw", "adamw8", "lion", "stiefel"}},
                                             {"beta2", {"adamw", "adamw8", "lion", "stiefel"}},
                                             {"adam-epsilon", {"adamw", "adamw8", "stiefel"}}})
            if (o.given(option) && std::find(owners.begin(), owners.end(), name) == owners.end()) {
                std::string const dashes = "--" + std::string(option);
                return usage(dashes + " has no meaning here", "--optimizer " + listed(owners), "--optimizer " + name,
                             "--optimizer " + owners.front() + ", or no " + dashes);
            }
        if (on_manifold() && o.given("momentum") && along != "sgd")
            return usage("--momentum has no meaning here", "--stiefel-momentum sgd", "--stiefel-momentum " + along,
                         "--stiefel-momentum sgd, or --beta1");
        if (nesterov && !(momentum > 0))
            return usage("--nesterov looks ahead along a momentum, and sgd has none unless it is given",
                         "--momentum above 0", "none", "--momentum 0.9 --nesterov");
        if (on_manifold() && adapter_type != "f32")
            return usage("--adapter-type rounds the columns that stiefel keeps orthonormal", "f32", adapter_type,
                         "--adapter-type f32, or another --optimizer");
        decide(momentum, is("muon")                        ? muon{}.momentum
                         : on_manifold() && along == "sgd" ? riemannian_sgd{}.momentum
                         : is("sgd")                       ? 0
                                                           : undecided);
        bool const has_betas = is("adamw") || is("adamw8") || is("lion") || on_manifold();
        decide(beta1, has_betas ? adamw{}.beta1 : undecided);
        decide(beta2, is("lion") ? lion{}.beta2 : has_betas ? adamw{}.beta2 : undecided);
        decide(epsilon, has_betas && !is("lion") ? adamw{}.epsilon : undecided);
        decide(ratio_b, !on_manifold()               ? 1
                        : along == "sgd"             ? stiefel_rate_ratio::sgd
                        : along == "projected-adamw" ? stiefel_rate_ratio::projected_adamw
                                                     : stiefel_rate_ratio::adam);
        return {};
    }

    any_optimizer make() const {
        if (is("sgd")) return sgd{momentum, nesterov, weight_decay};
        if (is("lion")) return lion{beta1, beta2, weight_decay};
        if (is("adamw8")) return adamw8{beta1, beta2, epsilon, weight_decay};
        if (is("muon")) {
            adamw rest;
            rest.weight_decay = weight_decay;
            return muon{momentum, !no_nesterov, weight_decay, rest};
        }
        adamw const plain{beta1, beta2, epsilon, weight_decay};
        if (!on_manifold()) return plain;
        any_stiefel s;
        s.rest = plain, s.momentum = riemannian_adam{beta1, beta2, epsilon};
        if (along == "sgd") s.momentum = riemannian_sgd{momentum};
        if (along == "projected-adamw") s.momentum = projected_adamw{beta1, beta2, epsilon};
        if (retraction == "polar") s.retraction = polar{};
        if (retraction == "cayley") s.retraction = cayley{};
        return s;
    }

    /// "stiefel (adam, cholesky-qr)"
    std::string text() const { return name + (on_manifold() ? " (" + along + ", " + retraction + ")" : ""); }

private:
    static constexpr double undecided = std::numeric_limits<double>::quiet_NaN();
    static void decide(double& x, double value) {
        if (std::isnan(x)) x = value;
    }
};

}  // namespace tool
