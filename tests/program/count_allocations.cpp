// SPDX-License-Identifier: Apache-2.0
// Counts what this test program takes from the heap.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace graft_test {
extern std::atomic<long> allocations;
std::atomic<long> allocations{0};
}  // namespace graft_test

namespace {
void* taken(std::size_t size, std::size_t alignment) {
    ++graft_test::allocations;
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment + (size == 0 ? alignment : 0));
}
void* or_throw(void* p) {
    if (!p) throw std::bad_alloc();
    return p;
}
constexpr std::size_t usual = alignof(std::max_align_t);
constexpr std::size_t number(std::align_val_t a) { return static_cast<std::size_t>(a); }
}  // namespace

// clang-format off
void* operator new(std::size_t n) { return or_throw(taken(n, usual)); }
void* operator new(std::size_t n, std::align_val_t a) { return or_throw(taken(n, number(a))); }
void* operator new(std::size_t n, std::nothrow_t const&) noexcept { return taken(n, usual); }
void* operator new(std::size_t n, std::align_val_t a, std::nothrow_t const&) noexcept { return taken(n, number(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, std::nothrow_t const&) noexcept { std::free(p); }
