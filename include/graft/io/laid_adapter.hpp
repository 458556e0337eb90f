// SPDX-License-Identifier: Apache-2.0
// Adapters from files in the layers of a model that only runs forward, one set of them at a time. (layer 16: io)
#pragma once

#include <graft/io/adapter.hpp>
#include <graft/io/bind.hpp>
#include <graft/io/combine.hpp>
#include <graft/io/trained.hpp>

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace graft {

/// The numbers of one adapter as layers point to them. Must outlive the layers' use.
struct laid_adapter {
    /// One map of a layer: A, B and, of DoRA, m and m / n, one behind the other.
    struct map {
        index_t rank = 0, in = 0, out = 0, first = 0;  // rank 0: it has no adapter
        float s = 0;
        bool magnitudes = false;
    };
    std::vector<float> numbers;
    std::vector<map> maps{};  // of all layers, in running order
    adapter_extent extent{};
};

namespace detail {

/// The numbers of one pair behind those that are there; m / n = 1 where the pair has no magnitudes and `to` has.
template <class Op>
result<void> lay_pair(laid_adapter& to, weight const& w, adapter const& a, lora_pair p, model_config const& c) {
    to_interleaved(p, permuted_heads<Op>(c), c.head);
    double const s = scale(a, p);
    to.maps.push_back({p.rank, p.in, p.out, std::ssize(to.numbers), static_cast<float>(s), to.extent.magnitudes});
    for (auto const* numbers : {&p.a, &p.b, &p.m})
        to.numbers.insert(to.numbers.end(), numbers->begin(), numbers->end());
    if (to.extent.magnitudes && p.m.empty())
        to.numbers.insert(to.numbers.end(), static_cast<std::size_t>(2 * p.out), 1.0f);
    adapted_rows rows(p, s);
    for (index_t o = 0; o < std::ssize(p.m); ++o) {
        double const n = rows.length(w, o);
        if (!(n > 0))
            return bad_pair(cause::mismatch, {}, p.module, "DoRA divides by the length of a row that is zero");
        to.numbers.push_back(static_cast<float>(static_cast<double>(p.m[static_cast<std::size_t>(o)]) / n));
    }
    return {};
}

}  // namespace detail

/// The numbers of a (checked) adapter for the layers of a model, which stay as they are until `carry`.
/// `magnitudes`: for a plan with a norm, even where the adapter has none.
/// cost: with magnitudes the lengths of the adapted rows, rank + 1 operations for each weight of the maps.
template <class Block>
result<laid_adapter> lay_out(bound_model<Block> const& m, adapter const& a, bool magnitudes = false) {
    laid_adapter laid;
    laid.extent = extent_of(a), laid.extent.magnitudes |= magnitudes;
    std::optional<problem> wrong;
    index_t l = 0;
    for (auto const& layer : m.layers) {
        layer.visit([&](auto op, auto const& w) {
            using Op = decltype(op);
            if constexpr (requires { w.A; }) {
                auto const* const p = detail::find_pair(a, detail::module_of<Op>(l));
                if (!p) return laid.maps.push_back({});
                if (auto const r = detail::lay_pair<Op>(laid, w.W, a, *p, m.net.config); !r && !wrong)
                    wrong = r.error();
            }
        });
        ++l;
    }
    if (wrong) return *wrong;
    return laid;
}

/// Lets the model's layers carry a laid adapter, or none (null). No file is read, no number is copied. What a generator
/// keeps of the past belongs to the adapter before.
template <class Block>
void carry(bound_model<Block>& m, laid_adapter* laid) {
    std::size_t next = 0;
    for (auto& layer : m.layers)
        layer.visit([&](auto, auto& w) {
            if constexpr (requires { w.A; }) {
                w.A = w.B = w.dA = w.dB = w.A0 = w.B0 = {};
                if constexpr (requires { w.m; }) w.m = w.dm = {}, w.k = w.squares = nullptr;
                laid_adapter::map const at = laid ? laid->maps[next++] : laid_adapter::map{};
                if (at.rank == 0) return;
                float *const a = laid->numbers.data() + at.first, *const b = a + at.rank * at.in,
                             *const magnitudes = b + at.out * at.rank;
                w.s = at.s, w.A = {a, at.rank, at.in}, w.B = {b, at.out, at.rank};
                if (!at.magnitudes) return;
                if constexpr (requires { w.m; })
                    w.m = {magnitudes, at.out, 1}, w.k = magnitudes + at.out;
                else
                    require(false, fault::shape, "carry: magnitudes in maps that have no place for them", 1, 0);
            }
        });
}

/// Lets the model's layers carry adapters from files, added up by their weights; without any they carry none.
template <class Block>
result<laid_adapter> lay_adapter(bound_model<Block>& m, std::span<adapter_choice const> choices) {
    if (choices.empty()) return carry(m, nullptr), laid_adapter{};
    auto const sum = open_block_adapters(choices, m.net.config);
    if (!sum) return sum.error();
    auto laid = lay_out(m, *sum);
    if (laid) carry(m, &*laid);  // its numbers stay where they are when it is moved
    return laid;
}

/// Several adapters of one model, of which its layers carry one at a time: changing it moves pointers only.
class laid_adapters {
public:
    laid_adapters() = default;
    template <class Block>
    static result<laid_adapters> make(bound_model<Block> const& m, std::span<adapter const> adapters) {
        laid_adapters made;
        adapter_extent& most = made.biggest;
        for (adapter const& a : adapters) {
            auto const e = extent_of(a);
            most.rank = std::max(most.rank, e.rank), most.targets |= e.targets;
            most.magnitudes = most.magnitudes || e.magnitudes;
        }
        for (adapter const& a : adapters) {
            auto laid = lay_out(m, a, most.magnitudes);
            if (!laid) return laid.error();
            made.all.push_back(std::move(*laid));
        }
        return made;
    }

    index_t size() const { return std::ssize(all); }
    /// What a plan that is to fit each of them must have room for.
    adapter_extent const& extent() const { return biggest; }
    /// The layers carry adapter i; −1: none.
    template <class Block>
    void use(bound_model<Block>& m, index_t i) {
        require(i >= -1 && i < size(), fault::bounds, "laid_adapters: which", i, size());
        carry(m, i < 0 ? nullptr : &all[static_cast<std::size_t>(i)]);
    }

private:
    std::vector<laid_adapter> all;
    adapter_extent biggest;
};

}  // namespace graft
