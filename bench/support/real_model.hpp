// SPDX-License-Identifier: Apache-2.0
// Real models and real text: stories260K and texts of the data folder, SmolLM2 where it is.
#pragma once

#include <graft/base/random.hpp>
#include <graft/io/bind.hpp>
#include <graft/io/opened_model.hpp>
#include <graft/io/requantize.hpp>
#include <graft/train/batch.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../tests/support/stories260k.hpp"

namespace bench {

using namespace graft;

/// The value, or the end of the program.
template <class T>
T expect(result<T> r) {
    if (r) {
        if constexpr (std::is_void_v<T>)
            return;
        else
            return std::move(*r);
    }
    std::fprintf(stderr, "%s\n", describe(r.error()).c_str());
    std::exit(1);
}

/// A file of the data folder: GRAFT_DATA, else ../shared/data as seen from the top of the project.
inline std::string data_file(std::string const& name) {
    char const* const set = std::getenv("GRAFT_DATA");
    return (std::filesystem::path(set ? set : "../shared/data") / name).string();
}

/// A model whose weights lie in a file, bound to a block.
template <class Block, class T = float>
struct real_model {
    std::shared_ptr<opened_model const> opened;
    bound_model<Block, T> bound;

    static real_model open(std::string const& path) {
        real_model m{std::make_shared<opened_model const>(expect(opened_model::open(path))), {}};
        m.bound = expect(bind_model<Block, T>(m.opened->file));
        return m;
    }
    /// stories260K with its matrices in `how` (where its rows are no whole blocks, f16); the file has no name.
    static real_model stories(format const& how) {
        std::string folder = (std::filesystem::temp_directory_path() / "graft-bench-XXXXXX").string();
        if (!::mkdtemp(folder.data())) std::perror("a temporary folder"), std::exit(1);
        std::string const plain = folder + "/stories.gguf", path = folder + "/stories-as.gguf";
        expect(graft_test::stories260k_to_gguf(data_file("stories260K.bin"), data_file("tok512.bin"), plain));
        expect(requantize(plain, path, how));
        auto m = open(path);
        std::filesystem::remove_all(folder);
        return m;
    }
    model_config const& config() const { return opened->file.config; }
};

/// SmolLM2-135M-Instruct, Q4_1: the file that GRAFT_SMOLLM2 names, if it does.
inline std::optional<std::string> smollm2_file() {
    char const* const set = std::getenv("GRAFT_SMOLLM2");
    if (set && std::filesystem::exists(set)) return set;
    std::fprintf(stderr, "SmolLM2-135M-Instruct is left out: GRAFT_SMOLLM2 names no file\n");
    return std::nullopt;
}

/// Rows of a batch that predict something.
inline index_t targets_of(batch const& b) {
    return std::count_if(b.targets.begin(), b.targets.end(), [](int t) { return t >= 0; });
}

/// A text as passes of equal length, each row of which predicts the next token. The last tenth is held out; a seed says
/// in which order the others are dealt out, over and over.
class text_passes {
public:
    text_passes(tokenizer const& words, std::string const& text, index_t tokens, std::uint64_t seed)
        : ids(words.encode(text)), length(tokens) {
        index_t const all = (static_cast<index_t>(ids.size()) - 1) / tokens;
        held = std::max<index_t>(all / 10, 1), training = all - held;
        if (training < 1) std::fprintf(stderr, "the text is too short\n"), std::exit(1);
        std::vector<std::pair<std::uint64_t, index_t>> keys;
        for (index_t i = 0; i < training; ++i)
            keys.emplace_back(random_bits(seed, 0x74657874, 0, static_cast<std::uint64_t>(i)), i);
        std::sort(keys.begin(), keys.end());
        for (auto const& k : keys) order.push_back(k.second);
    }
    /// Pass number `step` of the training, counted from 1.
    graft::batch train(index_t step) const { return pass(order[static_cast<std::size_t>((step - 1) % training)]); }
    graft::batch held_out(index_t i) const { return pass(training + i); }
    index_t held_out_passes() const { return held; }
    index_t tokens() const { return length; }

    /// The mean loss over `passes` held-out passes, from number `first` on.
    template <class Trainer>
    double loss(Trainer& t, index_t passes, index_t first = 0) const {
        double sum = 0;
        passes = std::min(passes, held - first);
        for (index_t i = 0; i < passes; ++i) sum += t.evaluate(held_out(first + i));
        return sum / static_cast<double>(passes * length);
    }

private:
    graft::batch pass(index_t i) const {
        auto const at = std::span(ids).subspan(static_cast<std::size_t>(i * length), static_cast<std::size_t>(length));
        return {at, {at.data() + 1, at.size()}, {&start, 1}};
    }
    std::vector<int> ids;
    index_t length, held = 0, training = 0, start = 0;
    std::vector<index_t> order;
};

}  // namespace bench
