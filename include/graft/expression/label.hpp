// SPDX-License-Identifier: Apache-2.0
// A text as a template argument: the name of a weight, as model files spell it.          (layer 7: expression)
#pragma once

#include <cstddef>
#include <string_view>

namespace graft {

template <std::size_t N>
struct label {
    char text[N]{};
    consteval label(char const (&s)[N]) {
        for (std::size_t i = 0; i < N; ++i) text[i] = s[i];
    }
    constexpr std::string_view view() const { return {text, N - 1}; }
};
template <std::size_t N> label(char const (&)[N]) -> label<N>;

}  // namespace graft
