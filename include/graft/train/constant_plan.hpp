// SPDX-License-Identifier: Apache-2.0
// The plan of a step whose model and settings are constants: worked out when compiling, read where constants lie.
// (layer 13: train)
#pragma once

#include <graft/train/memory_plan.hpp>

#include <array>

namespace graft {

/// What a trainer of this model and these settings would work out and lay into its arena when it is made. On a device
/// it lies in flash: neither code to plan with nor stack to plan on is left.
///
///     static constexpr model_config config = …;
///     static constexpr tuner::settings how = …;      // tuner: a `trainer<…>`
///     using planned = constant_plan<tuner, config, how>;
///     alignas(64) static std::byte memory[planned::total()];
///     tuner t(model, planned{}, memory);
template <class Trainer, auto const& Config, auto const& Settings>
class constant_plan {
    static constexpr typename Trainer::layout lay{Config, Settings};

    template <index_t Variant, duty Duty>
    struct one {
        static constexpr auto whole = lay.plan(Variant, Duty);
        struct arrays {
            std::array<packed_event, static_cast<std::size_t>(whole.size)> events{};
            std::array<packed_buffer, static_cast<std::size_t>(whole.count)> buffers{};
        };
        static constexpr arrays packed = [] {
            arrays a;
            pack_plan(whole, a.events.data(), a.buffers.data());
            return a;
        }();
        static constexpr plan_view view{packed.events.data(), packed.buffers.data(), whole.size,        whole.backward,
                                        whole.tile,           whole.kept_bytes,      whole.scratch_bytes};
    };

    /// A step's memory without its schedules, and these: one per variant and duty.
    struct laid {
        training_memory memory;
        std::array<plan_view, Trainer::layout::most_plans> plans{};
    };
    static constexpr laid make() {
        laid r;
        r.memory = lay.memory();
        [&]<index_t... I>(std::integer_sequence<index_t, I...>) {
            ([&] {
                if constexpr (constexpr auto d = static_cast<duty>(I % duties); lay.uses(I / duties, d)) {
                    r.plans[static_cast<std::size_t>(I)] = one<I / duties, d>::view;
                    r.memory.tables -= packed_bytes(one<I / duties, d>::whole);
                }
            }(), ...);
        }(std::make_integer_sequence<index_t, lay.says.variants * duties>{});
        return r;
    }

public:
    static constexpr laid value = make();
    static constexpr model_config const& config = Config;
    static constexpr typename Trainer::settings const& settings = Settings;

    static constexpr training_memory memory_plan() { return value.memory; }
    /// Bytes of the arena.
    static constexpr index_t total() { return value.memory.total(); }
};

}  // namespace graft
