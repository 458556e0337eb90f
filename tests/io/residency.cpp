// SPDX-License-Identifier: Apache-2.0
#include <graft/block/head.hpp>
#include <graft/io/bind.hpp>
#include <graft/io/residency.hpp>
#include <graft/train/batch.hpp>

#include <tests/support/data.hpp>
#include <tests/support/failing_calls.hpp>
#include <tests/support/resident.hpp>
#include <tests/support/tiny_model.hpp>

#include <cstring>

using namespace graft;
using namespace graft_test;

namespace {

constexpr index_t window = weight_residency::fault_window;

/// Layers of 9 MiB and a head of 6.25 MiB, f32: some fault windows each.
tiny_model make_model(architecture arch, bool tied) {
    tiny_model m = make_tiny_model(arch, 1, tied);
    auto& c = m.config;
    c.layers = 5, c.width = 512, c.heads = 8, c.kv_heads = 4, c.head = 64, c.hidden = 1024, c.vocabulary = 3200;
    m.values.clear();
    std::uint32_t state = 1;
    for (auto const& e : expected_tensors(c)) {
        std::size_t count = 1;
        for (index_t const d : e.shape) count *= static_cast<std::size_t>(d);
        for (auto& numbers = m.values[e.name]; numbers.size() < count;) {
            state = state * 1664525 + 1013904223;
            numbers.push_back(static_cast<float>(state >> 8) * 0x1p-26f - 0.1f);
        }
    }
    return m;
}

/// A model in a folder of its own, and what is resident of its files.
struct rig {
    scratch_folder folder;
    model_file file;
    explicit rig(architecture arch = architecture::llama, bool tied = true, std::size_t shards = 0,
                 file_access access = file_access::map) {
        auto const m = make_model(arch, tied);
        auto const path = folder.path / "m";
        if (shards == 0)
            write_gguf(path, m);
        else
            write_huggingface(path, m, shards);
        auto opened = open_model(path.string(), {access, true});
        if (!opened) FAIL(describe(opened.error()));
        file = std::move(*opened);
    }
    index_t resident() const {
        index_t sum = 0;
        for (mapped_file const& f : file.files) sum += resident_bytes(f.bytes());
        return sum;
    }
};

/// Reads weights as a step does (embedding, layers, head, layers backwards), each telling `used`, and notes the peak.
struct pass {
    rig const& model;
    memory_visitor told{};
    index_t peak = 0;
    double loss = 0;
    std::uint64_t sum = 0;  // over all layers' bytes
    std::vector<float> gradient = std::vector<float>(32 * 512);

    void note() { peak = std::max(peak, model.resident()); }
    void read(weight const& w) {
        for (index_t i = 0; i < w.rows * w.row_bytes; i += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, w.data + i, 8);
            sum = sum * 3 + word;
        }
    }
    template <class Layer>
    void run(Layer& layer) {
        auto const each = [&](auto&& f) {
            layer.visit([&](auto, auto& w) {
                if constexpr (requires { w.W; }) f(w.W);
            });
        };
        each([&](weight const& w) { read(w); });
        note();
        each([&](weight const& w) { told(w); });
    }
    template <class Block>
    void run(bound_model<Block>& m) {
        // The peak is looked at before anything leaves.
        memory_visitor const noting{[](void* self, std::byte const* first, index_t bytes) {
                                        auto& me = *static_cast<pass*>(self);
                                        me.note(), me.told(first, bytes);
                                    },
                                    this};
        index_t const tokens = 32, width = m.net.config.width;
        std::vector<float> x(static_cast<std::size_t>(tokens * width));
        std::vector<int> targets;
        std::vector<index_t> list;
        for (index_t i = 0; i < tokens; ++i) {
            int const id = static_cast<int>((i * 997 + 5) % m.net.config.vocabulary);
            embed(matrix<float>{x.data(), tokens, width}.slice(i, 1), m.net.embedding, std::span(&id, 1));
            noting(m.net.embedding.slice(id, 1));
            targets.push_back((id * 7 + 1) % static_cast<int>(m.net.config.vocabulary)), list.push_back(i);
        }
        for (auto& l : m.layers) run(l);
        std::vector<float> space(
            static_cast<std::size_t>(loss_head<float>::scratch_bytes(tokens, width)) / sizeof(float));
        loss_head<float> const head{m.net.head, m.net.norm, 1e-5, told ? noting : memory_visitor{}};
        loss = head({x.data(), tokens, width}, list, targets, {gradient.data(), tokens, width}, 0.5f, space.data());
        note();
        for (std::size_t l = m.layers.size(); l-- > 0;) run(m.layers[l]);
    }
};

