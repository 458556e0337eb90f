// SPDX-License-Identifier: Apache-2.0
// Fine-tuning inside a program: on any model, and on a type that is fixed.
#include <graft/io/any_model.hpp>

#include <tests/support/data.hpp>
#include <tests/support/tiny_model.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <fstream>

using namespace graft;
using namespace graft_test;

namespace {

/// A tiny model as files, and rows for it.
struct bench {
    scratch_folder folder;
    std::string model = path("tiny.gguf"), rows = path("rows.jsonl");

    explicit bench(architecture arch = architecture::llama, std::uint64_t seed = 1) {
        write_gguf(model, make_tiny_model(arch, seed));
        std::ofstream out(rows);
        for (int i = 0; i < 12; ++i)
            out << R"({"prompt": "the )" << i << R"(", "completion": "in an )" << i % 3 << R"(")"
                << (i < 9 ? "" : R"(, "split": "held_out")") << "}\n";
    }
    std::string path(std::string const& name) const { return (folder.path / name).string(); }
    any_model open() const {
        auto m = any_model::open(model, "chatml");
        REQUIRE(m);
        return *m;
    }
    packed_data data(any_model const& m) const {
        auto d = m.read_data(rows, {.seq_len = 48, .examples = 3});
        REQUIRE(d);
        return std::move(*d);
    }
};

any_training small(index_t lanes = 1) {
    any_training how;
    how.tokens = 48, how.rank = 4, how.lanes = lanes;
    return how;
}
any_tuner tuner_of(any_model const& m, any_training const& how = small(), std::uint64_t seed = 2) {
    auto t = m.tuner(how, seed);
    REQUIRE(t);
    return std::move(*t);
}
fit_settings steps(index_t n) {
    fit_settings s;
    s.steps = n, s.rate.peak = 0.01, s.evaluate_every = 2;
    return s;
}
bool same(auto a, auto b) {
    return a.size_bytes() == b.size_bytes() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

TEST_CASE("any model: fit lowers the held-out loss; the plan is what the tuner takes; lanes do not matter") {
    for (auto const arch : {architecture::llama, architecture::qwen2}) {
        bench const b(arch);
        auto const m = b.open();
        auto d = b.data(m);
        auto t = tuner_of(m);
        CHECK(m.memory(small()).arena.total() == t->memory().total());
        CHECK(m.memory(small()).total() > t->memory().total());
        std::vector<double> heard;
        auto const report = t.fit(d, steps(24), [&](fit_evaluation const& e) { heard.push_back(e.loss); });
        CHECK(heard.size() == 13);
        CHECK(report.after.mean() < 0.8 * report.before.mean());
        CHECK(t.evaluate(d.held_out()).mean() == report.after.mean());
        CHECK(t->high_water() <= t->memory().total());

        auto d2 = b.data(m);
        auto threaded = tuner_of(m, small(2));
        threaded.fit(d2, steps(24));
        CHECK(same(t->parameters(), threaded->parameters()));
    }
}

TEST_CASE("any model: a tuner whose types are fixed gives the same numbers, and becomes an any_tuner") {
    bench const b, q(architecture::qwen2);
    auto const m = b.open();
    auto const check = [&](auto strategy, auto rule) {
        training<decltype(strategy), decltype(rule)> how;
        how.tokens = 48, how.rank = 4, how.strategy = strategy, how.optimizer = rule;
        auto fixed = m.tuner<llama<lora>>(how, 2);
        REQUIRE(fixed);
        auto how_any = small();
        how_any.strategy = strategy, how_any.optimizer = rule;
        auto chosen = tuner_of(m, how_any);
        auto one = b.data(m), two = b.data(m);
        fixed->fit(one, steps(6));
        chosen.fit(two, steps(6));
        CHECK(same((*fixed)->parameters(), chosen->parameters()));
        auto const said = fixed->generate("the 1", {.max_tokens = 9});
        auto const other = chosen.generate("the 1", {.max_tokens = 9});
        REQUIRE(said);
        REQUIRE(other);
        CHECK(said->ids == other->ids);
        any_tuner erased = std::move(*fixed);
        CHECK(same(erased->parameters(), chosen->parameters()));
    };
    check(mesp{}, adamw{});
    check(full{}, sgd{});

    training<mesp, adamw> how;
    how.tokens = 48;
    auto const wrong = q.open().tuner<llama<lora>>(how);  // it would leave out the biases
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().why == cause::mismatch);
    CHECK_FALSE(m.tuner<qwen2<lora>>(how));
    CHECK(q.open().tuner<qwen2<lora>>(how));
}

TEST_CASE("any model: an adapter that was saved, in either format, answers and evaluates like the tuner") {
    for (auto const arch : {architecture::llama, architecture::qwen2}) {
        bench const b(arch);
        auto const m = b.open();
        auto d = b.data(m);
        auto t = tuner_of(m);
        auto const untrained = t.generate("the 1", {.max_tokens = 12});
        t.fit(d, steps(24));
        REQUIRE(t.save(b.path("out")));
        CHECK_FALSE(t.save(b.path("out")));  // it is there already
        CHECK(t.save(b.path("out"), {.overwrite = true}));
        auto const said = t.generate("the 1", {.max_tokens = 12});
        REQUIRE(untrained);
        REQUIRE(said);
        CHECK(said->ids != untrained->ids);
        double const loss = t.evaluate(d.held_out()).mean();
        for (std::string const& saved : {b.path("out"), b.path("out") + "/adapter.gguf"}) {
            CAPTURE(saved);
            auto fresh = tuner_of(m);
            CHECK(fresh.evaluate(d.held_out()).mean() != loss);
            REQUIRE(fresh.load(saved));
            CHECK(fresh.evaluate(d.held_out()).mean() == loss);
            auto g = m.generator({.adapters = {{saved, 1}}, .lanes = 1});
            REQUIRE(g);
            auto const again = g->generate("the 1", {.max_tokens = 12});
            REQUIRE(again);
            CHECK(again->ids == said->ids);
            CHECK(again->text == said->text);
        }
        auto g = m.generator({.lanes = 1});  // one adapter after another, the model stays open
        REQUIRE(g);
        REQUIRE(g->add(b.path("out")).value() == 0);
        REQUIRE(g->add(b.path("out"), 0).value() == 1);
        CHECK_FALSE(g->add(b.path("nothing")));
        for (int const which : {-1, 0, 1, 0, -1}) {
            CAPTURE(which);
            g->use(which);
            CHECK(g->generate("the 1", {.max_tokens = 12})->ids == (which == 0 ? said->ids : untrained->ids));
        }
        CHECK_THROWS(g->use(2));
        auto low = small();
        low.rank = 2;
        auto narrow = tuner_of(m, low);
        auto const refused = narrow.load(b.path("out"));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().why == cause::mismatch);
        low.rank = 6;  // a larger one takes it, padded with zeros
        auto wide = tuner_of(m, low);
        REQUIRE(wide.load(b.path("out")));
        CHECK(wide.evaluate(d.held_out()).mean() == doctest::Approx(loss).epsilon(1e-5));
        low.rank = 4, low.targets = target_bit("q_proj");
        CHECK_FALSE(tuner_of(m, low).load(b.path("out")));
        CHECK_FALSE(tuner_of(m).load(b.path("nothing")));
    }
}

