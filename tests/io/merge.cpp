// SPDX-License-Identifier: Apache-2.0
// Merged files against W + s B A and DoRA's diag(m / n)(W + s B A), computed here from the numbers that made the files.
#include <graft/io/merge.hpp>

#include <graft/io/combine.hpp>

#include <tests/support/data.hpp>
#include <tests/support/failing_calls.hpp>
#include <tests/support/malformed.hpp>
#include <tests/support/tiny_model.hpp>

#include <cmath>

using namespace graft;
using namespace graft_test;

namespace {

using numbers = std::vector<double>;

/// The adapted weight of a module by the definition, rows in Hugging Face's order; the weight itself without a pair.
numbers adapted(std::vector<float> const& frozen, adapter const& a, std::string const& module) {
    numbers w(frozen.begin(), frozen.end());
    for (auto const& p : a.pairs)
        if (p.module == module)
            for (index_t o = 0; o < p.out; ++o) {
                double square = 0;
                auto const at = [&](index_t i) -> double& { return w[static_cast<std::size_t>(o * p.in + i)]; };
                for (index_t i = 0; i < p.in; ++i) {
                    for (index_t r = 0; r < p.rank; ++r)
                        at(i) += scale(a, p) * static_cast<double>(p.b[static_cast<std::size_t>(o * p.rank + r)]) *
                                 static_cast<double>(p.a[static_cast<std::size_t>(r * p.in + i)]);
                    square += at(i) * at(i);
                }
                for (index_t i = 0; i < p.in && !p.m.empty(); ++i)
                    at(i) *= static_cast<double>(p.m[static_cast<std::size_t>(o)]) / std::sqrt(square);
            }
    return w;
}

double distance(numbers const& a, numbers const& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return std::sqrt(sum);
}

/// A tensor of a model file as numbers, rows of q and k in Hugging Face's order.
numbers tensor_of(model_file const& m, std::string const& name) {
    auto const* const t = m.find(name);
    REQUIRE(t);
    auto all = *to_floats(*t);
    auto const module = name.substr(0, name.size() - std::string(".weight").size());
    index_t const heads = m.config.pairing == rope_pairing::interleaved ? heads_of(m.config, module) : 0;
    if (heads > 0) to_half_split(all, heads, m.config.head, t->columns());
    return {all.begin(), all.end()};
}

adapter mixed_adapter(model_config const& c, bool dora, bool rslora) {
    adapter a = make_tiny_adapter(c);
    auto const small = make_tiny_adapter(c, 2);
    a.rslora = rslora, a.alpha = 2;
    a.pairs[1] = small.pairs[1];
    a.pairs[8].alpha = 5;
    a.pairs.erase(a.pairs.begin() + 4);
    if (!c.tied_head) {
        lora_pair head{"lm_head", 2, c.width, c.vocabulary};
        for (index_t i = 0; i < 2 * head.in; ++i) head.a.push_back(0.1f + 0.01f * static_cast<float>(i % 7));
        for (index_t i = 0; i < 2 * head.out; ++i) head.b.push_back(0.2f - 0.01f * static_cast<float>(i % 11));
        a.pairs.push_back(head);
    }
    if (dora)
        for (auto& p : a.pairs)
            for (index_t o = 0; o < p.out; ++o) p.m.push_back(0.6f + 0.03f * static_cast<float>(o % 17));
    return a;
}

}  // namespace

TEST_CASE("merge: every adapted matrix is the definition's, everything else is what it was") {
    for (architecture const arch : {architecture::llama, architecture::qwen2})
        for (bool const dora : {false, true}) {
            scratch_folder folder;
            auto const m = make_tiny_model(arch, 1, dora);
            auto const a = mixed_adapter(m.config, dora, dora);
            auto const from = (folder.path / "m.gguf").string(), to = (folder.path / "merged.gguf").string();
            write_gguf(from, m);
            auto const report = merge(from, a, to);
            if (!report) FAIL(describe(report.error()));
            CHECK(report->tensors.size() == a.pairs.size());
            CHECK(report->bytes_after >= report->bytes_before);
            CHECK(report->share() < 1e-6);
            auto const before = mapped_file::open(from), after = mapped_file::open(to);
            auto const g = parse_gguf(before->bytes(), from), h = parse_gguf(after->bytes(), to);
            REQUIRE(g->entries.size() == h->entries.size());
            for (std::size_t i = 0; i < g->entries.size(); ++i) {
                CHECK(g->entries[i].key == h->entries[i].key);
                CHECK(std::equal(g->entries[i].data.begin(), g->entries[i].data.end(), h->entries[i].data.begin(),
                                 h->entries[i].data.end()));
            }
            auto const opened = open_model(to);
            REQUIRE(opened.ok());
            for (auto const& value : m.values) {
                std::string const& name = value.first;
                auto const& frozen = value.second;
                auto const module = name.substr(0, name.rfind('.'));
                auto const wanted = adapted(frozen, a, name.ends_with(".weight") ? module : "");
                auto const now = frozen.size() == static_cast<std::size_t>(opened->find(name)->columns())
                                     ? wanted
                                     : tensor_of(*opened, name);
                double const away = distance(now, wanted);
                numbers const was(frozen.begin(), frozen.end());
                bool const changes =
                    std::any_of(a.pairs.begin(), a.pairs.end(), [&](auto const& p) { return p.module == module; }) &&
                    name.ends_with(".weight");
                CAPTURE(name);
                CHECK(away <= (changes ? 1e-5 : 0.0));
                CHECK((distance(now, was) > 0.3) == changes);
            }
            for (auto const& t : report->tensors) {
                auto const* const old = g->tensor(t.name);
                REQUIRE(old);
                CHECK(t.from == &f32);
                CHECK(t.to == &f32);
                CHECK(t.delta > 0.3);
            }
            double sum = 0;
            for (auto const& t : report->tensors) sum += t.delta * t.delta;
            CHECK(report->delta == doctest::Approx(std::sqrt(sum)));
        }
}

