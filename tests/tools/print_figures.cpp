// SPDX-License-Identifier: Apache-2.0
// What graft computes for the prompts of a reference file, with an adapter and without, as the scripts of tests/oracle
// read it: logits at the file's positions and indices, and greedy tokens ("base" and "adapter" beside each other).
// usage: print_figures MODEL tests/oracle/smollm2-reference.json [ADAPTER] > figures.json
#include <graft/io/laid_adapter.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/generator.hpp>
#include <graft/train/sampler.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>

using namespace graft;
using nlohmann::json;

namespace {

struct failure_of { problem what; };

template <class T>
T must(result<T> r) {
    if (!r) throw failure_of{r.error()};
    return std::move(r).value();
}

template <class Block>
json figures(model_file const& file, json const& reference, std::string const& adapter_path) {
    auto bound = must(bind_model<Block>(file));
    json out{{"indices", reference["indices"]}, {"prompts", json::array()}};
    for (auto const& p : reference["prompts"])
        out["prompts"].push_back({{"name", p.value("name", "")}, {"ids", p["ids"]}, {"positions", json::array()}});
    thread_pool pool(2);
    auto const run = [&](laid_adapter const& laid, char const* which) {
        generation const g{.context = 512, .chunk = 64, .lanes = 2};
        std::vector<std::byte> memory(
            static_cast<std::size_t>(generator<Block>::memory_bytes(file.config, g, laid.extent.like()) + 64));
        auto const at = reinterpret_cast<std::uintptr_t>(memory.data());
        generator<Block> next(bound.net, g, std::span(memory).subspan((64 - at % 64) % 64), pool.handle(nullptr, 0),
                              laid.extent.like());
        for (std::size_t k = 0; k < out["prompts"].size(); ++k) {
            auto& p = out["prompts"][k];
            auto const ids = p["ids"].template get<std::vector<int>>();
            p["positions"] = json::array();
            next.clear();
            for (std::size_t i = 0; i < ids.size(); ++i) {
                auto const logits = next.feed({&ids[i], 1});
                for (auto const& wanted : reference["prompts"][k]["positions"]) {
                    if (wanted["position"].template get<std::size_t>() != i) continue;
                    json row = json::array();
                    double largest = 0;
                    for (float x : logits) largest = std::max(largest, std::abs(static_cast<double>(x)));
                    for (auto const& index : reference["indices"])
                        row.push_back(logits[index.template get<std::size_t>()]);
                    p["positions"].push_back({{"position", i}, {"logits", row}, {"largest", largest}});
                }
            }
            std::vector<int> greedy;
            next.clear();
            auto logits = next.feed(ids);
            for (int i = 0; i < 24; ++i) {
                greedy.push_back(sampler{}(logits, 0));
                logits = next.feed({&greedy.back(), 1});
            }
            p[which] = greedy, p["greedy"] = greedy;
        }
    };
    run({}, "base");
    if (!adapter_path.empty()) run(must(lay_adapter(bound, std::vector<adapter_choice>{{adapter_path, 1}})), "adapter");
    return out;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 3 || count > 4) return std::fputs("usage: print_figures MODEL REFERENCE.json [ADAPTER]\n", stderr), 2;
    try {
        auto const file = must(open_model(arguments[1]));
        std::ifstream in(arguments[2]);
        auto const reference = json::parse(in);
        auto const out = with_block(file.config.arch, [&]<class Block>(std::type_identity<Block>) {
            return figures<Block>(file, reference, count == 4 ? arguments[3] : "");
        });
        std::puts(out.dump().c_str());
    } catch (failure_of const& f) {
        return std::fprintf(stderr, "error: %s\n", describe(f.what).c_str()), static_cast<int>(f.what.why);
    }
}