TEST_CASE("any model: a state that was saved goes on as the run that was never stopped") {
    bench const b;
    auto const m = b.open();
    auto whole = tuner_of(m);
    auto d = b.data(m);
    auto s = steps(9);
    auto const end = whole.fit(d, s);
    for (index_t const stop : {2, 4}) {
        auto first = tuner_of(m);
        auto data = b.data(m);
        auto saving = s;
        saving.save_every = stop;
        std::string const states = b.path("states");
        auto const part = first.fit(data, saving, [&](fit_save const& x) {
            CHECK(first.save_state(states, x.progress));
            return verdict::stop;
        });
        CHECK(part.end == fit_end::stopped);
        auto second = tuner_of(m, small(), 77);
        auto const from = second.load_state(states);
        REQUIRE(from);
        CHECK(from->step == stop);
        auto rest = s;
        rest.from = *from;
        auto again = b.data(m);
        auto const done = second.fit(again, rest);
        CHECK(same(second->parameters(), whole->parameters()));
        CHECK(same(second->optimizer_state(), whole->optimizer_state()));
        CHECK(done.progress.rows == end.progress.rows);
        auto other = small();
        other.rank = 3;
        CHECK_FALSE(tuner_of(m, other).load_state(states));
    }
    CHECK_FALSE(whole.load_state(b.path("nothing")));
    auto const remembered = whole->optimizer_state();
    auto* const first = reinterpret_cast<float*>(remembered.data());
    float const kept = std::exchange(*first, std::numeric_limits<float>::infinity());
    CHECK(whole.save_state(b.path("broken"), {}).error().why == cause::diverged);
    *first = kept;
    CHECK(whole.save_state(b.path("broken"), {}));
    for (float& x : whole->parameters()) x = std::numeric_limits<float>::quiet_NaN();
    auto const diverged = whole.save_state(b.path("states"), {});
    REQUIRE_FALSE(diverged);
    CHECK(diverged.error().why == cause::diverged);
}

