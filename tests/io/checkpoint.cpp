// SPDX-License-Identifier: Apache-2.0
#include <graft/io/checkpoint.hpp>

#include <tests/support/data.hpp>
#include <tests/support/failing_calls.hpp>
#include <tests/support/malformed.hpp>

using namespace graft;
using namespace graft_test;

namespace {

/// Two blobs and a manifest that depend on the step.
struct sample {
    std::string a, b = "second blob";
    nlohmann::json manifest;
    explicit sample(std::uint64_t step)
        : a(1000 + step, static_cast<char>('a' + step % 20)),
          manifest{{"loss", 0.1 * static_cast<double>(step)}, {"seed", 7}} {}
    std::vector<named_blob> blobs() const { return {{"adapter", as_bytes(a)}, {"moments", as_bytes(b)}}; }
};

result<void> save(std::string const& path, std::uint64_t step, checkpoint_options const& options = {}) {
    sample const s(step);
    return save_checkpoint(path, step, s.manifest, s.blobs(), options);
}

void check_is(stored_checkpoint const& c, std::uint64_t step) {
    sample const s(step);
    CHECK(c.step == step);
    CHECK(c.manifest == s.manifest);
    REQUIRE(c.find("adapter"));
    CHECK(as_text(c.find("adapter")->bytes) == s.a);
    CHECK(as_text(c.find("moments")->bytes) == s.b);
    CHECK(c.find("nothing") == nullptr);
}

}  // namespace

TEST_CASE("checkpoint: the newest is loaded, the two newest are kept, `latest` names it") {
    scratch_folder folder;
    auto const path = (folder.path / "run").string();
    CHECK_FALSE(newest_valid(path).found.has_value());
    for (std::uint64_t const step : {0u, 9u, 10u, 100u}) REQUIRE(save(path, step).ok());
    CHECK(names_in(path) == std::vector<std::string>{"latest", "step-10", "step-100"});
    CHECK(read_file(path + "/latest") == "step-100\n");
    auto const search = newest_valid(path);
    REQUIRE(search.found);
    CHECK(search.skipped.empty());
    check_is(*search.found, 100);
    auto const old = load_checkpoint(path + "/step-10");
    REQUIRE(old.ok());
    check_is(*old, 10);
    REQUIRE(save(path, 100, {1, {}}).ok());  // again: replaced
    CHECK(names_in(path) == std::vector<std::string>{"latest", "step-100"});
    check_is(*newest_valid(path).found, 100);
}

TEST_CASE("checkpoint: a broken one is reported and skipped, never silently used") {
    auto const broken = [](auto&& damage) {
        scratch_folder folder;
        auto const path = folder.path.string();
        REQUIRE(save(path, 1).ok());
        REQUIRE(save(path, 2).ok());
        damage(folder.path / "step-2");
        auto const search = newest_valid(path);
        REQUIRE(search.found);
        check_is(*search.found, 1);
        REQUIRE(search.skipped.size() == 1);
        return search.skipped[0];
    };
    auto const write = [](std::filesystem::path const& file, std::string const& text) {
        REQUIRE(write_file(file.string(), text, {true, {}, {}}).ok());
    };
    CHECK(broken([](auto p) { std::filesystem::remove(p / "manifest.json"); }).why == cause::io);
    CHECK(broken([](auto p) { std::filesystem::remove(p / "moments"); }).why == cause::io);
    CHECK(broken([&](auto p) { write(p / "moments", "second blub"); }).what == "has the wrong checksum");
    CHECK(broken([&](auto p) { write(p / "moments", "second"); }).what == "has the wrong length");
    CHECK(broken([&](auto p) { write(p / "extra", ""); }).what == "is not in the checkpoint's manifest");
    CHECK(broken([&](auto p) { write(p / "manifest.json", "{"); }).what.substr(0, 14) == "not valid JSON");
    CHECK(broken([&](auto p) {
              std::filesystem::copy_file(p / "../step-1/manifest.json", p / "manifest.json",
                                         std::filesystem::copy_options::overwrite_existing);
          }).why == cause::bad_file);
    CHECK(broken([](auto p) {
              std::filesystem::remove_all(p);
              std::filesystem::copy(p.parent_path() / "step-1", p);
          }).what == "has the step of another checkpoint");
    auto const edited = [&](auto&& change, bool resign) {
        return broken([&](auto p) {
            auto whole = nlohmann::json::parse(read_file(p / "manifest.json"));
            change(whole["body"]);
            if (resign) whole["crc32"] = detail::hexadecimal(crc32(as_bytes(json_text(whole["body"]))));
            write(p / "manifest.json", whole.dump());
        });
    };
    CHECK(edited([](auto& body) { body["state"]["seed"] = 8; }, false).what == "has the wrong checksum");
    CHECK(edited([](auto& body) { body["version"] = 2; }, true).why == cause::mismatch);
    CHECK(edited([](auto& body) { body["format"] = "else"; }, true).where == "key 'format'");
    CHECK(edited([](auto& body) { body["files"][0]["name"] = "../step-1/adapter"; }, true).expected ==
          "a plain file name");
    CHECK(edited([](auto& body) { body["files"].push_back(body["files"][0]); }, true).expected == "every name once");
}

