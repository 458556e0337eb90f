// SPDX-License-Identifier: Apache-2.0
// Turns the model stories260K and its tokenizer, as llama2.c stores them, into a GGUF that open_model reads.
// usage: stories260k_to_gguf stories260K.bin tok512.bin OUT.gguf
#include <tests/support/stories260k.hpp>

#include <cstdio>

int main(int count, char** arguments) {
    if (count != 4) return std::fputs("usage: stories260k_to_gguf stories260K.bin tok512.bin OUT.gguf\n", stderr), 2;
    auto const done = graft_test::stories260k_to_gguf(arguments[1], arguments[2], arguments[3]);
    if (!done)
        return std::fprintf(stderr, "error: %s\n", describe(done.error()).c_str()), static_cast<int>(done.error().why);
}
