// SPDX-License-Identifier: Apache-2.0
// Who runs a kernel, and the scratch memory each of them packs into.                     (layer 2: memory)
#pragma once

#include <graft/memory/profile.hpp>

#include <cstddef>
#include <type_traits>

namespace graft {

/// A handle on an executor: `count` lanes, each with its own panel of `panel_bytes` bytes (64-byte aligned, part of the
/// plan). Views carry a pointer to it, so that a product knows who computes it and where. Nobody here owns anything.
struct workers {
    using task = void (*)(void* context, index_t index, index_t lane);

    index_t count = 1;
    std::byte* panels = nullptr;
    index_t panel_bytes = 0;
    /// Runs task(context, i, lane) for all 0 ≤ i < tasks and returns when all are done; null runs them in order here.
    void (*run)(void* self, index_t tasks, task what, void* context) = nullptr;
    void* self = nullptr;
    step_profile* profile = nullptr;  // who wants to know where time goes: nobody

    std::byte* panel(index_t lane) const { return panels + lane * panel_bytes; }
    /// Runs one lane's packing, and takes its time where somebody wants to know.
    template <class Body>
    void packing(index_t lane, Body&& body) const {
        if (!profiled::wanted(profile)) return body();
        double const began = profile->now();
        body();
        profile->lane(lane)->packing += profile->now() - began;
    }

    /// body(i, lane) for all 0 ≤ i < tasks. What is written must not depend on who runs what.
    template <class Body>
    void each(index_t tasks, Body&& body) const {
        if (run && count > 1 && tasks > 1) {
            run(
                self, tasks,
                [](void* b, index_t i, index_t lane) { (*static_cast<std::remove_reference_t<Body>*>(b))(i, lane); },
                const_cast<void*>(static_cast<void const*>(&body)));
        } else {
            for (index_t i = 0; i < tasks; ++i) body(i, index_t{0});
        }
    }

    /// The same work for one lane only: what a task may use for the products inside it.
    workers alone(index_t lane) const { return {1, panel(lane), panel_bytes, nullptr, nullptr}; }
};

}  // namespace graft