template <class Block>
void check_limits(rig const& r) {
    auto bound = bind_model<Block>(r.file);
    REQUIRE(bound.ok());
    pass free{r};
    free.run(*bound);
    auto const all = weight_residency::make(r.file, 0);
    REQUIRE(all.ok());
    CHECK_FALSE(const_cast<weight_residency&>(*all).visitor());
    index_t const least = all->plan().least;
    CHECK(all->plan().kept_layers == 5);
    CHECK(all->plan().all == all->plan().kept);
    CHECK(free.peak > static_cast<index_t>(r.file.bytes / 10 * 9));  // so that there is something to keep below

    index_t layers_before = -1, peak_before = 0;
    for (index_t const limit : {least, least + window, 2 * least, all->plan().all - 1}) {
        INFO(limit);
        auto residency = weight_residency::make(r.file, limit);
        REQUIRE(residency.ok());
        auto const plan = residency->plan();
        CHECK(plan.peak() <= limit);
        pass p{r, residency->visitor()};
        CHECK(r.resident() <= plan.kept);
        for (int step = 0; step < 2; ++step) p.run(*bound);
        CHECK(p.peak <= plan.peak());
        CHECK(p.peak > plan.peak() / 2);
        CHECK(p.peak < free.peak);
        CHECK(plan.kept_layers >= layers_before);
        CHECK(p.peak >= peak_before);
        layers_before = plan.kept_layers, peak_before = p.peak;
        CHECK(p.loss == free.loss);
        CHECK(std::memcmp(p.gradient.data(), free.gradient.data(), p.gradient.size() * sizeof(float)) == 0);
    }
    CHECK(layers_before >= 3);
    auto roomy = weight_residency::make(r.file, all->plan().all);
    CHECK_FALSE(roomy->visitor());
    CHECK(weight_residency::make(r.file, all->plan().all - 1)->plan().kept < all->plan().all);
}

}  // namespace

TEST_CASE("residency: a step's weights stay within the limit, and every number is as without one") {
    if (!knows_residency()) return;
    SUBCASE("llama, tied, GGUF") { check_limits<llama<lora>>(rig()); }
    SUBCASE("qwen2, a head of its own, GGUF") { check_limits<qwen2<lora>>(rig(architecture::qwen2, false)); }
    SUBCASE("llama, a head of its own, three files") {
        check_limits<llama<lora>>(rig(architecture::llama, false, 3));
    }
}

TEST_CASE("residency: the layers that stay are resident afterwards, the others are not") {
    if (!knows_residency()) return;
    rig const r;
    auto bound = bind_model<llama<lora>>(r.file);
    index_t const least = weight_residency::make(r.file, 0)->plan().least;
    auto residency = weight_residency::make(r.file, 3 * least);
    REQUIRE(residency.ok());
    CHECK(residency->plan().kept_layers == 2);
    pass p{r, residency->visitor()};
    p.run(*bound);
    for (std::size_t l = 0; l < 5; ++l)
        bound->layers[l].visit([&](auto, auto& w) {
            if constexpr (requires { w.W; }) {
                auto const size = static_cast<std::size_t>(w.W.rows * w.W.row_bytes);
                auto const inside = whole_pages({w.W.data, size});
                INFO(l);
                CHECK(resident_bytes(inside) == (l < 3 ? 0 : static_cast<index_t>(inside.size())));
            }
        });
    auto const touch = [&](index_t l) { p.told = {}, p.run(bound->layers[static_cast<std::size_t>(l)]); };
    index_t const before = r.resident();
    touch(1), touch(4);
    CHECK(r.resident() > before + least / 2);
    residency->leave(1), residency->leave(4);
    CHECK(r.resident() <= before);
    CHECK(r.resident() >= residency->plan().kept / 2);
}

TEST_CASE("residency: a limit that is too small says what would do") {
    rig const r;
    index_t const least = weight_residency::make(r.file, 0)->plan().least;
    CHECK(weight_residency::make(r.file, least).ok());
    for (index_t const limit : {least - 1, index_t{1}, index_t{-1}}) {
        auto const refused = weight_residency::make(r.file, limit);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().why == cause::memory);
        CHECK(refused.error().expected == "at least " + std::to_string(least) + " bytes");
        CHECK(refused.error().got == std::to_string(limit));
        CHECK(refused.error().where.substr(0, 6) == "layer ");
    }
    rig const copied(architecture::llama, true, 0, file_access::read);
    auto const fixed = weight_residency::make(copied.file, 1 << 30);
    REQUIRE_FALSE(fixed.ok());
    CHECK(fixed.error().what == "its weights were read into memory and cannot leave it");
}

TEST_CASE("residency: where the system refuses to take pages back, nothing else changes") {
    rig const r;
    auto bound = bind_model<llama<lora>>(r.file);
    pass free{r};
    free.run(*bound);
    failing_calls fail{0, true, EINVAL};
    auto residency = weight_residency::make(r.file, weight_residency::make(r.file, 0)->plan().least, fail.calls());
    REQUIRE(residency.ok());
    pass p{r, residency->visitor()};
    p.run(*bound);
    CHECK(fail.seen > 10);
    CHECK(p.loss == free.loss);
    CHECK(p.sum == free.sum);
    std::byte elsewhere[100]{};
    residency->visitor()(elsewhere, 100);  // not of the model
    residency->leave(77);
}
