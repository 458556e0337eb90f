// SPDX-License-Identifier: Apache-2.0
// graft as it is handed on: becomes the build of the tool that suits this processor, `graft-avx512` and so on, which
// lie in the same folder. GRAFT_ARCHITECTURE names one instead. Nothing of the library is compiled in here: inline
// functions that two instruction sets share would be merged into one, and it need not be the one that runs.
#include "architectures.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <unistd.h>

namespace {

// Exit codes as the tool's: 2 usage, 6 input/output.
int refuse(int code, std::string const& text) {
    std::fprintf(stderr, "error: %s\n", text.c_str());
    return code;
}

// Text of the environment, cut and without what a terminal would act on.
std::string printable(std::string_view text) {
    std::string clean(text.substr(0, 40));
    for (char& c : clean)
        if (c < ' ' || c > '~') c = '?';
    return clean;
}

}  // namespace

int main(int, char** argv) {
    std::error_code failed;
    auto const self = std::filesystem::read_symlink("/proc/self/exe", failed);
    if (failed) return refuse(6, "cannot tell where graft lies: /proc/self/exe: " + failed.message());

    auto const all = launch::architectures();
    char const* const wish = std::getenv("GRAFT_ARCHITECTURE");
    std::string_view const asked = wish ? wish : "";
    auto const names = launch::to_try(all, asked);
    if (names.empty())
        return refuse(2, "GRAFT_ARCHITECTURE: expected one of " + launch::listed(all, false) + "; got '" +
                             printable(asked) + "'; this processor runs " + launch::listed(all, true));

    std::string tried;
    for (auto const name : names) {
        std::string const file = self.string() + "-" + std::string(name);
        execv(file.c_str(), argv);
        int const why = errno;
        tried += "\n  " + file + ": " + std::strerror(why);
        if (why != ENOENT) break;  // a build that was left out is no mistake, one that cannot start is
    }
    return refuse(6, "no build of graft could be started; tried" + tried);
}
