// SPDX-License-Identifier: Apache-2.0
// Runs the built command-line tool, or an example, as a process: what it prints, how it ends, what signals do to it.
#pragma once

#include <tests/support/data.hpp>

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

extern char** environ;

namespace graft_test {

/// How a process ended: its exit code, or 1000 + the signal that killed it.
struct ended {
    int code = -1;
    std::string out, err;

    nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
    bool says(std::string const& text) const { return err.find(text) != err.npos; }
};

/// A program at work, the tool unless another is named; its output goes to files, so that it never waits for a reader.
class process {
public:
    explicit process(std::vector<std::string> arguments, std::string const& input = "",
                     std::string const& program = GRAFT_TOOL) {
        std::ofstream(folder.path / "in", std::ios::binary) << input;
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        char const* const names[] = {"in", "out", "err"};
        for (int i = 0; i < 3; ++i)
            posix_spawn_file_actions_addopen(&files, i, (folder.path / names[i]).c_str(),
                                             i == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600);
        arguments.insert(arguments.begin(), program);
        std::vector<char*> argv;
        for (auto& a : arguments) argv.push_back(a.data());
        argv.push_back(nullptr);
        if (::posix_spawn(&id, program.c_str(), &files, nullptr, argv.data(), environ) != 0) id = -1;
        posix_spawn_file_actions_destroy(&files);
        REQUIRE_MESSAGE(id > 0, "a program cannot be started: " << program);
    }
    process(process const&) = delete;
    process& operator=(process const&) = delete;
    ~process() {
        if (id > 0) ::kill(id, SIGKILL), wait();
    }

    void send(int signal) const { ::kill(id, signal); }

    ended wait() {
        int status = 0;
        ::waitpid(id, &status, 0);
        id = -1;
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), read_file(folder.path / "out"),
                read_file(folder.path / "err")};
    }

private:
    scratch_folder folder;
    pid_t id = -1;
};

inline ended tool(std::vector<std::string> arguments, std::string const& input = "") {
    return process(std::move(arguments), input).wait();
}

/// A numbered example, which the build puts beside the tool.
inline ended example(std::string const& name, std::vector<std::string> arguments) {
    auto const program = std::filesystem::path(GRAFT_TOOL).parent_path() / "examples" / name;
    return process(std::move(arguments), "", program.string()).wait();
}

}  // namespace graft_test