TEST_CASE("checkpoint: names must be plain and different") {
    scratch_folder folder;
    for (char const* name : {"", ".", "..", "a/b", "manifest.json", ".hidden"})
        CHECK_FALSE(save_checkpoint(folder.path.string(), 1, {}, std::vector<named_blob>{{name, {}}}).ok());
    CHECK_FALSE(save_checkpoint(folder.path.string(), 1, {}, std::vector<named_blob>{{"a", {}}, {"a", {}}}).ok());
    CHECK(names_in(folder.path.string()).empty());
}

TEST_CASE("checkpoint: whichever call fails, and wherever a save is killed, the old or the new one loads") {
    scratch_folder start;  // copied for each try: saving it anew would wait for the disk every time
    REQUIRE(save(start.path.string(), 1).ok());
    REQUIRE(save(start.path.string(), 2).ok());
    for (bool const killed : {false, true})
        for (bool const again : {false, true}) {  // the same step a second time, or the next one
            int tried = 0;
            for (int good = 0;; ++good) {
                scratch_folder folder;
                auto const path = folder.path.string();
                std::filesystem::copy(start.path, folder.path, std::filesystem::copy_options::recursive);
                failing_calls fail{good, killed};
                auto const r = save(path, again ? 2 : 3, {2, fail.calls()});
                auto const search = newest_valid(path);
                REQUIRE(search.found);
                CHECK(search.skipped.empty());
                CHECK(search.found->step >= (again ? 1u : 2u));
                check_is(*search.found, search.found->step);
                if (r.ok())
                    CHECK(search.found->step == (again ? 2 : 3));
                else
                    CHECK(r.error().why == cause::io);
                if (!fail.failed()) break;
                ++tried;
                if (good % 6 != 3) continue;
                REQUIRE(save(path, 4).ok());  // the next save succeeds and tidies up
                check_is(*newest_valid(path).found, 4);
                for (auto const& name : names_in(path)) CHECK_FALSE(name.starts_with(".tmp-step-"));
            }
            CHECK(tried > 15);
        }
}

TEST_CASE("checkpoint: every truncation and every value of every byte of a manifest is noticed or harmless") {
    scratch_folder folder;
    std::string const content = "xyz";
    REQUIRE(
        save_checkpoint(folder.path.string(), 3, {{"n", 5}}, std::vector<named_blob>{{"b", as_bytes(content)}}).ok());
    auto const file = folder.path / "step-3/manifest.json";
    auto const text = read_file(file);
    auto const whole = as_bytes(text);
    std::size_t same = 0, refused = 0, step = 0;
    every_damage({whole.begin(), whole.end()}, [&](std::span<std::byte const> damaged) {
        if (++step % 7 != 0) return;    // each is a file: a part of them
        std::filesystem::remove(file);  // a new file need not wait for the disk, an emptied one may
        std::ofstream(file, std::ios::binary) << as_text(damaged);
        auto const r = load_checkpoint((folder.path / "step-3").string());
        if (!r) return void(++refused);
        ++same;
        CHECK(r->step == 3);
        CHECK(r->manifest == nlohmann::json{{"n", 5}});
        CHECK(as_text(r->find("b")->bytes) == "xyz");
    });
    CHECK(same > 50);
    CHECK(refused > 1000);
}