TEST_CASE("merge: a quantised matrix keeps its format or gets another, and what is lost is measured") {
    scratch_folder folder;
    auto const m = make_tiny_model(architecture::llama);
    auto const plain = (folder.path / "m.gguf").string();
    write_gguf(plain, m);
    auto a = mixed_adapter(m.config, false, false);
    for (format const* const how : {&q4_0, &q4_1, &q8_0, &f16}) {
        auto const base = (folder.path / (std::string(how->name) + ".gguf")).string();
        REQUIRE(requantize(plain, base, *how).ok());
        auto const base_model = open_model(base);
        for (format const* const to : {static_cast<format const*>(nullptr), &f32, &q8_0}) {
            auto const path = base + (to ? to->name : "-keep");
            auto const report = merge(base, a, path, {to, {}});
            if (!report) FAIL(describe(report.error()));
            auto const merged = open_model(path);
            REQUIRE(merged.ok());
            double lost = 0, delta = 0;
            for (auto const& p : a.pairs) {
                auto const name = p.module + ".weight";
                CHECK(merged->find(name)->how == (to ? to : how));
                auto const was = tensor_of(*base_model, name);
                std::vector<float> const frozen(was.begin(), was.end());
                auto const wanted = adapted(frozen, a, p.module);
                double const away = distance(tensor_of(*merged, name), wanted), moved = distance(wanted, was);
                lost += away * away, delta += moved * moved;
                auto const row = std::find_if(report->tensors.begin(), report->tensors.end(), [&](auto const& t) {
                    return t.name == *gguf_module(p.module) + ".weight";
                });
                REQUIRE(row != report->tensors.end());
                CHECK(row->lost == doctest::Approx(away).epsilon(1e-5));
                CHECK(row->delta == doctest::Approx(moved).epsilon(1e-5));
            }
            CHECK(report->lost == doctest::Approx(std::sqrt(lost)).epsilon(1e-5));
            CHECK(report->share() == doctest::Approx(std::sqrt(lost / delta)).epsilon(1e-5));
            if (to == &f32) CHECK(report->share() < 1e-6);
            if (!to && how == &q4_0) CHECK(report->share() > 0.01);
            auto const before = mapped_file::open(base), after = mapped_file::open(path);
            auto const g = parse_gguf(before->bytes(), base), h = parse_gguf(after->bytes(), path);
            for (auto const& t : g->tensors) {
                bool const changed = std::any_of(report->tensors.begin(), report->tensors.end(),
                                                 [&](auto const& x) { return x.name == t.name; });
                auto const* const now = h->tensor(t.name);
                bool const same = std::equal(t.data.begin(), t.data.end(), now->data.begin(), now->data.end());
                if (!to) CHECK(same == !changed);
                if (to && t.rank == 2) CHECK(now->type->code == ggml_type_of(*to));
                if (t.rank == 1) CHECK(same);
            }
            CHECK(*h->count("general.file_type") == file_type_of((to ? to : how)->type));
        }
    }
    // A change below half a step of the format is lost nearly whole.
    for (auto& p : a.pairs)
        for (float& x : p.b) x *= 1e-3f;
    auto const base = (folder.path / "q4_0.gguf").string();
    auto const weak = merge(base, a, (folder.path / "weak.gguf").string());
    CHECK(weak->share() > 0.5);
}

TEST_CASE("merge: an adapter that is a sum merges as its parts do, one after the other") {
    scratch_folder folder;
    auto const m = make_tiny_model(architecture::llama);
    auto const path = [&](char const* name) { return (folder.path / name).string(); };
    write_gguf(path("m"), m);
    auto const a = mixed_adapter(m.config, false, false), b = make_tiny_adapter(m.config, 3, 8);
    auto half = b;
    half.alpha *= 0.5;
    REQUIRE(merge(path("m"), a, path("a")).ok());
    REQUIRE(merge(path("a"), half, path("ab")).ok());
    REQUIRE(merge(path("m"), *combine(std::vector<weighed_adapter>{{a, 1}, {b, 0.5}}), path("sum")).ok());
    auto const one = open_model(path("ab")), two = open_model(path("sum"));
    for (auto const& t : one->tensors) {
        if (t.shape.size() == 1) continue;
        CHECK(distance(tensor_of(*one, t.name), tensor_of(*two, t.name)) < 1e-4);
    }
}