TEST_CASE("any model: a directory and a GGUF of the same numbers train alike") {
    bench const b;
    write_huggingface(b.path("hf"), make_tiny_model(architecture::llama));
    auto const hf = any_model::open(b.path("hf"), "chatml");
    REQUIRE(hf);
    auto const gguf = b.open();
    auto one = b.data(gguf), two = b.data(*hf);
    auto t = tuner_of(gguf), u = tuner_of(*hf);
    double const loss = t.fit(one, steps(4)).after.mean();
    CHECK(u.fit(two, steps(4)).after.mean() == doctest::Approx(loss).epsilon(1e-4));
}

TEST_CASE("any model: an answer comes in pieces that are its text, and ends for a reason") {
    bench const b;
    auto const m = b.open();
    auto g = m.generator({.lanes = 1});
    REQUIRE(g);
    std::string pieces;
    std::vector<index_t> counts;
    auto const whole = g->generate("the", {.max_tokens = 20}, [&](answer_piece const& p) {
        pieces += p.text, counts.push_back(p.tokens);
    });
    REQUIRE(whole);
    CHECK(pieces == whole->text);
    CHECK(counts.front() == 0);
    CHECK(whole->ids.size() <= 20);
    CHECK(whole->text == m.words().decode(whole->ids, specials::off));
    CHECK((whole->end == answer_end::length) == (whole->ids.size() == 20));
    auto const told = g->generate("the", {.max_tokens = 20}, [](answer_piece const& p) {
        return p.tokens == 3 ? verdict::stop : verdict::go_on;
    });
    REQUIRE(told);
    CHECK(told->end == answer_end::told);
    CHECK(told->ids == std::vector<int>(whole->ids.begin(), whole->ids.begin() + 3));
    auto const silent = g->generate("the", {}, [](answer_piece const&) { return verdict::stop; });
    REQUIRE(silent);
    CHECK(silent->ids.empty());

    auto const raw = g->generate("the", {.max_tokens = 1, .raw = true});
    REQUIRE(raw);
    CHECK(raw->prompt_tokens == 1);
    CHECK(raw->prompt_tokens < whole->prompt_tokens);
    CHECK_FALSE(g->generate(""));
    auto const longer = g->generate(std::string(400, 'x'));
    REQUIRE_FALSE(longer);
    CHECK(longer.error().why == cause::usage);
    auto const fills = g->generate("the", {.max_tokens = 100000});
    REQUIRE(fills);
    CHECK(fills->prompt_tokens + static_cast<index_t>(fills->ids.size()) <= m.config().context);
}

TEST_CASE("any model: what cannot be done is said") {
    bench const b;
    CHECK_FALSE(any_model::open(b.path("nothing.gguf")));
    CHECK_FALSE(any_model::open(b.rows));
    CHECK_FALSE(any_model::open(b.model, "klingon"));
    auto const m = b.open();
    CHECK_FALSE(m.read_data(b.path("nothing.jsonl")));
    CHECK_FALSE(m.generator({.adapters = {{b.path("nothing"), 1}}}));
    auto forward = small();
    forward.strategy = inference{}, forward.optimizer = sgd{};
    auto t = tuner_of(m, forward);
    auto d = b.data(m);
    CHECK(t.evaluate(d.held_out()).mean() == tuner_of(m).evaluate(d.held_out()).mean());
    CHECK(t->memory().total() < m.memory(small()).arena.total());
    CHECK_THROWS_AS(t.fit(d, steps(1)), failure);
    auto const kept = [&] {  // the tuner keeps the model open that it was made of
        auto const passing = b.open();
        return tuner_of(passing);
    }();
    auto alive = tuner_of(b.open());
    CHECK(alive.generate("the", {.max_tokens = 2}));
    (void)kept;
}
