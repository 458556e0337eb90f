// SPDX-License-Identifier: Apache-2.0
// Threads that run the tasks of kernels.                                                  (layer 14: parallel)
#pragma once

#include <graft/base/config.hpp>
#include <graft/memory/workers.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace graft {

/// Lanes that share the tasks of a run: the calling thread is lane 0, the others are threads that live as long as the
/// pool. An idle thread looks for work for some microseconds and then sleeps. A run allocates nothing. Each lane begins
/// with an even run of the tasks and then takes what others have left, so nothing may depend on which lane a task runs
/// on; a task must not throw. A run that is
/// started inside a task is done by the lane that starts it; two threads outside that share a pool take turns.
class thread_pool {
public:
    /// `lanes` in all, or as many as the machine runs at once; fewer where the system grants fewer threads.
    explicit thread_pool(index_t lanes = 0) {
        if (lanes <= 0) lanes = static_cast<index_t>(std::thread::hardware_concurrency());
        lanes = std::clamp(lanes, index_t{1}, index_t{1024});
        others = std::make_unique<std::thread[]>(static_cast<std::size_t>(lanes - 1));
        ids = std::make_unique<std::atomic<std::thread::id>[]>(static_cast<std::size_t>(lanes - 1));
        shares = std::make_unique<share[]>(static_cast<std::size_t>(lanes));
        for (count = 1; count < lanes; ++count)
            if (!start(count)) break;
    }
    ~thread_pool() {
        stopping.store(true, std::memory_order_relaxed);
        epoch.fetch_add(1, std::memory_order_release);
        epoch.notify_all();
        for (index_t lane = 1; lane < count; ++lane) others[static_cast<std::size_t>(lane - 1)].join();
    }
    thread_pool(thread_pool const&) = delete;
    thread_pool& operator=(thread_pool const&) = delete;

    index_t lanes() const { return count; }

    /// What kernels are given: `panels` has lanes() parts of `panel_bytes` bytes. The pool must not move or end before
    /// it.
    workers handle(std::byte* panels, index_t panel_bytes) {
        return {count, panels, panel_bytes,
                [](void* self, index_t tasks, workers::task what, void* context) {
                    static_cast<thread_pool*>(self)->run(tasks, what, context);
                },
                this};
    }

    /// what(context, i, lane) for all 0 ≤ i < tasks; returns when all are done.
    void run(index_t tasks, workers::task what, void* context) {
        if (index_t const lane = lane_of_caller(); lane >= 0) {
            for (index_t i = 0; i < tasks; ++i) what(context, i, lane);
            return;
        }
        std::lock_guard const turn(one_at_a_time);
        caller.store(std::this_thread::get_id(), std::memory_order_relaxed);
        job_task = what, job_context = context;
        for (index_t lane = 0; lane < count; ++lane) {
            share& s = shares[static_cast<std::size_t>(lane)];
            s.next.store(tasks * lane / count, std::memory_order_relaxed);
            s.end = tasks * (lane + 1) / count;
        }
        gate.store(open, std::memory_order_release);  // nobody is inside: the last run waited for that
        epoch.fetch_add(1, std::memory_order_release);
        epoch.notify_all();
        work(0);
        gate.fetch_and(~open, std::memory_order_acq_rel);
        for (int looks = 0; gate.load(std::memory_order_acquire) != 0; ++looks) pause(looks);
        caller.store({}, std::memory_order_relaxed);
    }

private:
    /// The gate: this bit while a run lets lanes in, plus the number of lanes inside.
    static constexpr std::uint32_t open = 1u << 31;

    bool start(index_t lane) {
#if GRAFT_EXCEPTIONS
        try {
#endif
            others[static_cast<std::size_t>(lane - 1)] = std::thread([this, lane] { serve(lane); });
            return true;
#if GRAFT_EXCEPTIONS
        } catch (std::system_error const&) {
            return false;
        }
#endif
    }

    void serve(index_t lane) {
        ids[static_cast<std::size_t>(lane - 1)].store(std::this_thread::get_id(), std::memory_order_relaxed);
        for (std::uint32_t seen = 0; !stopping.load(std::memory_order_relaxed);) {
            for (int looks = 0; looks < idle_looks && epoch.load(std::memory_order_acquire) == seen; ++looks)
                pause(looks);
            epoch.wait(seen, std::memory_order_acquire);
            seen = epoch.load(std::memory_order_acquire);
            for (std::uint32_t now = gate.load(std::memory_order_relaxed); now & open;)
                if (gate.compare_exchange_weak(now, now + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
                    work(lane);
                    gate.fetch_sub(1, std::memory_order_release);
                    break;
                }
        }
    }

    /// The lane's own share first, then what others have left of theirs.
    void work(index_t lane) {
        for (index_t k = 0; k < count; ++k) {
            share& s = shares[static_cast<std::size_t>((lane + k) % count)];
            for (index_t i; (i = s.next.fetch_add(1, std::memory_order_relaxed)) < s.end;)
                job_task(job_context, i, lane);
        }
    }

    /// The lane this thread is on within a run, or -1 for a thread outside.
    index_t lane_of_caller() const {
        auto const me = std::this_thread::get_id();
        if (caller.load(std::memory_order_relaxed) == me) return 0;
        for (index_t lane = 1; lane < count; ++lane)
            if (ids[static_cast<std::size_t>(lane - 1)].load(std::memory_order_relaxed) == me) return lane;
        return -1;
    }

    /// Waiting without sleep: some bare looks, then looks that let other threads run, about 0.5 µs each.
    static constexpr int idle_looks = 256;
    static void pause(int looks) {
        if (looks >= 64) std::this_thread::yield();
    }

    index_t count = 1;
    std::unique_ptr<std::thread[]> others;
    std::unique_ptr<std::atomic<std::thread::id>[]> ids;
    std::mutex one_at_a_time;
    std::atomic<std::thread::id> caller{};
    std::atomic<bool> stopping{false};

    workers::task job_task = nullptr;
    void* job_context = nullptr;

    /// A lane's tasks: an even run of them, so that kernels that follow each other leave a lane the same part of a
    /// matrix.
    struct alignas(64) share {
        std::atomic<index_t> next{0};
        index_t end = 0;
    };
    std::unique_ptr<share[]> shares;

    alignas(64) std::atomic<std::uint32_t> epoch{0};
    alignas(64) std::atomic<std::uint32_t> gate{0};
};

}  // namespace graft
