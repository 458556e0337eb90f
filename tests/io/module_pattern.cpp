// SPDX-License-Identifier: Apache-2.0
// What matches was asked of Python's re (tests/oracle/module_patterns.py); what re has and this has not is refused.
#include <graft/io/module_pattern.hpp>

#include <tests/io/python_patterns.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <iterator>

using namespace graft;
using namespace graft_test;

namespace {

std::string refused(std::string const& pattern) {
    auto const p = module_pattern::make(pattern);
    return p ? "accepted" : p.error().expected;
}

}  // namespace

TEST_CASE("module_pattern: patterns match what Python's re says, or are refused as there") {
    int matches = 0, refusals = 0;
    for (pattern_answer const& asked : pattern_answers) {
        char const *const pattern = asked.pattern, *const answer = asked.answer;
        CAPTURE(pattern);
        auto const made = module_pattern::make(pattern);
        if (std::string_view(answer) == "!") {
            CHECK_FALSE(made.ok());
            ++refusals;
            continue;
        }
        REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().expected));
        std::string own;
        for (char const* const text : pattern_texts)
            own += static_cast<char>('0' + made->begins(text) + 2 * made->covers(text)), matches += own.back() != '0';
        CHECK(own == answer);
    }
    CHECK(matches > 500);
    CHECK(refusals > 30);
}

TEST_CASE("module_pattern: a key of PEFT names whole parts at the end of a module's name") {
    auto const names = [](char const* key, char const* module) {
        auto const p = module_pattern::of_key(key);
        REQUIRE(p.ok());
        return p->begins(module);
    };
    CHECK(names("q_proj", "model.layers.0.self_attn.q_proj"));
    CHECK(names("self_attn.q_proj", "model.layers.0.self_attn.q_proj"));
    CHECK(names("self_attn.q.proj", "model.layers.0.self_attn.q_proj"));
    CHECK(names("layers.(0|1[0-9]).*proj", "model.layers.13.mlp.up_proj"));
    CHECK_FALSE(names("layers.(0|1[0-9]).*proj", "model.layers.3.mlp.up_proj"));
    CHECK_FALSE(names(R"(self_attn.q\.proj)", "model.layers.0.self_attn.q_proj"));
    CHECK_FALSE(names("proj", "model.layers.0.self_attn.q_proj"));
    CHECK_FALSE(names("^self_attn.q_proj", "model.layers.0.self_attn.q_proj"));
    CHECK(names("^model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"));
    CHECK(names("^lm_head", "lm_head"));
    CHECK(names("q_proj|k_proj", "model.layers.0.self_attn.k_proj"));
    CHECK_FALSE(module_pattern::of_key("q_proj)").ok());
    CHECK(names("x)|(q_proj", "q_proj"));  // as PEFT puts it together
}

TEST_CASE("module_pattern: what is not understood is refused with the reason") {
    for (char const* const pattern : {"(?i)a", "(?i:a)", "(?<=a)b", "(?<!a)b", "(?(1)a|b)", "(?>a)", "(?P=n)"})
        CHECK(refused(pattern).find("groups (…)") == 0);
    CHECK(refused(R"((a)\1)") == "no reference to a group, no octal number");
    CHECK(refused("a*+") == "no possessive repeat");
    CHECK(refused("\xc3\xa9*").find("ASCII") != std::string::npos);
    CHECK(refused("(?=a(?!b))") == "no look ahead inside another");
    CHECK(refused(R"(\p{L})") == "no \\p");
    CHECK(refused(std::string(1001, 'a')).find("1000 characters") != std::string::npos);
    CHECK(refused(std::string(1000, 'a')) == "accepted");
    CHECK(refused("a{5000}").find("4000 steps") != std::string::npos);
    CHECK(refused("((a{99}){99}){99}").find("4000 steps") != std::string::npos);
    CHECK(refused("((){99999}){99999}") == "accepted");
    CHECK(refused(std::string(60, '(') + "a" + std::string(60, ')')).find("50 groups") != std::string::npos);
    CHECK(refused(std::string(45, '(') + "a" + std::string(45, ')')) == "accepted");
    CHECK(module_pattern::make("(").error().got == "'('");
}

TEST_CASE("module_pattern: patterns that take other engines exponential time take this one none to speak of") {
    auto const began = std::chrono::steady_clock::now();
    std::string const text(250, 'a');
    for (char const* const pattern : {"(a+)+b", "(a|a)*b", "(a|aa)+b", "((a*)*)*b", "(.*.*.*.*)*b", "(?=(a+)+b)c"}) {
        CHECK_FALSE(module_pattern::make(pattern)->begins(text));
        CHECK(module_pattern::make(pattern)->begins(text + "b") == (pattern[0] == '(' && pattern[1] != '?'));
    }
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
}
