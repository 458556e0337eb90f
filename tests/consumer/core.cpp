// SPDX-License-Identifier: Apache-2.0
// The second file of a program that uses the layers 0 to 13: the same product, and a mistake that the library notices.
#include GRAFT_HEADER

#include <cstdlib>

namespace {

bool mistake_made = false;

/// Asks an arena for more than it has.
void make_mistake() {
    alignas(64) std::byte memory[64];
    graft::arena store(memory);
    store.take(64);
    mistake_made = true;
    store.take(1);
}

}  // namespace

#if GRAFT_EXCEPTIONS
bool mistake_is_noticed() {
    try {
        make_mistake();
    } catch (graft::failure const& f) {
        return f.details.kind == graft::fault::memory && f.details.given == 128 && f.details.wanted == 64;
    }
    return false;
}
#else
void graft::fail(error const& e) { std::exit(mistake_made && e.kind == fault::memory ? 0 : 1); }

bool mistake_is_noticed() {
    make_mistake();  // ends the program, well or badly
    return false;
}
#endif

bool other_file_agrees() {
    float a[] = {1, 2, 3, 4}, c[4];
    graft::matrix<float> const A(a, 2, 2), C(c, 2, 2);
    C = A * t(A);
    return c[0] == 5 && c[1] == 11 && c[2] == 11 && c[3] == 25 && mistake_is_noticed();
}
