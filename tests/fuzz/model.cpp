// SPDX-License-Identifier: Apache-2.0
// Any bytes as a model file, opened by its path as users open one: a model whose tokenizer can be made, or a refusal.
#include <graft/io/model_file.hpp>
#include <graft/text/tokenizer.hpp>

#include <tests/fuzz/one_line.hpp>

#include <sys/mman.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static int const memory = ::memfd_create("model", 0);
    static std::string const path = "/proc/self/fd/" + std::to_string(memory);
    if (::ftruncate(memory, 0) != 0 || ::pwrite(memory, data, size, 0) != static_cast<::ssize_t>(size)) return 0;
    auto const model = graft::open_model(path);
    if (!one_line(model)) return 0;
    for (auto const& tensor : model->tensors)
        if (model->find(tensor.name) == nullptr) std::abort();
    one_line(graft::tokenizer::make(model->tokens, path));
    return 0;
}
