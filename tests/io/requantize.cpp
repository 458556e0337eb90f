// SPDX-License-Identifier: Apache-2.0
#include <graft/io/requantize.hpp>

#include <graft/io/model_file.hpp>

#include <tests/support/data.hpp>
#include <tests/support/malformed.hpp>
#include <tests/support/tiny_model.hpp>

#include <cmath>
#include <limits>

using namespace graft;
using namespace graft_test;

TEST_CASE("requantize: matrices change format, norms and metadata stay, numbers stay near") {
    scratch_folder folder;
    auto const m = make_tiny_model(architecture::qwen2);
    auto const from = (folder.path / "model.gguf").string();
    write_gguf(from, m);
    for (format const* const how : {&q4_0, &q4_1, &q5_0, &q5_1, &q8_0, &f16, &bf16, &f32}) {
        auto const to = (folder.path / (std::string(how->name) + ".gguf")).string();
        auto const report = requantize(from, to, *how);
        if (!report) FAIL(describe(report.error()));
        CHECK(report->converted == (how == &f32 ? 0 : 15));
        CHECK(report->narrowed == 0);
        CHECK(report->kept == (how == &f32 ? 26 : 11));
        auto const opened = open_model(to);
        REQUIRE(opened.ok());
        CHECK(opened->tokens.tokens == m.tokens);
        CHECK(report->bytes_after >= opened->bytes);
        double const steps = how->type == weight_type::q4_0 || how->type == weight_type::q4_1   ? 8
                             : how->type == weight_type::q5_0 || how->type == weight_type::q5_1 ? 16
                                                                                                : 127;
        for (auto const& [name, numbers] : m.values) {
            auto const* const t = opened->find(name);
            CHECK(t->how == (t->shape.size() == 2 ? how : &f32));
            auto const now = to_floats(*t);
            double largest = 0, worst = 0;
            for (std::size_t i = 0; i < numbers.size(); ++i)
                largest = std::max(largest, std::abs(static_cast<double>(numbers[i]))),
                worst = std::max(worst, std::abs(static_cast<double>((*now)[i]) - static_cast<double>(numbers[i])));
            if (t->shape.size() == 1 || how == &f32)
                CHECK(worst == 0);
            else
                CHECK(worst <= 1.05 * largest / steps);
            if (t->shape.size() == 2 && how->block > 1) CHECK(worst > 0);
        }
        auto const file = mapped_file::open(to);
        auto const g = parse_gguf(file->bytes(), to);
        CHECK(*g->count("general.file_type") == file_type_of(how->type));
        CHECK((g->find("general.quantization_version") != nullptr) == (how->block > 1));
    }
    CHECK(requantize(from, (folder.path / "again").string(), q4_k).error().why == cause::usage);
    CHECK(requantize(from, from, q8_0, {true, {}, {}}).error().why == cause::usage);
    auto const back = requantize((folder.path / "q4_0.gguf").string(), (folder.path / "back.gguf").string(), f16);
    CHECK(back->converted == 15);
}

TEST_CASE("requantize: rows that are not whole blocks become f16; numbers that do not fit are refused") {
    scratch_folder folder;
    auto const path = (folder.path / "m.gguf").string(), out = (folder.path / "out.gguf").string();
    std::vector<float> numbers(3 * 40, 0.25f);
    auto const write = [&] {
        gguf_writer w;
        w.set("general.architecture", "other");
        succeed(w.declare("m.weight", 0, {40, 3}));
        succeed(w.declare("v", 0, {40}));
        succeed(w.open(path, {true, {}, {}}));
        succeed(w.write(std::as_bytes(std::span(numbers))));
        succeed(w.write(std::as_bytes(std::span(numbers)).first(160)));
        succeed(w.commit());
        return requantize(path, out, q4_0, {true, {}, {}});
    };
    auto const report = write();
    REQUIRE(report.ok());
    CHECK(report->narrowed == 1);
    CHECK(report->kept == 1);
    auto const file = mapped_file::open(out);
    CHECK(parse_gguf(file->bytes(), out)->tensor("m.weight")->data.size() == 240);
    auto const before = read_file(out);
    for (float const x :
         {70000.0f, -70000.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        numbers[77] = x;
        CHECK(write().error().where == "tensor 'm.weight'");
    }
    CHECK(read_file(out) == before);
    CHECK(names_in(folder.path.string()).size() == 2);
}
