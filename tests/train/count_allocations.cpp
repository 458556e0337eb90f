// SPDX-License-Identifier: Apache-2.0
// Counts what this test program takes from the heap.
#include <atomic>
#include <cstdlib>
#include <new>

namespace graft_test {
std::atomic<long> allocations{0};
}

void* operator new(std::size_t size) {
    ++graft_test::allocations;
    if (void* const p = std::malloc(size ? size : 1)) return p;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    ++graft_test::allocations;
    auto const a = static_cast<std::size_t>(alignment);
    if (void* const p = std::aligned_alloc(a, (size + a - 1) / a * a)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