TEST_CASE("merge: what cannot be merged is refused, and nothing is left behind") {
    scratch_folder folder;
    auto const m = make_tiny_model(architecture::llama);
    auto const path = [&](char const* name) { return (folder.path / name).string(); };
    write_gguf(path("m.gguf"), m);
    write_huggingface(folder.path / "m", m);
    auto const a = mixed_adapter(m.config, false, false);
    auto const refused = [&](std::string const& model, adapter const& what, merge_options how = {}) {
        auto const r = merge(model, what, path("out"), how);
        REQUIRE_FALSE(r.ok());
        CHECK_FALSE(std::filesystem::exists(path("out")));
        CHECK(names_in(folder.path.string()).size() <= 3);
        return r.error();
    };
    CHECK(refused(path("m"), a).what == "is a directory");
    CHECK(refused(path("m.gguf"), a, {&q4_k, {}}).what == "this format can only be read");
    CHECK(merge(path("m.gguf"), a, path("m.gguf"), {nullptr, {true, {}, {}}}).error().why == cause::usage);
    auto wide = m.config;
    wide.width = 64;
    CHECK(refused(path("m.gguf"), make_tiny_adapter(wide)).why == cause::mismatch);
    CHECK(refused(path("m.gguf"), adapter{}).why == cause::mismatch);
    auto huge = a;
    huge.pairs[0].b[3] = 1e30f;
    CHECK(refused(path("m.gguf"), huge, {&q8_0, {}}).what == "a number does not fit the new format");

    auto dora = mixed_adapter(m.config, true, false);
    {  // a row of zeros, and an adapter that leaves it
        auto const file = mapped_file::open(path("m.gguf"));
        std::string bytes = read_file(path("m.gguf"));
        auto const g = parse_gguf(file->bytes(), "g");
        auto const& t = *g->tensor("blk.0.attn_v.weight");
        std::fill_n(bytes.begin() + (t.data.data() - file->bytes().data()), 128, '\0');
        succeed(write_file(path("z.gguf"), bytes, {true, {}, {}}));
    }
    for (auto& p : dora.pairs)
        if (p.module == "model.layers.0.self_attn.v_proj") std::fill_n(p.b.begin(), p.rank, 0.0f);
    CHECK(refused(path("z.gguf"), dora).what.find("DoRA divides") == 0);

    for (int good = 0;; ++good) {  // no call of the system that fails leaves anything
        failing_calls fail{good};
        auto const r = merge(path("m.gguf"), a, path("out"), {nullptr, {false, {}, fail.calls()}});
        if (!fail.failed()) {
            CHECK(r.ok());
            break;
        }
        if (std::filesystem::exists(path("out"))) {
            CHECK(open_model(path("out")).ok());
            std::filesystem::remove(path("out"));
        } else {
            CHECK_FALSE(r.ok());
        }
        CHECK(names_in(folder.path.string()).size() == 3);
    }
}

TEST_CASE("merge: a matrix in K blocks is copied where nothing changes it, and refused by name where it would") {
    scratch_folder folder;
    auto const path = [&](char const* name) { return (folder.path / name).string(); };
    tiny_model m = make_tiny_model(architecture::llama);
    m.config.hidden = 256;  // rows of mlp.down_proj are one K block
    for (auto const& e : expected_tensors(m.config)) {
        std::size_t count = 1;
        for (index_t const d : e.shape) count *= static_cast<std::size_t>(d);
        m.values[e.name].resize(count, 0.01f);
    }
    auto& zeros = m.values["model.layers.1.mlp.down_proj.weight"];  // whose bytes are zeros in any format
    std::fill(zeros.begin(), zeros.end(), 0.0f);
    write_gguf(path("m.gguf"), m);
    gguf_edit edit(path("m.gguf"));
    edit.retype("blk.1.ffn_down.weight", 14, {256, 32});
    edit.write(path("k.gguf"));
    auto a = make_tiny_adapter(m.config);
    auto const r = merge(path("k.gguf"), a, path("out"));
    REQUIRE_FALSE(r.ok());
    CHECK(r.error().where == "tensor 'blk.1.ffn_down.weight'");
    CHECK(r.error().hint.find("--type q8_0") != std::string::npos);
    CHECK(merge(path("k.gguf"), a, path("q8"), {&q8_0, {}}).ok());
    std::erase_if(a.pairs, [](auto const& p) { return p.module == "model.layers.1.mlp.down_proj"; });
    REQUIRE(merge(path("k.gguf"), a, path("out")).ok());
    CHECK(open_model(path("out"))->find("model.layers.1.mlp.down_proj.weight")->how == &q6_k);
}
