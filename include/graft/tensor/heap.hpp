// SPDX-License-Identifier: Apache-2.0
// Tensors on the heap: 64-byte aligned, growing. Hosted only.                            (layer 4: tensor)
#pragma once

#include <graft/tensor/storage.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace graft {

template <class T, index_t Most>
struct numbers_of<on_heap<T>, Most> {
    static constexpr bool fixed = false, from_arena = false;

    numbers_of() = default;
    numbers_of(numbers_of&& other) noexcept
        : numbers(std::exchange(other.numbers, nullptr)), room(std::exchange(other.room, 0)) {}
    numbers_of& operator=(numbers_of&& other) noexcept {
        std::swap(numbers, other.numbers), std::swap(room, other.room);
        return *this;
    }
    ~numbers_of() { release(numbers); }

    T* data() { return numbers; }
    T const* data() const { return numbers; }
    index_t capacity() const { return room; }
    bool reserve(index_t count, index_t staying) {
        if (count <= room) return true;
        void* const at = ::operator new(static_cast<std::size_t>(count) * sizeof(T), alignment, std::nothrow);
        if (!at) return false;
        if (staying > 0) std::copy_n(numbers, staying, static_cast<T*>(at));
        release(std::exchange(numbers, static_cast<T*>(at)));
        room = count;
        return true;
    }

private:
    static constexpr std::align_val_t alignment{buffer_alignment};
    static void release(T* p) { ::operator delete(static_cast<void*>(p), alignment); }

    T* numbers = nullptr;
    index_t room = 0;
};

}  // namespace graft
