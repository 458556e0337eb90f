// SPDX-License-Identifier: Apache-2.0
// A compiled program inside a rule: planned in the rule's scratch, run on pointers.      (layer 9: program)
#pragma once

#include <graft/program/graph_machine.hpp>
#include <graft/program/prepare.hpp>

namespace graft::detail {

/// A program in memory that a rule owns. Arguments are pointers, which may change from run to run.
template <class Program, class T>
class inner_run {
public:
    static constexpr auto const& code = Program::code;

    /// Numbers of T that it needs for arguments of these sizes.
    static constexpr index_t numbers(sizes_t const* arguments, index_t lanes) {
        index_t sizes[code.variable_count + 1]{};
        find_sizes<Program>(sizes, arguments);
        return (plan_graph<Program>(sizes, sizeof(T)).bytes + scratch_bytes<Program, T>(sizes, lanes)) /
               static_cast<index_t>(sizeof(T));
    }

    inner_run(sizes_t const* arguments, T* memory, workers const& executor) : on(executor) {
        find_sizes<Program>(sizes, arguments);
        auto const plan = plan_graph<Program>(sizes, sizeof(T));
        space = memory + plan.bytes / static_cast<index_t>(sizeof(T));
        for (std::size_t v = 0; v < static_cast<std::size_t>(Program::V); ++v)
            if (auto const from = static_cast<std::size_t>(Program::steps.alias[v]); Program::steps.stored[from])
                data[v] = memory + plan.offset[from] / static_cast<index_t>(sizeof(T));
    }

    void set(int argument, T const* numbers) {
        for (std::size_t v = 0; v < static_cast<std::size_t>(Program::V); ++v) {
            auto const& x = code.at(Program::steps.alias[v]);
            if (x.what == structure::input && static_cast<int>(x.attribute) == argument)
                data[v] = const_cast<T*>(numbers);  // only read
        }
    }
    void operator()() const { run_program<Program, T>(graph_frame<T>{data, sizes}, on, space); }
    T const* output(int k) const { return data[code.outputs[static_cast<std::size_t>(k)]]; }

private:
    index_t sizes[code.variable_count + 1]{};
    T* data[Program::V]{};
    T* space = nullptr;
    workers const& on;
};

}  // namespace graft::detail
