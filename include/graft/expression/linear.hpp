// SPDX-License-Identifier: Apache-2.0
// Linear maps: a frozen weight, alone or with a low-rank adapter.                        (layer 7: expression)
#pragma once

#include <graft/expression/label.hpp>
#include <graft/expression/node.hpp>
#include <graft/shape/transformer.hpp>

namespace graft {

/// Whether a linear map adds a vector to its product.
enum class bias : bool { absent, present };

template <Axis Out, class Op, Axis In, Expression X>
consteval auto map(Op op, X x) {
    static_assert(fits<axis_of<X>, In>, "this linear map does not take an operand with these columns");
    return apply<Out>(op, x);
}

/// What all linear maps tell about themselves.
template <label N, Axis Out, Axis In, bias Bias>
struct linear {
    using out_axis = Out;
    using in_axis = In;
    static constexpr std::string_view text = N.view();
    static constexpr bool has_bias = Bias == bias::present;
    /// The bit that stands for this map where a subset of maps carries adapters (`sizes.targets`).
    static constexpr unsigned bit = target_bit(N.view());
};

/// y = x Wᵀ + b, nothing trained.
struct frozen_map;
template <label N, Axis Out, Axis In, bias Bias = bias::absent>
struct frozen : linear<N, Out, In, Bias> {
    using kind = frozen_map;
    template <Expression X> consteval auto operator()(X x) const { return map<Out, frozen, In>(frozen{}, x); }
};

/// y = x Wᵀ + b + s (x Aᵀ) Bᵀ, with A (rank × In) and B (Out × rank) trained.
struct lora_map;
template <label N, Axis Out, Axis In, bias Bias = bias::absent>
struct lora : linear<N, Out, In, Bias> {
    using kind = lora_map;
    static constexpr index_t adapter_rank(auto const& n) { return n.targets & lora::bit ? n.rank : 0; }
    template <Expression X> consteval auto operator()(X x) const { return map<Out, lora, In>(lora{}, x); }
};

/// y = k ∘ (x Wᵀ + s (x Aᵀ) Bᵀ) + b, k = m / ‖rows of W + s B A‖, with A, B and m (Out × 1) trained. In sizes without
/// an `adapter_norm` it is lora.
struct dora_map;
template <label N, Axis Out, Axis In, bias Bias = bias::absent>
struct dora : linear<N, Out, In, Bias> {
    using kind = dora_map;
    static constexpr index_t adapter_rank(auto const& n) { return n.targets & dora::bit ? n.rank : 0; }
    template <Expression X> consteval auto operator()(X x) const { return map<Out, dora, In>(dora{}, x); }
};

}  // namespace graft
