// SPDX-License-Identifier: Apache-2.0
// How far a run is: a bar on a terminal, lines when piped; all of it on stderr.
#pragma once

#include <graft/base/index.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

namespace tool {
using graft::index_t;

/// What is told about a step.
struct step_figures {
    index_t step, total;
    double loss, rate, grad_norm, tokens_per_second, seconds_left;
    std::uint64_t memory;
};

class progress {
public:
    progress() : terminal(::isatty(2) == 1) {}
    ~progress() { clear(); }

    void show(step_figures const& f) {
        if (!terminal && f.step % std::max<index_t>(1, f.total / 100) != 0 && f.step != f.total) return;
        char text[256];
        std::snprintf(text, sizeof text, "%td/%td  loss %.4f  lr %.2e  norm %.3f  %.0f tok/s  %.0f MiB  %s left",
                      f.step, f.total, f.loss, f.rate, f.grad_norm, f.tokens_per_second,
                      static_cast<double>(f.memory) / 0x1p20, clock(f.seconds_left).c_str());
        if (!terminal) {
            std::fprintf(stderr, "step %s\n", text);
            return;
        }
        winsize size{};
        index_t const columns = ::ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
        std::string line = text;
        index_t const room = std::min<index_t>(columns - static_cast<index_t>(line.size()) - 4, 30);
        if (room >= 5) {
            index_t const full = room * f.step / std::max<index_t>(f.total, 1);
            line = "[" + std::string(static_cast<std::size_t>(full), '=') +
                   std::string(static_cast<std::size_t>(room - full), ' ') + "] " + line;
        }
        line.resize(std::min(line.size(), static_cast<std::size_t>(std::max<index_t>(columns - 1, 1))));
        std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
        std::fflush(stderr);
        drawn = true;
    }

    /// A line that stays.
    void note(std::string const& text) {
        clear();
        std::fprintf(stderr, "%s\n", text.c_str());
    }

    void clear() {
        if (drawn) std::fprintf(stderr, "\r\x1b[K");
        drawn = false;
    }

    /// 1:02:03, 4:05
    static std::string clock(double seconds) {
        if (!(seconds >= 0 && seconds < 1e8)) return "?";
        auto const s = static_cast<long>(std::lround(seconds));
        char room[40];
        if (s >= 3600)
            std::snprintf(room, sizeof room, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
        else
            std::snprintf(room, sizeof room, "%ld:%02ld", s / 60, s % 60);
        return room;
    }

private:
    bool terminal, drawn = false;
};

}  // namespace tool
