// SPDX-License-Identifier: Apache-2.0
// What signals do: the first SIGINT or SIGTERM asks to stop, the second one stops; a file that shrank is reported.
#pragma once

#include <unistd.h>
#include <csignal>

namespace tool {

/// The signal that asked a run to stop, or 0. Handlers do nothing but set it.
inline std::sig_atomic_t volatile asked_to_stop = 0;

namespace detail {

inline void ask_to_stop(int signal) {
    if (asked_to_stop) ::_exit(128 + signal);
    asked_to_stop = signal;
}

/// A page of a mapped file is gone: the file was cut or its disk failed.
inline void mapped_page_gone(int) {
    static constexpr char text[] = "error: a mapped file can no longer be read: it shrank, or its disk failed\n";
    [[maybe_unused]] auto const written = ::write(2, text, sizeof text - 1);
    ::_exit(6);
}

inline void on(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
}

}  // namespace detail

/// For every verb: a closed pipe or a limit on file sizes is an error of writing, not a death.
inline void prepare_signals() {
    detail::on(SIGPIPE, SIG_IGN);
    detail::on(SIGXFSZ, SIG_IGN);
    detail::on(SIGBUS, detail::mapped_page_gone);
}
/// For training: stops between steps. A hang-up counts as SIGTERM.
inline void stop_between_steps() {
    for (int const signal : {SIGINT, SIGTERM}) detail::on(signal, detail::ask_to_stop);
    detail::on(SIGHUP, [](int) { detail::ask_to_stop(SIGTERM); });
}

}  // namespace tool
